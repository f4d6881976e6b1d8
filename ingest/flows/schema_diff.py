"""Do the raw tables look as declared, and what does CI send that no model reads?

Declared is `ingest/schemas`, which Terraform reads too; a plan of Terraform shows whether it would
make the same tables. Live is what BigQuery says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ingest.domain.raw_records import RAW_TABLES
from ingest.errors import InputError, RemoteError
from ingest.flows.inspection.tables import ColumnChange, schema_changes
from ingest.flows.landing import raw_schema
from ingest.warehouse import Column, Warehouse

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
    """A JSON path in raw CI payloads that no model reads (mart `schema_drift`)."""

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
