"""`ingest build`: dbt, one at a time."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import signal
import sys
import time
from asyncio import to_thread
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ingest.cli._console import counted
from ingest.cli._context import (
    Running,
    SystemClock,
    configure_logging,
    lease_alone,
    new_run_id,
    run,
    stop_on_signals,
)
from ingest.cli._options import WaitOption
from ingest.errors import ExitCode, SettingsError
from ingest.flows.rubric import ensure_sound_rubric
from ingest.flows.steps import LOGGER
from ingest.flows.watch import duration
from ingest.settings import Settings, dbt_environment, load_declared_places, load_settings

if TYPE_CHECKING:
    from ingest.cli._progress import Bars, Lines
    from ingest.flows.lease import BucketLease

Force = Annotated[bool, typer.Option("--force", help="Build even where nothing is new.")]


def build(context: typer.Context, wait: WaitOption = False, force: Force = False) -> None:
    """Run `dbt build`, one at a time for these marts; show nodes done, running and failed.

    What follows goes to dbt, which gets what `.env` says as well; its target is `bigquery` where
    the project is Google's. While another build of the same marts runs, on whatever machine, this
    one ends at once and names it (exit code 4), or waits (--wait). Exits with 1 where a model or
    test failed. Where nothing has landed and no file has changed since the last build in this
    folder ended well, none is made (--force makes one), nor by a coaching rubric with a bad row. A
    plain `dbt build` asks nobody.

    Example: ingest build --exclude resource_type:unit_test
    """
    raise typer.Exit(int(execute(context.args, wait=wait, force=force)))


def execute(arguments: Sequence[str], *, wait: bool, force: bool) -> ExitCode:
    """Build, print what was built, return the exit code."""
    from ingest.cli._progress import progress_for_people

    ensure_sound_rubric(*load_declared_places())
    settings, program = load_settings(), dbt_program()
    configure_logging(settings.log_format)
    words = [program, "--log-format", "json", "--log-level", "debug", "build", *arguments]
    with progress_for_people() as progress:
        shown = _Nodes(progress)
        code = run(_build(settings, words, shown, wait=wait, force=force))
    if isinstance(code, str):
        typer.echo(f"nothing is new since the build that ended at {code} (--force builds anyway)")
        return ExitCode.OK
    typer.echo(shown.summary())
    return ExitCode.OK if code == 0 else ExitCode.SOME_FAILED


def dbt_program() -> str:
    """Return dbt beside this Python, or the system's; raise SettingsError without one."""
    beside = str(Path(sys.executable).parent)
    dbt = shutil.which("dbt", path=os.pathsep.join((beside, os.defpath)))
    if dbt is None:
        raise SettingsError("dbt isn't installed", "pip install 'conversation-coach[dbt]'")
    return dbt


_PATIENCE_SEC = 6.0
"""After so long an interrupted dbt is killed: a task of Cloud Run has ten seconds."""
_LONGEST_LINE = 16 * 1024 * 1024
"""Of dbt's log, where a line has a whole statement."""


async def _build(
    settings: Settings, words: Sequence[str], shown: _Nodes, *, wait: bool, force: bool
) -> int | str:
    """Return dbt's exit code; where nothing is new, when the last build ended."""
    from ingest.cli import _last_build

    running = Running("build", new_run_id())
    async with lease_alone(settings, running, shown.note) as lease, lease.running():
        await lease.take([f"build-{settings.marts_dataset}"], waits=wait)
        arguments, clock = words[words.index("build") + 1 :], SystemClock()
        before = await to_thread(_last_build.stand_before, settings, arguments, clock.now())
        if before and not force:
            at = await to_thread(_last_build.ended_well_at, before, settings)
            if at:
                return at
        _last_build.forget()
        code = await _run_dbt(settings, words, shown, lease)
        if before and code == 0:
            await to_thread(_last_build.keep, before, settings, clock.now())
        return code


async def _run_dbt(
    settings: Settings, words: Sequence[str], shown: _Nodes, lease: BucketLease
) -> int:
    dbt = await asyncio.create_subprocess_exec(
        *words,
        stdout=asyncio.subprocess.PIPE,
        limit=_LONGEST_LINE,
        start_new_session=True,
        env=dbt_environment(settings),
    )

    def kill() -> None:
        if dbt.returncode is None:
            dbt.kill()

    def stop() -> None:
        lease.interrupt()
        if dbt.returncode is None:
            dbt.send_signal(signal.SIGINT)
        asyncio.get_running_loop().call_later(_PATIENCE_SEC, kill)

    stop_on_signals(stop)
    try:
        if dbt.stdout is not None:
            async for line in dbt.stdout:
                shown.take(line)
        return await dbt.wait()
    finally:
        kill()


def _log(event: str, info: Mapping[str, str], node: Mapping[str, str] | None) -> None:
    """Pass an event of dbt on to our own log, from its level `info` on."""
    level = logging.getLevelNamesMapping().get(info["level"].upper(), logging.WARNING)
    if level >= logging.INFO:
        named = {"node": node["unique_id"]} if node else {}
        told = {"action": "dbt", "event": event, "message": info["msg"], **named}
        LOGGER.log(level, "dbt", extra={"effect": told})


class _Nodes:
    """Turns the lines of dbt's JSON log into progress."""

    def __init__(self, progress: Bars | Lines) -> None:
        self._counts = Counter[tuple[str, str]]()
        self._progress = progress
        self._running: dict[str, str] = {}
        self._began_at = time.monotonic()

    def take(self, line: bytes) -> None:
        """Take up an event: a count of nodes, a start, an end, or what went wrong."""
        try:
            event = json.loads(line)
            name, data, node = event["info"]["name"], event["data"], event["data"].get("node_info")
        except (ValueError, KeyError):
            self._progress.note(line.decode(errors="replace").rstrip())
            return
        _log(name, event["info"], node)
        if event["info"]["level"] == "error":
            self._progress.note(event["info"]["msg"])
        if name == "ConcurrencyLine":
            self._progress.stage("dbt", data["node_count"])
        elif name == "NodeStart":
            self._running[node["unique_id"]] = f"{node['resource_type']} {node['node_name']}"
            self._tell()
        elif name == "NodeFinished" and self._running.pop(node["unique_id"], None):
            self._counts[node["resource_type"], data["run_result"]["status"]] += 1
            self._progress.advance("dbt")
            self._tell()

    def note(self, message: str) -> None:
        """Show a line."""
        self._progress.note(message)

    def _tell(self) -> None:
        failed = sum(n for (_, status), n in self._counts.items() if status in _FAILED)
        sentences = [", ".join(self._running.values())]
        if failed:
            sentences.insert(0, f"{failed} failed")
        self._progress.now(tuple(sentences))

    def summary(self) -> str:
        """Return what was built, for example `18 seeds, 77 models, 141 tests: 236 passed, 51 s`."""
        kinds, outcomes = Counter[str](), Counter[str]()
        for (kind, status), count in self._counts.items():
            kinds[kind] += count
            outcomes[_OUTCOMES.get(status, "passed")] += count
        made = ", ".join(counted(count, kind.replace("_", " ")) for kind, count in kinds.items())
        ended = ", ".join(f"{count} {word}" for word, count in outcomes.items())
        return f"{made}: {ended}, {duration(time.monotonic() - self._began_at)}"


_FAILED = ("error", "fail", "runtime error")
_OUTCOMES = {**dict.fromkeys(_FAILED, "failed"), "skipped": "skipped", "warn": "warned"}
