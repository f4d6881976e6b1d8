"""QueryMetrics: measures of conversations by dimensions and times."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import contact_center_insights_v1 as insights
from insights_service import TIMEOUT_SEC, Service, new_id

TALK = (("AGENT", "Hello."), ("CUSTOMER", "I hate this."))
LONG = (*TALK, ("AGENT", "Sorry."), ("CUSTOMER", "Well."))
Measure = insights.QueryMetricsResponse.Slice.DataPoint.ConversationMeasure


def talks(service: Service) -> tuple[str, dt.datetime]:
    """Make three talks of two agents; return their agents' team and the day they were made on."""
    team = new_id()
    for turns, agent, rating in ((TALK, "a", 5), (LONG, "a", 2), (LONG, "b", 0)):
        made = service.talk(
            *turns,
            quality_metadata={
                "customer_satisfaction_rating": rating,
                "agent_info": [{"agent_id": agent, "display_name": agent * 2, "teams": [team]}],
            },
        )
    created = made.create_time
    return team, dt.datetime(created.year, created.month, created.day, tzinfo=dt.UTC)


def window(team: str, day: dt.datetime, days: int = 1) -> str:
    end = day + dt.timedelta(days)
    return (
        f'agent_team="{team}" AND create_time>="{day.isoformat()}"'
        f' AND create_time<"{end.isoformat()}"'
    )


def query(service: Service, **fields: Any) -> insights.QueryMetricsResponse:
    request = insights.QueryMetricsRequest(location=service.parent, **fields)
    operation = service.client.query_metrics(request)
    reply = operation.result(timeout=TIMEOUT_SEC)
    assert reply.location == service.parent
    assert isinstance(operation.metadata, insights.QueryMetricsMetadata)
    return reply


def numbers(point: Any) -> tuple[Any, ...]:
    measure = point.conversation_measure
    return (
        measure.conversation_count,
        measure.average_turn_count,
        measure.average_duration.total_seconds(),
        measure.average_customer_satisfaction_rating,
    )


def span(point: Any) -> tuple[dt.datetime, dt.datetime]:
    times = point.interval.start_time, point.interval.end_time
    return times[0].ToDatetime(dt.UTC), times[1].ToDatetime(dt.UTC)


@pytest.mark.fact("documented", "QueryMetricsResponse.Slice, ConversationMeasure")
def test_a_query_without_dimension_measures_all_conversations(service: Service) -> None:
    team, day = talks(service)
    reply = query(service, filter=window(team, day))
    (only,) = reply.slices
    assert numbers(only.total) == (3, pytest.approx(10 / 3), pytest.approx(35 / 3), 3.5)
    assert (list(only.dimensions), len(only.time_series.data_points)) == ([], 0)
    assert span(only.total) == (day, day + dt.timedelta(1))
    assert "macro_average_slice" not in reply
    assert "average_client_sentiment_score" not in only.total.conversation_measure


@pytest.mark.fact("documented", "the range is [DATE(starting create time), DATE(ending …))")
def test_a_window_is_of_whole_days(service: Service) -> None:
    team, day = talks(service)
    late = day + dt.timedelta(hours=23, minutes=59)
    for begin, days, count in ((late, 1, 3), (day, 0.9, 0), (day + dt.timedelta(1), 1, 0)):
        (only,) = query(service, filter=window(team, begin, days)).slices
        assert only.total.conversation_measure.conversation_count == count
        assert span(only.total) == (begin, begin + dt.timedelta(days))


@pytest.mark.fact("documented", "Dimension, macro_average_slice; their order is assumed")
def test_a_dimension_makes_slices_and_an_average_over_them(service: Service) -> None:
    team, day = talks(service)
    reply = query(
        service, filter=window(team, day), dimensions=[{"dimension_key": "AGENT"}],
        time_granularity="DAILY",
    )  # fmt: skip
    agents = [each.dimensions[0].agent_dimension_metadata for each in reply.slices]
    kind = insights.Dimension.AgentDimensionMetadata
    assert agents == [
        kind(agent_id=each, agent_display_name=each * 2, agent_team=team) for each in "ab"
    ]
    assert [numbers(each.total) for each in reply.slices] == [(2, 3, 10, 3.5), (1, 4, 15, 0)]
    assert "average_customer_satisfaction_rating" not in reply.slices[1].total.conversation_measure
    assert numbers(reply.macro_average_slice.total) == (2, 3.5, 12.5, 3.5)
    for each in (*reply.slices, reply.macro_average_slice):
        (point,) = each.time_series.data_points
        assert numbers(point) == numbers(each.total)
        assert span(point) == (day, day + dt.timedelta(1))
    by_team = query(service, filter=window(team, day), dimensions=[{"dimension_key": "AGENT_TEAM"}])
    (whole,) = by_team.slices
    assert whole.dimensions[0].agent_dimension_metadata == kind(agent_team=team)
    assert whole.total.conversation_measure.conversation_count == 3


@pytest.mark.fact("documented", "Dimension: topics and answers; that labels edit answers assumed")
def test_topics_and_answers_make_slices(service: Service) -> None:
    agent = new_id()
    name = service.talk(*TALK, agent_id=agent).name
    created = service.client.get_conversation(name=name).create_time
    day = dt.datetime(created.year, created.month, created.day, tzinfo=dt.UTC)
    issue, question = topic(service, "I hate this"), asked(service)
    label = {"labeled_resource": question, "qa_answer_label": {"key": "yes", "str_value": "Yes"}}
    service.client.create_feedback_label(parent=name, feedback_label=label)
    revision = question.partition("/qaQuestions/")[0]
    selector = insights.AnnotatorSelector(
        run_sentiment_annotator=True, run_issue_model_annotator=True, run_qa_annotator=True,
        issue_models=[issue.partition("/issues/")[0]],
        qa_config={"scorecard_list": {"qa_scorecard_revisions": [revision]}},
    )  # fmt: skip
    analysis = service.analyse(name, selector)
    (overall,) = analysis.analysis_result.call_analysis_metadata.sentiments
    wanted = window("", day).replace('agent_team=""', f'agent_id="{agent}"')

    def slices(key: str) -> list[Any]:
        return list(query(service, filter=wanted, dimensions=[{"dimension_key": key}]).slices)

    (by_issue,) = slices("ISSUE")
    parts = issue.split("/")
    assert by_issue.dimensions[0].issue_dimension_metadata == (
        insights.Dimension.IssueDimensionMetadata(
            issue_id=parts[-1], issue_display_name="I hate this", issue_model_id=parts[-3]
        )
    )
    measure = by_issue.total.conversation_measure
    assert (measure.conversation_count, measure.average_qa_normalized_score) == (1, 0.5)
    assert measure.average_client_sentiment_score == overall.sentiment_data.score
    (tag,) = measure.qa_tag_scores
    assert (tag.tag, tag.average_tag_normalized_score) == ("BUSINESS", 0.5)
    assert "average_qa_question_normalized_score" not in measure
    parts = question.split("/")
    kind = insights.Dimension.QaQuestionDimensionMetadata
    ids = {"qa_scorecard_id": parts[5], "qa_question_id": parts[-1], "question_body": "Well?"}
    (by_question,) = slices("QA_QUESTION_ID")
    assert by_question.dimensions[0].qa_question_dimension_metadata == kind(**ids)
    assert by_question.total.conversation_measure.average_qa_question_normalized_score == 0.5
    (by_answer,) = slices("QA_QUESTION_ANSWER_VALUE")
    assert by_answer.dimensions[0].qa_question_answer_dimension_metadata == (
        insights.Dimension.QaQuestionAnswerDimensionMetadata(**ids, answer_value="Yes")
    )
    (by_agent,) = slices("AGENT")
    assert by_agent.dimensions[0].agent_dimension_metadata == (
        insights.Dimension.AgentDimensionMetadata(agent_id=agent)
    )
    assert slices("CONVERSATION_PROFILE_ID") == []


def topic(service: Service, phrase: str) -> str:
    """Return the issue of a deployed model that finds a phrase."""
    model = service.model({"displayName": phrase}).name
    service.client.deploy_issue_model(name=model).result(timeout=TIMEOUT_SEC)
    return str(service.client.list_issues(parent=model).issues[0].name)


def asked(service: Service) -> str:
    """Return the question of a scorecard's revision that is ready."""
    made = service.question()
    revision = made.partition("/qaQuestions/")[0]
    service.client.tune_qa_scorecard_revision({"parent": revision}).result(timeout=TIMEOUT_SEC)
    return made


@pytest.mark.fact("documented", "measure_mask, with the documented example of a path")
def test_a_mask_leaves_only_its_measures(service: Service) -> None:
    team, day = talks(service)
    for path in ("conversation_measure.count", "conversation_measure.conversation_count"):
        reply = query(service, filter=window(team, day), measure_mask={"paths": [path]})
        assert reply.slices[0].total.conversation_measure == Measure(conversation_count=3)
    whole = query(
        service, filter=window(team, day), measure_mask={"paths": ["conversation_measure"]}
    )
    assert numbers(whole.slices[0].total)[0] == 3


@pytest.mark.fact("documented", "a window is required, one dimension is supported; status assumed")
@pytest.mark.parametrize(
    "fields",
    [
        {"filter": ""},
        {"filter": 'create_time>="2025-01-01T00:00:00Z"'},
        {"filter": 'create_time<"2025-01-01T00:00:00Z"'},
        {"filter": "nonsense"},
        {"dimensions": [{}]},
        {"dimensions": [{"dimension_key": "AGENT"}, {"dimension_key": "ISSUE"}]},
        {"measure_mask": {"paths": ["conversation_measure.nonsense"]}},
        {"measure_mask": {"paths": ["conversation_count"]}},
    ],
)
def test_a_query_that_can_not_be_is_refused(service: Service, fields: dict[str, Any]) -> None:
    day = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
    with service.refused(exceptions.InvalidArgument):
        query(service, **{"filter": window("team", day), **fields})
