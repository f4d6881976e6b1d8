"""What switches refuse, whom quotas count, and which calls meet them."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from emulator_cases import create, own_emulator
from google.api_core import exceptions
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2

from ingest.emulator.pytest_plugin import RunningEmulator
from ingest.emulator.testing import ObjectServer
from ingest.errors import InputError

DELAY = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=30))


def list_page(emulator: RunningEmulator, project: str) -> str:
    try:
        emulator.client.list_conversations(parent=f"projects/{project}/locations/us-central1")
    except exceptions.GoogleAPICallError as error:
        return str(error.grpc_status_code.name)
    return "OK"


def test_each_project_has_its_own_quota(tmp_path: Path, ci_objects: ObjectServer) -> None:
    with own_emulator(tmp_path, ci_objects, project_number=None) as emulator:
        emulator.control.freeze()
        emulator.control.set_quotas({"*": 2})
        projects = ("one", "two", "one", "two", "one", "two", "three")
        assert [list_page(emulator, project) for project in projects] == [
            "OK", "OK", "OK", "OK", "RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED", "OK",
        ]  # fmt: skip


def test_a_project_is_counted_by_number_and_id_and_in_changes_too(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    made = create(ci_emulator, ci_objects)
    ci_emulator.control.freeze()
    ci_emulator.control.set_quotas({"*": 2})
    assert list_page(ci_emulator, "some-id") == "OK"
    made.agent_id = "one"
    ci_emulator.client.update_conversation(conversation=made, update_mask={"paths": ["agent_id"]})
    with pytest.raises(exceptions.ResourceExhausted):
        ci_emulator.client.get_settings(name=f"{ci_emulator.parent}/settings")


@pytest.mark.parametrize(
    ("method", "request_", "says"),
    [
        ("SetLatency", {"calls": {"GetConversatoin": 1}}, "did you mean GetConversation?"),
        ("SetLatency", {"operations": {"GetConversation": 1}}, "no operation 'GetConversation'"),
        ("SetLatency", {"calls": {"*": "soon"}}, "'soon' are no seconds"),
        ("SetLatency", {"calls": {"*": True}}, "True are no seconds"),
        ("SetLatency", {"call": {"*": 1}}, "no key 'call'"),
        ("SetQuotas", {"limits": {"Everything": 1}}, "no method 'Everything'"),
        ("SetQuotas", {"limits": {"*": -1}}, "whole number"),
        ("SetQuotas", {"limits": {"*": 2.5}}, "whole number"),
        ("SetQuotas", {"limits": {"*": True}}, "no number"),
        ("SetQuotas", {"limits": {}, "name": "real"}, "one of name and limits"),
        ("SetQuotas", {}, "one of name and limits"),
        ("MoveClock", {"at_micros": "5"}, "set freeze"),
        ("MoveClock", {"second": 5}, "no key 'second'"),
        ("Reset", {"everything": True}, "known are: data"),
        ("GetState", {"verbose": True}, "no key 'verbose'"),
    ],
)
def test_a_switch_that_would_do_nothing_says_so(
    ci_emulator: RunningEmulator, method: str, request_: dict[str, object], says: str
) -> None:
    with pytest.raises(InputError) as caught:
        ci_emulator.control._call(method, request_)
    assert says in caught.value.message


def test_a_latency_is_set_with_all_others_of_its_request_or_not_at_all(
    ci_emulator: RunningEmulator,
) -> None:
    request = {"calls": {"ListConversations": 3600}, "operations": {"Nonsense": 1}}
    with pytest.raises(InputError):
        ci_emulator.control._call("SetLatency", request)
    ci_emulator.client.list_conversations(parent=ci_emulator.parent, timeout=10)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"operation": "GetConversation"}, "no operation 'GetConversation'"),
        ({"partial": "CreateAnalysis"}, "no partial 'CreateAnalysis'"),
        ({"method": "CreateAnalyses"}, "did you mean CreateAnalysis?"),
        ({"partial": "IngestConversations", "when": "after"}, "leave out 'when: after'"),
        ({"method": "DeleteOperation", "when": "after"}, "leave out 'when: after'"),
    ],
)
def test_a_fault_that_can_never_strike_is_refused(
    ci_emulator: RunningEmulator, fault: dict[str, object], says: str
) -> None:
    with pytest.raises(InputError) as caught:
        ci_emulator.control.set_faults({"faults": [{"nth": 1, "status": "ABORTED", **fault}]})
    assert says in caught.value.message


def test_a_method_that_is_not_there_meets_faults_and_quotas_like_any_other(
    ci_emulator: RunningEmulator,
) -> None:
    seen = []
    ci_emulator.control.freeze()
    ci_emulator.control.set_quotas({"DeleteOperation": 2})
    ci_emulator.control.set_faults(
        "faults: [{method: DeleteOperation, nth: 1, status: UNAVAILABLE}]"
    )
    with grpc.insecure_channel(ci_emulator.address) as channel:
        call = channel.unary_unary("/google.longrunning.Operations/DeleteOperation")
        for _ in range(3):
            with pytest.raises(grpc.RpcError) as caught:
                call(b"", timeout=5)
            seen.append(caught.value.code().name)
    assert seen == ["UNAVAILABLE", "UNIMPLEMENTED", "RESOURCE_EXHAUSTED"]


@pytest.mark.parametrize(
    "name",
    [
        "google.cloud.contactcenterinsights.v1.ContactCenterInsights/Invent",
        "google.longrunning.Operations/Invent",
        "google.cloud.contactcenterinsights.v1alpha1.ContactCenterInsights/GetConversation",
        "conversationcoach.emulator.v1.Control/Invent",
    ],
)
def test_an_unknown_method_is_named_and_counted(ci_emulator: RunningEmulator, name: str) -> None:
    with grpc.insecure_channel(ci_emulator.address) as channel:
        for call in (
            lambda: channel.unary_unary(f"/{name}")(b"", timeout=5),
            lambda: list(channel.stream_stream(f"/{name}")(iter([b""]), timeout=5)),
        ):
            with pytest.raises(grpc.RpcError) as caught:
                call()
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
            assert caught.value.details() == (
                f"Method {name} is not implemented by the Insights emulator."
            )
    assert ci_emulator.control.calls() == {name: {"UNIMPLEMENTED": 2}}


def test_a_recording_keeps_when_to_come_back(tmp_path: Path, ci_objects: ObjectServer) -> None:
    calls = tmp_path / "calls.jsonl"
    fault = {"method": "*", "nth": 1, "status": "RESOURCE_EXHAUSTED", "retry_after": "30s"}
    with own_emulator(tmp_path / "one", ci_objects, record=calls) as emulator:
        emulator.control.set_faults({"faults": [fault]})
        assert [list_page(emulator, "p") for _ in range(2)] == ["RESOURCE_EXHAUSTED", "OK"]
    with own_emulator(tmp_path / "two", ci_objects, replay=calls) as emulator:
        parent = "projects/p/locations/us-central1"
        with pytest.raises(exceptions.ResourceExhausted) as caught:
            emulator.client.list_conversations(parent=parent)
    assert caught.value.details == [DELAY]


def test_a_replayed_answer_may_be_lost_too(tmp_path: Path, ci_objects: ObjectServer) -> None:
    calls = tmp_path / "calls.jsonl"
    with own_emulator(tmp_path / "one", ci_objects, record=calls) as emulator:
        list_page(emulator, "p")
    fault = {"method": "*", "nth": 1, "status": "ABORTED", "when": "after"}
    with own_emulator(tmp_path / "two", ci_objects, replay=calls) as emulator:
        emulator.control.set_faults({"faults": [fault]})
        assert [list_page(emulator, "p") for _ in range(2)] == ["ABORTED", "OK"]


def test_a_line_that_a_kill_has_torn_is_left_out_and_written_over(
    tmp_path: Path, ci_objects: ObjectServer
) -> None:
    calls = tmp_path / "calls.jsonl"
    with own_emulator(tmp_path / "one", ci_objects, record=calls) as emulator:
        for project in ("p", "q"):
            list_page(emulator, project)
    whole = calls.read_bytes()
    calls.write_bytes(whole[:-9])
    with own_emulator(tmp_path / "two", ci_objects, replay=calls) as emulator:
        assert [list_page(emulator, project) for project in ("p", "q")] == [
            "OK", "FAILED_PRECONDITION",
        ]  # fmt: skip
    with own_emulator(tmp_path / "one", ci_objects, record=calls) as emulator:
        list_page(emulator, "q")
    assert calls.read_bytes() == whole


def test_recording_adds_to_a_file_and_takes_nothing_away(
    tmp_path: Path, ci_objects: ObjectServer
) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_bytes(b"a line\nand no end")
    with own_emulator(tmp_path / "one", ci_objects, record=notes):
        pass
    assert notes.read_bytes() == b"a line\nand no end"
