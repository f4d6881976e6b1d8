from __future__ import annotations

import asyncio
import dataclasses
from itertools import pairwise
from pathlib import Path

import pytest

from ingest.domain.insights_format import CiSubmission
from ingest.enums import Mode
from ingest.errors import ExitCode, RemoteError
from ingest.flows.services import Calls, Silent
from ingest.flows.source import LocalSource
from ingest.flows.watch import TICK_SEC, duration
from ingest.ports.move import CiConversation
from tests.fakes.folders import write_many
from tests.fakes.world import World, fake_settings


class Ticks(Silent):
    """Keeps every tick, with the moment."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ticks: list[tuple[float, tuple[str, ...]]] = []

    def tick(self, sentences: tuple[str, ...]) -> None:
        self.ticks.append((self.world.clock.monotonic(), sentences))

    @property
    def said(self) -> list[str]:
        return [sentence for _, sentences in self.ticks for sentence in sentences]


def watched_push(world: World, root: Path, mode: Mode = Mode.SINGLE) -> Ticks:
    ticks = Ticks(world)
    world.progress = ticks  # type: ignore[assignment]
    asyncio.run(world.push(root, mode=mode))
    return ticks


def test_a_push_says_every_ten_seconds_that_it_waits_for_a_quota_and_how_long(
    tmp_path: Path,
) -> None:
    world = World(
        settings=fake_settings(quota_creates_per_min=6, quota_analyses_per_min=60, concurrency=20)
    )
    write_many(tmp_path, 20)
    # The fake is called as an adapter calls the service: after it was admitted.
    create = world.insights.create_conversation
    push = world.new_push()
    admission = push._services.admission

    async def admitted(submission: object) -> object:
        await admission.admit("create_conversation")
        return await create(submission)  # type: ignore[arg-type]

    world.insights.create_conversation = admitted  # type: ignore[method-assign,assignment]
    ticks = Ticks(world)
    push._watch.progress = ticks
    asyncio.run(push.run(LocalSource(tmp_path)))

    moments = [moment for moment, _ in ticks.ticks]
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    assert gaps
    assert max(gaps) <= TICK_SEC
    assert ticks.said[0] == (
        "14 wait for the quota of 6 creates a minute, which 14 more take 2 min for"
    )


def test_a_bulk_analysis_counts_as_it_goes(tmp_path: Path) -> None:
    world = World()
    write_many(tmp_path, 12)
    world.insights.analysis_sec = 120.0

    ticks = watched_push(world, tmp_path, Mode.BULK)

    running = [said for said in ticks.said if said.startswith("bulk analysis of 2026-01-05 for ")]
    assert len(running) >= 8
    assert all(said.endswith(" of 12 done, 0 failed") for said in running)


def test_what_waits_for_a_bulk_analysis_is_not_called_analysed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(settings=fake_settings(concurrency=4))
    write_many(tmp_path, 12)
    create = world.insights.create_conversation

    async def slow(submission: CiSubmission) -> CiConversation:
        await world.clock.sleep(15)
        return await create(submission)

    monkeypatch.setattr(world.insights, "create_conversation", slow)
    ticks = watched_push(world, tmp_path, Mode.BULK)

    said = [each for each in ticks.said if "analysed" in each and "bulk analysis of" not in each]
    assert said != []
    assert all(each.endswith(" are submitted and will be analysed in bulk") for each in said)


def test_retries_are_shown_with_what_they_follow(tmp_path: Path) -> None:
    world = World()
    write_many(tmp_path, 2)
    world.insights.trouble.fail("create_conversation", times=12)

    ticks = watched_push(world, tmp_path)

    retries = [said for said in ticks.said if "retries, the latest after: " in said]
    assert retries
    assert retries[0].endswith("the latest after: fake: create_conversation: UNAVAILABLE")


def test_a_service_that_freezes_is_named_with_how_long_it_is_tried(tmp_path: Path) -> None:
    world = World(settings=fake_settings(rpc_timeout_sec=30, step_budget_sec=60))
    write_many(tmp_path, 2)
    calls = Calls(world.clock)
    query = world.sink.query

    async def frozen(*arguments: object, **named: object) -> object:
        if world.clock.monotonic() < 45:
            await world.clock.sleep(30)
            raise RemoteError("BigQuery: no answer in time", code="DEADLINE_EXCEEDED")
        return await query(*arguments, **named)  # type: ignore[arg-type]

    world.sink.query = frozen  # type: ignore[method-assign,assignment]
    ticks = Ticks(world)
    outside = world.outside("push", "run-9")
    outside = dataclasses.replace(
        outside, sink=calls.watched(outside.sink, "BigQuery"), calls=calls, progress=ticks
    )

    report = asyncio.run(world.push(tmp_path, outside=outside))

    assert report.exit_code is ExitCode.OK
    silent = [said for said in ticks.said if said.startswith("BigQuery hasn't answered for ")]
    assert silent[0] == "BigQuery hasn't answered for 20 s, trying until 08:01:31Z"
    assert len(silent) >= 2


def test_calls_that_were_answered_are_no_silence() -> None:
    world = World()
    calls = Calls(world.clock)
    store = calls.watched(world.store, "Cloud Storage")

    asyncio.run(store.stat("a"))
    world.clock.advance(600)

    assert calls.silent(world.clock.monotonic()) == {}
    number = calls.begin("Cloud Storage")
    world.clock.advance(20)
    assert calls.silent(world.clock.monotonic()) == {"Cloud Storage": 600.0}
    calls.end("Cloud Storage", number, is_answered=True)


def test_durations_are_said_as_people_do() -> None:
    assert [duration(seconds) for seconds in (0.2, 40, 120, 12_600)] == [
        "1 s", "40 s", "2 min", "3.5 h"
    ]  # fmt: skip
