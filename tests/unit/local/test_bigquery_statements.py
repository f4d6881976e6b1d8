"""WITH RECURSIVE is taken where BigQuery takes it, and refused in its words elsewhere."""

from __future__ import annotations

import pytest
import sqlglot
from local_bigquery.errors import BigQueryError
from local_bigquery.sql.rules import ddl
from local_bigquery.sql.translate import parse

from ingest.local.bigquery.partition_order import with_partitions_in_order
from ingest.local.bigquery.statements import with_recursion_at_the_top

COUNT = "with recursive c as (select 1 as n union all select n + 1 from c where n < 3) select n"
QUERY = f"{COUNT} from c"
AT_THE_TOP = [
    QUERY,
    f"({QUERY})",
    f"(({QUERY}))",
    f"{QUERY} union all select 9 order by n limit 2",
    f"create or replace table d.t as {QUERY}",
    f"create or replace table d.t partition by n options(description = 'x') as (\n{QUERY}\n)",
    f"create table d.t (n int64) as (({QUERY}))",
    f"create temp table t as {QUERY}",
    f"create or replace view d.v as {QUERY}",
    f"create view d.v options() as ({QUERY})",
    f"insert into d.t {QUERY}",
    f"insert into d.t (n) ({QUERY})",
    f"export data options(uri = 'gs://b/*.csv', format = 'csv') as {QUERY}",
    f"select 1; {QUERY}",
]
INSIDE = [
    f"select * from ({QUERY})",
    f"select * from ({QUERY}) as numbers limit 0",
    f"with numbers as ({QUERY}) select n from numbers",
    f"select array({QUERY}) as numbers",
    f"select 1 as n where 1 in ({QUERY})",
    f"({QUERY}) union all select 9",
    f"select 9 as n union all ({QUERY})",
    f"create or replace table d.t as (select * from ({QUERY}) where false limit 0)",
    f"create or replace view d.v as select * from ({QUERY})",
    f"insert into d.t select * from ({QUERY})",
    f"export data options(uri = 'gs://b/*.csv', format = 'csv') as select * from ({QUERY})",
    f"merge into d.t as t using ({QUERY}) as s on t.n = s.n"
    " when not matched then insert (n) values (n)",
    f"delete from d.t where n in ({QUERY})",
    f"update d.t set n = 0 where n in ({QUERY})",
    f"select 1; select * from ({QUERY})",
]


@pytest.mark.parametrize("statement", AT_THE_TOP)
def test_recursion_at_the_top_of_a_statement_is_left_alone(statement: str) -> None:
    assert with_recursion_at_the_top(parse)(statement) == parse(statement)


@pytest.mark.parametrize("statement", INSIDE)
def test_recursion_inside_of_a_statement_is_refused(statement: str) -> None:
    with pytest.raises(BigQueryError) as refused:
        with_recursion_at_the_top(parse)(statement)

    assert (refused.value.reason, refused.value.code, refused.value.message) == (
        "invalidQuery",
        400,
        "WITH RECURSIVE is only allowed at the top level of the SELECT, CREATE TABLE AS SELECT, "
        "CREATE VIEW, INSERT, EXPORT DATA statements.",
    )


@pytest.mark.parametrize("statement", INSIDE)
def test_without_recursion_the_same_place_is_free(statement: str) -> None:
    plain = statement.replace(COUNT, "with c as (select 1 as n) select n")

    assert with_recursion_at_the_top(parse)(plain) == parse(plain)


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
