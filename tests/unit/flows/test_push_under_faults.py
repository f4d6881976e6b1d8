"""Faults at random and kills at any point, over fakes: the end is always the same."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ingest.domain.annotators import Selector
from ingest.domain.outcome import Step
from ingest.enums import Mode
from ingest.errors import ExitCode, RemoteError
from ingest.flows.source import LocalSource
from tests.fakes.folders import DATE, conversation_id, transcription, write, write_many
from tests.fakes.world import World, fake_settings

COUNT = 12
INSIGHTS_METHODS = (
    "create_conversation",
    "get_conversation",
    "create_analysis",
    "running_analysis",
    "get_operation",
    "list_matchers",
)


def assert_whole(world: World, ids: list[str], analyses: int = 1) -> None:
    """Everything is there once: objects, conversations, billed analyses, states, files."""
    assert world.insights.conversation_ids == ids
    assert Counter(world.insights.analyses) == Counter(dict.fromkeys(world.insights.analyses, 1))
    assert len(world.insights.analyses) == len(ids) * analyses
    files = Counter((r["uri"], r["generation"]) for r in world.sink.rows["conversation_files"])
    assert set(files.values()) == {1}
    assert {r["conversation_id"] for r in world.sink.rows["ci_conversations"]} == set(ids)
    newest = {r["conversation_id"]: r for r in world.sink.rows["ci_conversations"]}
    assert {i: newest[i]["transcript_sha256"] for i in ids} == {
        i: world.insights.labels(i)["transcript_sha256"] for i in ids
    }
    assert [name for name in world.store.live_names if name.startswith("_landing/")] == []


def push_until_no_fault(world: World, root: Path) -> None:
    """One push under faults, then one plain one."""
    try:
        report = asyncio.run(world.push(root))
    except RemoteError:
        pass
    else:
        if report.exit_code is ExitCode.OK:
            assert sum(report.states.values()) == len(world.insights.conversation_ids)
    for fake in (world.store, world.insights, world.sink):
        fake.trouble.end()
    assert asyncio.run(world.push(root)).exit_code is ExitCode.OK


@pytest.mark.parametrize("rate", [0.05, 0.2])
@pytest.mark.parametrize("seed", range(6))
def test_faults_on_every_method_are_mended_by_one_plain_run(
    tmp_path: Path, rate: float, seed: int
) -> None:
    world = World()
    ids = write_many(tmp_path, COUNT)
    world.insights.analysis_sec = 3.0
    for number, fake in enumerate((world.store, world.insights, world.sink)):
        fake.trouble.fail_at_random(rate, seed * 3 + number)

    push_until_no_fault(world, tmp_path)

    assert_whole(world, ids)


@pytest.mark.parametrize("after_effect", [False, True])
@pytest.mark.parametrize("method", INSIGHTS_METHODS)
def test_a_lost_answer_of_ci_is_asked_for_again_within_the_run(
    tmp_path: Path, method: str, after_effect: bool
) -> None:
    world = World()
    ids = write_many(tmp_path, 3)
    world.insights.analysis_sec = 2.0
    world.insights.trouble.fail(method, times=2, after_effect=after_effect)

    report = asyncio.run(world.push(tmp_path))

    assert report.exit_code is ExitCode.OK
    assert_whole(world, ids)


@pytest.mark.parametrize("after_effect", [False, True])
@pytest.mark.parametrize("method", ["put", "list", "load", "query", "delete"])
def test_a_lost_answer_of_storage_or_warehouse_is_asked_for_again_within_the_run(
    tmp_path: Path, method: str, after_effect: bool
) -> None:
    world = World()
    ids = write_many(tmp_path, 3)
    fake = world.sink if method in ("load", "query") else world.store
    fake.trouble.fail(method, times=2, after_effect=after_effect)

    report = asyncio.run(world.push(tmp_path))

    assert report.exit_code is ExitCode.OK
    assert_whole(world, ids)


@pytest.mark.parametrize("after_effect", [False, True])
@pytest.mark.parametrize("method", ["update_conversation", "delete_conversation"])
def test_a_lost_answer_to_a_change_is_asked_for_again_within_the_run(
    tmp_path: Path, method: str, after_effect: bool
) -> None:
    world = World()
    id_ = conversation_id(1)
    write(tmp_path, id_)
    asyncio.run(world.push(tmp_path))
    changed = transcription(id_, "Hello.", "Changed.")
    if method == "delete_conversation":
        write(tmp_path, id_, transcription=changed)
    else:
        write(tmp_path, id_, date="2026-01-09")
    world.insights.trouble.fail(method, times=2, after_effect=after_effect)

    report = asyncio.run(world.push(tmp_path))

    assert report.exit_code is ExitCode.OK
    assert_whole(world, [id_], analyses=2 if method == "delete_conversation" else 1)
    rows = [r["payload_sha256"] for r in world.sink.rows["ci_conversations"]]
    assert rows[1:-1].count(rows[0]) <= 1


async def _killed(world: World, root: Path, after_steps: int) -> bool:
    """Push, and drop everything after that many turns of the event loop; True when it was hit."""
    push = world.new_push()
    task = asyncio.create_task(push.run(LocalSource(root)))
    for _ in range(after_steps):
        if task.done():
            return False
        await asyncio.sleep(0)
    for other in asyncio.all_tasks() - {asyncio.current_task()}:
        other.cancel()
    await asyncio.gather(task, return_exceptions=True)
    world.died.add(f"run-{world.run_count}")
    return True


@pytest.mark.parametrize("seed", range(12))
def test_a_run_killed_anywhere_is_completed_by_the_next(tmp_path: Path, seed: int) -> None:
    world = World()
    ids = write_many(tmp_path, COUNT)
    rng = random.Random(seed)
    world.insights.analysis_sec = rng.choice([0.0, 4.0])

    for _ in range(4):
        asyncio.run(_killed(world, tmp_path, rng.randrange(5, 400)))
    report = asyncio.run(world.push(tmp_path))

    assert report.exit_code is ExitCode.OK
    assert_whole(world, ids)


@pytest.mark.parametrize("seed", range(6))
def test_bulk_runs_killed_anywhere_bill_nothing_twice(tmp_path: Path, seed: int) -> None:
    world = World()
    ids = write_many(tmp_path, COUNT)
    rng = random.Random(seed)
    world.insights.analysis_sec = 600.0

    async def killed() -> None:
        push = world.new_push(mode=Mode.BULK)
        task = asyncio.create_task(push.run(LocalSource(tmp_path)))
        for _ in range(rng.randrange(60, 600)):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    for _ in range(3):
        asyncio.run(killed())
    report = asyncio.run(world.push(tmp_path, mode=rng.choice([Mode.BULK, Mode.SINGLE])))

    assert report.exit_code is ExitCode.OK
    assert_whole(world, ids)


def test_a_whole_date_is_analysed_by_one_bulk_operation(tmp_path: Path) -> None:
    world = World()
    ids = write_many(tmp_path, COUNT)
    world.insights.analysis_sec = 600.0

    report = asyncio.run(world.push(tmp_path, mode=Mode.BULK))

    assert report.exit_code is ExitCode.OK
    assert_whole(world, ids)
    assert world.insights.trouble.calls["bulk_analyze"] == 1
    assert world.insights.trouble.calls["create_analysis"] == 0
    assert f"bulk analysis of {DATE}: {COUNT} done, 0 failed" in world.progress.notes
    told = Counter((row["step"], row["outcome"]) for row in world.sink.rows["pipeline_events"])
    assert told == {
        ("upload", "succeeded"): 2 * COUNT,
        ("submit", "succeeded"): COUNT,
        ("analyse", "succeeded"): COUNT,
    }


@pytest.mark.parametrize("mode", [Mode.SINGLE, Mode.BULK])
def test_every_conversation_advances_every_stage_once(tmp_path: Path, mode: Mode) -> None:
    world = World()
    write_many(tmp_path, COUNT)

    asyncio.run(world.push(tmp_path, mode=mode))

    stages = ("validate", "upload", "submit", "analyse", "land")
    assert world.progress.advances == dict.fromkeys(stages, COUNT)
    asyncio.run(world.push(tmp_path, mode=mode))
    assert world.progress.advances == dict.fromkeys(stages, 2 * COUNT)


def test_a_stop_leaves_the_bulk_operation_running_and_the_next_run_takes_it_up(
    tmp_path: Path,
) -> None:
    world = World()
    ids = write_many(tmp_path, COUNT)
    world.insights.analysis_sec = 3_600.0

    async def stopped() -> ExitCode:
        push = world.new_push(mode=Mode.BULK)
        task = asyncio.create_task(push.run(LocalSource(tmp_path)))
        while not world.insights.trouble.calls["bulk_analyze"]:
            await asyncio.sleep(0)
        push.stop()
        return (await task).exit_code

    code = asyncio.run(stopped())
    elapsed_sec = world.clock.monotonic()
    notes = [note for note in world.progress.notes if note.startswith("bulk analysis: ")]
    report = asyncio.run(world.push(tmp_path, mode=Mode.BULK))

    assert code is ExitCode.INTERRUPTED
    assert elapsed_sec < 60
    assert notes != []
    assert all(note.endswith("goes on, this run was told to stop") for note in notes)
    assert report.exit_code is ExitCode.OK
    assert_whole(world, ids)


def test_an_item_whose_budget_is_spent_fails_and_the_next_run_mends_it(tmp_path: Path) -> None:
    world = World(settings=fake_settings(step_budget_sec=5))
    ids = write_many(tmp_path, 2)
    world.insights.trouble.fail("create_conversation", times=1_000)

    failed = asyncio.run(world.push(tmp_path))
    world.insights.trouble.end()
    mended = asyncio.run(world.push(tmp_path))

    assert {(f.step.value, f.code) for f in failed.failures} == {("submit", "UNAVAILABLE")}
    assert mended.exit_code is ExitCode.OK
    assert_whole(world, ids)
    attempts = [e["attempt"] for e in world.sink.rows["pipeline_events"] if e["step"] == "submit"]
    assert attempts[:2] > [1, 1]


def test_an_analysis_that_another_run_began_for_another_profile_is_followed_by_our_own(
    tmp_path: Path,
) -> None:
    world = World()
    id_ = write_many(tmp_path, 1)[0]
    asyncio.run(world.push(tmp_path, until=Step.SUBMIT))
    world.insights.analysis_sec = 30.0
    other = Selector(frozenset({"run_entity_annotator"}))
    asyncio.run(world.insights.create_analysis(id_, other))

    report = asyncio.run(world.push(tmp_path))

    assert report.exit_code is ExitCode.OK
    assert len(world.insights.analyses) == 2
    assert world.clock.monotonic() > 60.0


def test_an_analysis_that_never_ends_fails_its_conversation_and_is_waited_for_again(
    tmp_path: Path,
) -> None:
    world = World(settings=fake_settings(analysis_timeout_sec=60))
    ids = write_many(tmp_path, 1)
    world.insights.analysis_sec = 100.0

    slow = asyncio.run(world.push(tmp_path))
    mended = asyncio.run(world.push(tmp_path))

    assert [(f.step, f.code) for f in slow.failures] == [(Step.ANALYSE, "DEADLINE_EXCEEDED")]
    assert mended.exit_code is ExitCode.OK
    assert_whole(world, ids)


def test_a_damaged_upload_is_sent_again(tmp_path: Path) -> None:
    world = World()
    ids = write_many(tmp_path, 1)
    world.store.trouble.fail("put", "DATA_LOSS", after_effect=True)

    report = asyncio.run(world.push(tmp_path))

    assert report.exit_code is ExitCode.OK
    assert_whole(world, ids)
    assert world.store.generation_count(f"{DATE}/{ids[0]}/metadata.json") == 2


def test_an_object_that_someone_else_wrote_meanwhile_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    id_ = write_many(tmp_path, 1)[0]
    name = f"{DATE}/{id_}/metadata.json"
    put = world.store.put

    async def race(target: str, content: bytes, **more: Any) -> Any:
        if target == name and world.store.generation_count(name) == 0:
            await put(name, b"{}", **{**more, "content_sha256": "other"})
        return await put(target, content, **more)

    monkeypatch.setattr(world.store, "put", race)

    report = asyncio.run(world.push(tmp_path))

    assert [(f.step, f.code) for f in report.failures] == [(Step.UPLOAD, "FAILED_PRECONDITION")]
    assert world.store.content(name) == b"{}"


def test_what_a_killed_run_uploaded_and_never_landed_is_landed_when_its_other_file_comes(
    tmp_path: Path,
) -> None:
    world = World()
    id_ = conversation_id(3)
    write(tmp_path / "a", id_, transcription=None)
    # The rows of the first run never reach the bucket.
    world.store.trouble.fail("put", "PERMISSION_DENIED", call=2)
    asyncio.run(world.push(tmp_path / "a"))
    world.store.trouble.end()
    write(tmp_path / "b", id_, metadata=None)

    report = asyncio.run(world.push(tmp_path / "b"))

    assert report.exit_code is ExitCode.OK
    kinds = sorted(row["kind"] for row in world.sink.rows["conversation_files"])
    assert kinds == ["metadata", "transcription"]
