from __future__ import annotations

import asyncio
import gzip
from pathlib import Path
from typing import Any

import orjson
import pytest

from ingest.domain.conversation import sha256_hex
from ingest.domain.outcome import BatchReport, ItemState
from ingest.domain.raw_records import label_row
from ingest.errors import ExitCode, InputError, RemoteError
from ingest.flows.forget import Fate, Forgotten, Traces, receipt
from ingest.flows.landing import MAX_JOB_FAILURES
from ingest.flows.pull import PullSelection
from ingest.flows.reanalyze import Selection
from ingest.flows.source import BucketSource
from tests.fakes.folders import DATE, LATER_DATE, transcription, write, write_many
from tests.fakes.store import FakeObjectStore
from tests.fakes.world import World

KINDS = ("metadata", "transcription")
NOTHING = Traces(objects=0, ci_conversations=0, raw_rows=0)
OF_A_NEW_ONE = Traces(objects=3, ci_conversations=1, raw_rows=7)


def pushed(root: Path) -> tuple[World, str, str]:
    """Return a world with two pushed conversations: one to forget, one to keep."""
    world = World()
    gone, kept = write_many(root, 2)
    asyncio.run(world.push(root))
    return world, gone, kept


def forget_events(world: World) -> list[str]:
    return [r["outcome"] for r in world.sink.rows["pipeline_events"] if r["step"] == "forget"]


def truth(id_: str) -> dict[str, Any]:
    return {"conversation_id": id_, "scenario": "hardship"}


def test_everything_of_one_conversation_goes_and_everything_of_others_stays(tmp_path: Path) -> None:
    world, gone, kept = pushed(tmp_path)
    world.sink.rows["conversation_truths"] += [truth(gone), truth(kept), truth(gone)]
    labels = [label_row(id_, f"{id_}/feedbackLabels/1", {}).values for id_ in (gone, kept)]
    world.sink.rows["feedback_labels"] += [dict(label) for label in labels]

    told = asyncio.run(world.forget(gone))

    before = Traces(OF_A_NEW_ONE.objects, 1, OF_A_NEW_ONE.raw_rows + 3)
    assert told == Forgotten(gone, before, NOTHING)
    assert world.insights.conversation_ids == [kept]
    assert [name for name in world.store.live_names if gone in name] == []
    assert len([name for name in world.store.live_names if kept in name]) == 3
    left = {
        table: [row["conversation_id"] for row in rows] for table, rows in world.sink.rows.items()
    }
    assert left == {
        "conversation_files": [kept] * 2,
        "ci_conversations": [kept],
        "pipeline_events": [kept] * 4 + [gone] * 2,
        "phrase_matchers": [],
        "conversation_truths": [kept],
        "feedback_labels": [kept],
    }


def test_the_tombstone_holds_nothing_but_the_id(tmp_path: Path) -> None:
    world, gone, _ = pushed(tmp_path)

    asyncio.run(world.forget(gone))

    tombstone = world.sink.rows["pipeline_events"][-1]
    told = {name for name, value in tombstone.items() if value is not None}
    assert (tombstone["step"], tombstone["outcome"]) == ("forget", "succeeded")
    assert told == {
        "event_id",
        "conversation_id",
        "step",
        "outcome",
        "attempt",
        "started_at",
        "ended_at",
        "_run_id",
        "_landed_at",
    }


def test_old_generations_are_counted_and_gone_too(tmp_path: Path) -> None:
    world, gone, _ = pushed(tmp_path)
    write(tmp_path, gone, transcription=transcription(gone, "Hello.", "Edited."))
    asyncio.run(world.push(tmp_path))
    # A version that somebody deleted in another date folder: nothing but old generations is left.
    write(tmp_path, gone, date=LATER_DATE)
    asyncio.run(world.push(tmp_path))
    for kind in KINDS:
        world.store.hide(f"{LATER_DATE}/{gone}/{kind}.json")

    told = asyncio.run(world.forget(gone))

    # Two of the transcription, one of the metadata, two in the later folder; three for Insights.
    assert (told.before.objects, told.after) == (8, NOTHING)
    names = [f"{date}/{gone}/{kind}.json" for date in (DATE, LATER_DATE) for kind in KINDS]
    assert [world.store.generation_count(name) for name in names] == [0, 0, 0, 0]


def test_erasing_again_finds_nothing_and_a_push_refuses_the_id(tmp_path: Path) -> None:
    world, gone, _ = pushed(tmp_path)
    asyncio.run(world.forget(gone))

    again = asyncio.run(world.forget(gone))
    report = asyncio.run(world.push(tmp_path))

    assert again == Forgotten(gone, NOTHING, NOTHING)
    assert forget_events(world) == ["waiting", "succeeded"]
    assert report.exit_code is ExitCode.SOME_FAILED
    assert +report.states == {ItemState.UNCHANGED: 1, ItemState.FAILED: 1}
    assert [failure.code for failure in report.failures] == ["FORGOTTEN"]


def test_what_an_earlier_run_left_for_landing_does_not_bring_the_conversation_back(
    tmp_path: Path,
) -> None:
    world = World()
    (gone,) = write_many(tmp_path, 1)
    world.sink.trouble.fail("load", "PERMISSION_DENIED", times=9)
    asyncio.run(world.push(tmp_path))
    world.sink.trouble.end()

    told = asyncio.run(world.forget(gone))

    assert told.after == NOTHING
    assert {row["step"] for row in world.sink.rows["pipeline_events"]} == {"forget"}
    assert [name for name in world.store.live_names if name.startswith("_landing/")] == []


def test_a_project_without_the_table_of_truths_has_none_to_erase(tmp_path: Path) -> None:
    world, gone, _ = pushed(tmp_path)
    world.sink.missing.add("conversation_truths")

    assert asyncio.run(world.forget(gone)) == Forgotten(gone, OF_A_NEW_ONE, NOTHING)


def test_another_table_that_is_missing_is_an_error_and_leaves_no_tombstone(tmp_path: Path) -> None:
    world, gone, _ = pushed(tmp_path)
    world.sink.missing.add("ci_conversations")

    with pytest.raises(RemoteError, match="no table ci_conversations"):
        asyncio.run(world.forget(gone))

    assert forget_events(world) == []


@pytest.mark.parametrize(
    ("port", "method"),
    [
        ("insights", "delete_conversation"),
        ("insights", "get_conversation"),
        ("store", "folders"),
        ("store", "count_generations"),
        ("store", "delete_all_generations"),
        ("store", "list"),
        ("sink", "erase"),
        ("sink", "query"),
        ("sink", "load"),
    ],
)
@pytest.mark.parametrize("after_effect", [False, True])
def test_a_fault_on_any_call_is_mended_within_the_run(
    tmp_path: Path, port: str, method: str, after_effect: bool
) -> None:
    world, gone, _ = pushed(tmp_path)
    getattr(world, port).trouble.fail(method, times=2, after_effect=after_effect)

    told = asyncio.run(world.forget(gone))

    assert told == Forgotten(gone, OF_A_NEW_ONE, NOTHING)
    assert forget_events(world) == ["waiting", "succeeded"]


def test_a_run_that_ends_in_the_middle_leaves_no_tombstone_and_the_next_one_ends_the_work(
    tmp_path: Path,
) -> None:
    world, gone, _ = pushed(tmp_path)
    world.store.trouble.fail("delete_all_generations", "PERMISSION_DENIED", call=2)

    with pytest.raises(RemoteError, match="PERMISSION_DENIED"):
        asyncio.run(world.forget(gone))
    begun = forget_events(world)
    told = asyncio.run(world.forget(gone))

    assert (begun, forget_events(world)) == (["waiting"], ["waiting", "succeeded"])
    assert told == Forgotten(gone, Traces(1, 0, 7), NOTHING)


def test_what_is_left_is_told_and_no_tombstone_claims_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, gone, _ = pushed(tmp_path)

    async def held_back(prefix: str) -> int:
        return 0

    monkeypatch.setattr(world.store, "delete_all_generations", held_back)

    told = asyncio.run(world.forget(gone))

    assert told == Forgotten(gone, OF_A_NEW_ONE, Traces(objects=3, ci_conversations=0, raw_rows=0))
    assert not told.after.is_clean
    assert forget_events(world) == ["waiting"]


def test_an_id_of_which_nothing_is_found_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    world, *_ = pushed(tmp_path)
    before = world.effects()

    with pytest.raises(InputError) as caught:
        asyncio.run(world.forget("no-such-call"))

    assert (caught.value.message, caught.value.hint) == (
        "nothing of no-such-call was found: in the bucket, in Insights or in the raw tables",
        "check the id; `ingest ls raw` lists those that are landed",
    )
    assert world.effects() == before


def test_once_begun_no_command_brings_the_conversation_back(tmp_path: Path) -> None:
    world, gone, kept = pushed(tmp_path)
    world.insights.trouble.fail("delete_conversation", "PERMISSION_DENIED")
    with pytest.raises(RemoteError):
        asyncio.run(world.forget(gone))
    world.sink.rows["ci_conversations"].clear()
    billed = len(world.insights.analyses)

    pushed_again = asyncio.run(world.push(tmp_path))
    pulled = asyncio.run(world.pull(PullSelection(is_all=True)))
    pulled_by_id = asyncio.run(world.pull(PullSelection(ids=(gone,))))
    flow = world.new_reanalyze()

    async def reanalyze() -> BatchReport:
        profile = await flow.profile()
        return await flow.run(await flow.select(Selection(ids=(gone, kept)), profile), profile)

    reanalyzed = asyncio.run(reanalyze())

    for report in (pushed_again, pulled, pulled_by_id, reanalyzed):
        assert [(f.conversation_id, f.code) for f in report.failures] == [(gone, "FORGOTTEN")]
        assert report.exit_code is ExitCode.SOME_FAILED
    assert {row["conversation_id"] for row in world.sink.rows["ci_conversations"]} == {kept}
    assert len(world.insights.analyses) == billed + 1


def test_what_lies_in_the_own_bucket_where_it_came_from_goes_too(tmp_path: Path) -> None:
    world = World()
    ids = write_many(tmp_path, 2)
    for id_ in ids:
        for kind in KINDS:
            content = (tmp_path / DATE / id_ / f"{kind}.json").read_bytes()
            for folder in (f"incoming/{DATE}", f"crm/export/{DATE}"):
                put(world, f"{folder}/{id_}/{kind}.json", content)
    put(world, "incoming/readme.txt", b"x")
    source = BucketSource(world.store, "incoming", world.attempts(), is_own_bucket=True)
    asyncio.run(world.new_push().run(source))
    world.store.hide(f"incoming/{DATE}/{ids[0]}/metadata.json")

    told = asyncio.run(world.forget(ids[0]))

    assert (told.before.objects, told.after, told.not_erased) == (7, NOTHING, ())
    assert [name for name in world.store._generations if ids[0] in name] == []
    assert len([name for name in world.store.live_names if ids[1] in name]) == 7


def test_what_came_from_another_bucket_is_named_since_it_is_not_erased(tmp_path: Path) -> None:
    world = World()
    (id_,) = write_many(tmp_path, 1)
    other = FakeObjectStore(bucket="the-recorder")
    for kind in KINDS:
        content = (tmp_path / DATE / id_ / f"{kind}.json").read_bytes()
        asyncio.run(
            other.put(
                f"calls/{DATE}/{id_}/{kind}.json",
                content,
                content_type="application/json",
                content_sha256=None,
                if_generation_match=0,
            )
        )
    source = BucketSource(other, "calls", world.attempts(), is_own_bucket=False)
    asyncio.run(world.new_push().run(source))

    told = asyncio.run(world.forget(id_))

    names = tuple(f"gs://the-recorder/calls/{DATE}/{id_}/{kind}.json" for kind in KINDS)
    assert (told.after, told.not_erased) == (NOTHING, names)


def test_rows_in_a_batch_that_was_set_aside_are_counted_and_go_too(tmp_path: Path) -> None:
    world = World()
    gone, kept = write_many(tmp_path, 2)
    world.sink.refused.add("conversation_files")
    asyncio.run(world.push(tmp_path))
    world.sink.refused.clear()
    world.sink.trouble.fail("load", "JOB_FAILED", times=MAX_JOB_FAILURES)

    told = asyncio.run(world.forget(gone))

    (aside,) = [name for name in world.store.live_names if name.startswith("_landing_failed/")]
    left = [orjson.loads(line) for line in gzip.decompress(world.store.content(aside)).splitlines()]
    assert told.before.raw_rows == 4 + 2 + 1
    assert (told.after, [failure.code for failure in told.failures]) == (NOTHING, ["JOB_FAILED"])
    assert [row["conversation_id"] for row in left] == [kept, kept]
    assert aside.endswith(f"/{sha256_hex(world.store.content(aside))}.json.gz")


def put(world: World, name: str, content: bytes) -> None:
    asyncio.run(
        world.store.put(
            name,
            content,
            content_type="application/json",
            content_sha256=None,
            if_generation_match=0,
        )
    )


@pytest.mark.parametrize(
    ("is_local", "expiring"),
    [
        (True, set()),
        (
            False,
            {
                "soft-deleted objects",
                "time travel of raw tables and marts",
                "Google's own backups",
            },
        ),
    ],
)
def test_the_receipt_tells_of_every_place(is_local: bool, expiring: set[str]) -> None:
    told = Forgotten("gone", Traces(2, 1, 7), Traces(0, 0, 3), ("gs://other/a",))
    lines = receipt(told, is_local=is_local, had_pages=True)

    by_fate = {fate: {each.where for each in lines if each.fate is fate} for fate in Fate}
    assert by_fate == {
        Fate.ERASED: {"bucket", "Insights", "pages of the site"},
        Fate.WAITS: {"marts", *(["files of the local stack"] if is_local else [])},
        Fate.EXPIRES: expiring,
        Fate.KEPT: {"tombstone", "cost of its analyses"},
        Fate.LEFT: {"raw tables", "gs://other/a", "pages and reports that went elsewhere"},
    }
    assert [each.note for each in lines if each.where == "raw tables"] == ["3 left"]
