"""Start-up: how long a person waits for the first answer."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks.harness import (
    Bench,
    Row,
    Scale,
    Scenario,
    Usage,
    faster_row,
    grown,
    growth_row,
    paired,
    run_command,
)
from tests.benchmarks.stacks import INGEST, environment_of, free_port_base, running_stack

HELP = "ingest --help"
STATUS = "ingest status, the seeds pushed"
READY = "ingest local up"
SAVED = "ingest local up, data of an earlier run"
_SEEDS = Path(__file__).resolve().parents[2] / "seeds" / "conversations" / "2025-12-28"
SIZES = {
    Scale.QUICK: (3, 6, 12),
    Scale.DEFAULT: (250, 500, 1_000),
    Scale.FULL: (1_000, 2_000, 4_000),
}
LIMITS_SEC = {HELP: 0.5, STATUS: 0.5, READY: 10.0, SAVED: 10.0}


def run(bench: Bench) -> Iterator[Row]:
    """Yield the rows."""
    folder = bench.folder / "startup"
    medians = paired(_commands(bench), bench.rounds, bench.say)
    peers = {name: usage for name, usage in medians.items() if name != HELP}
    for name, theirs in peers.items():
        yield faster_row(HELP, medians[HELP], name, theirs)
    yield limited(HELP, medians[HELP])
    _up(folder / "old")
    ups = paired(
        {READY: lambda number: _up(folder / f"new-{number}"), SAVED: lambda _: _up(folder / "old")},
        bench.rounds,
        bench.say,
    )
    with running_stack(folder / "stack") as stack:
        environment = environment_of(stack.settings)
        run_command([INGEST, "push", str(_SEEDS)], environment)
        statuses = paired(
            {STATUS: lambda _: run_command([INGEST, "status"], environment)},
            bench.rounds,
            bench.say,
        )
    for name, usage in {**statuses, **ups}.items():
        yield limited(name, usage)
    yield from _growth(bench, folder)


def _growth(bench: Bench, folder: Path) -> Iterator[Row]:
    """Yield the growth of what reads saved data: stacks with so many conversations pushed."""
    sizes = SIZES[bench.scale]
    folders = {size: folder / f"saved-{size}" for size in sizes}
    with ExitStack() as opened:
        environments = {}
        for size in sizes:
            source = str(folder / f"source-{size}")
            run_command([INGEST, "data", "generate", "--count", str(size), "--out", source])
            stack = opened.enter_context(running_stack(folders[size]))
            environments[size] = environment_of(stack.settings)
            run_command([INGEST, "push", source, "--mode", "single"], environments[size])
        statuses = grown(
            lambda size, _: run_command([INGEST, "status"], environments[size]),
            sizes,
            bench.rounds,
            bench.say,
        )
    ups = grown(lambda size, _: _up(folders[size]), sizes, bench.rounds, bench.say)
    for name, usages in (("ingest status", statuses), (SAVED, ups)):
        what = f"{name}: so many conversations pushed"
        yield growth_row(what, {size: usage.wall_sec for size, usage in usages.items()}, "s")


def _commands(bench: Bench) -> dict[str, Callable[[int], Usage]]:
    commands = {HELP: [INGEST, "--help"]}
    dbt = Path(sys.executable).with_name("dbt")
    if dbt.exists():
        commands["dbt --help"] = [str(dbt), "--help"]
    if bench.peers:
        commands["dlt --help"] = [str(bench.peers / "bin" / "dlt"), "--help"]
    if shutil.which("gcloud"):
        commands["gcloud version"] = ["gcloud", "version"]
    environment = {
        **os.environ,
        "CLOUDSDK_CONFIG": str(bench.folder / "gcloud"),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
    }

    def runner(command: list[str]) -> Callable[[int], Usage]:
        return lambda _: run_command(command, environment, cwd=bench.folder)

    return {name: runner(command) for name, command in commands.items()}


def limited(name: str, usage: Usage) -> Row:
    """Return the row of a command that has a limit of time."""
    limit = LIMITS_SEC[name]
    return Row(
        name,
        f"{usage.wall_sec:.2f} s, {usage.cpu_sec:.2f} s of CPU, {usage.peak_mb:.0f} MB",
        goal=f"≤ {limit} s",
        is_met=usage.wall_sec <= limit,
    )


def _up(data_dir: Path) -> Usage:
    """Bring a stack up until it is ready, and take it down again outside of what is measured."""
    where = ["--data-dir", str(data_dir)]
    try:
        return run_command([INGEST, "local", "up", *where, "--port-base", str(free_port_base())])
    finally:
        run_command([INGEST, "local", "down", *where])


SCENARIO = Scenario(
    "startup",
    "Start-up",
    "Commands of a shell, nothing warm but the file cache. `ingest local up` ends when every "
    "service answers and bucket, tables and phrase matchers are in place. The rows of growth are "
    "of stacks whose saved data are so many generated conversations, pushed.",
    run,
    "median of {rounds}",
)
