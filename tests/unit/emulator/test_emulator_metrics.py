"""QueryMetrics: slices that only analyses make, and the steps of a series."""

from __future__ import annotations

import json
from typing import Any

import pytest
from emulator_cases import BUCKET, create
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


def test_topics_and_answers_make_slices(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    client = ci_emulator.client
    name = create(ci_emulator, ci_objects, "call-1", agent_id="agent-1").name
    create(ci_emulator, ci_objects, "call-2")
    model = topic_model(ci_emulator, ci_objects)
    question = scorecard(ci_emulator)
    label = insights.FeedbackLabel(
        labeled_resource=question, qa_answer_label={"key": "yes", "str_value": "Yes"}
    )
    client.create_feedback_label(parent=name, feedback_label=label)
    client.create_analysis(parent=name, analysis={}).result(timeout=10)

    def slices(key: str) -> Any:
        return query(ci_emulator, dimensions=[{"dimension_key": key}]).slices

    (issue,) = client.list_issues(parent=model).issues
    (by_issue,) = slices("ISSUE")
    assert by_issue.dimensions[0] == insights.Dimension(
        dimension_key="ISSUE",
        issue_dimension_metadata={
            "issue_id": issue.name.split("/")[-1],
            "issue_display_name": "Job",
            "issue_model_id": model.split("/")[-1],
        },
    )
    measure = by_issue.total.conversation_measure
    assert (measure.conversation_count, measure.average_qa_normalized_score) == (1, 0.5)
    assert measure.average_client_sentiment_score < 0
    (tag,) = measure.qa_tag_scores
    assert (tag.tag, tag.average_tag_normalized_score) == ("BUSINESS", 0.5)
    assert "average_qa_question_normalized_score" not in measure
    asked = {"qa_scorecard_id": "card", "qa_question_id": "asked", "question_body": "Well?"}
    (by_question,) = slices("QA_QUESTION_ID")
    assert by_question.dimensions[0].qa_question_dimension_metadata == (
        insights.Dimension.QaQuestionDimensionMetadata(**asked)
    )
    assert by_question.total.conversation_measure.average_qa_question_normalized_score == 0.5
    (by_answer,) = slices("QA_QUESTION_ANSWER_VALUE")
    assert by_answer.dimensions[0].qa_question_answer_dimension_metadata == (
        insights.Dimension.QaQuestionAnswerDimensionMetadata(**asked, answer_value="Yes")
    )
    (by_agent,) = slices("AGENT")
    assert by_agent.dimensions[0].agent_dimension_metadata == (
        insights.Dimension.AgentDimensionMetadata(agent_id="agent-1")
    )
    assert list(slices("CONVERSATION_PROFILE_ID")) == []
    assert query(ci_emulator).slices[0].total.conversation_measure.conversation_count == 2


def topic_model(emulator: RunningEmulator, objects: ObjectServer) -> str:
    """Return a deployed model that finds its topic in the talk."""
    issue = {"displayName": "Job", "displayDescription": '"my job"'}
    uri = objects.put(BUCKET, "model.json", json.dumps({"issues": [issue]}).encode())
    source = {"object_uri": uri}
    emulator.client.import_issue_model(
        {"parent": emulator.parent, "gcs_source": source, "create_new_model": True}
    ).result(timeout=10)
    (made,) = emulator.client.list_issue_models(parent=emulator.parent).issue_models
    emulator.client.deploy_issue_model(name=made.name).result(timeout=10)
    return str(made.name)


def scorecard(emulator: RunningEmulator) -> str:
    """Return the question of a deployed scorecard."""
    client = emulator.client
    card = client.create_qa_scorecard(
        {"parent": emulator.parent, "qa_scorecard_id": "card", "qa_scorecard": {}}
    )
    revision = client.get_qa_scorecard_revision(name=f"{card.name}/revisions/latest").name
    choices = [
        {"key": "yes", "str_value": "Yes", "score": 1},
        {"key": "more", "str_value": "More", "score": 2},
    ]
    made = client.create_qa_question(
        {
            "parent": revision,
            "qa_question_id": "asked",
            "qa_question": {
                "question_body": "Well?", "answer_choices": choices, "tags": ["BUSINESS"]
            },
        }
    )  # fmt: skip
    client.tune_qa_scorecard_revision({"parent": revision}).result(timeout=10)
    client.deploy_qa_scorecard_revision({"name": revision})
    return str(made.name)


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
