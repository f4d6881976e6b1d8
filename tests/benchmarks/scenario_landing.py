"""Landing: whole CI payloads into BigQuery, by the sidecar and by what else loads JSON there."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from google.cloud import bigquery

from ingest.local.layout import Service
from tests.benchmarks.ci_payloads import write_payloads
from tests.benchmarks.harness import (
    Bench,
    Row,
    Scenario,
    Usage,
    grown,
    growth_row,
    paired,
    run_command,
)
from tests.benchmarks.stacks import BenchStack, environment_of, running_stack
from tests.warehouse.raw_loading import client_for

HERE = Path(__file__).parent
OURS = "the sidecar's landing"
DLT_DEFAULT = "dlt, default"
DLT_FLAT = "dlt, max_table_nesting=0"
INSERT = "insert_rows_json"
GROWTH_PARTS = (4, 2, 1)
MOST_GROWTH_ROUNDS = 3
"""Of the smaller sizes; the largest has been measured against the others."""
SCHEMA = Path(__file__).parents[2] / "ingest" / "schemas" / "ci_conversations.json"

Runner = Callable[[int], Usage]


def run(bench: Bench) -> Iterator[Row]:
    """Yield the rows."""
    count = bench.size(quick=40, default=2000, full=5000)
    folder = bench.folder / "landing"
    folder.mkdir()
    payloads = {count // part: folder / f"payloads-{part}.jsonl" for part in GROWTH_PARTS}
    mean_bytes = write_payloads(list(payloads.values()), list(payloads), folder)
    with running_stack(folder / "stack", [Service.GCS, Service.BIGQUERY]) as stack:
        landing = _Landing(bench, stack, payloads[count], folder)
        medians = paired(landing.variants(), bench.rounds, bench.say)
        what = f"{count:,} payloads of {mean_bytes / 1024:.0f} KB"
        yield from comparisons(what, medians)
        yield from landing.second_loads(medians)
        yield landing.paths_kept()
        grown_ones = grown(
            lambda size, number: landing.ours(payloads[size], f"grow_{size}_{number}"),
            [size for size in payloads if size != count],
            min(bench.rounds, MOST_GROWTH_ROUNDS),
            bench.say,
        )
        sizes = {**grown_ones, count: medians[OURS]}
    yield growth_row("time of the landing", {n: u.wall_sec for n, u in sizes.items()}, "s")
    yield growth_row("CPU of the landing", {n: u.cpu_sec for n, u in sizes.items()}, "s")
    yield growth_row("memory of the landing", {n: u.peak_mb for n, u in sizes.items()}, "MB", 0.5)


def comparisons(what: str, medians: Mapping[str, Usage]) -> Iterator[Row]:
    """Yield the rows of ours against each other program; dlt's better figure is the one to beat."""
    ours = medians[OURS]
    dlt = {name: medians[name] for name in (DLT_DEFAULT, DLT_FLAT) if name in medians}
    best = min(dlt, key=lambda name: dlt[name].wall_sec, default=None)
    leanest = min(dlt, key=lambda name: dlt[name].peak_mb, default=None)
    for name, theirs in medians.items():
        if name == OURS:
            continue
        speed, memory = theirs.wall_sec / ours.wall_sec, ours.peak_mb / theirs.peak_mb
        yield Row(
            f"{what}: time",
            f"{ours.wall_sec:.2f} s",
            f"{name}: {theirs.wall_sec:.2f} s",
            f"{speed:.2f}x",
            "≥ 5x" if name == best else "",
            speed >= 5 if name == best else None,
        )
        yield Row(
            f"{what}: CPU of the client",
            f"{ours.cpu_sec:.2f} s",
            f"{name}: {theirs.cpu_sec:.2f} s",
            f"{theirs.cpu_sec / ours.cpu_sec:.2f}x",
        )
        yield Row(
            f"{what}: memory",
            f"{ours.peak_mb:.0f} MB",
            f"{name}: {theirs.peak_mb:.0f} MB",
            f"{memory:.2f} of it",
            "≤ ½" if name == leanest else "",
            memory <= 0.5 if name == leanest else None,
        )


class _Landing:
    """The same payloads, loaded into new tables each time by each program."""

    def __init__(self, bench: Bench, stack: BenchStack, payloads: Path, folder: Path) -> None:
        self._bench = bench
        self._stack = stack
        self._payloads = payloads
        self._folder = folder
        self._client = client_for(str(stack.settings.bigquery_endpoint))

    def variants(self) -> dict[str, Runner]:
        """Return every program that this machine has, by name."""
        found: dict[str, Runner] = {
            OURS: lambda number: self.ours(self._payloads, f"ours_{number}"),
            INSERT: lambda number: self._insert(f"insert_{number}"),
        }
        if self._bench.peers:
            found[DLT_DEFAULT] = lambda number: self._dlt(f"nested_{number}", None)
            found[DLT_FLAT] = lambda number: self._dlt(f"flat_{number}", 0)
        return found

    def ours(self, payloads: Path, name: str) -> Usage:
        """Land by `ingest.flows.landing` and the adapters in a dataset that is made first."""
        return self._land(payloads, self._environment(name))

    def second_loads(self, medians: dict[str, Usage]) -> Iterator[Row]:
        """Load once more what the first round has loaded; count what that adds."""
        again = {
            OURS: partial(self._land, self._payloads, self._environment("ours_0")),
            INSERT: partial(self._insert, "insert_0"),
            DLT_DEFAULT: partial(self._dlt, "nested_0", None),
            DLT_FLAT: partial(self._dlt, "flat_0", 0),
        }
        tables = {
            OURS: "raw_ours_0.ci_conversations",
            INSERT: "raw_insert_0.ci_conversations",
            DLT_DEFAULT: "nested_0.conversations",
            DLT_FLAT: "flat_0.conversations",
        }
        for name in medians:
            before = self._count(tables[name])
            again[name]()
            added = self._count(tables[name]) - before
            yield Row(
                f"the same run again, as after a kill: {name}"
                if name == OURS
                else f"the same load again: {name}",
                f"{added:,} rows more",
                f"of {before:,}",
                goal="none" if name == OURS else "",
                is_met=added == 0 if name == OURS else None,
            )

    def paths_kept(self) -> Row:
        """Compare what lies in BigQuery with what was sent, path by path."""
        expected = [orjson.loads(line) for line in self._payloads.read_bytes().splitlines()]
        sql = (
            "select conversation_id, to_json_string(payload) as payload "
            "from `coach_raw_of_round`.ci_conversations where _landed_at >= timestamp('2000-01-01')"
        ).replace("`coach_raw_of_round`", "raw_ours_0")
        held = {row.conversation_id: json.loads(row.payload) for row in self._rows(sql)}
        sent_paths: set[str] = set()
        kept_paths: set[str] = set()
        equal = 0
        for payload in expected:
            landed = held[payload["name"].rsplit("/", 1)[1]]
            sent_paths |= leaf_paths(payload)
            kept_paths |= leaf_paths(landed)
            equal += landed == payload
        share = len(sent_paths & kept_paths) / len(sent_paths)
        return Row(
            "JSON paths kept",
            f"{share:.0%} of {len(sent_paths)}; {equal:,} of {len(expected):,} payloads equal",
            goal="100 %",
            is_met=share == 1.0 and equal == len(expected),
        )

    def _land(self, payloads: Path, environment: dict[str, str]) -> Usage:
        script = str(HERE / "land_payloads.py")
        return run_command([sys.executable, script, str(payloads)], environment)

    def _environment(self, name: str) -> dict[str, str]:
        update = {"bucket": name, "raw_dataset": f"raw_{name}"}
        return environment_of(self._stack.settings.model_copy(update=update))

    def _insert(self, name: str) -> Usage:
        script = str(HERE / "peers" / "insert_rows.py")
        python = self._bench.peer_python or sys.executable
        settings = self._stack.settings
        table = f"{settings.project_id}.raw_{name}.ci_conversations"
        endpoint = str(settings.bigquery_endpoint)
        return run_command([python, script, endpoint, table, str(SCHEMA), str(self._payloads)])

    def _dlt(self, dataset: str, nesting: int | None) -> Usage:
        settings = self._stack.settings
        environment = {
            **os.environ,
            "BIGQUERY_EMULATOR_HOST": str(settings.bigquery_endpoint),
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true",
        }
        script = str(HERE / "peers" / "load_with_dlt.py")
        nested = [] if nesting is None else [str(nesting)]
        state = str(self._folder / "dlt" / dataset)
        command = [str(self._bench.peer_python), script, str(self._payloads), dataset, state]
        return run_command([*command, *nested], environment, cwd=self._folder)

    def _count(self, table: str) -> int:
        has_filter = ".ci_conversations" in table
        where = " where _landed_at >= timestamp('2000-01-01')" if has_filter else ""
        return int(self._rows(f"select count(*) as n from {table}{where}")[0].n)

    def _rows(self, sql: str) -> list[Any]:
        config = bigquery.QueryJobConfig()
        job = self._client.query(sql, job_config=config, retry=None, job_retry=None)
        return list(job.result(timeout=600))


def leaf_paths(value: Any, path: str = "") -> set[str]:
    """Return the path of every leaf, `[]` for any index; an empty list or object is a leaf."""
    if isinstance(value, dict) and value:
        return set().union(*(leaf_paths(item, f"{path}.{key}") for key, item in value.items()))
    if isinstance(value, list) and value:
        return set().union(*(leaf_paths(item, f"{path}[]") for item in value))
    return {path}


SCENARIO = Scenario(
    "landing",
    "Landing of CI payloads",
    "The FULL view of analysed conversations, one JSON a line, into the same BigQuery emulator. "
    "Each program reads the same file in a process of its own and makes the dataset and the tables "
    "it needs within its time, the sidecar its bucket too; memory is the process's largest. "
    "dlt reads as its own reader of JSON lines does (its JSON module, 1,000 lines at once) and "
    "appends, as it does by default. "
    "The compression of its files is off, since the emulator doesn't decompress what a load job "
    "uploads; that is to its advantage where no network lies between: compressing takes it a "
    "quarter more time before it loads. Its credentials are replaced by anonymous ones, "
    "since the emulator asks for none, and its telemetry is off. The sidecar's run has a fixed id, "
    "so that the same run again is what a run does that goes on after a kill; a new run over the "
    "same conversations is in the section End to end. Most of the sidecar's time is the "
    "emulator's, which reads and checks the rows of a load job on the same cores; the CPU of the "
    "client is what is left of it where BigQuery does that.",
    run,
    "median of {rounds}, of at most 3 at the smaller sizes of growth",
    {
        ".* payloads of .*: time": "a part of the sidecar's time is the same for any number of "
        "payloads, as the row of its growth shows: its start, and the bucket, dataset and table. "
        "The row of CPU compares the programs without the emulator being waited for.",
    },
)
