"""QueryMetrics: slices that only analyses make, and the steps of a series."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from emulator_cases import create
from google.api_core import exceptions
from google.cloud import contact_center_insights_v1 as insights
from hypothesis import given
from hypothesis import strategies as st

from ingest.emulator.pytest_plugin import RunningEmulator
from ingest.emulator.query_metrics import step_of
from ingest.emulator.testing import ObjectServer

WINDOW = 'create_time>="2000-01-01T00:00:00Z" AND create_time<"9999-12-31T00:00:00Z"'


def query(emulator: RunningEmulator, **fields: Any) -> insights.QueryMetricsResponse:
    request = {"location": emulator.parent, "filter": WINDOW, **fields}
    return emulator.client.query_metrics(request).result(timeout=10)


def test_rest_knows_further_dimensions(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    client = ci_emulator.client
    for number, labels in enumerate([{"a": "x", "b": "y"}, {"a": "z"}]):
        name = create(ci_emulator, ci_objects, f"call-{number}", labels=labels, medium="CHAT").name
    card = client.create_qa_scorecard(parent=ci_emulator.parent, qa_scorecard={}).name
    revision = client.get_qa_scorecard_revision(name=f"{card}/revisions/latest").name
    choices = [{"key": "yes", "bool_value": True, "score": 1}]
    question = {"question_body": "Well?", "answer_choices": choices}
    asked = client.create_qa_question(parent=revision, qa_question=question).name
    client.tune_qa_scorecard_revision({"parent": revision}).result(timeout=10)
    client.deploy_qa_scorecard_revision({"name": revision})
    label = {"labeled_resource": asked, "qa_answer_label": {"key": "yes", "bool_value": True}}
    client.create_feedback_label(parent=name, feedback_label=label)
    client.create_analysis(parent=name, analysis={}).result(timeout=10)
    url = f"{ci_emulator.rest_endpoint}/v1/{ci_emulator.parent}:queryMetrics"

    def slices(key: str) -> list[Any]:
        body = {
            "filter": WINDOW, "dimensions": [{"dimensionKey": key}],
            "measureMask": "conversationMeasure.count,conversationMeasure.averageQaNormalizedScore",
        }  # fmt: skip
        reply = requests.post(url, json=body, timeout=30).json()["response"]
        return [
            (*(each["dimensions"]), each["total"]["conversationMeasure"])
            for each in reply.get("slices", ())
        ]

    def labelled(key: str, **label: str) -> dict[str, Any]:
        return {"dimensionKey": key, "labelDimensionMetadata": label}

    count, scored = {"conversationCount": 1}, {"averageQaNormalizedScore": 1.0}
    assert slices("MEDIUM") == [
        (
            {"dimensionKey": "MEDIUM", "mediumDimensionMetadata": {"medium": "CHAT"}},
            {"conversationCount": 2, **scored},
        )
    ]
    assert slices("LABEL_KEY") == [
        (labelled("LABEL_KEY", labelKey="a"), {"conversationCount": 2, **scored}),
        (labelled("LABEL_KEY", labelKey="b"), count),
    ]
    assert slices("LABEL_KEY_AND_VALUE") == [
        (labelled("LABEL_KEY_AND_VALUE", labelKey="a", labelValue="x"), count),
        (labelled("LABEL_KEY_AND_VALUE", labelKey="a", labelValue="z"), {**count, **scored}),
        (labelled("LABEL_KEY_AND_VALUE", labelKey="b", labelValue="y"), count),
    ]
    assert slices("QA_SCORECARD_ID") == [
        (
            {
                "dimensionKey": "QA_SCORECARD_ID",
                "qaScorecardDimensionMetadata": {"qaScorecardId": card.split("/")[-1]},
            },
            {**count, **scored},
        )
    ]
    assert slices("CONVERSATIONAL_AGENTS_TOOL_ID") == []
    for key in ("CLIENT_SENTIMENT_CATEGORY", "NONSENSE"):
        body = {"filter": WINDOW, "dimensions": [{"dimensionKey": key}]}
        assert requests.post(url, json=body, timeout=30).status_code == 400


def test_an_agent_is_one_slice_whatever_team_it_was_in(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    for team in ("one", "two"):
        agent = {"agent_id": "a", "teams": [team]}
        create(ci_emulator, ci_objects, f"team-{team}", quality_metadata={"agent_info": [agent]})
    (only,) = query(ci_emulator, dimensions=[{"dimension_key": "AGENT"}]).slices
    assert only.total.conversation_measure.conversation_count == 2


def test_a_window_may_reach_over_all_times_and_a_granularity_must_be_known(
    ci_emulator: RunningEmulator,
) -> None:
    widest = 'create_time>"0001-01-01T00:00:00+23:59" AND create_time<="9999-12-31T23:59:59-23:59"'
    (only,) = query(ci_emulator, filter=widest, time_granularity="MONTHLY").slices
    assert only.total.conversation_measure.conversation_count == 0
    with pytest.raises(exceptions.InvalidArgument, match="time_granularity 99"):
        query(ci_emulator, time_granularity=99)


@given(st.integers(0, 4_000_000_000_000_000), st.sampled_from([2, 3, 4, 5, 6]))
def test_steps_hold_their_moments_and_touch(micros: int, granularity: int) -> None:
    begin, end = step_of(micros, granularity)
    assert begin <= micros < end
    assert step_of(end - 1, granularity) == (begin, end)
    assert step_of(end, granularity)[0] == end
