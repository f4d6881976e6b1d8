"""Switches: faults, latencies, quotas, the clock, counters."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from emulator_cases import create, own_emulator
from google.api_core import exceptions
from google.cloud import contact_center_insights_v1 as insights
from google.longrunning import operations_pb2
from google.protobuf import duration_pb2
from google.rpc import code_pb2, error_details_pb2

from ingest.emulator.control_client import Control
from ingest.emulator.pytest_plugin import RunningEmulator
from ingest.emulator.testing import ObjectServer
from ingest.errors import InputError, RemoteError


def names(emulator: RunningEmulator) -> list[str]:
    return [c.name for c in emulator.client.list_conversations(parent=emulator.parent)]


def start_analysis(emulator: RunningEmulator, name: str) -> operations_pb2.Operation:
    return emulator.client.create_analysis(parent=name, analysis=insights.Analysis()).operation


def get(emulator: RunningEmulator, name: str) -> operations_pb2.Operation:
    return emulator.client.get_operation(operations_pb2.GetOperationRequest(name=name))


def test_a_fault_before_the_effect_leaves_nothing(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    ci_emulator.control.set_faults(
        "faults: [{method: CreateConversation, nth: 1, status: UNAVAILABLE, message: gone}]"
    )
    with pytest.raises(exceptions.ServiceUnavailable, match="gone"):
        create(ci_emulator, ci_objects, "first-one")
    assert names(ci_emulator) == []
    create(ci_emulator, ci_objects, "first-one")


def test_a_fault_after_the_effect_loses_the_answer_alone(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    fault = {
        "method": "CreateConversation", "nth": [1], "status": "DEADLINE_EXCEEDED", "when": "after"
    }  # fmt: skip
    ci_emulator.control.set_faults({"faults": [fault]})
    with pytest.raises(exceptions.DeadlineExceeded):
        create(ci_emulator, ci_objects, "first-one")
    with pytest.raises(exceptions.AlreadyExists):
        create(ci_emulator, ci_objects, "first-one")


def test_a_fault_strikes_the_nth_call_or_so_often(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    ci_emulator.control.set_faults(
        """
        seed: 3
        faults:
          - {method: ListConversations, nth: [2, 3], status: ABORTED}
          - {method: "*", probability: 1, times: 1, status: INTERNAL}
        """
    )
    seen = [_status(lambda: names(ci_emulator)) for _ in range(5)]
    assert seen == ["INTERNAL", "ABORTED", "ABORTED", "OK", "OK"]


def test_the_same_plan_strikes_the_same_calls(ci_emulator: RunningEmulator) -> None:
    plan = {
        "seed": 7, "faults": [{"method": "*", "probability": 0.5, "status": "UNAVAILABLE"}]
    }  # fmt: skip
    runs = []
    for _ in range(2):
        ci_emulator.control.set_faults(plan)
        runs.append([_status(lambda: names(ci_emulator)) for _ in range(20)])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {"OK", "UNAVAILABLE"}


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_operation_may_end_in_error(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer, when: str
) -> None:
    name = create(ci_emulator, ci_objects).name
    fault = {"operation": "CreateAnalysis", "nth": 1, "status": "INTERNAL", "when": when}
    ci_emulator.control.set_faults({"faults": [fault]})
    with pytest.raises(exceptions.GoogleAPICallError) as caught:
        ci_emulator.client.create_analysis(parent=name, analysis=insights.Analysis()).result(5)
    assert caught.value.grpc_status_code is grpc.StatusCode.INTERNAL
    stored = list(ci_emulator.client.list_analyses(parent=name))
    assert len(stored) == (1 if when == "after" else 0)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_background_operation_may_end_in_error(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer, when: str
) -> None:
    create(ci_emulator, ci_objects)
    fault = {"operation": "BulkDeleteConversations", "nth": 1, "status": "ABORTED", "when": when}
    ci_emulator.control.set_faults({"faults": [fault]})
    request = insights.BulkDeleteConversationsRequest(parent=ci_emulator.parent)
    with pytest.raises(exceptions.Aborted):
        ci_emulator.client.bulk_delete_conversations(request).result(timeout=5)
    assert len(names(ci_emulator)) == (0 if when == "after" else 1)


def test_items_of_a_bulk_operation_may_fail(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    for number in range(3):
        create(ci_emulator, ci_objects, f"conversation-{number}")
    ci_emulator.control.set_faults(
        "faults: [{partial: BulkAnalyzeConversations, nth: 2, status: ABORTED}]"
    )
    request = insights.BulkAnalyzeConversationsRequest(
        parent=ci_emulator.parent, analysis_percentage=100
    )
    operation = ci_emulator.client.bulk_analyze_conversations(request)
    response = operation.result(timeout=10)
    assert (response.successful_analysis_count, response.failed_analysis_count) == (2, 1)
    assert [error.code for error in operation.metadata.partial_errors] == [code_pb2.ABORTED]


@pytest.mark.parametrize("kind", ["BulkDeleteConversations", "IngestConversations"])
def test_items_of_other_bulk_operations_may_fail_too(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer, kind: str
) -> None:
    create(ci_emulator, ci_objects)
    fault = {"partial": kind, "nth": 1, "status": "ABORTED"}
    ci_emulator.control.set_faults({"faults": [fault]})
    if kind == "BulkDeleteConversations":
        request = insights.BulkDeleteConversationsRequest(parent=ci_emulator.parent)
        operation = ci_emulator.client.bulk_delete_conversations(request)
    else:
        ci_objects.put_turns("other-bucket", "x.json", [("AGENT", "Hi.")])
        operation = ci_emulator.client.ingest_conversations(
            insights.IngestConversationsRequest(
                parent=ci_emulator.parent,
                gcs_source={"bucket_uri": "gs://other-bucket"},
                transcript_object_config={"medium": "CHAT"},
            )
        )
    operation.result(timeout=10)
    assert len(operation.metadata.partial_errors) == 1
    assert len(names(ci_emulator)) == 1


@pytest.mark.parametrize(
    "plan",
    [
        "[",
        "faults: [{method: Nonsense, nth: 1, status: ABORTED}]",
        "faults: [{method: '*', nth: 1, status: BAD}]",
        "faults: [{method: '*', status: ABORTED}]",
        "faults: [{method: '*', nth: 1, probability: 0.5, status: ABORTED}]",
        "faults: [{nth: 1, status: ABORTED}]",
        "faults: [{method: '*', operation: '*', nth: 1, status: ABORTED}]",
        "faults: [{method: '*', nth: 0, status: ABORTED}]",
        "faults: [{method: '*', nth: 1, status: ABORTED, retry_after: soon}]",
        "wrong: 1",
    ],
)
def test_a_wrong_fault_plan_is_refused(ci_emulator: RunningEmulator, plan: str) -> None:
    with pytest.raises(InputError):
        ci_emulator.control.set_faults(plan)


def test_a_fault_may_say_when_to_come_back(ci_emulator: RunningEmulator) -> None:
    ci_emulator.control.set_faults(
        "faults: [{method: '*', nth: 1, status: UNAVAILABLE, retry_after: 30s}]"
    )
    with pytest.raises(exceptions.ServiceUnavailable) as caught:
        names(ci_emulator)
    delay = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=30))
    assert caught.value.details == [delay]


def test_an_analysis_runs_as_long_as_set_and_carries_metadata_throughout(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    control = ci_emulator.control
    name = create(ci_emulator, ci_objects).name
    control.set_operation_latency("CreateAnalysis", 14)
    control.freeze()
    started = start_analysis(ci_emulator, name)
    control.advance(13.9)
    running = get(ci_emulator, started.name)
    control.advance(0.1)
    ended = get(ci_emulator, started.name)
    assert (started.done, running.done, ended.done) == (False, False, True)
    assert started.HasField("metadata")
    assert running.HasField("metadata")
    analysis = ci_emulator.client.get_conversation(name=name).latest_analysis
    assert (analysis.create_time - analysis.request_time).total_seconds() == 14


def test_a_cancelled_operation_never_ends_well(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    control = ci_emulator.control
    name = create(ci_emulator, ci_objects).name
    control.set_operation_latency("*", 5)
    control.freeze()
    started = start_analysis(ci_emulator, name)
    request = operations_pb2.CancelOperationRequest(name=started.name)
    for _ in range(2):
        ci_emulator.client.cancel_operation(request)
    control.advance(10)
    assert get(ci_emulator, started.name).error.code == code_pb2.CANCELLED
    assert list(ci_emulator.client.list_analyses(parent=name)) == []


def test_an_analysis_of_a_conversation_deleted_meanwhile_fails(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    name = create(ci_emulator, ci_objects).name
    ci_emulator.control.set_operation_latency("CreateAnalysis", 5)
    ci_emulator.control.freeze()
    started = start_analysis(ci_emulator, name)
    ci_emulator.client.delete_conversation(name=name)
    ci_emulator.control.advance(5)
    assert get(ci_emulator, started.name).error.code == code_pb2.NOT_FOUND


def _wait(emulator: RunningEmulator, name: str, seconds: int | None) -> operations_pb2.Operation:
    timeout = None if seconds is None else duration_pb2.Duration(seconds=seconds)
    with grpc.insecure_channel(emulator.address) as channel:
        call = channel.unary_unary(
            "/google.longrunning.Operations/WaitOperation",
            request_serializer=operations_pb2.WaitOperationRequest.SerializeToString,
            response_deserializer=operations_pb2.Operation.FromString,
        )
        request = operations_pb2.WaitOperationRequest(name=name, timeout=timeout)
        reply: operations_pb2.Operation = call(request, timeout=20)
        return reply


@pytest.mark.parametrize("timeout", [None, 60])
def test_waiting_ends_when_the_operation_does(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer, timeout: int | None
) -> None:
    name = create(ci_emulator, ci_objects).name
    ci_emulator.control.set_operation_latency("CreateAnalysis", 0.2)
    started = start_analysis(ci_emulator, name)
    assert not started.done
    assert _wait(ci_emulator, started.name, timeout).done


def test_waiting_ends_with_its_timeout(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    name = create(ci_emulator, ci_objects).name
    ci_emulator.control.set_operation_latency("CreateAnalysis", 60)
    ci_emulator.control.freeze()
    started = start_analysis(ci_emulator, name)
    replies: list[operations_pb2.Operation] = []
    waiter = threading.Thread(
        target=lambda: replies.append(_wait(ci_emulator, started.name, 1)), daemon=True
    )
    waiter.start()
    while waiter.is_alive():  # the wait may begin after an advance, so move on until it ends
        ci_emulator.control.advance(1)
        waiter.join(0.01)
        assert ci_emulator.control.calls().get("WaitOperation", {}).get("INTERNAL", 0) == 0
        if get(ci_emulator, started.name).done:
            break
    waiter.join(10)
    assert len(replies) == 1


def test_a_call_takes_as_long_as_set(ci_emulator: RunningEmulator) -> None:
    ci_emulator.control.set_call_latency("ListConversations", 30)
    with pytest.raises(exceptions.DeadlineExceeded):
        ci_emulator.client.list_conversations(parent=ci_emulator.parent, timeout=0.2)
    ci_emulator.control.set_call_latency("ListConversations", 0)
    assert names(ci_emulator) == []


def test_real_quotas_refuse_the_301st_call_of_a_minute_and_say_when_to_come_back(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    control = ci_emulator.control
    control.freeze(60_000_000 * 20_000_000 + 15_000_000)
    control.set_quotas("real")
    name = create(ci_emulator, ci_objects, "only-one").name
    for _ in range(299):
        with pytest.raises(exceptions.AlreadyExists):
            create(ci_emulator, ci_objects, "only-one")
    with pytest.raises(exceptions.ResourceExhausted) as caught:
        create(ci_emulator, ci_objects, "another")
    assert caught.value.details == [
        error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=45))
    ]
    assert ci_emulator.client.get_conversation(name=name).name == name
    control.advance(45)
    create(ci_emulator, ci_objects, "another")


def test_all_calls_share_one_quota(ci_emulator: RunningEmulator) -> None:
    ci_emulator.control.freeze()
    ci_emulator.control.set_quotas({"*": 3})
    seen = [_status(lambda: names(ci_emulator)) for _ in range(4)]
    assert seen == ["OK", "OK", "OK", "RESOURCE_EXHAUSTED"]


def test_one_bulk_operation_runs_at_a_time_in_a_region(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    control = ci_emulator.control
    control.set_operation_latency("BulkAnalyzeConversations", 60)
    control.freeze()
    request = insights.BulkAnalyzeConversationsRequest(
        parent=ci_emulator.parent, analysis_percentage=100
    )
    first = ci_emulator.client.bulk_analyze_conversations(request)
    with pytest.raises(exceptions.ResourceExhausted):
        ci_emulator.client.bulk_analyze_conversations(request)
    elsewhere = request.parent.replace("us-central1", "europe-west1")
    ci_emulator.client.bulk_analyze_conversations({"parent": elsewhere, "analysis_percentage": 1})
    control.advance(60)
    assert get(ci_emulator, first.operation.name).done
    control.set_quotas({"bulk_operations": 0})
    for _ in range(2):
        ci_emulator.client.bulk_analyze_conversations(request)


def test_calls_are_counted_by_method_and_status(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    create(ci_emulator, ci_objects, "first-one")
    with pytest.raises(exceptions.AlreadyExists):
        create(ci_emulator, ci_objects, "first-one")
    with grpc.insecure_channel(ci_emulator.address) as channel, pytest.raises(grpc.RpcError):
        channel.unary_unary("/google.longrunning.Operations/DeleteOperation")(b"", timeout=5)
    assert ci_emulator.control.calls() == {
        "CreateConversation": {"ALREADY_EXISTS": 1, "OK": 1},
        "DeleteOperation": {"UNIMPLEMENTED": 1},
    }


def test_a_reset_forgets_matchers_too(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    def matches() -> int:
        name = create(ci_emulator, ci_objects).name
        operation = ci_emulator.client.create_analysis(parent=name, analysis=insights.Analysis())
        return len(operation.result(5).analysis_result.call_analysis_metadata.phrase_matchers)

    group = {"type_": "ANY_OF", "phrase_match_rules": [{"query": "lost my job"}]}
    ci_emulator.client.create_phrase_matcher(
        parent=ci_emulator.parent,
        phrase_matcher={"type_": "ANY_OF", "active": True, "phrase_match_rule_groups": [group]},
    )
    before = matches()
    ci_emulator.control.reset(data=True)
    assert (before, matches()) == (1, 0)


def test_the_clock_stops_moves_and_runs_on(ci_emulator: RunningEmulator) -> None:
    control = ci_emulator.control
    control.freeze(1_000_000_000)
    control.advance(2.5)
    assert control.now_micros() == 1_002_500_000
    control.resume()
    control.resume()
    assert 1_002_500_000 <= control.now_micros() < 1_062_500_000
    control.advance(3600)
    assert control.now_micros() >= 4_602_500_000


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("SetQuotas", {"name": "generous"}),
        ("SetQuotas", {"limits": {"*": "many"}}),
        ("SetLatency", {"calls": {"*": -1}}),
        ("MoveClock", {"seconds": "soon"}),
    ],
)
def test_a_wrong_switch_is_refused(
    ci_emulator: RunningEmulator, method: str, request_: dict[str, object]
) -> None:
    with pytest.raises(InputError):
        ci_emulator.control._call(method, request_)


def test_control_says_when_there_is_no_emulator() -> None:
    with Control("127.0.0.1:1") as control, pytest.raises(RemoteError):
        control.calls()


def test_what_expired_a_day_ago_is_gone(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    create(ci_emulator, ci_objects, "short-lived", ttl=duration_pb2.Duration(seconds=60))
    kept = create(ci_emulator, ci_objects, "long-lived").name
    ci_emulator.control.advance(3600)
    assert len(names(ci_emulator)) == 2
    ci_emulator.control.advance(24 * 3600)
    assert names(ci_emulator) == [kept]


def test_a_recording_is_answered_again_without_the_data(
    tmp_path: Path, ci_objects: ObjectServer
) -> None:
    calls = tmp_path / "calls" / "recorded.jsonl"
    with own_emulator(tmp_path / "one", ci_objects, record=calls) as emulator:
        made = create(emulator, ci_objects, "first-one")
        with pytest.raises(exceptions.AlreadyExists) as first:
            create(emulator, ci_objects, "first-one")
        before = names(emulator)
    with own_emulator(tmp_path / "two", ci_objects, replay=calls) as emulator:
        assert create(emulator, ci_objects, "first-one") == made
        for _ in range(2):
            with pytest.raises(exceptions.AlreadyExists) as again:
                create(emulator, ci_objects, "first-one")
        assert again.value.message == first.value.message
        assert names(emulator) == before
        with pytest.raises(exceptions.FailedPrecondition, match="not in the recording"):
            create(emulator, ci_objects, "never-recorded")


def test_a_file_that_is_no_recording_is_refused(tmp_path: Path, ci_objects: ObjectServer) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text("{}\n")
    with (
        pytest.raises(InputError, match="no recording"),
        own_emulator(tmp_path / "one", ci_objects, replay=bad),
    ):
        pass


def test_a_seed_makes_ids_that_repeat_across_machines_but_not_across_restarts(
    tmp_path: Path, ci_objects: ObjectServer
) -> None:
    made = []
    for folder in ("one", "two", "two"):
        with own_emulator(tmp_path / folder, ci_objects, seed="s") as emulator:
            made.append(create(emulator, ci_objects).name)
    assert made[0] == made[1] != made[2]


def _status(call: Callable[[], object]) -> str:
    try:
        call()
    except exceptions.GoogleAPICallError as error:
        return str(error.grpc_status_code.name)
    return "OK"
