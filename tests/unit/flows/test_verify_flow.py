from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from ingest.errors import RemoteError
from ingest.flows.verify import DateCheck, Mismatch
from tests.fakes.folders import DATE, LATER_DATE, metadata, transcription, write, write_many
from tests.fakes.world import World

DAY = dt.date.fromisoformat(DATE)
EVERYWHERE = ("files", "bucket", "ci", "raw_files", "raw_ci", "marts")


def built(world: World) -> World:
    """Have the registry hold what a build would make of the raw rows."""
    states = {row["conversation_id"]: row for row in world.sink.rows["ci_conversations"]}
    world.sink.registry = [
        {
            "conversation_id": id_,
            "batch_date": dt.date.fromisoformat(row["payload"]["labels"]["batch_date"]),
            "metadata_sha256": row["metadata_sha256"],
            "transcript_sha256": row["transcript_sha256"],
        }
        for id_, row in states.items()
    ]
    return world


def pushed(root: Path, count: int) -> tuple[World, list[str]]:
    world = World()
    ids = write_many(root, count)
    asyncio.run(world.push(root))
    return built(world), ids


def check(world: World, date: str = DATE, root: Path | None = None) -> DateCheck:
    return asyncio.run(world.verify(date, root))


def equal(count: int, *places: str, date: dt.date = DAY) -> DateCheck:
    made = DateCheck(date)
    made.counts.update(dict.fromkeys(places, count))
    return made


def test_places_that_hold_the_same_differ_in_nothing(tmp_path: Path) -> None:
    world, _ = pushed(tmp_path, 5)
    world.store.list_page_size = world.insights.list_page_size = 2

    assert check(world, root=tmp_path) == equal(5, *EVERYWHERE)
    assert check(world) == equal(5, *EVERYWHERE[1:])


def test_each_place_that_lacks_or_changes_a_conversation_is_named(tmp_path: Path) -> None:
    world, (first, second, third) = pushed(tmp_path, 3)
    asyncio.run(world.insights.delete_conversation(first))
    states = world.sink.rows["ci_conversations"]
    states[1] = {**states[1], "transcript_sha256": "0" * 64}
    world.sink.rows["conversation_files"] = [
        row for row in world.sink.rows["conversation_files"] if row["conversation_id"] != third
    ]
    assert world.sink.registry is not None
    world.sink.registry.append({**world.sink.registry[0], "conversation_id": "nobody-knows"})

    found = check(world)

    assert found.mismatches == [
        Mismatch(first, "ci", "missing"),
        Mismatch(third, "raw_files", "missing"),
        Mismatch(second, "raw_ci", "differs from bucket"),
        Mismatch("nobody-knows", "marts", "not in bucket"),
    ]
    assert dict(found.counts) == {"bucket": 3, "ci": 2, "raw_files": 2, "raw_ci": 3, "marts": 4}


def test_files_that_were_edited_and_not_pushed_differ_from_every_place(tmp_path: Path) -> None:
    world, ids = pushed(tmp_path, 2)
    write(tmp_path, ids[0], transcription=transcription(ids[0], "Hello.", "Edited."))
    write(tmp_path, ids[1], metadata=b"{")

    found = check(world, root=tmp_path)

    assert found.mismatches == [
        Mismatch(id_, place, "differs from files") for place in EVERYWHERE[1:] for id_ in ids
    ]


def test_a_conversation_that_waits_for_a_file_is_not_missed_in_ci(tmp_path: Path) -> None:
    world = World()
    write(tmp_path, "a-waiting-one", transcription=None)
    asyncio.run(world.push(tmp_path))
    world.sink.registry = [
        {
            "conversation_id": "a-waiting-one",
            "batch_date": DAY,
            "metadata_sha256": world.sink.rows["conversation_files"][0]["content_sha256"],
            "transcript_sha256": None,
        }
    ]

    assert check(world, root=tmp_path).mismatches == []


def test_what_came_again_in_a_later_folder_belongs_to_that_date(tmp_path: Path) -> None:
    world, ids = pushed(tmp_path, 2)
    write(tmp_path, ids[0], date=LATER_DATE, metadata=metadata(ids[0], queue="corrected"))
    asyncio.run(world.push(tmp_path))
    built(world)

    early, late = check(world, root=tmp_path), check(world, LATER_DATE, tmp_path)

    assert (early.mismatches, late.mismatches) == ([], [])
    assert (early.counts["marts"], late.counts["marts"]) == (1, 1)


def test_a_forgotten_conversation_counts_nowhere_and_is_told_where_it_still_is(
    tmp_path: Path,
) -> None:
    world, ids = pushed(tmp_path, 2)
    asyncio.run(world.forget(ids[0]))

    before_the_build = check(world)
    built(world)
    after = check(world)

    assert before_the_build.mismatches == [Mismatch(ids[0], "marts", "was forgotten, but is there")]
    assert after == equal(1, *EVERYWHERE[1:])


def test_marts_that_were_never_built_are_told_once(tmp_path: Path) -> None:
    world, ids = pushed(tmp_path, 1)
    world.sink.registry = None

    problem = "conversation_registry_current is missing: run `dbt build`"
    assert check(world).mismatches == [
        Mismatch("", "marts", problem),
        Mismatch(ids[0], "marts", "missing"),
    ]


def test_an_object_without_our_hash_is_read(tmp_path: Path) -> None:
    world, ids = pushed(tmp_path, 1)
    name = f"{DATE}/{ids[0]}/metadata.json"
    held = world.store._live[name]
    content = world.store.content(name)
    bare = dataclasses.replace(held, content_sha256=None)
    world.store._live[name] = bare
    world.store._generations[name] = [(bare, content)]
    world.store.trouble.fail("read", times=2)

    assert check(world).mismatches == []
    assert world.store.trouble.calls["read"] == 3


def test_a_date_folder_that_has_gone_from_the_bucket_is_still_a_date(tmp_path: Path) -> None:
    world, ids = pushed(tmp_path, 1)
    for kind in ("metadata", "transcription"):
        world.store.hide(f"{DATE}/{ids[0]}/{kind}.json")

    dates = asyncio.run(world.verified_dates())
    found = check(world)

    assert dates == [DATE]
    assert found.mismatches == [
        Mismatch(ids[0], place, "not in bucket") for place in ("ci", "raw_files", "raw_ci", "marts")
    ]


@pytest.mark.parametrize("known_by", ["bucket", "raw", "marts"])
def test_dates_are_those_that_any_place_knows(tmp_path: Path, known_by: str) -> None:
    world, _ = pushed(tmp_path, 1)
    if known_by != "bucket":
        for name in world.store.live_names:
            world.store.hide(name)
    if known_by != "raw":
        world.sink.rows["conversation_files"] = []
    if known_by != "marts":
        world.sink.registry = None

    assert asyncio.run(world.verified_dates()) == [DATE]


def test_a_date_of_which_no_place_holds_anything_is_empty(tmp_path: Path) -> None:
    world, _ = pushed(tmp_path, 1)

    assert [check(world, date).is_empty for date in (DATE, LATER_DATE)] == [False, True]


def test_an_object_that_is_no_json_differs(tmp_path: Path) -> None:
    world, ids = pushed(tmp_path, 1)
    replace_object(world, f"{DATE}/{ids[0]}/metadata.json", b"{", content_sha256=None)

    places = ("ci", "raw_files", "raw_ci", "marts")
    assert check(world).mismatches == [
        Mismatch(ids[0], place, "differs from bucket") for place in places
    ]


def test_other_bytes_under_the_hash_of_the_old_ones_differ(tmp_path: Path) -> None:
    world, ids = pushed(tmp_path, 2)
    name = f"{DATE}/{ids[0]}/metadata.json"
    replace_object(world, name, b"{}", world.store._live[name].content_sha256)

    assert check(world).mismatches == [
        Mismatch(ids[0], "raw_files", "checksum differs from bucket")
    ]


def replace_object(world: World, name: str, content: bytes, content_sha256: str | None) -> None:
    """Write it as somebody else does, past the pipeline."""
    asyncio.run(
        world.store.put(
            name,
            content,
            content_type="application/json",
            content_sha256=content_sha256,
            if_generation_match=world.store._live[name].generation,
        )
    )


FAULTS: list[tuple[str, str, int]] = [
    ("store", "list", 1),
    ("store", "list", 3),
    ("insights", "list_conversations", 1),
    ("insights", "list_conversations", 3),
    *(("sink", "query", call) for call in (1, 2, 3, 4, 5, 6)),
]


@pytest.mark.parametrize(("port", "method", "call"), FAULTS)
def test_a_fault_on_any_call_is_mended(tmp_path: Path, port: str, method: str, call: int) -> None:
    world, _ = pushed(tmp_path, 5)
    world.store.list_page_size = world.insights.list_page_size = 2
    fake: Any = getattr(world, port)
    fake.trouble.fail(method, call=call, times=2)

    assert check(world) == equal(5, *EVERYWHERE[1:])


def test_a_place_that_refuses_to_answer_is_an_error_and_no_difference(tmp_path: Path) -> None:
    world, _ = pushed(tmp_path, 1)
    world.sink.trouble.fail("query", "PERMISSION_DENIED")

    with pytest.raises(RemoteError, match="PERMISSION_DENIED"):
        check(world)
