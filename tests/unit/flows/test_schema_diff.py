"""Raw tables as declared, planned and live."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from typing import Any

import pytest

from ingest.domain.raw_records import RAW_TABLES
from ingest.errors import InputError, RemoteError
from ingest.flows.landing import raw_schema
from ingest.flows.schema import (
    ColumnChange,
    SchemaDiff,
    TableDiff,
    UnreadField,
    compare,
    planned_tables,
)
from ingest.ports.inspect import Column, QueryResult, TableDetails

SEEN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
DRIFT = {
    "path": "latestAnalysis.riskScore",
    "example_type": "number",
    "occurrence_count": 3,
    "first_seen_at": SEEN,
}


def details(table: str) -> TableDetails:
    fields = list(raw_schema(table).values())
    columns = tuple(Column(f["name"], f["type"], f["mode"]) for f in fields)
    return TableDetails(
        "coach_raw",
        table,
        "TABLE",
        columns,
        0,
        0,
        "_landed_at",
        True,
        (fields[0]["name"],),
        None,
        "",
    )


class FakeWarehouse:
    """Live tables by name, and the rows of schema_drift or None for no such mart."""

    raw_dataset = "coach_raw"

    def __init__(self, drift: list[dict[str, Any]] | None) -> None:
        self.live: dict[str, TableDetails] = {table: details(table) for table in RAW_TABLES}
        self.drift = drift

    def mart(self, table: str) -> str:
        return f"`coach`.`{table}`"

    def table(self, dataset: str, name: str) -> TableDetails | None:
        assert dataset == "coach_raw"
        return self.live.get(name)

    def query(self, sql: str) -> QueryResult:
        if self.drift is None:
            raise RemoteError("no such table", "run dbt build", code="NOT_FOUND")
        return QueryResult((), tuple(self.drift), len(self.drift), 0)


def fake_warehouse(drift: list[dict[str, Any]] | None) -> Any:
    """Return the part of a warehouse that a comparison reads."""
    return FakeWarehouse(drift)


def plan(tables: dict[str, list[dict[str, str]]]) -> str:
    resources = [
        {
            "type": "google_bigquery_table",
            "values": {"table_id": name, "schema": json.dumps(fields)},
        }
        for name, fields in tables.items()
    ]
    module = {"child_modules": [{"resources": resources}]}
    return json.dumps({"planned_values": {"root_module": module}})


def test_tables_as_declared_differ_in_nothing_and_unread_fields_are_listed() -> None:
    found = compare(fake_warehouse([DRIFT]), None)

    assert found == SchemaDiff((), (UnreadField(**DRIFT),))
    assert found.is_clean


def test_a_missing_table_a_changed_column_and_a_lost_filter_are_told() -> None:
    warehouse = fake_warehouse(None)
    files = warehouse.live["conversation_files"]
    del warehouse.live["phrase_matchers"]
    warehouse.live["conversation_files"] = replace(
        files,
        columns=(*files.columns, Column("extra", "STRING")),
        requires_partition_filter=False,
        clustered_by=(),
    )

    found = compare(warehouse, None)

    assert found == SchemaDiff(
        (
            TableDiff(
                "conversation_files",
                "live",
                ("reads without a partition filter are allowed", "clustered by nothing"),
                (ColumnChange("extra", None, "STRING NULLABLE"),),
            ),
            TableDiff("phrase_matchers", "live", ("the table is missing",), ()),
        ),
        None,
    )
    assert not found.is_clean


def test_a_plan_is_compared_table_by_table() -> None:
    tables = {table: list(raw_schema(table).values()) for table in RAW_TABLES}
    tables["pipeline_events"] = tables["pipeline_events"][1:]
    del tables["ci_conversations"]

    found = compare(fake_warehouse([]), planned_tables(plan(tables)))

    assert sorted(found.tables, key=lambda diff: diff.table) == [
        TableDiff("ci_conversations", "terraform", ("the plan has no such table",), ()),
        TableDiff(
            "pipeline_events",
            "terraform",
            (),
            (ColumnChange("conversation_id", "STRING REQUIRED", None),),
        ),
    ]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"planned_values": 1}'])
def test_a_text_that_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="plan can't be read"):
        planned_tables(text)
