from __future__ import annotations

import pytest
import sqlglot
from local_bigquery.sql.rules import ddl

from ingest.local.bigquery_partition_order import with_partitions_in_order

ORDERED = "(WITH a AS (SELECT 1 AS d) SELECT * FROM a) AS rows_of_table ORDER BY d"


@pytest.mark.parametrize(
    ("statement", "run"),
    [
        (
            "create table t partition by d as with a as (select 1 as d) select * from a",
            [f"CREATE TABLE t PARTITION BY d AS SELECT * FROM {ORDERED}"],
        ),
        (
            "create or replace table t (d date) partition by date_trunc(d, month) "
            "as (with a as (select 1 as d) select * from a)",
            [
                "CREATE OR REPLACE TABLE t (d DATE) PARTITION BY DATE_TRUNC(d, MONTH)",
                f"INSERT INTO t SELECT * FROM {ORDERED}",
            ],
        ),
        ("create table t as select 1 as d", ["CREATE TABLE t AS SELECT 1 AS d"]),
        ("create table t (d date) partition by d", ["CREATE TABLE t (d DATE) PARTITION BY d"]),
        (
            "create table t (d date) partition by _PARTITIONDATE as select 1 as d",
            [
                "CREATE TABLE t (d DATE) PARTITION BY _PARTITIONDATE",
                "INSERT INTO t SELECT 1 AS d",
            ],
        ),
        ("select 1 as d", ["SELECT 1 AS d"]),
    ],
)
def test_a_new_partitioned_table_is_written_in_the_order_of_its_partitions(
    statement: str, run: list[str]
) -> None:
    split = with_partitions_in_order(ddl.split)

    assert [part.sql("bigquery") for part in split(sqlglot.parse_one(statement, "bigquery"))] == run
