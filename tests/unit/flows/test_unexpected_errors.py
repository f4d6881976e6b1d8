"""A bug that one conversation brings out is that conversation's failure, told without its data."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from ingest.domain.outcome import ItemState
from ingest.errors import ExitCode
from ingest.flows.landing import Landing
from ingest.flows.pull import PullSelection
from ingest.flows.reanalyze import Selection
from tests.fakes.folders import write_many
from tests.fakes.world import World

SECRET = "Robin Vale"


def break_for(monkeypatch: pytest.MonkeyPatch, target: str, bad_id: str) -> None:
    """Have a function of a flow raise an error that quotes data, for one conversation."""
    module, _, name = target.rpartition(".")
    original: Any = getattr(__import__(module, fromlist=[name]), name)

    def broken(*arguments: Any, **more: Any) -> Any:
        if bad_id in repr((arguments, more)):
            raise KeyError(SECRET)
        return original(*arguments, **more)

    monkeypatch.setattr(target, broken)


def assert_only_the_bad_one_failed(world: World, report: Any, bad_id: str, count: int) -> None:
    assert report.exit_code is ExitCode.SOME_FAILED
    assert dict(+report.states) == {ItemState.DONE: count - 1, ItemState.FAILED: 1}
    (failure,) = report.failures
    assert (failure.conversation_id, failure.code) == (bad_id, "INTERNAL")
    assert failure.message.startswith("unexpected KeyError at test_unexpected_errors.py:")


def test_a_push_goes_on_and_tells_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    ids = write_many(tmp_path, 3)
    break_for(monkeypatch, "ingest.flows.conversation_run.submission_of", ids[1])

    with caplog.at_level(logging.INFO):
        report = asyncio.run(world.push(tmp_path))

    assert_only_the_bad_one_failed(world, report, ids[1], 3)
    told = [
        (row["conversation_id"], row["step"], row["error_code"], row["error_message"])
        for row in world.sink.rows["pipeline_events"]
        if row["outcome"] == "failed"
    ]
    assert told == [(ids[1], "submit", "INTERNAL", report.failures[0].message)]
    assert SECRET not in caplog.text + repr([vars(record) for record in caplog.records])


def test_rows_that_cannot_be_made_fail_their_conversation_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    ids = write_many(tmp_path, 3)
    original = Landing.add

    def add(self: Landing, rows: Any, *watchers: Any) -> None:
        if any(row.values["conversation_id"] == ids[0] for row in rows):
            raise KeyError(SECRET)
        original(self, rows, *watchers)

    monkeypatch.setattr(Landing, "add", add)

    assert_only_the_bad_one_failed(world, asyncio.run(world.push(tmp_path)), ids[0], 3)


def test_a_conversation_that_cannot_be_validated_is_invalid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    ids = write_many(tmp_path, 3)
    break_for(monkeypatch, "ingest.flows.selection.read_delivery", ids[2])

    report = asyncio.run(world.push(tmp_path))

    assert dict(+report.states) == {ItemState.DONE: 2, ItemState.INVALID: 1}
    (fault,) = report.faults
    assert (fault.rule, fault.file.split("/")[1]) == ("unexpected_error", ids[2])
    assert SECRET not in repr(fault)


def test_a_pull_and_a_reanalysis_go_on_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    ids = write_many(tmp_path, 3)
    asyncio.run(world.push(tmp_path))
    world.sink.rows["ci_conversations"].clear()
    break_for(monkeypatch, "ingest.flows.pull.state_row", ids[1])
    break_for(monkeypatch, "ingest.flows.reanalyze.state_row", ids[1])
    flow = world.new_reanalyze()

    async def reanalyze() -> Any:
        profile = await flow.profile()
        return await flow.run(await flow.select(Selection(), profile), profile)

    pulled = asyncio.run(world.pull(PullSelection(is_all=True)))
    reanalyzed = asyncio.run(reanalyze())

    assert_only_the_bad_one_failed(world, pulled, ids[1], 3)
    assert_only_the_bad_one_failed(world, reanalyzed, ids[1], 3)
