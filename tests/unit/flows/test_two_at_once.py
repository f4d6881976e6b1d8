"""A `forget` while a push runs, and two pushes of one folder, over fakes."""

from __future__ import annotations

import asyncio
import gzip
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ingest.cli._context import ProcessMarks
from ingest.domain.conversation import Shard
from ingest.domain.outcome import BatchReport, ItemState
from ingest.errors import ExitCode, RemoteError
from ingest.flows.conversation_run import PushReport
from ingest.flows.forget import Traces
from ingest.flows.lease import (
    TIMEOUT_SEC,
    HeldError,
    RunRecord,
    RunState,
    read_runs_in_bucket,
)
from ingest.flows.pull import PullSelection
from ingest.flows.push import Push
from ingest.flows.reanalyze import Selection
from ingest.flows.runs import Run, with_states
from ingest.flows.source import LocalSource
from tests.fakes.folders import DATE, LATER_DATE, transcription, write, write_many
from tests.fakes.world import World, fake_settings

NOTHING = Traces(objects=0, ci_conversations=0, raw_rows=0)


class Held:
    """Holds the first call of a method that `when` picks, before or after its effect."""

    def __init__(
        self,
        target: Any,
        method: str,
        when: Callable[..., bool] = lambda *_, **__: True,
        *,
        after_effect: bool = False,
    ) -> None:
        self.reached, self.released = asyncio.Event(), asyncio.Event()
        original: Callable[..., Awaitable[Any]] = getattr(target, method)

        async def call(*arguments: Any, **named: Any) -> Any:
            if self.reached.is_set() or not when(*arguments, **named):
                return await original(*arguments, **named)
            if after_effect:
                result = await original(*arguments, **named)
                await self._hold()
                return result
            await self._hold()
            return await original(*arguments, **named)

        setattr(target, method, call)

    async def _hold(self) -> None:
        self.reached.set()
        await self.released.wait()


def everything_of(world: World, id_: str) -> dict[str, Any]:
    """Return what is left of a conversation anywhere, tombstones apart."""
    landing = [
        name
        for name, held in world.store._generations.items()
        for _, content in held
        if name.startswith("_landing")
        and id_.encode() in gzip.decompress(content)
        and b'"forget"' not in gzip.decompress(content)
    ]
    return {
        "objects": [
            name for name, held in world.store._generations.items() if id_ in name and held
        ],
        "landing": landing,
        "conversations": [held for held in world.insights.conversation_ids if held == id_],
        "rows": [
            (table, row.get("step"))
            for table, rows in world.sink.rows.items()
            for row in rows
            if row.get("conversation_id") == id_ and row.get("step") != "forget"
        ],
    }


LEFT_NOTHING: dict[str, Any] = {"objects": [], "landing": [], "conversations": [], "rows": []}
POINTS: dict[str, Callable[[World, str], Held]] = {
    "before upload": lambda world, id_: Held(
        world.store, "put", lambda name, *_, **__: name.startswith(f"{DATE}/{id_}/")
    ),
    "before submit": lambda world, id_: Held(
        world.insights, "create_conversation", lambda one: one.conversation_id == id_
    ),
    "between submit and analyse": lambda world, id_: Held(
        world.insights, "create_analysis", lambda one, *_: one == id_
    ),
    "before the batch is written": lambda world, _: Held(
        world.store, "put", lambda name, *_, **__: name.startswith("_landing/")
    ),
    "between write and load": lambda world, _: Held(world.sink, "load"),
    "while the load job runs": lambda world, _: Held(world.sink, "load", after_effect=True),
    "while the last load job runs": lambda world, _: Held(
        world.sink, "load", lambda table, *_: table == "ci_conversations", after_effect=True
    ),
}


async def forgotten_during_a_push(
    world: World, root: Path, id_: str, point: str
) -> tuple[Traces, tuple[str, ...], PushReport]:
    """Push, hold it at that point, forget, let it go on."""
    push = world.new_push()
    held = POINTS[point](world, id_)
    task = asyncio.create_task(push.run(LocalSource(root)))
    await held.reached.wait()
    told = await world.forget(id_)
    rows_then = Counter(everything_of(world, id_)["rows"])
    held.released.set()
    report = await task
    # No raw row of it lands after its tombstone.
    assert rows_then == Counter()
    return told.after, told.running, report


@pytest.mark.parametrize("is_new", [False, True])
@pytest.mark.parametrize("point", POINTS)
def test_a_push_in_flight_undoes_no_forget(tmp_path: Path, point: str, is_new: bool) -> None:
    world = World()
    gone, kept = write_many(tmp_path, 2)
    if not is_new:
        asyncio.run(world.push(tmp_path))
        for id_ in (gone, kept):
            write(tmp_path, id_, transcription=transcription(id_, "Hello.", "Edited."))
    elif point == "before upload":
        pytest.skip("of a conversation that nobody has there is nothing to forget")

    after, running, report = asyncio.run(forgotten_during_a_push(world, tmp_path, gone, point))

    assert (after, running) == (NOTHING, (f"push/run-{world.run_count - 1}",))
    assert everything_of(world, gone) == LEFT_NOTHING
    assert len(everything_of(world, kept)["rows"]) == (7 if is_new else 12)
    assert max(Counter((r["uri"], r["generation"]) for r in files(world)).values()) == 1
    # What was through when it was forgotten went well.
    failed = [] if point.startswith(("between write", "while")) else [(gone, "FORGOTTEN")]
    assert [(f.conversation_id, f.code) for f in report.failures] == failed
    assert [name for name in world.store.live_names if name.startswith("_")] == []


def files(world: World) -> list[dict[str, Any]]:
    return world.sink.rows["conversation_files"]


def test_what_a_push_that_died_left_of_a_forgotten_conversation_is_erased_by_the_next_command(
    tmp_path: Path,
) -> None:
    world = World()
    gone, _ = write_many(tmp_path, 2)
    asyncio.run(world.push(tmp_path))
    write(tmp_path, gone, transcription=transcription(gone, "Hello.", "Edited."))

    async def forget_then_die() -> None:
        push = world.new_push()
        held = POINTS["before submit"](world, gone)
        task = asyncio.create_task(push.run(LocalSource(tmp_path)))
        await held.reached.wait()
        await world.forget(gone)
        ended = Held(world.insights, "create_analysis")
        held.released.set()
        await ended.reached.wait()
        task.cancel()
        # It dies without a word: whatever it would still do fails.
        world.runs.trouble.fail("delete", "PERMISSION_DENIED", times=99)
        world.runs.trouble.fail("put", "PERMISSION_DENIED", times=99)
        await asyncio.gather(task, return_exceptions=True)
        world.runs.trouble.end()

    asyncio.run(forget_then_die())
    left = everything_of(world, gone)
    world.clock.advance(TIMEOUT_SEC)
    asyncio.run(world.pull(PullSelection(is_all=True)))

    assert left["conversations"] == [gone]
    assert everything_of(world, gone) == LEFT_NOTHING
    assert [name for name in world.store.live_names if name.startswith("_runs/")] == []


async def told_to_wait(world: World) -> None:
    """Return once a run has said that it waits for another."""
    while not any(note.startswith("waiting: ") for note in world.progress.notes):
        await asyncio.sleep(0)


async def two_pushes(world: World, root: Path, *, waits: bool) -> list[PushReport | BaseException]:
    """Begin a second push in the middle of a first."""
    first = world.new_push()
    held = Held(world.insights, "create_conversation")
    task = asyncio.create_task(first.run(LocalSource(root)))
    await held.reached.wait()
    second = asyncio.create_task(world.new_push(waits=waits).run(LocalSource(root)))
    if not waits:
        await asyncio.wait([second])
    else:
        await told_to_wait(world)
    held.released.set()
    return list(await asyncio.gather(task, second, return_exceptions=True))


def test_a_second_push_of_a_folder_names_the_first_and_ends(tmp_path: Path) -> None:
    world = World()
    write_many(tmp_path, 3)

    done, refused = asyncio.run(two_pushes(world, tmp_path, waits=False))

    assert isinstance(done, PushReport)
    assert isinstance(refused, HeldError)
    assert refused.exit_code is ExitCode.REMOTE
    assert refused.message == (
        f"push-{DATE}-0-of-1 is held by push run-1 on a-machine, process 101, "
        "since 2026-01-05 08:00:01Z, which gave a sign of life 1 s ago"
    )
    assert +done.states == {ItemState.DONE: 3}
    assert len(files(world)) == 6
    assert world.runs.live_names == []


def test_a_second_push_that_waits_finds_everything_done(tmp_path: Path) -> None:
    world = World()
    write_many(tmp_path, 3)

    first, second = asyncio.run(two_pushes(world, tmp_path, waits=True))

    assert isinstance(first, PushReport)
    assert isinstance(second, PushReport)
    assert (+first.states, +second.states) == ({ItemState.DONE: 3}, {ItemState.UNCHANGED: 3})
    assert len(files(world)) == 6


async def dead_push(world: World, root: Path) -> None:
    """Leave the leases of a push that was killed in the middle."""
    held = Held(world.insights, "create_conversation")
    task = asyncio.create_task(world.new_push().run(LocalSource(root)))
    await held.reached.wait()
    for method in ("put", "delete"):
        world.runs.trouble.fail(method, "PERMISSION_DENIED", times=99)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    world.runs.trouble.end()


def test_a_push_that_was_killed_is_taken_over_from_after_a_minute_and_that_is_said(
    tmp_path: Path,
) -> None:
    world = World()
    write_many(tmp_path, 3)
    asyncio.run(dead_push(world, tmp_path))

    with pytest.raises(HeldError) as caught:
        asyncio.run(world.push(tmp_path))
    waiting = asyncio.run(world.push(tmp_path, waits=True))

    assert "should it be dead, its lease is free 5" in caught.value.hint
    assert +waiting.states == {ItemState.DONE: 3}
    (said,) = [note for note in world.progress.notes if note.startswith("taking over")]
    assert said == (
        f"taking over push-{DATE}-0-of-1 from push run-1 on a-machine, process 101, since "
        "2026-01-05 08:00:01Z: it died, the last sign of life came 62 s ago"
    )
    assert len(files(world)) == 6
    assert world.runs.live_names == ["_runs/ended/run-1.json"]


def test_a_push_that_the_machine_knows_to_be_dead_is_taken_over_from_at_once(
    tmp_path: Path,
) -> None:
    world = World()
    write_many(tmp_path, 3)
    asyncio.run(dead_push(world, tmp_path))
    world.died.add("run-1")

    report = asyncio.run(world.push(tmp_path))

    assert +report.states == {ItemState.DONE: 3}


def test_a_push_that_slept_through_its_lease_lands_nothing_more(tmp_path: Path) -> None:
    world = World()
    write_many(tmp_path, 3)

    async def sleep_and_be_replaced() -> tuple[BaseException | PushReport, PushReport]:
        asleep = Held(world.store, "put", lambda name, *_, **__: name.startswith("ci-transcripts"))
        frozen = Held(world.runs, "put", lambda *_, if_generation_match, **__: if_generation_match)
        first = asyncio.create_task(world.new_push().run(LocalSource(tmp_path)))
        await asleep.reached.wait()
        await frozen.reached.wait()
        world.clock.advance(TIMEOUT_SEC + 1)
        second = await world.new_push().run(LocalSource(tmp_path))
        frozen.released.set()
        asleep.released.set()
        (told,) = await asyncio.gather(first, return_exceptions=True)
        return told, second

    told, second = asyncio.run(sleep_and_be_replaced())

    assert isinstance(told, RemoteError)
    assert told.message.startswith("another run took over from this one")
    assert +second.states == {ItemState.DONE: 3}
    assert len(files(world)) == 6


@pytest.mark.parametrize(
    ("first", "second", "is_refused"),
    [
        (Shard(0, 2), Shard(1, 2), False),
        (Shard(0, 2), Shard(0, 2), True),
        (Shard(0, 2), Shard(0, 1), True),
        (Shard(0, 1), Shard(3, 4), True),
    ],
)
def test_shards_of_one_number_run_beside_one_another_and_others_do_not(
    tmp_path: Path, first: Shard, second: Shard, is_refused: bool
) -> None:
    world = World()
    write_many(tmp_path, 4)

    async def both() -> PushReport | BaseException:
        held = Held(world.store, "put")
        task = asyncio.create_task(world.new_push(shard=first).run(LocalSource(tmp_path)))
        await held.reached.wait()
        other = world.new_push(shard=second).run(LocalSource(tmp_path))
        (told,) = await asyncio.gather(other, return_exceptions=True)
        held.released.set()
        await task
        return told

    told = asyncio.run(both())

    assert isinstance(told, HeldError) is is_refused
    assert world.runs.live_names == []


def test_folders_of_other_dates_are_pushed_beside_one_another(tmp_path: Path) -> None:
    world = World()
    write_many(tmp_path / "a", 2)
    write_many(tmp_path / "b", 2, LATER_DATE)

    async def both() -> list[PushReport]:
        pushes = [world.new_push().run(LocalSource(tmp_path / name)) for name in "ab"]
        return list(await asyncio.gather(*pushes))

    assert [report.exit_code for report in asyncio.run(both())] == [ExitCode.OK, ExitCode.OK]


@pytest.mark.parametrize("after_effect", [False, True])
@pytest.mark.parametrize("method", ["put", "list", "delete", "stat"])
def test_a_lost_answer_costs_no_lease(tmp_path: Path, method: str, after_effect: bool) -> None:
    world = World()
    write_many(tmp_path, 3)
    asyncio.run(dead_push(world, tmp_path))
    world.died.add("run-1")
    world.runs.trouble.fail(method, times=2, after_effect=after_effect)

    report = asyncio.run(world.push(tmp_path))

    assert report.exit_code is ExitCode.OK
    assert world.runs.live_names == ["_runs/ended/run-1.json"]


def test_quotas_are_shared_by_what_runs(tmp_path: Path) -> None:
    world = World(settings=fake_settings(quota_creates_per_min=100, quota_analyses_per_min=100))
    write_many(tmp_path / "a", 2)
    write_many(tmp_path / "b", 2, LATER_DATE)
    limits: list[list[int]] = []

    def limit(push: Push) -> int:
        return push._services.admission.use()["creates"].limit

    async def both() -> None:
        world.insights.analysis_sec = 35.0
        one, other = world.new_push(), world.new_push()
        first = asyncio.create_task(one.run(LocalSource(tmp_path / "a")))
        held = Held(world.insights, "create_conversation")
        await held.reached.wait()
        limits.append([limit(one)])
        second = asyncio.create_task(other.run(LocalSource(tmp_path / "b")))
        held.released.set()
        await first
        limits.append([limit(one), limit(other)])
        await second

    asyncio.run(both())

    assert limits == [[100], [50, 50]]


def test_other_shells_see_a_push_that_runs_one_that_was_interrupted_and_one_that_died(
    tmp_path: Path,
) -> None:
    world = World()
    write_many(tmp_path / "a", 2)
    write_many(tmp_path / "b", 2, LATER_DATE)

    async def three() -> tuple[RunRecord, ...]:
        await dead_push(world, tmp_path / "a")
        world.clock.advance(TIMEOUT_SEC)
        stopped = world.new_push()
        stopped.stop()
        await stopped.run(LocalSource(tmp_path / "b"))
        held = Held(world.insights, "create_conversation")
        task = asyncio.create_task(world.new_push().run(LocalSource(tmp_path / "b")))
        await held.reached.wait()
        found = await read_runs_in_bucket(world.runs, world.clock.now())
        held.released.set()
        await task
        return found

    records = asyncio.run(three())
    listed = with_states([], records, 2)

    assert [(one.run_id, one.state) for one in records] == [
        ("run-1", RunState.DIED),
        ("run-2", RunState.INTERRUPTED),
        ("run-3", RunState.RUNNING),
    ]
    assert [(run.run_id, run.state) for run in listed] == [
        ("run-3", "running"),
        ("run-2", "interrupted"),
    ]
    now = world.clock.now()
    of_a_date = [Run(run_id, now, now, 1, 0, ()) for run_id in ("run-2", "run-0")]
    assert {run.run_id: run.state for run in with_states(of_a_date, None, 9)} == {
        "run-2": "unknown",
        "run-0": "unknown",
    }
    assert {
        run.run_id: run.state for run in with_states(of_a_date, records, 9, are_of_one_date=True)
    } == {"run-2": "interrupted", "run-0": "ended"}


@pytest.mark.parametrize("waits", [False, True])
def test_a_reanalysis_and_a_push_of_the_same_date_do_not_run_over_each_other(
    tmp_path: Path, waits: bool
) -> None:
    world = World()
    ids = write_many(tmp_path, 2)
    asyncio.run(world.push(tmp_path))

    async def reanalyze() -> BatchReport:
        flow = world.new_reanalyze()
        profile = await flow.profile()
        selected = await flow.select(Selection(ids=tuple(ids)), profile)
        return await flow.run(selected, profile, waits=waits)

    async def both() -> list[Any]:
        write_many(tmp_path, 3)
        held = Held(world.insights, "create_conversation")
        push = asyncio.create_task(world.new_push().run(LocalSource(tmp_path)))
        await held.reached.wait()
        second = asyncio.create_task(reanalyze())
        if waits:
            await told_to_wait(world)
        else:
            await asyncio.wait([second])
        held.released.set()
        return list(await asyncio.gather(push, second, return_exceptions=True))

    pushed, reanalyzed = asyncio.run(both())

    assert +pushed.states == {ItemState.DONE: 1, ItemState.UNCHANGED: 2}
    if waits:
        assert +reanalyzed.states == {ItemState.DONE: 2}
    else:
        assert isinstance(reanalyzed, HeldError)
        assert reanalyzed.message.startswith(f"push-{DATE}-0-of-1 is held by push run-2 on ")


def test_a_run_whose_process_has_ended_on_this_machine_is_told_as_died(tmp_path: Path) -> None:
    world = World()
    write_many(tmp_path, 2)

    async def looked_at() -> list[str]:
        await dead_push(world, tmp_path)
        now = world.clock.now()
        elsewhere = await read_runs_in_bucket(world.runs, now)
        here = await read_runs_in_bucket(world.runs, now, {"run-1"}.__contains__)
        return [record.state for record in (*elsewhere, *here)]

    assert asyncio.run(looked_at()) == [RunState.RUNNING, RunState.DIED]


def test_a_mark_tells_of_a_process_that_has_ended_however_often_it_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    killed = "import os\nfrom ingest.cli._context import ProcessMarks\n"
    killed += "with ProcessMarks().marked('run-1'):\n    os._exit(1)\n"
    subprocess.run([sys.executable, "-c", killed], env={**os.environ, "TMPDIR": str(tmp_path)})

    with ProcessMarks().marked("run-2"):
        asked = [ProcessMarks().is_surely_dead(f"run-{number}") for number in (1, 1, 2, 3)]

    assert asked == [True, True, False, False]
