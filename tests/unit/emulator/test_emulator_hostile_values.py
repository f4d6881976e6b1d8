"""Values that no honest caller sends are refused, never INTERNAL, and leave later calls alone."""

from __future__ import annotations

from typing import Any

import pytest
from emulator_cases import BUCKET, TALK, create
from google.api_core import exceptions
from google.cloud import contact_center_insights_v1 as insights

from ingest.emulator import protos
from ingest.emulator.pytest_plugin import RunningEmulator
from ingest.emulator.testing.object_server import ObjectServer

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
