"""What the emulator alone promises of rules, labels and keys."""

from __future__ import annotations

import json
from typing import Any

import pytest
from emulator_cases import BUCKET, TALK, create
from google.api_core import exceptions
from google.cloud import contact_center_insights_v1 as insights
from hypothesis import given
from hypothesis import strategies as st

from ingest.emulator import protos
from ingest.emulator.analysis_rules import union
from ingest.emulator.pytest_plugin import RunningEmulator
from ingest.emulator.testing import ObjectServer

KEY = "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"


def test_an_ingestion_is_analysed_by_the_rules(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    client = ci_emulator.client
    rule = insights.AnalysisRule(
        active=True, analysis_percentage=0.5, annotator_selector={"run_sentiment_annotator": True}
    )
    client.create_analysis_rule(parent=ci_emulator.parent, analysis_rule=rule)
    for number in range(30):
        ci_objects.put_turns(BUCKET, f"calls/{number}.json", TALK)
    request = insights.IngestConversationsRequest(
        parent=ci_emulator.parent,
        gcs_source={"bucket_uri": f"gs://{BUCKET}/calls"},
        transcript_object_config={"medium": "CHAT"},
    )
    client.ingest_conversations(request).result(timeout=30)
    analysed = [
        "latest_analysis" in each for each in client.list_conversations(parent=ci_emulator.parent)
    ]
    assert len(analysed) == 30
    assert 5 <= sum(analysed) <= 25


def test_settings_and_rules_of_an_upload_make_one_analysis(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    client = ci_emulator.client
    config = {"upload_conversation_analysis_percentage": 100}
    client.update_settings(
        settings={"name": f"{ci_emulator.parent}/settings", "analysis_config": config},
        update_mask={"paths": ["analysis_config"]},
    )
    rule = insights.AnalysisRule(
        active=True, analysis_percentage=1, annotator_selector={"run_summarization_annotator": True}
    )
    client.create_analysis_rule(parent=ci_emulator.parent, analysis_rule=rule)
    uri = ci_objects.put_turns(BUCKET, "a.json", TALK)
    body = {"data_source": {"gcs_source": {"transcript_uri": uri}}}
    made = client.upload_conversation({"parent": ci_emulator.parent, "conversation": body}).result(
        timeout=30
    )
    (analysis,) = client.list_analyses(parent=made.name)
    selector = analysis.annotator_selector
    assert (selector.run_summarization_annotator, selector.run_sentiment_annotator) == (True, True)


NAMES = st.lists(st.sampled_from(["a", "b", "c"]), max_size=3, unique=True)


@given(st.lists(st.tuples(st.booleans(), NAMES), min_size=1, max_size=4))
def test_a_union_runs_a_matcher_exactly_when_one_of_its_parts_does(
    parts: list[tuple[bool, list[str]]],
) -> None:
    selectors = [
        protos.AnnotatorSelector(run_phrase_matcher_annotator=runs, phrase_matchers=names)
        for runs, names in parts
    ]
    whole = union(selectors)

    def runs(selector: Any, matcher: str) -> bool:
        listed = list(selector.phrase_matchers)
        return bool(selector.run_phrase_matcher_annotator and (not listed or matcher in listed))

    for matcher in "abcd":
        assert runs(whole, matcher) == any(runs(each, matcher) for each in selectors)


def test_labels_travel_as_files(ci_emulator: RunningEmulator, ci_objects: ObjectServer) -> None:
    client = ci_emulator.client
    names = [create(ci_emulator, ci_objects, f"labelled-{n}").name for n in range(3)]
    model = f"{ci_emulator.parent}/issueModels/m1"
    file = {"name": model, "issues": [{"displayName": "Billing"}]}
    given = {"object_uri": ci_objects.put(BUCKET, "model.json", json.dumps(file).encode())}
    client.import_issue_model({"parent": ci_emulator.parent, "gcs_source": given}).result(timeout=9)
    lines = [
        {"name": f"{name}/feedbackLabels/one", "label": "Billing", "labeledResource": model}
        for name in names
    ]
    bad = [{"name": f"{names[0]}/feedbackLabels/two", "labeledResource": model}, {"x": 1}]
    content = "\n".join(json.dumps(line) for line in [*lines, *bad]).encode() + b"\n{"
    uri = ci_objects.put(BUCKET, "labels.json", content)
    source = {"format_": "JSON", "object_uri": uri}
    upload = {"parent": ci_emulator.parent, "gcs_source": source}
    checked = client.bulk_upload_feedback_labels({**upload, "validate_only": True})
    checked.result(timeout=30)
    assert list(client.list_all_feedback_labels(parent=ci_emulator.parent)) == []
    kept = client.bulk_upload_feedback_labels(upload)
    kept.result(timeout=30)
    stats = [operation.metadata.upload_stats for operation in (checked, kept)]
    assert [
        (s.processed_object_count, s.failed_validation_count, s.successful_upload_count)
        for s in stats
    ] == [(6, 3, 0), (6, 3, 3)]
    assert len(kept.metadata.partial_errors) == 3
    down = client.bulk_download_feedback_labels(
        {
            "parent": ci_emulator.parent,
            "gcs_destination": {
                "format_": "JSON", "object_uri": f"gs://{BUCKET}/out", "records_per_file_count": 2
            },
            "filter": 'feedback_label_type="TOPIC_MODELING"',
        }
    )  # fmt: skip
    down.result(timeout=30)
    files = [f"gs://{BUCKET}/out-0.json", f"gs://{BUCKET}/out-1.json"]
    assert list(down.metadata.download_stats.file_names) == files
    written = b"".join(ci_objects.objects[BUCKET, f"out-{n}.json"] for n in range(2))
    read = [json.loads(line) for line in written.splitlines()]
    assert [{key: each[key] for key in lines[0]} for each in read] == lines
    ci_objects.put(BUCKET, "again.json", written)
    client.delete_conversation(name=names[0])
    left = list(client.list_all_feedback_labels(parent=ci_emulator.parent))
    assert [each.name for each in left] == [line["name"] for line in lines[1:]]


def test_files_of_labels_that_nobody_documents_are_refused(ci_emulator: RunningEmulator) -> None:
    destination = {"format_": "CSV", "object_uri": f"gs://{BUCKET}/out"}
    with pytest.raises(exceptions.MethodNotImplemented):
        ci_emulator.client.bulk_download_feedback_labels(
            {"parent": ci_emulator.parent, "gcs_destination": destination}
        )
    with pytest.raises(exceptions.InvalidArgument):
        ci_emulator.client.bulk_upload_feedback_labels({"parent": ci_emulator.parent})


def test_a_key_is_set_once_and_lies_where_the_location_does(ci_emulator: RunningEmulator) -> None:
    client, name = ci_emulator.client, f"{ci_emulator.parent}/encryptionSpec"
    assert client.get_encryption_spec(name=name) == insights.EncryptionSpec(name=name)
    for key in (KEY.replace("us-central1", "europe-west1"), "nonsense"):
        with pytest.raises(exceptions.InvalidArgument):
            client.initialize_encryption_spec(encryption_spec={"name": name, "kms_key": key})
    spec = insights.EncryptionSpec(name=name, kms_key=KEY)
    operation = client.initialize_encryption_spec(encryption_spec=spec)
    operation.result(timeout=10)
    assert operation.metadata.request.encryption_spec == spec
    assert client.get_encryption_spec(name=name) == spec
    with pytest.raises(exceptions.FailedPrecondition):
        client.initialize_encryption_spec(encryption_spec=spec)
