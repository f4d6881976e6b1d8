"""Reading Cloud Storage: refusals, buckets, metadata files, samples, and uploads that analyse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from emulator_cases import BUCKET, TALK, create, own_emulator
from google.api_core import exceptions
from google.cloud import contact_center_insights_v1 as insights
from google.protobuf import field_mask_pb2

from ingest.emulator.pytest_plugin import RunningEmulator
from ingest.emulator.testing import ObjectServer


def ingest(emulator: RunningEmulator, **changes: Any) -> insights.IngestConversationsMetadata:
    request = {
        "parent": emulator.parent,
        "gcs_source": {"bucket_uri": f"gs://{BUCKET}/calls/"},
        "transcript_object_config": {"medium": "PHONE_CALL"},
        **changes,
    }
    operation = emulator.client.ingest_conversations(request)
    operation.result(timeout=10)
    return operation.metadata


def upload(emulator: RunningEmulator, uri: str, **changes: Any) -> Any:
    source = {"gcs_source": {"transcript_uri": uri}}
    request = {"parent": emulator.parent, "conversation": {"data_source": source}, **changes}
    return emulator.client.upload_conversation(request)


def conversations(emulator: RunningEmulator) -> list[insights.Conversation]:
    request = {"parent": emulator.parent, "order_by": "create_time"}
    return list(emulator.client.list_conversations(request))


@pytest.mark.parametrize(
    ("status", "error"),
    [(403, exceptions.PermissionDenied), (500, exceptions.ServiceUnavailable)],
)
def test_what_storage_refuses_is_refused(
    ci_emulator: RunningEmulator,
    ci_objects: ObjectServer,
    status: int,
    error: type[exceptions.GoogleAPICallError],
) -> None:
    ci_objects.refusals[BUCKET, "first-one.json"] = status
    with pytest.raises(error):
        create(ci_emulator, ci_objects, "first-one")


def test_a_storage_that_does_not_answer_is_unavailable(
    tmp_path: Path, ci_objects: ObjectServer
) -> None:
    with own_emulator(tmp_path, ci_objects, gcs_endpoint="http://127.0.0.1:1") as emulator:
        with pytest.raises(exceptions.ServiceUnavailable, match="doesn't answer"):
            create(emulator, ci_objects)
        with pytest.raises(exceptions.ServiceUnavailable):
            ingest(emulator)


def test_a_bucket_is_read_page_by_page_and_folders_are_skipped(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ci_objects, "page_size", 2)
    for number in range(5):
        ci_objects.put_turns(BUCKET, f"calls/{number}.json", TALK)
    ci_objects.put(BUCKET, "calls/folder/", b"")
    ci_objects.put_turns(BUCKET, "elsewhere/1.json", TALK)
    metadata = ingest(ci_emulator)
    assert metadata.ingest_conversations_stats.successful_ingest_count == 5
    assert metadata.ingest_conversations_stats.processed_object_count == 5


def test_metadata_files_override_the_agent_and_give_labels(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    ci_objects.put_turns(BUCKET, "calls/a.json", TALK)
    ci_objects.put_turns(BUCKET, "calls/b.json", TALK)
    ci_objects.put_turns(BUCKET, "calls/c.json", TALK)
    metadata = b'{"agent_id": "a-9", "queue": "blue", "size": 3, "other": "x"}'
    ci_objects.put("metadata-bucket", "m/a.json", metadata)
    ci_objects.put("metadata-bucket", "m/b.json", b"[]")
    ci_objects.put("metadata-bucket", "m/c.json", b"{")
    source = {
        "bucket_uri": f"gs://{BUCKET}/calls/",
        "metadata_bucket_uri": "gs://metadata-bucket/m",
        "custom_metadata_keys": ["queue", "size", "absent"],
    }
    config = {"agent_id": "a-1", "agent_channel": 2, "customer_channel": 1}
    result = ingest(ci_emulator, gcs_source=source, conversation_config=config)
    (made,) = conversations(ci_emulator)
    assert (made.agent_id, dict(made.labels)) == ("a-9", {"queue": "blue", "size": "3"})
    assert (made.call_metadata.agent_channel, made.call_metadata.customer_channel) == (2, 1)
    assert len(result.partial_errors) == 2


def test_a_sample_takes_so_many_objects(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    for number in range(4):
        ci_objects.put_turns(BUCKET, f"calls/{number}.json", TALK)
    ingest(ci_emulator, sample_size=3)
    uris = [c.data_source.gcs_source.transcript_uri for c in conversations(ci_emulator)]
    assert uris == [f"gs://{BUCKET}/calls/{number}.json" for number in range(3)]


def test_a_bucket_that_can_not_be_read_fails_the_operation(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    ci_objects.refusals[BUCKET, ""] = 403
    with pytest.raises(exceptions.PermissionDenied):
        ingest(ci_emulator)


@pytest.mark.parametrize("content", [b"<html>", b"[]", b'{"items": [{}]}', b'{"items": 7}'])
def test_a_list_of_objects_that_can_not_be_read_is_unavailable(
    ci_emulator: RunningEmulator,
    ci_objects: ObjectServer,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes,
) -> None:
    monkeypatch.setattr(ci_objects, "answer", lambda path: (200, content))
    with pytest.raises(exceptions.ServiceUnavailable, match="list of objects"):
        ingest(ci_emulator)


def test_more_objects_than_one_import_may_hold_fail_the_operation(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.emulator.ingestion.MAX_CONVERSATIONS", 1)
    for number in range(2):
        ci_objects.put_turns(BUCKET, f"calls/{number}.json", TALK)
    with pytest.raises(exceptions.FailedPrecondition):
        ingest(ci_emulator)


def test_what_is_not_emulated_says_so(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    uri = ci_objects.put_turns(BUCKET, "a.json", TALK)
    redaction = {"deidentify_template": "projects/p/deidentifyTemplates/t"}
    audio = {"data_source": {"gcs_source": {"audio_uri": "gs://some-bucket/a.wav"}}}
    dialogflow = {"data_source": {"dialogflow_source": {"audio_uri": "gs://some-bucket/a.wav"}}}
    request = {"parent": ci_emulator.parent}
    calls = {
        "Redaction": lambda: upload(ci_emulator, uri, redaction_config=redaction),
        "Speech": lambda: ci_emulator.client.upload_conversation(
            {**request, "conversation": audio}
        ),
        "dialogflow": lambda: ci_emulator.client.create_conversation(
            {**request, "conversation": dialogflow}
        ),
        "audio": lambda: ingest(
            ci_emulator,
            gcs_source={"bucket_uri": f"gs://{BUCKET}", "bucket_object_type": "AUDIO"},
        ),
        "Redaction ": lambda: ingest(ci_emulator, redaction_config=redaction),
    }
    for what, call in calls.items():
        with pytest.raises(exceptions.MethodNotImplemented, match=what.strip()):
            call()


def test_uploads_are_analysed_by_the_share_that_is_set(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    selector = {"run_sentiment_annotator": True}
    config = {
        "upload_conversation_analysis_percentage": 50, "annotator_selector": selector
    }  # fmt: skip
    ci_emulator.client.update_settings(
        settings={"name": f"{ci_emulator.parent}/settings", "analysis_config": config},
        update_mask=field_mask_pb2.FieldMask(paths=["analysis_config"]),
    )
    uri = ci_objects.put_turns(BUCKET, "a.json", TALK)
    operations = [upload(ci_emulator, uri, conversation_id=f"upload-{n:03}") for n in range(40)]
    made = [operation.result(timeout=10) for operation in operations]
    started = [operation.metadata.analysis_operation for operation in operations]
    analysed = [
        "latest_analysis" in ci_emulator.client.get_conversation(name=each.name) for each in made
    ]
    assert analysed == [bool(name) for name in started]
    assert 8 <= sum(analysed) <= 32
    first = made[analysed.index(True)].name
    (analysis,) = ci_emulator.client.list_analyses(parent=first)
    assert analysis.annotator_selector == insights.AnnotatorSelector(**selector)


def test_an_upload_reports_a_broken_transcript_by_its_operation(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    uri = ci_objects.put(BUCKET, "broken.json", b"{}")
    operation = upload(ci_emulator, uri)
    with pytest.raises(exceptions.InvalidArgument, match="Failed to deserialize"):
        operation.result(timeout=10)
    assert conversations(ci_emulator) == []


def test_settings_may_change_as_a_whole(ci_emulator: RunningEmulator) -> None:
    name = f"{ci_emulator.parent}/settings"
    ci_emulator.client.update_settings(
        settings={"name": name, "language_code": "en-AU"},
        update_mask=field_mask_pb2.FieldMask(paths=["*"]),
    )
    assert ci_emulator.client.get_settings(name=name).language_code == "en-AU"
    for settings, path in (
        ({"conversation_ttl": "-1s"}, "conversation_ttl"),
        ({}, "analysis_config.nonsense"),
    ):
        with pytest.raises(exceptions.InvalidArgument):
            ci_emulator.client.update_settings(
                settings={"name": name, **settings},
                update_mask=field_mask_pb2.FieldMask(paths=[path]),
            )


def test_an_update_may_change_everything_or_the_audio_alone(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    client = ci_emulator.client
    made = create(ci_emulator, ci_objects, "first-one", agent_id="a", labels={"k": "v"})
    whole = insights.Conversation(
        name=made.name, agent_id="b", language_code="en-AU", ttl="60s",
        data_source={"gcs_source": {"audio_uri": "gs://some-bucket/a.wav"}},
    )  # fmt: skip
    client.update_conversation(conversation=whole, update_mask={"paths": ["*"]})
    after = client.get_conversation(name=made.name)
    assert (after.agent_id, after.language_code, dict(after.labels)) == ("b", "en-AU", {})
    assert after.data_source.gcs_source.audio_uri == "gs://some-bucket/a.wav"
    assert after.expire_time > after.create_time
    assert after.turn_count == made.turn_count
    rating = {"customer_satisfaction_rating": 5}
    client.update_conversation(
        conversation=insights.Conversation(name=made.name, quality_metadata=rating),
        update_mask={"paths": ["metadata"]},
    )
    after = client.get_conversation(name=made.name)
    assert after.quality_metadata.customer_satisfaction_rating == 5
    for path, value in {"medium": "CHAT", "ttl": "-1s"}.items():
        with pytest.raises(exceptions.InvalidArgument):
            client.update_conversation(
                conversation=insights.Conversation(name=made.name, **{path: value}),
                update_mask={"paths": [path]},
            )
