from __future__ import annotations

import asyncio
from pathlib import Path

from ingest.domain.outcome import ItemState
from ingest.errors import ExitCode
from ingest.flows.source import LocalSource
from tests.fakes.folders import conversation_id, transcription, write, write_many
from tests.fakes.world import World

ID = conversation_id(5)


def test_a_dry_run_says_what_a_real_one_then_does(tmp_path: Path) -> None:
    world = World()
    edited = write_many(tmp_path, 3)[0]
    asyncio.run(world.push(tmp_path))
    write(tmp_path, edited, transcription=transcription(edited, "Hello.", "Edited."))
    write(tmp_path, ID)
    before = world.effects()
    counts = dict(world.insights.trouble.calls)

    report, planned = asyncio.run(world.dry_push(tmp_path))
    after = world.effects()
    real = asyncio.run(world.push(tmp_path))

    assert (report.exit_code, after) == (ExitCode.OK, before)
    assert dict(planned) == {
        "upload files": 3,
        "upload Insights transcripts": 2,
        "create Insights conversations": 2,
        "delete Insights conversations": 1,
        "analyse": 2,
    }
    assert dict(report.states) == dict(real.states)
    done = world.insights.trouble.calls
    assert {m: done[m] - counts.get(m, 0) for m in ("create_conversation", "create_analysis")} == {
        "create_conversation": 2,
        "create_analysis": 2,
    }


def test_a_dry_run_waits_for_no_analysis_and_plans_none_where_one_runs(tmp_path: Path) -> None:
    world = World()
    write(tmp_path, ID)
    world.insights.analysis_sec = 100.0

    async def killed() -> None:
        task = asyncio.create_task(world.new_push().run(LocalSource(tmp_path)))
        while not world.insights.analyses:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(killed())
    began = world.clock.monotonic()
    report, planned = asyncio.run(world.dry_push(tmp_path))

    assert report.exit_code is ExitCode.OK
    assert "analyse" not in planned
    assert world.clock.monotonic() - began < 5


def test_a_dry_run_of_everything_in_place_plans_nothing(tmp_path: Path) -> None:
    world = World()
    write(tmp_path, ID)
    asyncio.run(world.push(tmp_path))

    report, planned = asyncio.run(world.dry_push(tmp_path))

    assert (dict(report.states), dict(planned)) == ({ItemState.UNCHANGED: 1}, {})
