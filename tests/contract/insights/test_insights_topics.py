"""Topic models, their issues, and topics in analyses."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import contact_center_insights_v1 as insights
from google.protobuf import field_mask_pb2
from insights_service import TIMEOUT_SEC, Service, entry, new_id

State = insights.IssueModel.State
ONLY_TOPICS = insights.AnnotatorSelector(run_issue_model_annotator=True)
BILLING = {"displayName": "Billing", "displayDescription": 'A bill: "late fee", "my bill".'}
LOGIN = {"displayName": "Login"}
TALK = (
    ("AGENT", "Hello."),
    ("CUSTOMER", "There is a late fee on my bill."),
    ("AGENT", "On your bill?"),
    ("CUSTOMER", "My bill, yes. And the login fails."),
    ("AGENT", "Sorry."),
)


def deployed(service: Service, *issues: dict[str, str]) -> insights.IssueModel:
    made = service.model(*issues)
    operation = service.client.deploy_issue_model(name=made.name)
    assert operation.result(timeout=TIMEOUT_SEC) == insights.DeployIssueModelResponse()
    return service.client.get_issue_model(name=made.name)


def issues_of(service: Service, name: str) -> list[insights.Issue]:
    return list(service.client.list_issues(parent=name).issues)


def found(analysis: insights.Analysis) -> tuple[insights.IssueModelResult, list[Any]]:
    """Return an analysis' topics and their annotations."""
    result = analysis.analysis_result.call_analysis_metadata
    annotations = [each for each in result.annotations if "issue_match_data" in each]
    return result.issue_model_result, annotations


@pytest.mark.fact("documented", "IssueModel, Issue, their methods; the form of a file assumed")
def test_a_model_and_its_issues_are_kept_changed_listed_and_deleted(service: Service) -> None:
    made = service.model(BILLING, LOGIN)
    assert (made.issue_count, made.state) == (2, State.UNDEPLOYED)
    first, second = issues_of(service, made.name)
    assert first.name.startswith(f"{made.name}/issues/")
    assert [(each.display_name, each.display_description) for each in (first, second)] == [
        ("Billing", BILLING["displayDescription"]), ("Login", "")
    ]  # fmt: skip
    first.display_name, first.display_description = "Bills", "changed"
    mask = field_mask_pb2.FieldMask(paths=["display_name", "create_time"])
    changed = service.client.update_issue(issue=first, update_mask=mask)
    assert (changed.display_name, changed.display_description) == (
        "Bills", BILLING["displayDescription"]
    )  # fmt: skip
    assert changed.update_time > changed.create_time == first.create_time
    assert service.client.get_issue(name=first.name) == changed
    service.client.delete_issue(name=second.name)
    assert issues_of(service, made.name) == [changed]
    made.display_name = f"contract {uuid.uuid4()}"
    renamed = service.client.update_issue_model(issue_model=made)
    assert (renamed.display_name, renamed.issue_count) == (made.display_name, 1)
    assert service.client.get_issue_model(name=made.name) == renamed
    operation = service.client.delete_issue_model(name=made.name)
    operation.result(timeout=TIMEOUT_SEC)
    assert operation.metadata.request.name == made.name
    for gone in (
        lambda: service.client.get_issue_model(name=made.name),
        lambda: service.client.get_issue(name=first.name),
        lambda: service.client.list_issues(parent=made.name),
        lambda: service.client.delete_issue(name=second.name),
        lambda: service.client.calculate_issue_model_stats(issue_model=made.name),
    ):
        with service.refused(exceptions.NotFound):
            gone()


@pytest.mark.fact("documented", "deploy: an error if deployed already; which status is assumed")
def test_a_model_is_deployed_once_and_undeployed(service: Service) -> None:
    made = deployed(service, BILLING)
    assert made.state == State.DEPLOYED
    with service.refused(exceptions.FailedPrecondition):
        service.client.deploy_issue_model(name=made.name)
    operation = service.client.undeploy_issue_model(name=made.name)
    assert operation.result(timeout=TIMEOUT_SEC) == insights.UndeployIssueModelResponse()
    assert operation.metadata.request.name == made.name
    assert service.client.get_issue_model(name=made.name).state == State.UNDEPLOYED


@pytest.mark.fact("documented", "IssueModelResult, IssueAssignment; scores and places are assumed")
def test_a_deployed_model_assigns_issues_and_says_where(service: Service) -> None:
    made = deployed(service, BILLING, LOGIN)
    billing, login = issues_of(service, made.name)
    conversation = service.talk(*TALK).name
    result, annotations = found(service.analyse(conversation, ONLY_TOPICS))
    assigned = [
        insights.IssueAssignment(issue=issue.name, score=score, display_name=issue.display_name)
        for issue, score in ((billing, 0.6667), (login, 0.3333))
    ]
    assert result == insights.IssueModelResult(issue_model=made.name, issues=assigned)
    places = [
        (each.annotation_start_boundary, each.annotation_end_boundary, each.issue_match_data)
        for each in annotations
    ]
    match = [insights.IssueMatchData(issue_assignment=each) for each in assigned]
    boundary = insights.AnnotationBoundary
    expected = [
        (boundary(transcript_index=1, word_index=3), boundary(transcript_index=1, word_index=7)),
        (boundary(transcript_index=3, word_index=0), boundary(transcript_index=3, word_index=1)),
        (boundary(transcript_index=3, word_index=5), boundary(transcript_index=3, word_index=5)),
    ]
    assert sorted(places, key=lambda each: (each[0].transcript_index, each[0].word_index)) == [
        (*expected[0], match[0]), (*expected[1], match[0]), (*expected[2], match[1])
    ]  # fmt: skip
    stats = service.client.calculate_stats(
        {"location": service.parent, "filter": f'name="{conversation}"'}
    ).issue_matches_stats
    assert dict(stats) == {
        issue.name: insights.IssueModelLabelStats.IssueStats(
            issue=issue.name, display_name=issue.display_name, labeled_conversations_count=1
        )
        for issue in (billing, login)
    }
    billing.display_name = "Renamed"
    service.client.update_issue(issue=billing)
    kept = service.client.get_conversation(name=conversation).latest_analysis
    assert found(kept)[0] == result


@pytest.mark.fact("documented", "AnnotatorSelector.issue_models: the first, if it is deployed")
def test_the_first_listed_model_runs_or_the_one_deployed_last(service: Service) -> None:
    conversation = service.talk(*TALK).name
    first, second, draft = deployed(service, BILLING), deployed(service, LOGIN), service.model()
    service.client.update_issue_model(issue_model=first)

    def used(*names: str, runs: bool = True) -> str:
        selector = insights.AnnotatorSelector(
            run_issue_model_annotator=runs, issue_models=names, run_sentiment_annotator=True
        )
        return str(found(service.analyse(conversation, selector))[0].issue_model)

    assert [
        used(), used(first.name), used(first.name, second.name), used(draft.name),
        used(draft.name, first.name), used(first.name, runs=False),
    ] == [second.name, first.name, first.name, "", "", ""]  # fmt: skip
    service.client.undeploy_issue_model(name=second.name).result(timeout=TIMEOUT_SEC)
    assert (used(), used(second.name)) == (first.name, "")


@pytest.mark.fact("documented", "IssueModelLabelStats; deleting the latest analysis assumed")
def test_statistics_of_a_model_follow_the_latest_analyses(service: Service) -> None:
    made = deployed(service, BILLING, LOGIN)
    billing, login = (issue.name for issue in issues_of(service, made.name))
    both, none = service.talk(*TALK).name, service.talk(("CUSTOMER", "Hello."))
    analysis = service.analyse(both, ONLY_TOPICS)
    service.analyse(none.name, ONLY_TOPICS)

    def counts() -> tuple[int, int, dict[str, int]]:
        stats = service.client.calculate_issue_model_stats(issue_model=made.name).current_stats
        labeled = {k: v.labeled_conversations_count for k, v in stats.issue_stats.items()}
        return stats.analyzed_conversations_count, stats.unclassified_conversations_count, labeled

    assert counts() == (2, 1, {billing: 1, login: 1})
    again = service.analyse(both, insights.AnnotatorSelector(run_sentiment_annotator=True))
    assert counts() == (1, 1, {billing: 0, login: 0})
    service.client.delete_analysis(name=again.name)
    assert counts() == (2, 1, {billing: 1, login: 1})
    service.client.delete_issue(name=login)
    assert counts() == (2, 1, {billing: 1})
    service.client.delete_issue(name=billing)
    assert counts() == (2, 2, {})
    service.client.delete_analysis(name=analysis.name)
    assert counts() == (1, 1, {})


@pytest.mark.fact("documented", "export and import of models; the form of a file assumed")
def test_an_exported_model_can_be_imported(service: Service) -> None:
    made = service.model(BILLING, LOGIN)
    uri = service.upload(f"contract/{uuid.uuid4()}.json", b"")
    export = service.client.export_issue_model(
        insights.ExportIssueModelRequest(name=made.name, gcs_destination={"object_uri": uri})
    )
    assert export.result(timeout=TIMEOUT_SEC) == insights.ExportIssueModelResponse()
    second = issues_of(service, made.name)[1]
    service.client.delete_issue(name=second.name)

    def imported(is_new: bool) -> None:
        service.client.import_issue_model(
            insights.ImportIssueModelRequest(
                parent=service.parent, gcs_source={"object_uri": uri}, create_new_model=is_new
            )
        ).result(timeout=TIMEOUT_SEC)

    imported(is_new=False)
    again = issues_of(service, made.name)
    assert [(each.name, each.display_name) for each in again] == [
        (again[0].name, "Billing"), (second.name, "Login")
    ]  # fmt: skip
    imported(is_new=True)
    models = service.client.list_issue_models(parent=service.parent).issue_models
    (copy,) = [
        each for each in models
        if each.display_name == made.display_name and each.name != made.name
    ]  # fmt: skip
    service.made.append(copy.name)
    copied = issues_of(service, copy.name)
    assert [each.display_name for each in copied] == ["Billing", "Login"]
    assert {each.name for each in copied}.isdisjoint(each.name for each in again)


def about(topic: str) -> list[tuple[str, str]]:
    """Return a talk of five turns about a topic, of one turn about none."""
    told = [("CUSTOMER", f"It is about {topic}."), *TALK[2:3] * 3]
    return [TALK[0], *(told if topic else ())]


def ingested(service: Service, agent: str, topics: list[str]) -> None:
    """Ingest a conversation about each topic."""
    folder = f"contract/{uuid.uuid4()}"
    for number, topic in enumerate(topics):
        entries = [entry(role, text, index) for index, (role, text) in enumerate(about(topic))]
        uri = service.upload(f"{folder}/{number}.json", json.dumps({"entries": entries}).encode())
    request = insights.IngestConversationsRequest(
        parent=service.parent,
        gcs_source={"bucket_uri": uri.rpartition("/")[0]},
        transcript_object_config={"medium": "CHAT"},
        conversation_config={"agent_id": agent},
    )
    service.client.ingest_conversations(request).result(timeout=TIMEOUT_SEC)


@pytest.mark.fact("documented", "training takes 100 conversations with 5 turns; statuses assumed")
def test_a_model_is_trained_on_conversations(service: Service) -> None:
    agent, topics = new_id(), ("a late fee", "my stolen card")
    ingested(service, agent, [*[topics[number % 2] for number in range(99)], ""])
    config = insights.IssueModel.InputDataConfig(filter=f'agent_id="{agent}"')
    wanted = insights.IssueModel(
        display_name="trained", input_data_config=config, model_type="TYPE_V2", language_code="en"
    )
    with service.refused(exceptions.FailedPrecondition, match="99"):
        service.client.create_issue_model(parent=service.parent, issue_model=wanted)
    service.create(service.transcript(*about(topics[1])), agent_id=agent)
    operation = service.client.create_issue_model(parent=service.parent, issue_model=wanted)
    made = operation.result(timeout=TIMEOUT_SEC)
    service.made.append(made.name)
    assert operation.metadata.request.issue_model == wanted
    assert service.client.get_issue_model(name=made.name) == made
    assert (made.state, made.issue_count, made.language_code) == (State.UNDEPLOYED, 2, "en")
    assert made.input_data_config.filter == config.filter
    assert made.input_data_config.training_conversations_count == 100
    named = {each.display_name: each.name for each in issues_of(service, made.name)}
    assert set(named) == {"Late fee", "Stolen card"}
    current = service.client.calculate_issue_model_stats(issue_model=made.name).current_stats
    assert current == made.training_stats
    assert (current.analyzed_conversations_count, current.unclassified_conversations_count) == (
        100, 0
    )  # fmt: skip
    labeled = {k: v.labeled_conversations_count for k, v in current.issue_stats.items()}
    assert labeled == dict.fromkeys(named.values(), 50)
    service.client.bulk_delete_conversations(
        insights.BulkDeleteConversationsRequest(
            parent=service.parent, filter=config.filter, max_delete_count=1000, force=True
        )
    ).result(timeout=TIMEOUT_SEC)


@pytest.mark.fact("assumed", "what is refused")
@pytest.mark.parametrize(
    "call",
    [
        lambda c, parent: c.create_issue_model(parent=parent, issue_model={"model_type": 9}),
        lambda c, parent: c.create_issue_model(
            parent=parent, issue_model={"input_data_config": {"filter": "nonsense"}}
        ),
        lambda c, parent: c.create_issue_model(parent=parent, issue_model={"language_code": "tlh"}),
        lambda c, parent: c.import_issue_model({"parent": parent}),
        lambda c, parent: c.import_issue_model(
            {"parent": parent, "gcs_source": {"object_uri": "http://a/b"}}
        ),
    ],
)
def test_a_call_that_can_not_be_is_refused(
    service: Service, call: Callable[[Any, str], object]
) -> None:
    with service.refused(exceptions.InvalidArgument):
        call(service.client, service.parent)
