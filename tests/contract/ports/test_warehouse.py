"""What people read of BigQuery, through the real adapter on the local stack."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal

import pytest
from stack_fixture import Stack

from ingest.domain.raw_records import RAW_TABLES
from ingest.errors import RemoteError
from ingest.gcp.bigquery import BigQueryWarehouse, bigquery, bigquery_client
from ingest.ports.inspect import Column, Estimate, QueryResult, TableSummary

pytestmark = pytest.mark.stack
T0 = dt.datetime(2026, 1, 5, 8, 0, 0, 123_456, tzinfo=dt.UTC)


@pytest.fixture
def warehouse(stack: Stack) -> Iterator[BigQueryWarehouse]:
    made = BigQueryWarehouse(stack.settings)
    yield made
    made.close()


def test_parameters_of_every_type_come_back_as_sent(warehouse: BigQueryWarehouse) -> None:
    sent = {
        "text": "Grüße",
        "whole": 7,
        "real": 1.5,
        "yes": True,
        "day": dt.date(2026, 1, 5),
        "moment": T0,
        "several": ["a", "b"],
    }
    columns = ", ".join(f"@{name} as {name}" for name in sent)

    found = warehouse.query(f"select {columns}", sent)

    assert found.rows == (sent,)
    assert [(column.name, column.type, column.mode) for column in found.columns] == [
        ("text", "STRING", "NULLABLE"),
        ("whole", "INTEGER", "NULLABLE"),
        ("real", "FLOAT", "NULLABLE"),
        ("yes", "BOOLEAN", "NULLABLE"),
        ("day", "DATE", "NULLABLE"),
        ("moment", "TIMESTAMP", "NULLABLE"),
        ("several", "STRING", "REPEATED"),
    ]


def test_values_within_values_and_json_are_decoded_and_printable(
    warehouse: BigQueryWarehouse,
) -> None:
    found = warehouse.query("""
        select
            json '{"a": [1, null]}' as payload,
            [struct(datetime '2026-01-05 08:00:00' as local, b'abc' as bytes)] as parts,
            struct(1 as number, ['x'] as names) as inner_,
            time '08:00:01' as clock,
            numeric '1.25' as amount,
            cast(null as timestamp) as nothing
    """)

    assert found.rows == (
        {
            "payload": {"a": [1, None]},
            "parts": [{"local": "2026-01-05T08:00:00", "bytes": "YWJj"}],
            "inner_": {"number": 1, "names": ["x"]},
            "clock": "08:00:01",
            "amount": Decimal("1.25"),
            "nothing": None,
        },
    )


def test_rows_beyond_those_asked_for_are_counted(warehouse: BigQueryWarehouse) -> None:
    sql = "select n from unnest(generate_array(1, 25)) as n order by n"
    columns = (Column("n", "INTEGER"),)

    some = warehouse.query(sql, max_rows=10)
    every = warehouse.query(sql)
    none = warehouse.query(f"select n from ({sql}) where n > 25", max_rows=10)

    rows = [{"n": number} for number in range(1, 26)]
    assert some == QueryResult(columns, tuple(rows[:10]), 25, 0)
    assert every == QueryResult(columns, tuple(rows), 25, 0)
    assert none == QueryResult(columns, (), 0, 0)


def test_what_a_statement_is_and_reads_is_estimated_without_running_it(
    warehouse: BigQueryWarehouse,
) -> None:
    raw = warehouse.raw("pipeline_events")

    select = warehouse.estimate(f"select * from {raw} where _landed_at > @since", {"since": T0})
    delete = warehouse.estimate(f"delete from {raw} where _landed_at > timestamp('2000-01-01')")

    assert (select, delete) == (Estimate("SELECT", 0), Estimate("DELETE", 0))


def test_an_error_says_all_that_bigquery_says_of_a_statement(warehouse: BigQueryWarehouse) -> None:
    with pytest.raises(RemoteError) as unknown:
        warehouse.query("select colour")
    with pytest.raises(RemoteError) as missing:
        warehouse.query(f"select 1 from {warehouse.mart('no_such')}")

    assert unknown.value.code == "INVALID_ARGUMENT"
    assert "colour" in unknown.value.message
    assert missing.value.code == "NOT_FOUND"
    assert "no_such" in missing.value.message


def test_tables_are_listed_and_described(warehouse: BigQueryWarehouse) -> None:
    listed = warehouse.tables(warehouse.raw_dataset)
    details = warehouse.table(warehouse.raw_dataset, "pipeline_events")

    raw = {TableSummary(warehouse.raw_dataset, name, "TABLE") for name in RAW_TABLES}
    assert raw <= set(listed)
    assert [table.name for table in listed] == sorted(table.name for table in listed)
    assert details is not None
    assert (details.dataset, details.name, details.type) == (
        warehouse.raw_dataset,
        "pipeline_events",
        "TABLE",
    )
    assert (details.partitioned_by, details.requires_partition_filter) == ("_landed_at", True)
    assert details.clustered_by == (details.columns[0].name,)
    assert details.row_count is not None
    assert details.modified_at is not None


def test_what_is_not_there_is_none(warehouse: BigQueryWarehouse) -> None:
    assert warehouse.tables("no_such_dataset") == []
    assert warehouse.table("no_such_dataset", "pipeline_events") is None
    assert warehouse.table(warehouse.raw_dataset, "no_such_table") is None


def test_a_table_is_read_page_by_page_and_without_a_query(
    stack: Stack, warehouse: BigQueryWarehouse
) -> None:
    client = bigquery_client(stack.settings)
    client.create_dataset("paged", timeout=30)
    written = [{"n": n, "parts": [{"key": "k", "value": str(n)}]} for n in range(5)]
    client.load_table_from_json(
        [{**row, "other": "x"} for row in written],
        f"{stack.settings.project_id}.paged.rows",
        job_config=bigquery.LoadJobConfig(autodetect=True),
    ).result(timeout=60)
    client.close()

    pages = list(warehouse.pages("paged", "rows", ("n", "parts", "nothing"), 2))

    rows = sorted((row for page in pages for row in page), key=lambda row: row["n"])
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [(row["n"], sorted(row)) for row in rows] == [(n, ["n", "parts"]) for n in range(5)]
    with pytest.raises(RemoteError) as caught:
        next(warehouse.pages("paged", "nothing", ("n",), 2))
    assert caught.value.code == "NOT_FOUND"
