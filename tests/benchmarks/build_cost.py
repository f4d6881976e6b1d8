"""What the builds would cost on BigQuery: bytes billed by node, as history grows.

    python -m tests.benchmarks.build_cost            # or: make cost

Nothing here bills, so the bytes are computed (`scanned_bytes.py`) for the statements of real
builds: a stack is filled with the dev conversations on two days and one that is 20 days old,
built an hour after its facts of the days before, and it is filled with more of today and a
correction of the old one; then come an hourly build, another after an erasure, a daily one and the
weekly tests (selectors.yml), whose statements are counted. Column widths and rows a conversation
are measured in its tables; then every table gets the rows of a month, a year and five years at
10,000 conversations a day, and a table that a build merges from those of the hours that it looks
back. Over a day's hourly builds today's partitions fill up, and those of the hours after midnight
read yesterday's, too. The sidecar's query for evidence stands there as well.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from google.cloud import bigquery

from ingest.flows.evidence import evidence_sql
from ingest.settings import Settings
from tests.benchmarks.harness import run_command
from tests.benchmarks.scanned_bytes import MIB, Catalog, Name, Read, Table, billed, reads_of
from tests.benchmarks.stacks import INGEST, environment_of, running_stack
from tests.warehouse.dbt_runs import ROOT, DbtProject
from tests.warehouse.raw_loading import client_for
from tests.warehouse.sent_statements import recording

CONVERSATIONS_A_DAY = 10_000
HOURLY = 720
USD_A_TIB = 6.25


@dataclass(frozen=True)
class Hours:
    """Hours of the day in which builds read alike."""

    share: float
    """Of the builds."""
    today: float
    """How much of today is there, on average."""
    reads_yesterday: bool


WINDOW_HOURS = 3 + 1
"""What an hourly build looks back: the overlap, and the hour since the build before."""
ANY_HOUR = (Hours(1, 1, reads_yesterday=False),)
"""As if today were over."""
EACH_HOUR = (
    Hours(WINDOW_HOURS / 24, WINDOW_HOURS / 2 / 24, reads_yesterday=True),
    Hours(1 - WINDOW_HOURS / 24, (WINDOW_HOURS + 24) / 2 / 24, reads_yesterday=False),
)


@dataclass(frozen=True)
class Build:
    """How often a month dbt runs, and how."""

    times_a_month: float
    arguments: Sequence[str]
    merged_days: float = 3
    """Of how many days it merges conversations: a temporary table has their rows."""
    variables: Mapping[str, Any] = field(default_factory=dict)
    hours: Sequence[Hours] = ANY_HOUR
    comes_after_erasure: bool = False


_HOURLY = Build(
    HOURLY - 30,
    ("build", "--selector", "hourly"),
    WINDOW_HOURS / 24,
    {"incremental_overlap_hours": 3, "tested_days": "changed"},
    EACH_HOUR,
)
BUILDS = {
    "hourly": _HOURLY,
    "hourly, erasing": replace(_HOURLY, times_a_month=30, comes_after_erasure=True),
    "daily": Build(30, ("build", "--selector", "daily"), 3, {"tested_days": "changed"}),
    "weekly": Build(30 / 7, ("test", "--selector", "quality")),
}
HISTORIES = {"1 month": 30, "1 year": 365, "5 years": 1825}
EVIDENCE_EVERY = 500
"""Conversations that one query for evidence is about."""
OLD_DAYS = 20
A_DAY = 8
"""Conversations of the dev data a day."""
BY_DAY = {"pipeline_daily": 1, "ci_costs": 3, "agent_daily": 100, "stg_ci__payload_paths": 150} | {
    "int_changed_days": 1,
    "int_forgotten_days": 1,
    "agent_weekly": 15,
}
"""Rows a day, where they don't grow with the conversations."""
OF_THE_SETUP = {"phrase_matchers", "schema_drift", "phrase_matcher_evaluation", "coaching_queue"}
"""Tables that have as many rows on any day."""
RARE = {"int_conversations_forgotten", "int_forgotten_charges", "quarantined_conversations"}
"""Tables of exceptions: one conversation of a thousand."""
AGES = {"phrase_matchers": 30 * 24}
"""Hours ago that facts landed before today. Matchers seldom change: a build that finds a new
revision reads more (ci_phrase_matches)."""
_TEMPORARY = re.compile(r"`([\w-]+)`\.`(\w+)`\.`((\w+?)__dbt_tmp\w*)`")
_EVER = "_landed_at >= timestamp '2020-01-01 00:00:00+00'"
_NODE = re.compile(r'"node_id": "([^"]+)"')
_COMMENT = re.compile(r"^\s*/\*.*?\*/", re.DOTALL)


@dataclass(frozen=True)
class Recorded:
    """One build: what it sent, and what is in the warehouse."""

    at: dt.datetime
    statements: Mapping[str, Sequence[tuple[str, str]]]
    """By build: node and SQL."""
    tables: Mapping[str, Mapping[str, Any]]
    """Full name to widths (bytes a row by column), rows and partition column."""
    views: Mapping[str, str]
    conversations: int
    evidence: str

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(vars(self) | {"at": self.at.isoformat()}), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Recorded:
        held = json.loads(path.read_text(encoding="utf-8"))
        return cls(**held | {"at": dt.datetime.fromisoformat(held["at"])})

    def catalog(self, days: int, merged_days: float, hours: Hours = ANY_HOUR[0]) -> Catalog:
        """Return the warehouse as it would be after so many days, for a build that merges some."""
        history = [self.at.date() - dt.timedelta(days=past) for past in range(days)]
        tables = {}
        for full_name, held in self.tables.items():
            name = _name(full_name)
            partition = held["partition"]
            tables[name] = Table(
                held["widths"],
                self._rows(name[2], held["rows"], days),
                partition,
                history if partition else (),
                hours.today,
            )
        for project, dataset, name, target in self._temporary():
            # A unit test has one too, of rows that it makes itself.
            of = tables.get((project, dataset, target), Table({}, 0))
            tables[project, dataset, name] = Table(of.widths, of.rows / days * merged_days)
        views = {_name(name): sql for name, sql in self.views.items()}
        return Catalog(tables, views, self.at, hours.reads_yesterday)

    def _temporary(self) -> set[tuple[str, ...]]:
        """Return project, dataset, name and model of the tables that dbt merged from."""
        sent = (sql for statements in self.statements.values() for _, sql in statements)
        found = (_TEMPORARY.findall(sql) for sql in sent)
        return {names for each in found for names in each}

    def _rows(self, table: str, rows: int, days: int) -> float:
        if table in BY_DAY:
            return BY_DAY[table] * days
        if table in OF_THE_SETUP or _is_seed(table):
            return rows
        if table in RARE:
            return CONVERSATIONS_A_DAY * days / 1000
        return rows / self.conversations * CONVERSATIONS_A_DAY * days


def _is_seed(table: str) -> bool:
    return (ROOT / "seeds" / f"{table}.csv").exists()


def _name(full_name: str) -> Name:
    project, dataset, table = full_name.split(".")
    return project, dataset, table


def record(folder: Path, builds: Mapping[str, Build]) -> Recorded:
    """Fill a stack, build, fill in more, and return the builds that dbt makes then."""
    now = dt.datetime.now(dt.UTC)
    sources = sorted((ROOT / "seeds/conversations/2025-12-28").iterdir())
    days = [now.date() - dt.timedelta(days=past) for past in (2, 1, 0)]
    old = now.date() - dt.timedelta(days=OLD_DAYS)
    with running_stack(folder) as stack:
        settings = stack.settings
        assert settings.bigquery_endpoint is not None
        project = DbtProject(folder / "dbt", settings.bigquery_endpoint)
        client = client_for(settings.bigquery_endpoint)
        folders = folder / "conversations"
        for number, day in enumerate(days[:2]):
            _push(settings, folders, day, sources[number * A_DAY : (number + 1) * A_DAY - 1])
        _push(settings, folders, old, sources[A_DAY - 1 : A_DAY])
        _age(client, settings.raw_dataset)
        _push(settings, folders, days[2], sources[2 * A_DAY : 2 * A_DAY + 1])
        project.run("build")
        _push(settings, folders, days[2], sources[2 * A_DAY + 1 :])
        _push(settings, folders, old, sources[A_DAY - 1 : A_DAY], queue="corrected")
        sent = {}
        for name, build in builds.items():
            if build.comes_after_erasure:
                run_command([INGEST, "forget", sources[0].name, "--yes"], environment_of(settings))
            sent[name] = _sent(project, build)
        evidence = evidence_sql(
            lambda name: f"`{settings.project_id}.{settings.raw_dataset}.{name}`"
        )
        tables, views = _measured(client, settings)
        return Recorded(now, sent, tables, views, 3 * A_DAY - 2, evidence)


def _age(client: bigquery.Client, dataset: str) -> None:
    """Let what has landed have landed yesterday, and revisions of matchers a month ago."""
    for item in client.list_tables(f"{client.project}.{dataset}"):
        if (table := client.get_table(item.reference)).view_query:
            continue
        times = {"_landed_at", "revised_at"} & {column.name for column in table.schema}
        since = f"interval {AGES.get(table.table_id, 30)} hour"
        changes = ", ".join(f"{name} = timestamp_sub({name}, {since})" for name in sorted(times))
        sql = f"update `{table.reference}` set {changes} where {_EVER}"
        client.query(sql).result()


def _sent(project: DbtProject, build: Build) -> list[tuple[str, str]]:
    with recording() as statements:
        replace(project, variables=dict(build.variables)).run(*build.arguments)
    return [(_node(sql), _COMMENT.sub("", sql)) for sql in statements]


def _push(
    settings: Settings, folders: Path, day: dt.date, sources: Iterable[Path], **changes: str
) -> None:
    for source in sources:
        folder = folders / day.isoformat() / source.name
        folder.mkdir(parents=True, exist_ok=True)
        metadata = json.loads((source / "metadata.json").read_text("utf-8"))
        for name in ("started_at", "ended_at"):
            metadata[name] = day.isoformat() + metadata[name][10:]
        text = json.dumps(metadata | changes)
        (folder / "metadata.json").write_text(text, encoding="utf-8")
        (folder / "transcription.json").write_bytes((source / "transcription.json").read_bytes())
    run_command([INGEST, "push", str(folders / day.isoformat())], environment_of(settings))


def _node(statement: str) -> str:
    found = _NODE.search(statement)
    return found.group(1).split(".", 2)[2] if found else "dbt"


def _measured(
    client: bigquery.Client, settings: Settings
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    tables, views = {}, {}
    for dataset in (settings.raw_dataset, "coach", "coach_staging"):
        for item in client.list_tables(f"{client.project}.{dataset}"):
            table = client.get_table(item.reference)
            full_name = f"{table.project}.{table.dataset_id}.{table.table_id}"
            if table.view_query:
                views[full_name] = table.view_query
            else:
                tables[full_name] = _measured_table(client, table)
    return tables, views


def _measured_table(client: bigquery.Client, table: bigquery.Table) -> dict[str, Any]:
    sql = f"select * from `{table.reference}`"
    partition = table.time_partitioning.field if table.time_partitioning else None
    if partition == "_landed_at":
        sql += f" where {_EVER}"
    rows = [dict(row) for row in client.query(sql).result()]
    widths = {
        field.name: sum(logical_bytes(row[field.name], field) for row in rows) / max(len(rows), 1)
        for field in table.schema
    }
    if not rows:
        widths = {field.name: _SIZES.get(field.field_type, 20) for field in table.schema}
    return {"widths": widths, "rows": len(rows), "partition": partition}


_SIZES = {"BOOLEAN": 1, "BOOL": 1, "NUMERIC": 16, "BIGNUMERIC": 32}


def logical_bytes(value: Any, field: bigquery.SchemaField, *, is_element: bool = False) -> int:
    """Return the size that BigQuery bills for a value of that type: 0 for null, 8 for numbers and
    times, 2 and the UTF-8 bytes for strings, the text for JSON, and the sum of the parts."""
    if value is None:
        return 0
    if field.mode == "REPEATED" and not is_element:
        return sum(logical_bytes(each, field, is_element=True) for each in value)
    if field.field_type in ("RECORD", "STRUCT"):
        return sum(logical_bytes(value[part.name], part) for part in field.fields)
    if field.field_type == "STRING":
        return 2 + len(value.encode())
    if field.field_type == "JSON":
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return len(text.encode())
    return _SIZES.get(field.field_type, 8)


def all_reads(recorded: Recorded, build: str) -> list[tuple[str, list[Read]]]:
    """Return what each statement of a build reads, with its node; its days don't matter."""
    catalog = recorded.catalog(1, 1)
    return [(node, reads_of(statement, catalog)) for node, statement in recorded.statements[build]]


def cost(reads: Iterable[tuple[str, list[Read]]], catalog: Catalog) -> dict[str, float]:
    """Return the bytes billed by node, with such a history."""
    by_node: dict[str, float] = defaultdict(float)
    for node, of_statement in reads:
        by_node[node] += sum(billed(of_statement, catalog).values())
    return by_node


def mean_cost(
    recorded: Recorded, reads: Sequence[tuple[str, list[Read]]], build: Build, days: int
) -> dict[str, float]:
    """Return the bytes billed by node in the mean of the hours, with so many days of history."""
    mean: dict[str, float] = defaultdict(float)
    for hours in build.hours:
        for node, size in cost(reads, recorded.catalog(days, build.merged_days, hours)).items():
            mean[node] += hours.share * size
    return mean


def evidence_bytes(recorded: Recorded, catalog: Catalog) -> float:
    """Return what the sidecar's queries for evidence are billed in an hour of pushes."""
    hourly = -(-CONVERSATIONS_A_DAY // 24 // EVIDENCE_EVERY)
    return hourly * sum(billed(reads_of(recorded.evidence, catalog), catalog).values())


def usd(size: float, times: float) -> float:
    """Return the price of so many bytes, so many times."""
    return size * times / 1024**4 * USD_A_TIB


def page(recorded: Recorded, builds: Mapping[str, Build]) -> str:
    """Return the tables: MiB by node of each build, the largest first, and what a month costs."""
    lines, prices = [], []
    for name, build in builds.items():
        reads = all_reads(recorded, name)
        costs = [mean_cost(recorded, reads, build, days) for days in HISTORIES.values()]
        totals = [sum(each.values()) for each in costs]
        lines += _table(f"{name}: MiB by node", costs)
        lines.append(_row(f"{name}: GiB of {len(reads)} statements", [t / 1024**3 for t in totals]))
        prices.append([usd(total, build.times_a_month) for total in totals])
        lines += [_row(f"{name}: US$ a month", prices[-1]), ""]
    catalogs = [recorded.catalog(days, 1) for days in HISTORIES.values()]
    evidence = [usd(evidence_bytes(recorded, catalog), HOURLY) for catalog in catalogs]
    lines.append(_row("all builds: US$ a month", [sum(each) for each in zip(*prices, strict=True)]))
    lines.append(_row("the sidecar's evidence: US$ a month", evidence))
    return "\n".join(lines)


def _table(title: str, costs: Sequence[Mapping[str, float]]) -> Iterator[str]:
    yield f"{title:<60}" + "".join(f"{name:>12}" for name in HISTORIES)
    for node in sorted(costs[-1], key=lambda each: (-costs[-1][each], each)):
        yield _row(node[:59], [each[node] / MIB for each in costs])


def _row(what: str, values: Sequence[float]) -> str:
    return f"{what:<60}" + "".join(f"{value:12,.1f}" for value in values)


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dbt", nargs="+", help="count an hourly `dbt …` of these arguments alone")
    parser.add_argument("--keep", type=Path, help="keep what was recorded in this file")
    parser.add_argument("--recorded", type=Path, help="count what --keep has kept")
    chosen = parser.parse_args()
    builds = {"chosen": Build(HOURLY, chosen.dbt)} if chosen.dbt else BUILDS
    if chosen.recorded:
        recorded = Recorded.load(chosen.recorded)
    else:
        with tempfile.TemporaryDirectory() as folder:
            recorded = record(Path(folder), builds)
    if chosen.keep:
        recorded.save(chosen.keep)
    print(page(recorded, builds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
