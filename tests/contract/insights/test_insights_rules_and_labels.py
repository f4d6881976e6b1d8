"""Analysis rules, views and feedback labels."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import contact_center_insights_v1 as insights
from google.protobuf import field_mask_pb2
from insights_service import TIMEOUT_SEC, Service, new_id

TALK = (("AGENT", "Hello."), ("CUSTOMER", "I hate this."))
SENTIMENT = insights.AnnotatorSelector(run_sentiment_annotator=True)
ENTITIES = insights.AnnotatorSelector(run_entity_annotator=True)


def rule(service: Service, **fields: Any) -> insights.AnalysisRule:
    """Create an active rule for all conversations."""
    values = {"annotator_selector": SENTIMENT, "analysis_percentage": 1.0, "active": True, **fields}
    made = service.client.create_analysis_rule(
        parent=service.parent, analysis_rule=insights.AnalysisRule(**values)
    )
    service.made.append(made.name)
    return made


def uploaded(service: Service, **fields: Any) -> insights.Conversation:
    """Upload a conversation, wait for its analysis if there is one, and return it."""
    source = {"gcs_source": {"transcript_uri": service.transcript(*TALK)}}
    request = insights.UploadConversationRequest(
        parent=service.parent,
        conversation_id=new_id(),
        conversation=insights.Conversation(data_source=source, **fields),
    )
    operation = service.client.upload_conversation(request)
    made = operation.result(timeout=TIMEOUT_SEC)
    service.made.append(made.name)
    return service.client.get_conversation(name=made.name)


@pytest.mark.fact("documented", "AnalysisRule, its methods; the order of the list assumed")
def test_a_rule_is_kept_changed_listed_and_deleted(service: Service) -> None:
    first, second = (rule(service, display_name=name) for name in "ab")
    second.display_name, second.active, second.analysis_percentage = "c", False, 0.5
    mask = field_mask_pb2.FieldMask(paths=["active", "display_name"])
    changed = service.client.update_analysis_rule(analysis_rule=second, update_mask=mask)
    assert (changed.display_name, changed.active, changed.analysis_percentage) == ("c", False, 1)
    assert changed.update_time > changed.create_time
    listed = list(service.client.list_analysis_rules({"parent": service.parent, "page_size": 1}))
    assert listed == [first, changed]
    assert service.client.get_analysis_rule(name=changed.name) == changed
    service.client.delete_analysis_rule(name=first.name)
    with service.refused(exceptions.NotFound):
        service.client.get_analysis_rule(name=first.name)


@pytest.mark.fact("documented", "AnalysisRule: percentage in [0, 1], a filter; statuses assumed")
@pytest.mark.parametrize(
    "fields", [{"analysis_percentage": 1.5}, {"conversation_filter": 'nonsense="1"'}]
)
def test_a_rule_that_can_not_be_is_refused(service: Service, fields: dict[str, Any]) -> None:
    with service.refused(exceptions.InvalidArgument):
        rule(service, **fields)


@pytest.mark.fact("documented", "AnalysisRule: several that match run the union of annotators")
def test_an_upload_is_analysed_by_the_union_of_the_rules_that_match(service: Service) -> None:
    rule(service)
    rule(service, annotator_selector=ENTITIES, conversation_filter='agent_id="one"')
    draft = insights.AnnotatorSelector(run_intent_annotator=True)
    rule(service, annotator_selector=draft, active=False)
    one, two = uploaded(service, agent_id="one"), uploaded(service, agent_id="two")
    both = insights.AnnotatorSelector(run_sentiment_annotator=True, run_entity_annotator=True)
    assert one.latest_analysis.annotator_selector == both
    assert two.latest_analysis.annotator_selector == SENTIMENT


@pytest.mark.fact("documented", "AnalysisRule: without a selector no annotator runs; 0 is no share")
@pytest.mark.parametrize("fields", [{"annotator_selector": None}, {"analysis_percentage": 0.0}])
def test_a_rule_without_annotators_or_share_analyses_nothing(
    service: Service, fields: dict[str, Any]
) -> None:
    rule(service, **fields)
    assert "latest_analysis" not in uploaded(service)


@pytest.mark.fact("documented", "View, its methods")
def test_a_view_is_kept_changed_listed_and_deleted(service: Service) -> None:
    view = insights.View(display_name="one", value='agent_id="a"')
    made = service.client.create_view(parent=service.parent, view=view)
    service.made.append(made.name)
    assert (made.display_name, made.value) == ("one", 'agent_id="a"')
    made.display_name, made.value = "two", 'agent_id="b"'
    changed = service.client.update_view(
        view=made, update_mask=field_mask_pb2.FieldMask(paths=["value"])
    )
    assert (changed.display_name, changed.value) == ("one", 'agent_id="b"')
    assert changed in list(service.client.list_views(parent=service.parent))
    service.client.delete_view(name=made.name)
    with service.refused(exceptions.NotFound):
        service.client.get_view(name=made.name)


@pytest.mark.fact("documented", "EncryptionSpec.name; InitializeEncryptionSpec, once for ever")
def test_a_location_has_one_encryption_spec_and_takes_no_malformed_key(service: Service) -> None:
    name = f"{service.parent}/encryptionSpec"
    spec = service.client.get_encryption_spec(name=name)
    assert spec.name.endswith("/encryptionSpec")
    with service.refused(exceptions.InvalidArgument):
        service.client.initialize_encryption_spec(
            encryption_spec={"name": name, "kms_key": "nonsense"}
        )
    assert service.client.get_encryption_spec(name=name) == spec


@pytest.mark.fact("documented", "ExportInsightsDataRequest: big_query_destination is required")
def test_an_export_needs_a_table(service: Service) -> None:
    with service.refused(exceptions.InvalidArgument):
        service.client.export_insights_data({"parent": service.parent})
    with service.refused(exceptions.InvalidArgument):
        service.client.export_insights_data(
            {"parent": service.parent, "big_query_destination": {"dataset": "d"}}
        )


def label(
    service: Service, conversation: str, resource: str, label_id: str = "", **fields: Any
) -> Any:
    """Create a label of a topic."""
    values = {"label": "Billing", "labeled_resource": resource, **fields}
    request = insights.CreateFeedbackLabelRequest(
        parent=conversation,
        feedback_label_id=label_id,
        feedback_label=insights.FeedbackLabel(**values),
    )
    return service.client.create_feedback_label(request)


QUESTION = "qaScorecards/card/revisions/first/qaQuestions/greeting"


@pytest.mark.fact("documented", "FeedbackLabel, its methods and the fields of its filters")
def test_labels_are_kept_found_changed_and_deleted(service: Service) -> None:
    conversations = [service.talk(*TALK).name for _ in range(2)]
    model, question = service.model({"displayName": "Billing"}).name, service.question()
    of_model, of_question = (f'"{each.rpartition("/")[2]}"' for each in (model, question))
    of_card = f'"{question.split("/")[-5]}"'
    topic = label(service, conversations[0], model, "topic-1")
    answer = label(
        service, conversations[1], question, label=None,
        qa_answer_label={"key": "yes", "bool_value": True, "score": 1},
    )  # fmt: skip
    assert topic.name == f"{conversations[0]}/feedbackLabels/topic-1"
    with service.refused(exceptions.AlreadyExists):
        label(service, conversations[0], model, "topic-1")
    found = {
        wanted: list(
            service.client.list_all_feedback_labels({"parent": service.parent, "filter": wanted})
        )
        for wanted in (
            "", 'feedback_label_type="QUALITY_AI"', f"issue_model_id={of_model}",
            f"qa_question_id={of_question}", f"qa_scorecard_id={of_card}", 'qa_question_id="other"',
            'min_create_time="2000-01-01T00:00:00Z"', 'max_update_time="2000-01-01T00:00:00Z"',
            f"issue_model_id={of_model} OR qa_scorecard_id={of_card}",
        )
    }  # fmt: skip
    assert list(found.values()) == [
        [topic, answer], [answer], [topic], [answer], [answer], [], [topic, answer], [],
        [topic, answer],
    ]  # fmt: skip
    assert list(service.client.list_feedback_labels(parent=conversations[0])) == [topic]
    topic.label = "Hardship"
    mask = field_mask_pb2.FieldMask(paths=["label"])
    changed = service.client.update_feedback_label(feedback_label=topic, update_mask=mask)
    assert changed == service.client.get_feedback_label(name=topic.name)
    assert (changed.label, changed.update_time > changed.create_time) == ("Hardship", True)
    service.client.delete_feedback_label(name=topic.name)
    with service.refused(exceptions.NotFound):
        service.client.get_feedback_label(name=topic.name)


@pytest.mark.fact("documented", "FeedbackLabel: one of two labels, three kinds of resource")
@pytest.mark.parametrize(
    "fields",
    [
        {"label": None},
        {"labeled_resource": "projects/p/locations/l/phraseMatchers/1"},
        {"labeled_resource": f"projects/p/locations/l/{QUESTION}"},
        {"label": None, "qa_answer_label": {"str_value": "a"}},
    ],
)
def test_a_label_for_nothing_is_refused(service: Service, fields: dict[str, Any]) -> None:
    name = service.talk(*TALK).name
    model = service.model({"displayName": "Billing"}).name
    with service.refused(exceptions.InvalidArgument):
        label(service, name, model, **fields)
    with service.refused(exceptions.NotFound):
        label(service, f"{service.parent}/conversations/{new_id()}", model)
    with service.refused(exceptions.InvalidArgument):
        label(service, name, model, "No Id")
    assert list(service.client.list_feedback_labels(parent=name)) == []


@pytest.mark.fact("assumed", "AIP-193: NOT_FOUND for a resource that isn't there")
def test_a_label_of_what_is_not_there_is_refused(service: Service) -> None:
    name = service.talk(*TALK).name
    with service.refused(exceptions.NotFound, match="issueModels/none"):
        label(service, name, f"{service.parent}/issueModels/none")
    question = f"{service.parent}/{QUESTION}"
    with service.refused(exceptions.NotFound, match=QUESTION):
        label(service, name, question, label=None, qa_answer_label={"str_value": "a"})
    assert list(service.client.list_feedback_labels(parent=name)) == []


@pytest.mark.fact("assumed", "one FeedbackLabel a line; metadata of bulk labels documented")
def test_labels_travel_as_files(service: Service) -> None:
    name = service.talk(*TALK).name
    model = service.model({"displayName": "Billing"}).name
    line = {"name": f"{name}/feedbackLabels/one", "label": "Billing", "labeledResource": model}
    content = f"{json.dumps(line)}\n{{}}".encode()
    uri = service.upload(f"contract/{new_id()}.json", content)
    up = service.client.bulk_upload_feedback_labels(
        {"parent": service.parent, "gcs_source": {"format_": "JSON", "object_uri": uri}}
    )
    up.result(timeout=TIMEOUT_SEC)
    stats = up.metadata.upload_stats
    assert (
        stats.processed_object_count, stats.successful_upload_count, stats.failed_validation_count,
        len(up.metadata.partial_errors),
    ) == (2, 1, 1, 1)  # fmt: skip
    (kept,) = service.client.list_feedback_labels(parent=name)
    assert (kept.name, kept.label, kept.labeled_resource) == tuple(line.values())
    out = uri.removesuffix(".json")
    down = service.client.bulk_download_feedback_labels(
        {
            "parent": service.parent,
            "gcs_destination": {"format_": "JSON", "object_uri": out},
            "filter": f'issue_model_id="{model.rpartition("/")[2]}"',
        }
    )
    down.result(timeout=TIMEOUT_SEC)
    stats = down.metadata.download_stats
    assert (stats.successful_download_count, list(stats.file_names)) == (1, [f"{out}.json"])
