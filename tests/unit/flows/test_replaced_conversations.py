"""A changed transcript makes the conversation anew; what Insights held of the old one is kept."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ingest.domain.outcome import Failure, ItemState, Step
from ingest.errors import ExitCode
from ingest.flows.source import LocalSource
from tests.fakes.folders import conversation_id, metadata, transcription, write, write_many
from tests.fakes.world import World, fake_settings

ID = conversation_id(3)


def edited_and_never_landed(root: Path) -> tuple[World, str]:
    """Return a world whose Insights holds an analysis that no raw row tells of, and its name.

    That is what a run leaves that was killed between analysis and landing, and what an analysis
    rule or a person in the console leaves.
    """
    world = World()
    write(root, ID)
    asyncio.run(world.push(root, until=Step.ANALYSE))
    analysis_name = latest_analysis(world)
    write(root, ID, transcription=transcription(ID, "Hello.", "Edited."))
    return world, analysis_name


def latest_analysis(world: World) -> str:
    held = asyncio.run(world.insights.get_conversation(ID))
    assert held is not None
    assert held.latest_analysis is not None
    return held.latest_analysis.name


def landed_analyses(world: World) -> list[str]:
    return [row["analysis_name"] for row in world.sink.rows["ci_conversations"]]


async def killed_at(world: World, root: Path, method: str, call: int) -> None:
    """Push, and drop everything as soon as Insights is called so for that time."""
    world.insights.trouble.calls.clear()
    task = asyncio.create_task(world.new_push().run(LocalSource(root)))
    while world.insights.trouble.calls[method] < call:
        assert not task.done(), f"the run ended without {method}"
        await asyncio.sleep(0)
    for other in asyncio.all_tasks() - {asyncio.current_task()}:
        other.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(
    ("method", "call"),
    # The first create is refused: only then the run learns that Insights holds something.
    [("delete_conversation", 1), ("create_conversation", 2), ("create_analysis", 1)],
)
def test_a_run_killed_while_it_replaces_a_conversation_loses_no_analysis(
    tmp_path: Path, method: str, call: int
) -> None:
    world, old = edited_and_never_landed(tmp_path)

    asyncio.run(killed_at(world, tmp_path, method, call))
    at_the_kill = landed_analyses(world)
    report = asyncio.run(world.push(tmp_path))

    assert at_the_kill == [old]
    assert report.exit_code is ExitCode.OK
    assert landed_analyses(world) == [old, latest_analysis(world)]
    assert len(world.insights.analyses) == 2


def test_an_item_that_fails_after_the_deletion_has_its_old_analysis_landed(tmp_path: Path) -> None:
    world, old = edited_and_never_landed(tmp_path)
    world.insights.trouble.fail("create_conversation", "INVALID_ARGUMENT", call=2)

    failed = asyncio.run(world.push(tmp_path))
    between = landed_analyses(world)
    mended = asyncio.run(world.push(tmp_path))

    assert dict(failed.states) == {ItemState.FAILED: 1}
    assert between == [old]
    assert mended.exit_code is ExitCode.OK
    assert landed_analyses(world) == [old, latest_analysis(world)]


def test_what_cannot_be_landed_is_not_deleted(tmp_path: Path) -> None:
    world, old = edited_and_never_landed(tmp_path)
    world.sink.refused.add("ci_conversations")

    report = asyncio.run(world.push(tmp_path))

    message = "fake: ci_conversations refuses the rows"
    assert report.failures == [Failure(ID, Step.SUBMIT, "JOB_FAILED", message)]
    assert world.insights.trouble.calls["delete_conversation"] == 0
    assert latest_analysis(world) == old


def test_a_state_that_is_landed_already_is_not_landed_again(tmp_path: Path) -> None:
    world = World()
    write(tmp_path, ID)
    asyncio.run(world.push(tmp_path))
    old = latest_analysis(world)
    write(tmp_path, ID, transcription=transcription(ID, "Hello.", "Edited."))

    asyncio.run(world.push(tmp_path))

    assert landed_analyses(world) == [old, latest_analysis(world)]


def test_many_replaced_conversations_share_their_load_jobs(tmp_path: Path) -> None:
    world = World(settings=fake_settings(concurrency=40))
    ids = write_many(tmp_path, 40)
    asyncio.run(world.push(tmp_path, until=Step.ANALYSE))
    for id_ in ids:
        write(tmp_path, id_, transcription=transcription(id_, "Hello.", "Edited."))
    world.sink.jobs.clear()

    report = asyncio.run(world.push(tmp_path))

    assert report.exit_code is ExitCode.OK
    assert len(world.sink.rows["ci_conversations"]) == 80
    assert len(world.sink.jobs) <= 9


def test_another_medium_makes_the_conversation_anew_since_ci_cannot_change_it(
    tmp_path: Path,
) -> None:
    world = World()
    write(tmp_path, ID)
    asyncio.run(world.push(tmp_path))
    write(tmp_path, ID, metadata=metadata(ID, medium="CHAT"))

    report = asyncio.run(world.push(tmp_path))
    again = asyncio.run(world.push(tmp_path))
    held = asyncio.run(world.insights.get_conversation(ID))

    assert report.exit_code is ExitCode.OK
    assert held is not None
    assert (held.medium, held.labels["medium"]) == ("CHAT", "CHAT")
    assert world.insights.trouble.calls["delete_conversation"] == 1
    assert +again.states == {ItemState.UNCHANGED: 1}
