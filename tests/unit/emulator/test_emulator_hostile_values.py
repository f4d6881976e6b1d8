"""Values that no honest caller sends are refused, never INTERNAL, and leave later calls alone."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from emulator_cases import BUCKET, TALK, create
from google.api_core import exceptions
from google.cloud import contact_center_insights_v1 as insights
from google.longrunning import operations_pb2
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2

from ingest.emulator import protos
from ingest.emulator.pytest_plugin import RunningEmulator
from ingest.emulator.testing import ObjectServer
from ingest.errors import InputError

FAR = 2**62
TIMES = [
    {"seconds": FAR}, {"seconds": -FAR}, {"nanos": -5}, {"nanos": 10**9},
    {"seconds": 568_971_820_800},
]  # fmt: skip
DURATIONS = [
    {"seconds": FAR}, {"seconds": -FAR}, {"seconds": 1, "nanos": -5}, {"nanos": 2 * 10**9},
    {"seconds": 315_576_000_000},
]  # fmt: skip
EXPIRIES = [
    *[("start_time", value) for value in TIMES],
    *[("expire_time", value) for value in TIMES],
    *[("ttl", value) for value in DURATIONS],
]


def conversation(**fields: Any) -> insights.Conversation:
    """Return a Conversation with plain protobuf fields, which take what the wrappers refuse."""
    plain = protos.Conversation(**fields)
    return insights.Conversation.deserialize(plain.SerializeToString())


@pytest.mark.parametrize(("field", "value"), EXPIRIES)
def test_a_time_out_of_range_is_refused_when_made_and_when_changed(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer, field: str, value: dict[str, int]
) -> None:
    made = create(ci_emulator, ci_objects, "first-one")
    source = {"gcs_source": {"transcript_uri": f"gs://{BUCKET}/first-one.json"}}
    with pytest.raises(exceptions.InvalidArgument, match=field):
        ci_emulator.client.create_conversation(
            parent=ci_emulator.parent,
            conversation=conversation(data_source=source, **{field: value}),
        )
    with pytest.raises(exceptions.InvalidArgument, match=field):
        ci_emulator.client.update_conversation(
            conversation=conversation(name=made.name, **{field: value}),
            update_mask={"paths": [field]},
        )
    assert list(ci_emulator.client.list_conversations(parent=ci_emulator.parent)) == [
        ci_emulator.client.get_conversation({"name": made.name, "view": "BASIC"})
    ]


@pytest.mark.parametrize("value", DURATIONS)
def test_settings_refuse_a_ttl_that_no_conversation_could_have(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer, value: dict[str, int]
) -> None:
    plain = protos.Settings(name=f"{ci_emulator.parent}/settings", conversation_ttl=value)
    with pytest.raises(exceptions.InvalidArgument, match="conversation_ttl"):
        ci_emulator.client.update_settings(
            settings=insights.Settings.deserialize(plain.SerializeToString()),
            update_mask={"paths": ["conversation_ttl"]},
        )
    assert "expire_time" not in create(ci_emulator, ci_objects)


def test_a_ttl_that_outlasts_the_calendar_ends_with_it(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    ci_emulator.client.update_settings(
        settings={"name": f"{ci_emulator.parent}/settings", "conversation_ttl": "63072000s"},
        update_mask={"paths": ["conversation_ttl"]},
    )
    ci_emulator.control.freeze(253_370_000_000_000_000)
    assert create(ci_emulator, ci_objects).expire_time.isoformat() == (
        "9999-12-31T23:59:59.999999+00:00"
    )


def test_an_entry_after_the_year_9999_is_refused(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    for micros, is_taken in ((253_402_300_799_999_999, True), (253_402_300_800_000_000, False)):
        entry = {"role": "AGENT", "text": "Hi.", "user_id": 1, "start_timestamp_usec": micros}
        content = str({"entries": [entry]}).replace("'", '"').encode()
        source = {"gcs_source": {"transcript_uri": ci_objects.put(BUCKET, "a.json", content)}}
        request = {"parent": ci_emulator.parent, "conversation": {"data_source": source}}
        if is_taken:
            assert ci_emulator.client.create_conversation(request).turn_count == 1
        else:
            with pytest.raises(exceptions.InvalidArgument, match="year 9999"):
                ci_emulator.client.create_conversation(request)


def test_a_medium_that_there_is_not_is_refused(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    uri = ci_objects.put_turns(BUCKET, "a.json", TALK)
    source = {"gcs_source": {"transcript_uri": uri}}
    request = {
        "parent": ci_emulator.parent,
        "conversation": conversation(data_source=source, medium=99),
    }
    calls = (
        lambda: ci_emulator.client.create_conversation(request),
        lambda: ci_emulator.client.upload_conversation(request),
        lambda: ci_emulator.client.ingest_conversations(
            {
                "parent": ci_emulator.parent,
                "gcs_source": {"bucket_uri": f"gs://{BUCKET}"},
                "transcript_object_config": {"medium": 99},
            }
        ),
    )
    for call in calls:
        with pytest.raises(exceptions.InvalidArgument, match="medium"):
            call()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("duration", f"{'9' * 20}s"),
        ("duration", f"{'9' * 400}s"),
        ("duration", "٣s"),
        ("turn_count", "٣"),
    ],
)
def test_a_filter_value_beyond_every_number_is_refused(
    ci_emulator: RunningEmulator, field: str, value: str
) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="takes a"):
        ci_emulator.client.list_conversations(
            {"parent": ci_emulator.parent, "filter": f'{field}<="{value}"'}
        )


@pytest.mark.parametrize("value", ["9" * 19, "9" * 5000, "²", "17", "-1"])
def test_a_status_that_there_is_not_is_refused(ci_emulator: RunningEmulator, value: str) -> None:
    request = operations_pb2.ListOperationsRequest(
        name=ci_emulator.parent, filter=f'status_code="{value}"'
    )
    with pytest.raises(exceptions.InvalidArgument, match="takes a status code by name or number"):
        ci_emulator.client.list_operations(request)


def _token(content: str) -> str:
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def test_a_forged_page_token_is_refused(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    for number in range(2):
        create(ci_emulator, ci_objects, f"conversation-{number}")
    request = {"parent": ci_emulator.parent, "page_size": 1}
    page = next(ci_emulator.client.list_conversations(request).pages)
    true = page.next_page_token
    fingerprint, *position = json.loads(base64.urlsafe_b64decode(true + "=" * (-len(true) % 4)))
    forged = [
        _token("[" * 100_000), _token(json.dumps([fingerprint, 2**63, position[1]])),
        _token(json.dumps([fingerprint, True, position[1]])), _token("null"), _token("7"),
        _token(json.dumps([fingerprint, position[0]])), true[:-2], "é",
    ]  # fmt: skip
    for token in forged:
        with pytest.raises(exceptions.InvalidArgument, match="page_token"):
            list(ci_emulator.client.list_conversations({**request, "page_token": token}))
    assert len(list(ci_emulator.client.list_conversations({**request, "page_token": true}))) == 1


@pytest.mark.parametrize(
    "request_",
    [
        {"freeze": True, "at_micros": str(10**30)},
        {"freeze": True, "at_micros": "-1"},
        {"seconds": 1e300},
        {"seconds": 1e12},
        {"seconds": -1},
        {"seconds": float("inf")},
        {"seconds": float("nan")},
    ],
)
def test_the_clock_stays_in_the_calendar(
    ci_emulator: RunningEmulator, request_: dict[str, object]
) -> None:
    ci_emulator.control.freeze(1_000_000)
    with pytest.raises(InputError):
        ci_emulator.control._call("MoveClock", request_)
    assert ci_emulator.control.now_micros() == 1_000_000


@pytest.mark.parametrize("character", ["x", "ü", "\U0001f600"])
def test_a_long_value_is_refused_with_a_message_that_fits_into_a_reply(
    ci_emulator: RunningEmulator, character: str
) -> None:
    with pytest.raises(exceptions.InvalidArgument) as caught:
        ci_emulator.client.list_conversations(
            {"parent": ci_emulator.parent, "order_by": character * 60_000}
        )
    message = caught.value.message
    assert message.startswith(f"Invalid order_by '{character * 200}")
    assert message.endswith("with 'asc' or 'desc'.")
    assert len(message.encode()) < 1_500


def test_a_fault_with_a_long_message_and_details_fits_into_a_reply(
    ci_emulator: RunningEmulator,
) -> None:
    fault = {
        "method": "*", "nth": 1, "status": "ABORTED", "message": "ü" * 9_000, "retry_after": "3s",
    }  # fmt: skip
    ci_emulator.control.set_faults({"faults": [fault]})
    with pytest.raises(exceptions.Aborted) as caught:
        ci_emulator.client.list_conversations(parent=ci_emulator.parent)
    delay = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=3))
    assert caught.value.details == [delay]
