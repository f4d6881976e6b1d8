"""The `ingest` command on a stack, and what a push leaves behind there."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from output_checks import check_output
from stack_fixture import Stack
from typer.testing import CliRunner

from ingest.cli import app
from ingest.domain.conversation import RUNS_PREFIX
from ingest.domain.raw_records import OPTIONAL_TABLES, RAW_TABLES
from ingest.emulator.control_client import Control
from ingest.flows.attempts import items_of
from ingest.gcp.bigquery import BigQueryRawSink
from ingest.gcp.storage import GcsObjectStore

REPOSITORY = Path(__file__).resolve().parents[2]
EFFECTS_IN_CI = (
    "CreateConversation",
    "UpdateConversation",
    "DeleteConversation",
    "CreateAnalysis",
    "BulkAnalyzeConversations",
)


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def report(self) -> dict[str, Any]:
        """The JSON on stdout."""
        read: dict[str, Any] = json.loads(self.stdout)
        return read

    @property
    def states(self) -> dict[str, int]:
        """How many conversations ended in which state, without zeros."""
        return {name: number for name, number in self.report["states"].items() if number}

    def lines(self, start: str) -> list[str]:
        """Return the lines on stderr that start so."""
        return [line for line in self.stderr.splitlines() if line.startswith(start)]


@dataclass(frozen=True)
class Command:
    """Runs `ingest` against one stack."""

    stack: Stack
    more_env: Mapping[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        """Settings that lead to the stack, whatever this machine's are."""
        endpoints = {f"INGEST_{k.upper()}": v for k, v in self.stack.endpoints.items()}
        ours = {k: v for k, v in os.environ.items() if not k.startswith(("INGEST_", "CLOUD_RUN_"))}
        return {**ours, **endpoints, **self.more_env}

    def run(self, *arguments: str | Path) -> Ended:
        """Run in this process; JSON is held against its schema."""
        before = dict(os.environ)
        try:
            os.environ.clear()
            os.environ.update(self.env)
            result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        finally:
            os.environ.clear()
            os.environ.update(before)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        check_output([str(argument) for argument in arguments], result.stdout)
        return Ended(result.exit_code, result.stdout, result.stderr)

    def push(self, root: Path, *more: str) -> Ended:
        """Push with the report as JSON."""
        return self.run("push", root, "--json", *more)

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Start in a process of its own; nobody but the caller ends it."""
        return subprocess.Popen(
            [sys.executable, "-c", "from ingest.cli import main; main()", *map(str, arguments)],
            env=self.env,
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def control(self) -> Control:
        """Return the switches of the stack's Insights emulator."""
        return Control(self.stack.endpoints["insights_endpoint"])


def ended(process: subprocess.Popen[str], timeout_sec: float = 120) -> Ended:
    """Return how the process ended; one that doesn't end is killed."""
    try:
        stdout, stderr = process.communicate(timeout=timeout_sec)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Ended(process.returncode, stdout, stderr)


@dataclass(frozen=True)
class Left:
    """All that pushes have left on the stack, but for signs of runs."""

    objects: dict[str, int]
    row_counts: dict[str, int]
    effects_in_ci: dict[str, int]


def left_on(command: Command) -> Left:
    """Return what is on the stack now, and how many calls of Insights had an effect until now."""
    settings = command.stack.settings
    store, sink = GcsObjectStore(settings), BigQueryRawSink(settings)

    async def read() -> tuple[dict[str, int], dict[str, int]]:
        listed = items_of(lambda token: store.list("", page_token=token))
        objects = {
            stored.name: stored.generation
            async for stored in listed
            if not stored.name.startswith(RUNS_PREFIX)
        }
        counts = {}
        for table in RAW_TABLES:
            rows = await sink.query(
                f"select count(*) as row_count from {sink.table(table)} "
                "where _landed_at >= timestamp('2000-01-01')",
                {},
            )
            counts[table] = rows[0]["row_count"]
        return objects, counts

    try:
        objects, counts = asyncio.run(read())
    finally:
        store.close()
        sink.close()
    with command.control() as control:
        calls = control.calls()
    done = {method: calls.get(method, {}).get("OK", 0) for method in EFFECTS_IN_CI}
    return Left(objects, counts, done)


def difference(before: Left, after: Left) -> dict[str, int]:
    """Return what was added: objects, rows by table, effects in Insights; zeros left out."""
    written = {n for n, generation in after.objects.items() if before.objects.get(n) != generation}
    added = {
        "objects": len(written),
        **{t: after.row_counts[t] - before.row_counts[t] for t in after.row_counts},
        **{m: after.effects_in_ci[m] - before.effects_in_ci[m] for m in EFFECTS_IN_CI},
    }
    return {name: number for name, number in added.items() if number}


def rows(command: Command, sql: str, **parameters: Any) -> list[dict[str, Any]]:
    """Return rows of a query; `{table}` names in braces stand for raw tables."""
    sink = BigQueryRawSink(command.stack.settings)
    try:
        named = sql.format(
            **{table: sink.table(table) for table in (*RAW_TABLES, *OPTIONAL_TABLES)}
        )
        return [dict(row) for row in asyncio.run(sink.query(named, parameters))]
    finally:
        sink.close()
