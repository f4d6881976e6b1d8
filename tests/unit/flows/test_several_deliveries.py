"""A conversation that was delivered more than once: what counts, what comes back, and when."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.domain.conversation import FileKind, json_sha256, sha256_hex
from ingest.domain.deliveries import Counting, FileVersion, counting
from ingest.domain.faults import Severity
from ingest.domain.outcome import ItemState, Step
from ingest.errors import ExitCode
from ingest.flows.conversation_run import PushReport
from ingest.flows.source import BucketSource
from tests.fakes.folders import (
    DATE,
    LATER_DATE,
    conversation_id,
    metadata,
    transcription,
    write,
)
from tests.fakes.world import World

ID = conversation_id(7)
DAYS = [dt.date(2026, 1, day) for day in (5, 6, 7)]


def test_the_newest_delivery_counts_however_often_both_are_pushed(tmp_path: Path) -> None:
    world = World()
    write(tmp_path, ID)
    write(tmp_path, ID, date=LATER_DATE, transcription=transcription(ID, "Hello.", "Corrected."))
    asyncio.run(world.push(tmp_path))
    before = world.effects()

    both = asyncio.run(world.push(tmp_path))
    older = asyncio.run(world.push(tmp_path / DATE))

    assert dict(both.states) == {ItemState.UNCHANGED: 2}
    assert dict(older.states) == {ItemState.UNCHANGED: 1}
    assert world.effects() == before
    assert len(world.insights.analyses) == 2
    assert world.insights.labels(ID)["batch_date"] == LATER_DATE


def test_an_older_delivery_does_the_work_that_the_newer_one_left_undone(tmp_path: Path) -> None:
    world = World()
    write(tmp_path, ID)
    asyncio.run(world.push(tmp_path))
    newer = transcription(ID, "Hello.", "Corrected.")
    write(tmp_path, ID, date=LATER_DATE, transcription=newer)
    asyncio.run(world.push(tmp_path / LATER_DATE, until=Step.UPLOAD))

    report = asyncio.run(world.push(tmp_path / DATE))

    assert report.exit_code is ExitCode.OK
    row = world.sink.rows["conversation_files"][-1]
    assert world.insights.labels(ID)["transcript_sha256"] == row["content_sha256"]
    assert len(world.insights.analyses) == 2


def test_a_reverted_file_is_no_reason_to_trust_an_old_state(tmp_path: Path) -> None:
    world = World()
    write(tmp_path, ID)
    asyncio.run(world.push(tmp_path))
    original = world.insights.labels(ID)["transcript_sha256"]
    world.insights.trouble.fail("create_conversation", "INVALID_ARGUMENT", times=2)
    write(tmp_path, ID, transcription=transcription(ID, "Hello.", "Edited."))
    asyncio.run(world.push(tmp_path))
    write(tmp_path, ID)
    failed = asyncio.run(world.push(tmp_path, allow_return=True))

    report = asyncio.run(world.push(tmp_path))

    assert failed.exit_code is ExitCode.SOME_FAILED
    assert report.exit_code is ExitCode.OK
    assert world.insights.labels(ID)["transcript_sha256"] == original


def _converted(is_redacted: bool, sha256: str) -> dict[str, Any]:
    files = [{"name": "a.json", "sha256": sha256, "fields": {}}]
    return metadata(ID, source={"format": "x", "redacted": is_redacted, "files": files})


@pytest.mark.parametrize("date", [DATE, LATER_DATE])
def test_what_is_redacted_is_never_replaced_by_what_is_not(tmp_path: Path, date: str) -> None:
    world = World()
    write(tmp_path / "old", ID, metadata=_converted(True, "a"))
    asyncio.run(world.push(tmp_path / "old"))
    before = world.effects()["rows"]["conversation_files"], len(world.insights.analyses)
    said = transcription(ID, "My number is 7.")
    write(tmp_path / "new", ID, date, metadata=_converted(False, "b"), transcription=said)

    refused = asyncio.run(world.push(tmp_path / "new"))
    after = world.effects()["rows"]["conversation_files"], len(world.insights.analyses)
    write(tmp_path / "new", ID, date, metadata=_converted(True, "b"), transcription=said)
    taken = asyncio.run(world.push(tmp_path / "new"))

    assert dict(+refused.states) == {ItemState.INVALID: 1}
    errors = [fault for fault in refused.faults if fault.severity is Severity.ERROR]
    assert [(fault.rule, fault.file) for fault in errors] == [
        ("unredacted", f"{date}/{ID}/metadata.json")
    ]
    assert "unredacted" in {row["error_code"] for row in world.sink.rows["pipeline_events"]}
    assert refused.exit_code is ExitCode.SOME_FAILED
    assert after == before
    assert dict(+taken.states) == {ItemState.DONE: 1}


def test_what_is_not_redacted_may_be_replaced_by_either(tmp_path: Path) -> None:
    world = World()
    write(tmp_path, ID, metadata=_converted(False, "a"))
    states = [asyncio.run(world.push(tmp_path)).states]
    for is_redacted, sha256 in ((False, "b"), (True, "c")):
        write(tmp_path, ID, metadata=_converted(is_redacted, sha256))
        states.append(asyncio.run(world.push(tmp_path)).states)

    assert [dict(+each) for each in states] == [{ItemState.DONE: 1}] * 3


def corrected(root: Path) -> tuple[World, Path, Path]:
    """Return a world to which a folder was pushed and then its correction, and both."""
    world = World()
    old, new = root / "old", root / "new"
    for number in range(3):
        id_ = conversation_id(number)
        write(old, id_, transcription=transcription(id_, "It was the seventh."))
        fixed = "It was the eighth." if number < 2 else "It was the seventh."
        write(new, id_, transcription=transcription(id_, fixed))
    asyncio.run(world.push(old))
    asyncio.run(world.push(new))
    return world, old, new


def test_an_older_folder_pushed_again_changes_nothing_and_says_so(tmp_path: Path) -> None:
    world, old, new = corrected(tmp_path)
    before = world.effects()

    planned, effects = asyncio.run(world.dry_push(old))
    report = asyncio.run(world.push(old))
    again = asyncio.run(world.push(new))

    assert (+planned.states, +effects) == (+report.states, {})
    assert dict(+report.states) == {ItemState.OUTDATED: 2, ItemState.UNCHANGED: 1}
    assert report.exit_code is ExitCode.SOME_FAILED
    assert [(fault.file, fault.rule) for fault in report.faults] == [
        (f"{DATE}/{conversation_id(number)}/transcription.json", "earlier_version")
        for number in range(2)
    ]
    assert world.effects() == before
    assert (again.exit_code, dict(+again.states)) == (ExitCode.OK, {ItemState.UNCHANGED: 3})


def test_an_older_folder_goes_back_where_it_is_asked_to(tmp_path: Path) -> None:
    world, old, _ = corrected(tmp_path)

    report = asyncio.run(world.push(old, allow_return=True))
    again = asyncio.run(world.push(old))

    assert dict(+report.states) == {ItemState.DONE: 2, ItemState.UNCHANGED: 1}
    assert dict(+again.states) == {ItemState.UNCHANGED: 3}
    assert len(world.insights.analyses) == 3 + 2 + 2


def test_earlier_content_in_a_later_date_folder_is_a_new_delivery(tmp_path: Path) -> None:
    world, _, _ = corrected(tmp_path)
    id_ = conversation_id(0)
    later = tmp_path / "later"
    write(later, id_, LATER_DATE, transcription=transcription(id_, "It was the seventh."))

    report = asyncio.run(world.push(later))

    assert dict(+report.states) == {ItemState.DONE: 1}


def test_a_correction_that_a_killed_run_uploaded_is_not_reverted(tmp_path: Path) -> None:
    world = World()
    old, new = tmp_path / "old", tmp_path / "new"
    id_ = conversation_id(0)
    write(old, id_)
    write(new, id_, transcription=transcription(id_, "Corrected."))
    asyncio.run(world.push(old))
    world.sink.trouble.fail("load", "PERMISSION_DENIED", times=99)
    asyncio.run(world.push(new, until=Step.UPLOAD))
    world.sink.trouble.end()

    report = asyncio.run(world.push(old))

    assert dict(+report.states) == {ItemState.OUTDATED: 1}


def versions() -> st.SearchStrategy[list[FileVersion]]:
    rows = st.tuples(
        st.sampled_from(FileKind),
        st.sampled_from(DAYS),
        st.sampled_from("abc"),
        st.sampled_from(("run-1", "run-2", "run-3")),
    )

    def made(told: list[tuple[FileKind, dt.date, str, str]]) -> list[FileVersion]:
        return [
            FileVersion(kind, 10 + place, f"gs://b/{date}/x/{kind}.json", date, sha256, run_id)
            for place, (kind, date, sha256, run_id) in enumerate(told)
        ]

    return st.lists(rows, max_size=8).map(made)


@given(versions(), st.randoms())
def test_what_counts_is_of_the_last_folder_and_of_no_order_of_rows(
    held: list[FileVersion], rng: Any
) -> None:
    shuffled = list(held)
    rng.shuffle(shuffled)

    found = counting(shuffled)

    assert found == counting(held)
    assert (found is None) == (not held)
    if found is None:
        return
    assert {v.kind for v in held} == found.files.keys()
    of_folder = {v.kind for v in held if v.batch_date == found.batch_date}
    assert of_folder
    assert {k for k, v in found.files.items() if v.batch_date == found.batch_date} == of_folder


@given(versions())
def test_where_every_run_delivers_one_folder_the_newest_generation_decides(
    held: list[FileVersion],
) -> None:
    by_run = dict(zip(("run-1", "run-2", "run-3"), DAYS, strict=True))
    apart = [v for v in held if by_run[v.run_id] == v.batch_date]

    found = counting(apart)

    newest = max(apart, key=lambda v: v.generation, default=None)
    assert (found and found.batch_date) == (newest and newest.batch_date)


def test_folders_of_one_run_follow_one_another_by_date_whatever_their_generations() -> None:
    first, last = (
        FileVersion(FileKind.METADATA, generation, f"gs://b/{day}", day, str(generation), "run-1")
        for generation, day in ((20, DAYS[0]), (10, DAYS[1]))
    )

    assert counting([last, first]) == Counting(DAYS[1], {FileKind.METADATA: last})


def labels_of(world: World) -> dict[str, str]:
    keys = ("batch_date", "metadata_sha256", "transcript_sha256")
    return {key: world.insights.labels(ID)[key] for key in keys}


def version_of(date: str, meta: dict[str, Any], words: dict[str, Any]) -> dict[str, str]:
    return {
        "batch_date": date,
        "metadata_sha256": json_sha256(meta),
        "transcript_sha256": json_sha256(words),
    }


EDITED = metadata(ID, call_outcome="PROMISE_TO_PAY")
CORRECTED = transcription(ID, "Hello.", "Corrected.")


def delivered_twice(tmp_path: Path) -> World:
    """Two folders of one conversation, of which the later corrects words and agent."""
    world = World()
    write(tmp_path, ID)
    later = metadata(ID, agent_name="Kim Marsh")
    write(tmp_path, ID, LATER_DATE, metadata=later, transcription=CORRECTED)
    asyncio.run(world.push(tmp_path))
    return world


def test_edited_metadata_of_an_older_folder_would_bring_back_its_words_and_is_left_out(
    tmp_path: Path,
) -> None:
    world = delivered_twice(tmp_path)
    before = world.effects()
    write(tmp_path, ID, metadata=EDITED)

    report = asyncio.run(world.push(tmp_path / DATE))

    assert dict(+report.states) == {ItemState.OUTDATED: 1}
    assert [(fault.file, fault.rule) for fault in report.faults] == [
        (f"{DATE}/{ID}/transcription.json", "earlier_version")
    ]
    assert world.effects() == before


def test_a_folder_is_submitted_with_its_own_files_first(tmp_path: Path) -> None:
    world = delivered_twice(tmp_path)
    write(tmp_path, ID, metadata=EDITED)

    report = asyncio.run(world.push(tmp_path / DATE, allow_return=True))
    again = asyncio.run(world.push(tmp_path))

    assert dict(+report.states) == {ItemState.DONE: 1}
    assert labels_of(world) == version_of(DATE, EDITED, transcription(ID))
    assert dict(+again.states) == {ItemState.UNCHANGED: 2}


def test_an_older_folder_that_is_asked_back_becomes_a_new_generation_once(tmp_path: Path) -> None:
    world = delivered_twice(tmp_path)
    older = tmp_path / DATE

    without = asyncio.run(world.push(older))
    asked = asyncio.run(world.push(older, allow_return=True))
    labels = labels_of(world)
    again = [asyncio.run(world.push(older, allow_return=True)), asyncio.run(world.push(tmp_path))]

    assert dict(+without.states) == {ItemState.UNCHANGED: 1}
    assert dict(+asked.states) == {ItemState.DONE: 1}
    assert labels == version_of(DATE, metadata(ID), transcription(ID))
    assert [dict(+report.states) for report in again] == [
        {ItemState.UNCHANGED: 1},
        {ItemState.UNCHANGED: 2},
    ]
    assert world.store.generation_count(f"{DATE}/{ID}/metadata.json") == 2


@pytest.mark.parametrize("is_asked_back", [False, True])
def test_verify_looks_for_a_conversation_where_its_last_folder_is(
    tmp_path: Path, is_asked_back: bool
) -> None:
    world = delivered_twice(tmp_path)
    if is_asked_back:
        asyncio.run(world.push(tmp_path / DATE, allow_return=True))

    checks = [asyncio.run(world.verify(date)) for date in (DATE, LATER_DATE)]

    assert [check.counts["raw_ci"] for check in checks] == ([1, 0] if is_asked_back else [0, 1])
    differ = [one for check in checks for one in check.mismatches if one.place != "marts"]
    assert differ == []


def test_a_return_that_was_killed_before_it_landed_goes_on_with_its_generation(
    tmp_path: Path,
) -> None:
    world = delivered_twice(tmp_path)
    older = tmp_path / DATE
    world.sink.trouble.fail("load", "PERMISSION_DENIED", times=99)
    asyncio.run(world.push(older, allow_return=True, until=Step.UPLOAD))
    world.sink.trouble.end()

    asyncio.run(world.push(older, allow_return=True))

    assert labels_of(world) == version_of(DATE, metadata(ID), transcription(ID))
    assert world.store.generation_count(f"{DATE}/{ID}/metadata.json") == 2


def test_of_several_folders_that_may_come_back_the_last_one_counts(tmp_path: Path) -> None:
    world = delivered_twice(tmp_path)
    asyncio.run(world.push(tmp_path / DATE, allow_return=True))

    report = asyncio.run(world.push(tmp_path, allow_return=True))
    again = asyncio.run(world.push(tmp_path, allow_return=True))

    assert dict(+report.states) == {ItemState.UNCHANGED: 1, ItemState.DONE: 1}
    assert labels_of(world)["batch_date"] == LATER_DATE
    assert dict(+again.states) == {ItemState.UNCHANGED: 2}


def in_bucket(world: World, *dates: str) -> None:
    """Put folders into the pipeline's own bucket, in this order."""
    for date in dates:
        words = transcription(ID, "Hello.", f"Of {date}.")
        for kind, content in (("metadata", metadata(ID)), ("transcription", words)):
            asyncio.run(_put(world, f"{date}/{ID}/{kind}.json", orjson.dumps(content)))


async def _put(world: World, name: str, content: bytes) -> None:
    await world.store.put(
        name,
        content,
        content_type="application/json",
        content_sha256=sha256_hex(content),
        if_generation_match=0,
    )


def push_bucket(world: World, prefix: str = "", **more: Any) -> PushReport:
    source = BucketSource(world.store, prefix, world.attempts(), is_own_bucket=True)
    return asyncio.run(world.new_push(**more).run(source))


@pytest.mark.parametrize("is_asked", [True, False])
def test_folders_that_were_uploaded_in_another_order_are_taken_by_date(is_asked: bool) -> None:
    world = World()
    in_bucket(world, LATER_DATE, DATE)

    report = push_bucket(world, allow_return=is_asked)
    labels = labels_of(world)
    again = push_bucket(world)

    assert dict(+report.states) == {ItemState.DONE: 2}
    assert labels["batch_date"] == LATER_DATE
    assert dict(+again.states) == {ItemState.UNCHANGED: 2}
    assert world.store.generation_count(f"{LATER_DATE}/{ID}/metadata.json") == 1


def test_a_folder_of_the_bucket_comes_back_as_a_new_generation() -> None:
    world = World()
    in_bucket(world, DATE, LATER_DATE)
    push_bucket(world)

    both = push_bucket(world, allow_return=True)
    older = push_bucket(world, DATE, allow_return=True)

    assert dict(+both.states) == {ItemState.UNCHANGED: 2}
    assert dict(+older.states) == {ItemState.DONE: 1}
    assert labels_of(world)["batch_date"] == DATE
    assert world.store.generation_count(f"{DATE}/{ID}/transcription.json") == 2


@pytest.mark.parametrize("is_landed", [True, False])
def test_a_refused_folder_that_is_valid_again_unchanged_is_refused_no_longer(
    tmp_path: Path, is_landed: bool
) -> None:
    world = World()
    write(tmp_path, ID)
    if is_landed:
        asyncio.run(world.push(tmp_path))
    write(tmp_path, ID, transcription=b"{")
    asyncio.run(world.push(tmp_path))
    write(tmp_path, ID)

    report, again = asyncio.run(world.push(tmp_path)), asyncio.run(world.push(tmp_path))

    events = [
        (event["step"], event["outcome"], event["reason"])
        for event in world.sink.rows["pipeline_events"]
    ]
    assert events[events.index(("validate", "failed", None)) + 1 :] == (
        [("validate", "succeeded", "valid_again")]
        if is_landed
        else [
            ("upload", "succeeded", None),
            ("upload", "succeeded", None),
            ("submit", "succeeded", None),
            ("analyse", "succeeded", None),
        ]
    )
    done = ItemState.UNCHANGED if is_landed else ItemState.DONE
    assert dict(+report.states) == {done: 1}
    assert dict(+again.states) == {ItemState.UNCHANGED: 1}
    assert again.exit_code is ExitCode.OK
