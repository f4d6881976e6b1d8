"""A `forget` across a slow push, and two pushes of one folder, on the stack."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Timer
from typing import Any
from uuid import UUID

import pytest
from push_command import Command, Ended, ended, rows
from stack_fixture import Stack

from ingest.cli._context import Running, landing_of, lease_alone, open_services, run
from ingest.domain.outcome import Step
from ingest.emulator.control_client import Control
from ingest.enums import Mode
from ingest.errors import ExitCode
from ingest.flows.forget import Forget, Forgotten
from ingest.flows.push import Push, PushOptions
from ingest.flows.services import Services, Silent
from ingest.flows.source import LocalSource
from ingest.gcp.bigquery import BigQueryWarehouse
from tests.chaos.evidence_on_stack import copy_dev_conversations
from tests.unit.flows.test_two_at_once import Held

pytestmark = pytest.mark.stack
_SPACES = itertools.count(0x60)
_SMALL = {"INGEST_CONCURRENCY": "8"}
_ROWS = """
    select 'conversation_files' as name, count(*) as row_count from {conversation_files}
    where _landed_at >= timestamp('2000-01-01') and conversation_id = @id
    union all
    select 'ci_conversations', count(*) from {ci_conversations}
    where _landed_at >= timestamp('2000-01-01') and conversation_id = @id
    union all
    select 'pipeline_events', count(*) from {pipeline_events}
    where _landed_at >= timestamp('2000-01-01') and conversation_id = @id and step != 'forget'
"""


@pytest.fixture
def command(stack: Stack) -> Command:
    return Command(stack, _SMALL)


def raw_rows(command: Command, id_: str) -> dict[str, int]:
    return {row["name"]: row["row_count"] for row in rows(command, _ROWS, id=id_)}


POINTS: dict[str, Callable[[Services, str], Held]] = {
    "before upload": lambda real, id_: Held(
        real.store, "put", lambda name, *_, **__: f"/{id_}/" in name
    ),
    "before submit": lambda real, id_: Held(
        real.insights, "create_conversation", lambda one: one.conversation_id == id_
    ),
    "between submit and land": lambda real, id_: Held(
        real.store, "put", lambda name, *_, **__: name.startswith("_landing/")
    ),
    "between write and load": lambda real, _: Held(real.sink, "load"),
    "while the load job runs": lambda real, _: Held(real.sink, "load", after_effect=True),
}


async def forget_across_a_push(
    stack: Stack, root: Path, id_: str, point: str
) -> tuple[Forgotten, ExitCode]:
    """Push, hold it at that point until the conversation is forgotten, let it go on."""
    push_run = Running("push", f"push-{id_}")
    forget_run = Running("forget", f"forget-{id_}")
    async with (
        open_services(stack.settings, Silent(), running=push_run) as pushing,
        open_services(stack.settings, Silent(), running=forget_run) as forgetting,
    ):
        held = POINTS[point](pushing, id_)
        push = Push(pushing, stack.settings, PushOptions(push_run.run_id, Step.LAND, Mode.SINGLE))
        task = asyncio.create_task(push.run(LocalSource(root)))
        await asyncio.wait_for(held.reached.wait(), 60)
        attempts, landing = landing_of(forgetting, stack.settings, forget_run.run_id)
        async with forgetting.lease.running():
            flow = Forget(forgetting, attempts, landing, forget_run.run_id)
            told = await flow.run(id_)
        held.released.set()
        return told, (await task).exit_code


def change(root: Path, id_: str) -> None:
    """Deliver the conversation anew, with another sentence."""
    file = root / "2025-12-28" / id_ / "transcription.json"
    talk: dict[str, Any] = json.loads(file.read_text())
    key = next(name for name, value in talk.items() if isinstance(value, list))
    talk[key][0]["text"] += " Indeed."
    file.write_text(json.dumps(talk))


def held_by_runs(command: Command) -> list[str]:
    """Return the signs of runs that go on; those of ended ones stay for a while."""
    listed: Any = command.run("ls", "gcs", "--prefix", "_runs/", "--json").report
    names = [each["name"] for each in listed]
    return [name for name in names if not name.startswith("_runs/ended/")]


@pytest.mark.parametrize("point", POINTS)
def test_a_slow_push_undoes_no_forget(command: Command, tmp_path: Path, point: str) -> None:
    gone, kept = copy_dev_conversations(tmp_path, next(_SPACES), 0, 2)
    assert command.push(tmp_path).exit_code == 0
    change(tmp_path, gone)
    change(tmp_path, kept)

    told, code = asyncio.run(forget_across_a_push(command.stack, tmp_path, gone, point))

    assert (told.after.is_clean, told.running) == (True, (f"push/push-{gone}",))
    none = {"conversation_files": 0, "ci_conversations": 0, "pipeline_events": 0}
    assert raw_rows(command, gone) == none
    assert raw_rows(command, kept) == {
        "conversation_files": 3, "ci_conversations": 2, "pipeline_events": 4 + 3
    }  # fmt: skip
    traces = command.run("forget", gone, "--dry-run", "--json").report["before"]
    assert traces == {"objects": 0, "ci_conversations": 0, "raw_rows": 0}
    assert code in (ExitCode.OK, ExitCode.SOME_FAILED)
    shown = command.run("ls", "raw", "--date", "2025-12-28", "--json", "--limit", "1000").stdout
    assert gone not in shown
    assert held_by_runs(command) == []


def slow_push(command: Command, root: Path, control: Control) -> Any:
    """Start a push whose analyses take a minute, and wait until it has its lease."""
    control.set_operation_latency("CreateAnalysis", 60)
    process = command.start("push", root, "--json")
    for _ in range(600):
        if "leases" in command.run("ls", "gcs", "--prefix", "_runs/", "--json").stdout:
            return process
        if process.poll() is not None:
            break
    process.kill()
    raise AssertionError(process.communicate())


def test_two_pushes_of_a_folder_land_every_row_once(command: Command, tmp_path: Path) -> None:
    ids = copy_dev_conversations(tmp_path, next(_SPACES), 0, 3)

    processes = [command.start("push", tmp_path, "--json", *more) for more in ((), ("--wait",))]
    first, second = [ended(process) for process in processes]
    refused = [one for one in (first, second) if one.exit_code]

    assert [one.exit_code for one in refused] in ([], [4])
    for one in refused:
        assert "is held by push" in one.stderr
    for id_ in ids:
        wanted = {"conversation_files": 2, "ci_conversations": 1, "pipeline_events": 4}
        assert raw_rows(command, id_) == wanted
    assert held_by_runs(command) == []


def test_a_second_push_names_the_first_and_one_that_was_killed_is_taken_over_from(
    command: Command, tmp_path: Path
) -> None:
    ids = copy_dev_conversations(tmp_path, next(_SPACES), 0, 3)
    with command.control() as control:
        process = slow_push(command, tmp_path, control)
        try:
            refused: Ended = command.push(tmp_path)
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            control.set_operation_latency("CreateAnalysis", 0)

    taken_over = command.push(tmp_path)

    assert refused.exit_code == 4
    assert f", process {process.pid}, since " in refused.stderr
    assert taken_over.exit_code in (0, 130), taken_over.stderr
    assert taken_over.lines("taking over push-2025-12-28-0-of-1 from push ") != []
    assert {UUID(id_) for id_ in ids} == {UUID(id_) for id_ in ids if raw_rows(command, id_)}


def test_status_is_watched_until_the_push_that_it_shows_has_ended(
    command: Command, tmp_path: Path
) -> None:
    copy_dev_conversations(tmp_path, next(_SPACES), 0, 2)
    lines: list[str] = []
    with command.control() as control:
        push = slow_push(command, tmp_path, control)
        watch = command.start("status", "--watch")
        stuck = Timer(120, watch.kill)
        stuck.start()
        try:
            for line in watch.stdout or ():
                if "running: push" in line and not any("running: push" in one for one in lines):
                    push.send_signal(signal.SIGINT)
                lines.append(line)
        finally:
            stuck.cancel()
            pushed = ended(push)
            control.set_operation_latency("CreateAnalysis", 0)
    shown = "".join(lines)

    assert (ended(watch).exit_code, pushed.exit_code) == (0, 130)
    assert f"process {push.pid}," in " ".join(shown.split())
    assert "running: push" not in shown.rpartition("\nDATE ")[2]


DBT = """#!/bin/sh
echo "$*" >> {log}
"""
BUILD = """
import sys
import ingest.cli.build
from ingest.cli import main
program = sys.argv.pop(1)
ingest.cli.build.dbt_program = lambda: program
main()
"""


def test_builds_of_the_same_marts_never_overlap(
    command: Command, stack: Stack, tmp_path: Path
) -> None:
    log, program = tmp_path / "log", tmp_path / "dbt"
    program.write_text(DBT.format(log=log))
    program.chmod(0o755)

    def build(*arguments: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-c", BUILD, str(program), "build", *arguments]
        return subprocess.run(
            words, env=command.env, capture_output=True, text=True, timeout=120, check=False
        )

    async def while_another_builds() -> subprocess.CompletedProcess[str]:
        other = Running("build", "20260101T000000Z-other")
        async with lease_alone(stack.settings, other, print) as lease, lease.running():
            await lease.take(["build-coach"], waits=False)
            return await asyncio.to_thread(build)

    refused = run(while_another_builds())
    assert (refused.returncode, log.exists()) == (4, False)
    assert "build-coach is held by build 20260101T000000Z-other" in refused.stderr

    built = build("--wait", "-s", "a")
    assert built.returncode == 0, built.stderr
    assert log.read_text().split()[-3:] == ["build", "-s", "a"]


def test_a_build_is_made_where_something_is_new(
    command: Command, stack: Stack, tmp_path: Path
) -> None:
    log, program, model = tmp_path / "log", tmp_path / "dbt", tmp_path / "models/a.sql"
    program.write_text(DBT.format(log=log))
    program.chmod(0o755)
    model.parent.mkdir()
    model.write_text("select 1")
    (tmp_path / "dbt_project.yml").write_text("model-paths: [models]")
    with closing(BigQueryWarehouse(stack.settings)) as warehouse:
        for dataset in ("new_marts", "new_raw"):
            warehouse.query(f"create schema {dataset}")
            warehouse.query(f"create table {dataset}.a as select current_timestamp() as _landed_at")
        told = []

        def build(*arguments: str) -> None:
            words = [sys.executable, "-c", BUILD, str(program), "build", *arguments]
            env = command.env | {
                "INGEST_MARTS_DATASET": "new_marts",
                "INGEST_RAW_DATASET": "new_raw",
            }
            ended = subprocess.run(
                words, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120
            )
            assert ended.returncode == 0, ended.stderr
            is_left = "nothing is new since the build that ended at 20" in ended.stdout
            told.append((is_left, len(log.read_text().splitlines())))

        build()
        build()
        build("--force")
        model.write_text("select 2")
        build()
        warehouse.query("insert into new_raw.a values (current_timestamp())")
        build()
        warehouse.query("drop table new_marts.a")
        build()

    assert told == [(False, 1), (True, 1), (False, 2), (False, 3), (False, 4), (False, 5)]
