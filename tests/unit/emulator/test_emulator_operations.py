"""How operations run: each ends whatever happens, none holds up what it has nothing to do with."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from emulator_cases import create, own_emulator
from google.api_core import exceptions
from google.cloud import contact_center_insights_v1 as insights
from google.longrunning import operations_pb2
from google.protobuf import duration_pb2
from google.rpc import code_pb2, error_details_pb2

from ingest.emulator.analyses import AnalysisMethods
from ingest.emulator.pytest_plugin import RunningEmulator
from ingest.emulator.testing import ObjectServer


def start(emulator: RunningEmulator, name: str) -> operations_pb2.Operation:
    return emulator.client.create_analysis(parent=name, analysis=insights.Analysis()).operation


def get(emulator: RunningEmulator, name: str, timeout: float = 20) -> operations_pb2.Operation:
    request = operations_pb2.GetOperationRequest(name=name)
    return emulator.client.get_operation(request, timeout=timeout)


def ingestion(emulator: RunningEmulator) -> insights.IngestConversationsRequest:
    """Return a request to ingest an empty bucket."""
    return insights.IngestConversationsRequest(
        parent=emulator.parent,
        gcs_source={"bucket_uri": "gs://other-bucket"},
        transcript_object_config={"medium": "CHAT"},
    )


def break_analyses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an analysis be stored and then break."""
    works = AnalysisMethods.analyse

    def analyse(*arguments: Any) -> int:
        works(*arguments)
        raise ZeroDivisionError

    monkeypatch.setattr(AnalysisMethods, "analyse", analyse)


@pytest.mark.parametrize("latency", [0, 5])
def test_an_analysis_that_breaks_ends_internal_and_leaves_nothing(
    ci_emulator: RunningEmulator,
    ci_objects: ObjectServer,
    monkeypatch: pytest.MonkeyPatch,
    latency: int,
) -> None:
    name = create(ci_emulator, ci_objects).name
    ci_emulator.control.set_operation_latency("*", latency)
    ci_emulator.control.freeze()
    with monkeypatch.context() as patch:
        break_analyses(patch)
        broken = start(ci_emulator, name)
        ci_emulator.control.advance(5)
    later = start(ci_emulator, name)
    ci_emulator.control.advance(5)
    ended = [get(ci_emulator, each.name) for each in (broken, later)]
    assert [(each.done, each.error.code) for each in ended] == [
        (True, code_pb2.INTERNAL),
        (True, code_pb2.OK),
    ]
    assert len(list(ci_emulator.client.list_analyses(parent=name))) == 1


def test_an_operation_that_can_not_be_read_ends_internal(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = create(ci_emulator, ci_objects).name
    ci_emulator.control.set_operation_latency("*", 5)
    ci_emulator.control.freeze()
    started = start(ci_emulator, name)
    with monkeypatch.context() as patch:
        patch.setattr("ingest.emulator.operations.Running", None)
        ci_emulator.control.advance(5)
    assert get(ci_emulator, started.name).error.code == code_pb2.INTERNAL


def test_due_analyses_take_turns_with_other_calls(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = 40
    rounds: list[int] = []
    now = 0
    works = AnalysisMethods._job

    def tick() -> None:
        nonlocal now
        now += 1
        if len(rounds) < number:
            asyncio.get_running_loop().call_soon(tick)

    def work(*arguments: Any) -> Any:
        if not rounds:
            tick()
        rounds.append(now)
        return works(*arguments)

    monkeypatch.setattr(AnalysisMethods, "_job", work)
    name = create(ci_emulator, ci_objects).name
    ci_emulator.control.set_operation_latency("CreateAnalysis", 5)
    ci_emulator.control.freeze()
    started = [start(ci_emulator, name).name for _ in range(number)]
    ci_emulator.control.advance(5)
    assert [get(ci_emulator, each).done for each in started] == [True] * number
    assert max(Counter(rounds).values()) <= 4


def test_a_moved_clock_waits_for_bulk_work_however_long_it_takes(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.emulator.operations._PATIENCE_SEC", 0)
    moved = threading.Event()
    was_early: list[bool] = []
    answers = ci_objects.answer

    def answer(path: str) -> tuple[int, bytes]:
        was_early.append(moved.wait(0.3))
        return answers(path)

    ci_emulator.control.set_operation_latency("*", 60)
    ci_emulator.control.freeze()
    started = ci_emulator.client.ingest_conversations(ingestion(ci_emulator))
    monkeypatch.setattr(ci_objects, "answer", answer)
    ci_emulator.control.advance(60)
    moved.set()
    assert was_early == [False]
    assert get(ci_emulator, started.operation.name).done


def test_asking_for_an_operation_waits_for_no_other(
    tmp_path: Path, ci_objects: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.emulator.operations._PATIENCE_SEC", 30)
    asked, released = threading.Event(), threading.Event()
    answers = ci_objects.answer

    def answer(path: str) -> tuple[int, bytes]:
        if "/o?" in path:
            asked.set()
            released.wait(30)
        return answers(path)

    with own_emulator(tmp_path, ci_objects) as emulator:
        done = start(emulator, create(emulator, ci_objects).name)
        emulator.control.set_operation_latency("IngestConversations", 0.01)
        monkeypatch.setattr(ci_objects, "answer", answer)
        slow = emulator.client.ingest_conversations(ingestion(emulator))
        assert asked.wait(20)
        try:
            assert get(emulator, done.name, timeout=5).done
        finally:
            released.set()
        assert get(emulator, slow.operation.name).done


def test_a_second_bulk_operation_hears_when_to_come_back(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    ci_emulator.control.set_operation_latency("*", 60)
    ci_emulator.control.freeze()
    bulk = insights.BulkAnalyzeConversationsRequest(
        parent=ci_emulator.parent, analysis_percentage=100
    )
    calls = [
        lambda: ci_emulator.client.bulk_analyze_conversations(bulk),
        lambda: ci_emulator.client.ingest_conversations(ingestion(ci_emulator)),
    ]
    for call in calls:
        call()
    ci_emulator.control.advance(25.5)
    delay = duration_pb2.Duration(seconds=34, nanos=500_000_000)
    for call in calls:
        with pytest.raises(exceptions.ResourceExhausted) as caught:
            call()
        assert caught.value.details == [error_details_pb2.RetryInfo(retry_delay=delay)]


@pytest.mark.parametrize("deleted", ["analysis", "conversation"])
def test_an_operation_keeps_its_response_when_the_analysis_is_deleted(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer, deleted: str
) -> None:
    name = create(ci_emulator, ci_objects).name
    kept, lost = (start(ci_emulator, name) for _ in range(2))
    if deleted == "analysis":
        analysis = insights.Analysis.deserialize(lost.response.value)
        ci_emulator.client.delete_analysis(name=analysis.name)
    else:
        ci_emulator.client.delete_conversation(
            insights.DeleteConversationRequest(name=name, force=True)
        )
    assert [get(ci_emulator, each.name) for each in (kept, lost)] == [kept, lost]
    assert insights.Analysis.deserialize(lost.response.value).analysis_result
