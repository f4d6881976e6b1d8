"""Topics: how phrases are learned and found, and what the emulator alone promises of models."""

from __future__ import annotations

import json
import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import requests
from emulator_cases import BUCKET, create, own_emulator
from google.api_core import exceptions
from google.cloud import contact_center_insights_v1 as insights
from hypothesis import given
from hypothesis import strategies as st

from ingest.domain.matchers import Role
from ingest.emulator.analysis.topics import Topic, TopicFinder, Trainer, phrases_of
from ingest.emulator.analysis.turns import Turn
from ingest.emulator.export import export_row
from ingest.emulator.pytest_plugin import RunningEmulator
from ingest.emulator.testing import ObjectServer

State = insights.IssueModel.State


def customer(*texts: str) -> list[Turn]:
    return [Turn(index, text, Role.END_USER, 1) for index, text in enumerate(texts)]


def trained(calls: list[str]) -> list[Topic]:
    trainer = Trainer()
    for text in calls:
        trainer.add(customer(text))
    return [
        Topic(str(number), each.display_name, phrases_of("", each.description))
        for number, each in enumerate(trainer.topics())
    ]


CALLS = st.lists(
    st.lists(
        st.sampled_from(["late", "fee", "stolen", "card", "the", "is", "login."]), max_size=6
    ).map(" ".join),
    max_size=12,
)


@given(CALLS, st.integers(0, 9))
def test_the_same_conversations_give_the_same_topics_in_any_order(
    calls: list[str], seed: int
) -> None:
    mixed = list(calls)
    random.Random(seed).shuffle(mixed)
    assert trained(mixed) == trained(calls)


@given(CALLS)
def test_a_topic_is_found_in_some_of_its_conversations_and_not_in_most(calls: list[str]) -> None:
    topics = trained(calls)
    for topic in topics:
        for phrase in topic.phrases:
            alone = TopicFinder([topic._replace(phrases=(phrase,))])
            hits = sum(bool(alone.find(customer(text)).scores) for text in calls)
            assert 2 <= hits <= len(calls) / 2
    assert len({phrase for topic in topics for phrase in topic.phrases}) == sum(
        len(topic.phrases) for topic in topics
    )


def test_planted_topics_are_learned() -> None:
    calls = ["I was charged a late fee.", "My card was stolen, a stolen card!", "Hello there."] * 40
    assert {topic.display_name: topic.phrases for topic in trained(calls)} == {
        "Card was stolen": ("card was stolen", "stolen card"),
        "Charged a late fee": ("charged a late fee",),
    }
    agent = [Turn(0, "A late fee.", Role.HUMAN_AGENT, 2)]
    trainer = Trainer()
    for turns in [agent, agent, customer("Hello."), customer("Hello.")] * 5:
        trainer.add(turns)
    assert trainer.topics() == []


@pytest.mark.parametrize(
    ("display_name", "description", "phrases"),
    [
        ("Billing", 'About "late fee" or " my bill ", "late fee".', ("late fee", "my bill")),
        ("Billing", "About bills.", ("Billing",)),
        (" Billing ", 'A quote " alone, and " ".', ("alone, and",)),
        (" ", '"" and " "', ("and",)),
        ("", "", ()),
    ],
)
def test_phrases_stand_in_quotes_in_the_description(
    display_name: str, description: str, phrases: tuple[str, ...]
) -> None:
    assert phrases_of(display_name, description) == phrases


@given(st.lists(st.sampled_from(["late fee", "my card", "hello"]), max_size=6))
def test_scores_add_up_to_one_and_fall(said: list[str]) -> None:
    topics = [Topic("a", "A", ("late fee",)), Topic("b", "B", ()), Topic("c", "C", ("my card",))]
    finder = TopicFinder(topics)
    found = finder.find(customer(*said))
    scores = list(found.scores.values())
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1 if set(said) - {"hello"} else 0, abs=0.001)
    expected = {"a": said.count("late fee"), "c": said.count("my card")}
    places = [finder.topics[index].issue for index, _ in found.places]
    assert {name: places.count(name) for name in expected} == expected


def imported(
    emulator: RunningEmulator, objects: ObjectServer, content: Any, is_new: bool = True
) -> list[insights.IssueModel]:
    """Import a file and return the models there are then."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    uri = objects.put(BUCKET, "model.json", body)
    request = insights.ImportIssueModelRequest(
        parent=emulator.parent, gcs_source={"object_uri": uri}, create_new_model=is_new
    )
    emulator.client.import_issue_model(request).result(timeout=10)
    return list(emulator.client.list_issue_models(parent=emulator.parent).issue_models)


FILE = {"displayName": "m", "issues": [{"displayName": "Job", "displayDescription": '"my job"'}]}


def test_a_change_of_state_takes_its_time_and_admits_no_other(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    client, control = ci_emulator.client, ci_emulator.control
    (model,) = imported(ci_emulator, ci_objects, FILE)
    named = {"name": model.name}
    control.set_operation_latency("*", 60)
    control.freeze()
    seen = []

    def change(call: Any) -> Any:
        operation = call(named)
        seen.append(client.get_issue_model(named).state)
        return operation

    cancelled = change(client.deploy_issue_model)
    for other in (
        client.deploy_issue_model, client.undeploy_issue_model, client.delete_issue_model
    ):  # fmt: skip
        with pytest.raises(exceptions.FailedPrecondition):
            other(named)
    client.cancel_operation({"name": cancelled.operation.name})
    seen.append(client.get_issue_model(named).state)
    change(client.deploy_issue_model)
    control.advance(60)
    seen.append(client.get_issue_model(named).state)
    fault = {"operation": "DeleteIssueModel", "nth": 1, "status": "INTERNAL"}
    control.set_faults({"faults": [fault]})
    change(client.delete_issue_model)
    control.advance(60)
    seen.append(client.get_issue_model(named).state)
    client.cancel_operation({"name": change(client.undeploy_issue_model).operation.name})
    seen.append(client.get_issue_model(named).state)
    change(client.undeploy_issue_model)
    control.advance(60)
    seen.append(client.get_issue_model(named).state)
    assert seen == [
        State.DEPLOYING, State.UNDEPLOYED, State.DEPLOYING, State.DEPLOYED,
        State.DELETING, State.DEPLOYED, State.UNDEPLOYING, State.DEPLOYED,
        State.UNDEPLOYING, State.UNDEPLOYED,
    ]  # fmt: skip


def test_a_training_goes_on_after_a_restart_and_makes_one_model(
    tmp_path: Path, ci_objects: ObjectServer
) -> None:
    entries = [("AGENT", "Hello."), ("CUSTOMER", "I lost my job."), *[("AGENT", "Oh.")] * 3]
    for number in range(100):
        turns = entries if number % 2 else [("CUSTOMER", "Hello.")] * 5
        ci_objects.put_turns(BUCKET, f"calls/{number}.json", turns)
    latency = {"CreateIssueModel": 60_000_000}
    with own_emulator(tmp_path, ci_objects, operation_latency=latency) as emulator:
        emulator.client.ingest_conversations(
            insights.IngestConversationsRequest(
                parent=emulator.parent,
                gcs_source={"bucket_uri": f"gs://{BUCKET}/calls"},
                transcript_object_config={"medium": "CHAT"},
            )
        ).result(timeout=30)
        calls = [each.name for each in emulator.client.list_conversations(parent=emulator.parent)]
        model = {"display_name": "m", "input_data_config": {"medium": "CHAT"}}
        request = {"parent": emulator.parent, "issue_model": model}
        operation = emulator.client.create_issue_model(request)
        with pytest.raises(exceptions.ResourceExhausted):
            emulator.client.create_issue_model(request)
        assert list(emulator.client.list_issue_models(parent=emulator.parent).issue_models) == []
    with own_emulator(tmp_path, ci_objects) as emulator:
        emulator.control.advance(60)
        assert emulator.client.get_operation({"name": operation.operation.name}).done
        (made,) = emulator.client.list_issue_models(parent=emulator.parent).issue_models
        assert (made.issue_count, made.training_stats.analyzed_conversations_count) == (1, 100)
        emulator.client.delete_conversation(name=calls[0])
        stats = emulator.client.calculate_issue_model_stats(issue_model=made.name).current_stats
        assert stats.analyzed_conversations_count == 99
        with sqlite3.connect(tmp_path / "insights.sqlite3") as connection:
            kept = connection.execute("select count(*) from training_labels").fetchone()
        connection.close()
        assert kept == (99,)
        phone = {"issue_model": {"input_data_config": {"medium": "PHONE_CALL"}}}
        with pytest.raises(exceptions.FailedPrecondition, match="selects 0"):
            emulator.client.create_issue_model({"parent": emulator.parent, **phone})


def test_a_region_has_ten_models_of_which_five_are_deployed(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    for _ in range(10):
        models = imported(ci_emulator, ci_objects, FILE)
    for model in models[:5]:
        ci_emulator.client.deploy_issue_model(name=model.name).result(timeout=10)
    with pytest.raises(exceptions.ResourceExhausted, match="10 issue models"):
        imported(ci_emulator, ci_objects, FILE)
    with pytest.raises(exceptions.ResourceExhausted, match="5 deployed issue models"):
        ci_emulator.client.deploy_issue_model(name=models[5].name)
    ci_emulator.control.set_quotas({"bulk_operations": 1})
    assert len(imported(ci_emulator, ci_objects, FILE)) == 11


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff", "no JSON"),
        (b"[" * 5000, "no JSON"),
        ([], "no list of issues"),
        ({"issues": {}}, "no list of issues"),
        ({"issues": [1]}, "no object"),
        ({"issues": [{"displayName": 1}]}, "displayName is no text"),
        ({"issues": [{"displayName": "a", "displayDescription": []}]}, "displayDescription is no"),
        ({"issues": [{}]}, "no displayName"),
        ({"displayName": 7, "issues": []}, "displayName is no text"),
        ({"name": "issueModels/*", "issues": []}, "malformed name"),
        (
            {
                "name": "issueModels/1",
                "issues": [{"displayName": "a", "name": "issueModels/2/issues/1"}],
            },
            "different models",
        ),
        (
            {"issues": [{"displayName": "a", "name": "issueModels/2/issues/1"}] * 2},
            "same name",
        ),
    ],
)
def test_a_file_that_is_no_model_is_refused_and_leaves_nothing(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer, content: Any, says: str
) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=says):
        imported(ci_emulator, ci_objects, content, is_new=False)
    assert list(ci_emulator.client.list_issue_models(parent=ci_emulator.parent).issue_models) == []


def test_a_file_replaces_the_model_with_its_id_and_its_training(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    issues = [{"displayName": "a", "name": "projects/p/locations/l/issueModels/m1/issues/i1"}]
    further = {"somethingElse": {"that": ["nobody", "knows"]}}
    (made,) = imported(ci_emulator, ci_objects, {"issues": issues, **further}, is_new=False)
    assert made.name == f"{ci_emulator.parent}/issueModels/m1"
    ci_emulator.client.deploy_issue_model(name=made.name).result(timeout=10)
    content = {"displayName": "new", "issues": [*issues, {"displayName": "b"}]}
    (again,) = imported(ci_emulator, ci_objects, content, is_new=False)
    assert (again.name, again.display_name, again.issue_count, again.state) == (
        made.name, "new", 2, State.DEPLOYED
    )  # fmt: skip
    found = ci_emulator.client.list_issues(parent=made.name).issues
    assert found[0].name == f"{made.name}/issues/i1"
    assert [each.display_name for each in found] == ["a", "b"]


def test_an_export_has_the_topics_of_the_latest_analysis(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    client = ci_emulator.client
    (model,) = imported(ci_emulator, ci_objects, FILE)
    client.deploy_issue_model(name=model.name).result(timeout=10)
    name = create(ci_emulator, ci_objects).name
    request = insights.BulkAnalyzeConversationsRequest(
        parent=ci_emulator.parent, analysis_percentage=100,
        annotator_selector={"run_issue_model_annotator": True},
    )  # fmt: skip
    client.bulk_analyze_conversations(request).result(timeout=10)
    full = insights.Conversation.pb(client.get_conversation({"name": name, "view": "FULL"}))
    (issue,) = client.list_issues(parent=model.name).issues
    ids = {"issueModelId": model.name.split("/")[-1], "issueId": issue.name.split("/")[-1]}
    assert export_row(full, 0)["issues"] == [{"name": "Job", "score": 1.0, **ids}]


def test_rest_answers_an_import_with_the_model(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    uri = ci_objects.put(BUCKET, "model.json", json.dumps(FILE).encode())
    url = f"{ci_emulator.rest_endpoint}/v1/{ci_emulator.parent}/issueModels"
    body = {"gcsSource": {"objectUri": uri}, "createNewModel": True}
    reply = requests.post(f"{url}:import", json=body, timeout=30).json()
    (model,) = requests.get(url, timeout=30).json()["issueModels"]
    assert reply["response"]["issueModel"] == model


@pytest.mark.parametrize(
    "call",
    [
        lambda c, parent: c.create_issue_model(parent="nonsense", issue_model={}),
        lambda c, parent: c.get_issue_model(name=f"{parent}/phraseMatchers/1"),
        lambda c, parent: c.get_issue(name=f"{parent}/issueModels/1/issues/"),
        lambda c, parent: c.list_issues(parent=parent),
        lambda c, parent: c.deploy_issue_model(name=f"{parent}/issueModels/1/issues/1"),
        lambda c, parent: c.calculate_issue_model_stats(issue_model=parent),
        lambda c, parent: c.query_metrics({"location": "nonsense"}),
    ],
)
def test_malformed_names_are_refused(ci_emulator: RunningEmulator, call: Any) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="use projects/"):
        call(ci_emulator.client, ci_emulator.parent)
