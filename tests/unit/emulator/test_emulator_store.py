"""What was acknowledged is there after a kill and after a restart."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from emulator_cases import BUCKET, TALK, create, own_emulator
from google.api_core import exceptions
from google.cloud import contact_center_insights_v1 as insights
from google.longrunning import operations_pb2

from ingest.emulator.control_client import Control
from ingest.emulator.database import Database
from ingest.emulator.pytest_plugin import PROJECT_NUMBER, RunningEmulator, insights_client
from ingest.emulator.testing import ObjectServer
from ingest.errors import SettingsError


@contextmanager
def process(
    data_dir: Path, objects: ObjectServer, *arguments: str
) -> Iterator[tuple[RunningEmulator, subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "ingest.emulator", "--data-dir", str(data_dir)]
    command += ["--gcs-endpoint", objects.endpoint, "--project-number", PROJECT_NUMBER, *arguments]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        address = child.stdout.readline().split()[-1]
        with Control(address) as control:
            client = insights_client(address)
            yield RunningEmulator(address, client, control), child
            client.transport.close()
    finally:
        child.kill()
        child.wait(10)
        child.stdout.close()


def get(emulator: RunningEmulator, name: str) -> operations_pb2.Operation:
    return emulator.client.get_operation(operations_pb2.GetOperationRequest(name=name))


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path, ci_objects: ObjectServer) -> None:
    with process(tmp_path, ci_objects) as (emulator, child):
        made = [create(emulator, ci_objects, f"conversation-{n}") for n in range(20)]
        analysis = emulator.client.create_analysis(
            parent=made[0].name, analysis=insights.Analysis()
        ).result(timeout=10)
        os.kill(child.pid, signal.SIGKILL)
        child.wait(10)
    with process(tmp_path, ci_objects) as (emulator, child):
        kept = {c.name for c in emulator.client.list_conversations(parent=emulator.parent)}
        first = emulator.client.get_conversation(name=made[0].name)
        child.send_signal(signal.SIGTERM)
        assert child.wait(10) == 0
    assert kept == {conversation.name for conversation in made}
    assert first.latest_analysis == analysis


def test_an_open_analysis_is_finished_by_the_next_process(
    tmp_path: Path, ci_objects: ObjectServer
) -> None:
    with process(tmp_path, ci_objects, "--analysis-latency", "1h") as (emulator, child):
        name = create(emulator, ci_objects, "first-one").name
        started = emulator.client.create_analysis(parent=name, analysis=insights.Analysis())
        os.kill(child.pid, signal.SIGKILL)
        child.wait(10)
    with own_emulator(tmp_path, ci_objects) as emulator:
        assert not get(emulator, started.operation.name).done
        emulator.control.advance(3600)
        assert get(emulator, started.operation.name).done
        assert len(list(emulator.client.list_analyses(parent=name))) == 1


def test_open_bulk_work_is_finished_by_the_next_process_and_repeats_nothing(
    tmp_path: Path, ci_objects: ObjectServer
) -> None:
    slow = {"operation_latency": {"*": 3_600_000_000}}
    request = {"parent": f"projects/{PROJECT_NUMBER}/locations/us-central1"}
    with own_emulator(tmp_path, ci_objects, **slow) as emulator:
        names = [create(emulator, ci_objects, f"conversation-{n}").name for n in range(3)]
        bulk = emulator.client.bulk_analyze_conversations({**request, "analysis_percentage": 100})
        source = {"gcs_source": {"transcript_uri": f"gs://{BUCKET}/conversation-0.json"}}
        upload = emulator.client.upload_conversation(
            {**request, "conversation_id": "uploaded", "conversation": {"data_source": source}}
        )
    with own_emulator(tmp_path, ci_objects) as emulator:
        emulator.control.advance(3600)
        assert get(emulator, bulk.operation.name).done
        assert get(emulator, upload.operation.name).done
        counts = [len(list(emulator.client.list_analyses(parent=name))) for name in names]
        uploaded = emulator.client.get_conversation(
            name=f"{request['parent']}/conversations/uploaded"
        )
    assert counts == [1, 1, 1]
    assert uploaded.turn_count == len(TALK)


def test_a_store_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "insights.sqlite3"
    database = Database(path)
    database.execute("pragma user_version = 99")
    database.close()
    with pytest.raises(SettingsError, match="store format 99"):
        Database(path)


def test_a_transaction_is_stored_whole_or_not_at_all(tmp_path: Path) -> None:
    database = Database(tmp_path / "insights.sqlite3")
    with contextlib.suppress(ZeroDivisionError), database.transaction():
        database.parent_id("projects/1/locations/a")
        raise ZeroDivisionError
    assert database.execute("select count(*) from parents").fetchone() == (0,)
    number = database.parent_id("projects/1/locations/a")
    assert database.parent(number) == "projects/1/locations/a"
    database.close()


def test_projects_are_apart_without_a_number_and_one_with_it(
    tmp_path: Path, ci_objects: ObjectServer
) -> None:
    with own_emulator(tmp_path / "apart", ci_objects, project_number=None) as emulator:
        uri = ci_objects.put_turns(BUCKET, "a.json", TALK)
        body = {"data_source": {"gcs_source": {"transcript_uri": uri}}}
        for project in ("project-a", "project-b"):
            made = emulator.client.create_conversation(
                {
                    "parent": f"projects/{project}/locations/us-central1",
                    "conversation_id": "same-id",
                    "conversation": body,
                }
            )
            assert made.name == f"projects/{project}/locations/us-central1/conversations/same-id"
    with own_emulator(tmp_path / "one", ci_objects, project_id="project-a") as emulator:
        by_id = emulator.client.list_conversations(
            parent="projects/project-a/locations/us-central1"
        )
        assert list(by_id) == []
        for other in ("project-b", "999"):
            with pytest.raises(exceptions.PermissionDenied):
                emulator.client.list_conversations(parent=f"projects/{other}/locations/us-central1")


@pytest.mark.parametrize(
    "name",
    ["", "projects/p", "projects/p/locations/l/conversations/", "projects/P/locations/l/x/y"],
)
def test_a_malformed_name_is_refused(ci_emulator: RunningEmulator, name: str) -> None:
    client = ci_emulator.client
    for call in (
        lambda: client.get_conversation(name=name),
        lambda: client.list_conversations(parent=name),
        lambda: client.get_analysis(name=name),
        lambda: client.get_analysis(name=f"{name}/analyses/1"),
        lambda: client.get_settings(name=name),
        lambda: client.get_phrase_matcher(name=name),
    ):
        with pytest.raises(exceptions.InvalidArgument):
            call()
