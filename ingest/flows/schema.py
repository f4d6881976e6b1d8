"""Tables of the warehouse: as declared and live, their columns and rows, and guarded queries."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ingest.domain.raw_records import FIRST_DAY, RAW_TABLES
from ingest.errors import InputError, RemoteError
from ingest.flows.landing import raw_schema
from ingest.ports.inspect import (
    Column,
    Estimate,
    QueryResult,
    TableDetails,
    TableSummary,
    Warehouse,
)

_TABLE_NAME = re.compile(r"(?:(?P<dataset>[A-Za-z0-9_]+)\.)?(?P<table>[A-Za-z0-9_]+)")
_READING = frozenset({"SELECT"})
_THREADS = 4
_KINDS = {"MATERIALIZED_VIEW": "view", "VIEW": "view", "TABLE": "table"}
_BEING_REBUILT = "being rebuilt"


@dataclass(frozen=True)
class ListedTable:
    """A table or view; counts are None for views, and where `kind` is `being rebuilt`."""

    dataset: str
    name: str
    kind: str
    row_count: int | None
    size_bytes: int | None


@dataclass(frozen=True)
class ColumnChange:
    """A column that the live table has otherwise than declared; None where it has none."""

    name: str
    declared: str | None
    live: str | None


def list_tables(warehouse: Warehouse, datasets: Sequence[str]) -> tuple[ListedTable, ...]:
    """Return tables and views with row counts, by dataset and name.

    One that goes while it is looked at, as dbt drops a seed before it loads it anew, is named as
    being rebuilt.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        listed = [table for found in pool.map(warehouse.tables, datasets) for table in found]
        details = list(pool.map(lambda table: warehouse.table(table.dataset, table.name), listed))
        known = [table for table in details if table is not None and table.row_count is not None]
        counts = _row_counts(warehouse, known, pool)
    return tuple(
        _listed(table, found, counts.get((table.dataset, table.name)))
        for table, found in zip(listed, details, strict=True)
    )


def _listed(table: TableSummary, found: TableDetails | None, row_count: int | None) -> ListedTable:
    if found is None or (found.row_count is not None and row_count is None):
        return ListedTable(table.dataset, table.name, _BEING_REBUILT, None, None)
    kind = _KINDS.get(found.type, found.type.lower())
    return ListedTable(table.dataset, table.name, kind, row_count, found.size_bytes)


def find_table(warehouse: Warehouse, name: str, datasets: Sequence[str]) -> TableDetails:
    """Return the table of `dataset.table`, or of a bare name from the first dataset that has it.

    Raises InputError when there is none.
    """
    match = _TABLE_NAME.fullmatch(name)
    if match is None:
        raise InputError(f"{name!r} is not a table name", "write it as table or dataset.table")
    places = [match["dataset"]] if match["dataset"] else datasets
    for dataset in places:
        found = warehouse.table(dataset, match["table"])
        if found is not None:
            return found
    raise InputError(
        f"there is no table {match['table']} in {', '.join(places)}",
        "list tables with `ingest bq tables`; marts come with `dbt build`",
    )


def head_sql(warehouse: Warehouse, table: TableDetails, limit: int) -> str:
    """Return a statement that reads some rows."""
    return f"select * from {_full_name(warehouse, table)} {_filter(table)} limit {int(limit)}"


def count_sql(warehouse: Warehouse, table: TableDetails) -> str:
    """Return a statement that counts all rows."""
    return f"select count(*) as row_count from {_full_name(warehouse, table)} {_filter(table)}"


def checked(
    warehouse: Warehouse,
    sql: str,
    parameters: Mapping[str, Any],
    *,
    max_bytes: int,
    may_write: bool = False,
) -> Estimate:
    """Return BigQuery's own estimate of a statement that may run.

    Raises InputError for a statement that BigQuery refuses, that isn't a SELECT (unless it may
    write), or that would read more than `max_bytes`. The kind of statement is BigQuery's word,
    not ours: nothing here parses SQL.
    """
    try:
        estimate = warehouse.estimate(sql, parameters)
    except RemoteError as error:
        if error.code in ("INVALID_ARGUMENT", "NOT_FOUND"):
            raise InputError(
                error.message, "see `ingest bq tables`, `ingest bq schema T`"
            ) from error
        raise
    if not may_write and estimate.statement_type not in _READING:
        raise InputError(
            f"this is {estimate.statement_type}, and only SELECT runs here",
            "add --write if you mean to change data",
        )
    if estimate.processed_bytes > max_bytes:
        raise InputError(
            f"it would read {estimate.processed_bytes:,} bytes, more than {max_bytes:,}",
            "narrow it down (partition, columns), or raise --max-bytes",
        )
    return estimate


def run_checked(
    warehouse: Warehouse,
    sql: str,
    parameters: Mapping[str, Any],
    *,
    max_bytes: int,
    max_rows: int | None,
) -> QueryResult:
    """Return the rows; BigQuery itself refuses to bill more than `max_bytes`."""
    return warehouse.query(sql, parameters, max_rows=max_rows, max_bytes=max_bytes)


def schema_changes(
    declared: Sequence[Mapping[str, str]], live: Sequence[Column]
) -> tuple[ColumnChange, ...]:
    """Return where a live table differs from its declaration in BigQuery's schema JSON."""
    wanted = {field["name"]: _as_text(field["type"], field.get("mode")) for field in declared}
    held = {column.name: _as_text(column.type, column.mode) for column in live}
    names = [*wanted, *(name for name in held if name not in wanted)]
    return tuple(
        ColumnChange(name, wanted.get(name), held.get(name))
        for name in names
        if wanted.get(name) != held.get(name)
    )


_TYPE_NAMES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD"}


def _as_text(type_: str, mode: str | None) -> str:
    return f"{_TYPE_NAMES.get(type_, type_)} {mode or 'NULLABLE'}"


def _row_counts(
    warehouse: Warehouse, tables: Sequence[TableDetails], pool: Executor
) -> dict[tuple[str, str], int]:
    """Return rows by dataset and name, in one statement unless one of the tables has gone."""
    try:
        return _counted(warehouse, tables)
    except RemoteError as error:
        if error.code != "NOT_FOUND" or not tables:
            raise
        if len(tables) == 1:
            return {}
    found: dict[tuple[str, str], int] = {}
    for each in pool.map(lambda table: _row_counts(warehouse, [table], pool), tables):
        found |= each
    return found


def _counted(warehouse: Warehouse, tables: Sequence[TableDetails]) -> dict[tuple[str, str], int]:
    if not tables:
        return {}
    sql = " union all ".join(
        f"select '{table.dataset}' as dataset, '{table.name}' as name, count(*) as row_count "
        f"from {_full_name(warehouse, table)} {_filter(table)}"
        for table in tables
    )
    rows = warehouse.query(sql).rows
    return {(row["dataset"], row["name"]): row["row_count"] for row in rows}


def _filter(table: TableDetails) -> str:
    if not table.requires_partition_filter:
        return ""
    return f"where {table.partitioned_by} >= '{FIRST_DAY}'"


def _full_name(warehouse: Warehouse, table: TableDetails | TableSummary) -> str:
    return warehouse.full_name(table.dataset, table.name)


PARTITION_COLUMN = "_landed_at"
_MISSING_MART = "NOT_FOUND"


@dataclass(frozen=True)
class TableDiff:
    """How one raw table differs; `faults` are words on the table as a whole."""

    table: str
    where: str
    faults: tuple[str, ...]
    columns: tuple[ColumnChange, ...]


@dataclass(frozen=True)
class UnreadField:
    """A JSON path in raw Insights payloads that no model reads (mart `schema_drift`)."""

    path: str
    example_type: str
    occurrence_count: int
    first_seen_at: Any


@dataclass(frozen=True)
class SchemaDiff:
    """All differences; `unread` is None where `dbt build` has not made `schema_drift` yet."""

    tables: tuple[TableDiff, ...]
    unread: tuple[UnreadField, ...] | None

    @property
    def is_clean(self) -> bool:
        """True when every table is as declared; unread fields are news, not faults."""
        return not self.tables


def compare(warehouse: Warehouse, planned: Mapping[str, Sequence[Column]] | None) -> SchemaDiff:
    """Return how live tables, and planned ones if given, differ from ingest/schemas."""
    found = [_live_diff(warehouse, table) for table in RAW_TABLES]
    if planned is not None:
        found += [_planned_diff(table, planned.get(table)) for table in RAW_TABLES]
    differing = tuple(diff for diff in found if diff.faults or diff.columns)
    return SchemaDiff(differing, _unread(warehouse))


def planned_tables(plan: str) -> dict[str, tuple[Column, ...]]:
    """Return the columns of every BigQuery table in `terraform show -json PLAN`.

    Raises InputError for a text that is no such plan.
    """
    try:
        resources = list(_resources(json.loads(plan)["planned_values"]["root_module"]))
        return {
            values["table_id"]: tuple(
                Column(field["name"], field["type"], field.get("mode", "NULLABLE"))
                for field in json.loads(values["schema"])
            )
            for kind, values in resources
            if kind == "google_bigquery_table" and values.get("schema")
        }
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            "the Terraform plan can't be read", "make it with `terraform show -json PLAN > FILE`"
        ) from error


def _resources(module: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    own = [(item["type"], item["values"]) for item in module.get("resources", [])]
    return own + [one for child in module.get("child_modules", []) for one in _resources(child)]


def _live_diff(warehouse: Warehouse, table: str) -> TableDiff:
    live = warehouse.table(warehouse.raw_dataset, table)
    if live is None:
        return TableDiff(table, "live", ("the table is missing",), ())
    declared = list(raw_schema(table).values())
    faults = []
    if live.partitioned_by != PARTITION_COLUMN:
        faults.append(f"partitioned by {live.partitioned_by or 'nothing'}, not {PARTITION_COLUMN}")
    if not live.requires_partition_filter:
        faults.append("reads without a partition filter are allowed")
    if live.clustered_by != (declared[0]["name"],):
        faults.append(f"clustered by {', '.join(live.clustered_by) or 'nothing'}")
    return TableDiff(table, "live", tuple(faults), schema_changes(declared, live.columns))


def _planned_diff(table: str, planned: Sequence[Column] | None) -> TableDiff:
    if planned is None:
        return TableDiff(table, "terraform", ("the plan has no such table",), ())
    return TableDiff(
        table, "terraform", (), schema_changes(list(raw_schema(table).values()), planned)
    )


def _unread(warehouse: Warehouse) -> tuple[UnreadField, ...] | None:
    try:
        rows = warehouse.query(
            "select path, example_type, occurrence_count, first_seen_at "
            f"from {warehouse.mart('schema_drift')} order by path"
        ).rows
    except RemoteError as error:
        if error.code == _MISSING_MART:
            return None
        raise
    return tuple(UnreadField(**row) for row in rows)
