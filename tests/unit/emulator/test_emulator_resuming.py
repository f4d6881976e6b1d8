"""Bulk work that a restart cuts in two does no more and reports no less than in one go."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from emulator_cases import BUCKET, TALK, create, own_emulator
from google.cloud import contact_center_insights_v1 as insights
from google.longrunning import operations_pb2
from google.rpc import code_pb2

from ingest.emulator.conversations import BulkDeleteMethods
from ingest.emulator.database import FORMAT, Database
from ingest.emulator.ingestion import IngestionMethods
from ingest.emulator.pytest_plugin import PROJECT_NUMBER, RunningEmulator
from ingest.emulator.testing import ObjectServer

PARENT = f"projects/{PROJECT_NUMBER}/locations/us-central1"


def cut_off(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, after: int) -> None:
    """Let an operation's work end after so many items as a kill ends it: nothing more is stored."""
    works = getattr(owner, name)
    done: list[object] = []

    def work(*arguments: Any) -> Any:
        if len(done) == after:
            raise asyncio.CancelledError
        done.append(arguments)
        return works(*arguments)

    monkeypatch.setattr(owner, name, work)


def get(emulator: RunningEmulator, name: str) -> operations_pb2.Operation:
    return emulator.client.get_operation(operations_pb2.GetOperationRequest(name=name))


def names(emulator: RunningEmulator) -> list[str]:
    request = {"parent": PARENT, "order_by": "create_time"}
    found = emulator.client.list_conversations(request)
    return [conversation.name.rpartition("/")[2] for conversation in found]


def test_a_deletion_in_two_parts_deletes_no_more_than_it_may(
    tmp_path: Path, ci_objects: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with own_emulator(tmp_path, ci_objects) as emulator, monkeypatch.context() as patch:
        for number in range(5):
            create(emulator, ci_objects, f"conversation-{number}")
        cut_off(patch, BulkDeleteMethods, "_delete_one", 2)
        started = emulator.client.bulk_delete_conversations(
            insights.BulkDeleteConversationsRequest(parent=PARENT, max_delete_count=3)
        )
        before = names(emulator)
    with own_emulator(tmp_path, ci_objects) as emulator:
        ended = get(emulator, started.operation.name)
        after = names(emulator)
    assert ended.done
    assert not started.operation.done
    assert (before, after) == (
        ["conversation-2", "conversation-3", "conversation-4"],
        ["conversation-3", "conversation-4"],
    )


def test_an_ingestion_in_two_parts_counts_what_it_did_before(
    tmp_path: Path, ci_objects: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ci_objects.put_turns(BUCKET, "conversation-0.json", TALK)
    for number in range(1, 5):
        ci_objects.put_turns(BUCKET, f"conversation-{number}.json", TALK)
    ci_objects.put(BUCKET, "conversation-5.json", b"{}")
    with own_emulator(tmp_path, ci_objects) as emulator, monkeypatch.context() as patch:
        create(emulator, ci_objects, "conversation-0")
        cut_off(patch, IngestionMethods, "_ingest_one", 2)
        started = emulator.client.ingest_conversations(
            insights.IngestConversationsRequest(
                parent=PARENT,
                gcs_source={"bucket_uri": f"gs://{BUCKET}"},
                transcript_object_config={"medium": "CHAT"},
            )
        )
    with own_emulator(tmp_path, ci_objects) as emulator:
        ended = get(emulator, started.operation.name)
        found = len(names(emulator))
    metadata = insights.IngestConversationsMetadata.deserialize(ended.metadata.value)
    expected = insights.IngestConversationsMetadata.IngestConversationsStats(
        processed_object_count=6,
        duplicates_skipped_count=1,
        successful_ingest_count=4,
        failed_ingest_count=1,
    )
    assert ended.done
    assert not started.operation.done
    assert metadata.ingest_conversations_stats == expected
    assert found == 5


def test_a_store_of_the_first_format_becomes_one_of_today(
    tmp_path: Path, ci_objects: ObjectServer
) -> None:
    with own_emulator(tmp_path, ci_objects) as emulator:
        name = create(emulator, ci_objects, "first-one").name
        lost, kept = (
            emulator.client.create_analysis(parent=name, analysis=insights.Analysis()).operation
            for _ in range(2)
        )
    path = tmp_path / "insights.sqlite3"
    with sqlite3.connect(path) as connection:
        for column in ("operation_id", "issues"):
            connection.execute(f"alter table conversations drop column {column}")
        for table in ("resources", "feedback_labels", "training_labels", "notifications"):
            connection.execute(f"drop table {table}")
        for index in ("operations_by_conversation", "operations_orphaned"):
            connection.execute(f"drop index {index}")
        connection.execute("alter table operations drop column is_orphan")
        connection.execute("alter table operations drop column done_count")
        connection.execute("delete from analyses where seq = 1")
        connection.execute("pragma user_version = 1")
    connection.close()
    with own_emulator(tmp_path, ci_objects) as emulator:
        assert names(emulator) == ["first-one"]
        assert get(emulator, lost.name).error.code == code_pb2.NOT_FOUND
        assert get(emulator, kept.name) == kept
        request = insights.BulkDeleteConversationsRequest(
            parent=PARENT, max_delete_count=1, force=True
        )
        emulator.client.bulk_delete_conversations(request).result(timeout=10)
        assert names(emulator) == []
    database = Database(path)
    assert database.execute("pragma user_version").fetchone() == (FORMAT,)
    database.close()
