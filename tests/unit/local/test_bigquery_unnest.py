"""Arrays that a query takes apart: the same rows when rewritten, and filters reach the table."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st
from local_bigquery.sql.dialect import BigQueryDialect, DuckDBDialect
from local_bigquery.sql.rules.arrays import unnest_offsets

from ingest.local.bigquery.unnest import elements_made_in_select, register

SOURCE = "with t as (select id, words, landed from landed_rows)"
WITH_OFFSET = (
    f"{SOURCE} select t.id, word, place from t cross join unnest(t.words) as word with offset place"
)
REWRITTEN = [
    WITH_OFFSET,
    f"{SOURCE} select id, word from t, unnest(words) as word where word != 'b'",
    f"{SOURCE} select x.id, word from t as x cross join unnest(x.words) as word"
    " inner join t as y on x.id = y.id",
    f"{SOURCE} select word, count(*) as n from t cross join unnest(t.words) as word group by word",
]
LEFT_ALONE = [
    f"{SOURCE} select * from t cross join unnest(t.words) as word",
    "select r.id, word from landed_rows as r cross join unnest(r.words) as word",
    f"{SOURCE} select t.id, words from t cross join unnest(t.words) as words",
    f"{SOURCE} select t.id, WORDS from t cross join unnest(t.words) as WORDS",
    f"{SOURCE} select to_json_string(t) as line, word from t cross join unnest(t.words) as word",
    f"{SOURCE} select struct(t.*) as line, word from t cross join unnest(t.words) as word",
    "with t as (select id, words from landed_rows union all select 1, ['a'])"
    " select t.id, word from t cross join unnest(t.words) as word",
    f"{SOURCE} select t.id, word from t left join unnest(t.words) as word",
    "with t as (select * from landed_rows) select t.id, w from t cross join unnest(t.words) as w",
    f"{SOURCE} select t.id, n from t cross join unnest([1, 2]) as n",
]


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("attach ':memory:' as bq")
        register(connection)
        connection.execute("create table landed_rows (id bigint, words varchar[], landed bigint)")
        yield connection


@pytest.mark.parametrize("statement", REWRITTEN)
@given(lists=st.lists(st.none() | st.lists(st.none() | st.sampled_from("abc"), max_size=4)))
def test_the_rows_are_the_same(
    database: duckdb.DuckDBPyConnection, statement: str, lists: list[list[str | None] | None]
) -> None:
    database.execute("delete from landed_rows")
    for number, words in enumerate(lists):
        database.execute("insert into landed_rows values (?, ?, ?)", [number, words, number])

    plain, rewritten = _translated(statement)

    assert "_each_element" in rewritten.lower()
    assert sorted(database.sql(rewritten).fetchall(), key=repr) == sorted(
        database.sql(plain).fetchall(), key=repr
    )


@pytest.mark.parametrize("statement", LEFT_ALONE)
def test_what_may_hide_or_need_other_columns_is_left_alone(statement: str) -> None:
    plain, rewritten = _translated(statement)

    assert rewritten == plain


def test_a_filter_reaches_the_table(database: duckdb.DuckDBPyConnection) -> None:
    database.execute("delete from landed_rows")
    database.execute("insert into landed_rows select i, ['a', 'b'], i from range(9) as r(i)")
    filtered = WITH_OFFSET.replace("select t.id", "select t.landed, t.id")

    plans = [
        database.sql(f"explain select * from ({text}) where landed = 3").fetchall()[0][1]
        for text in _translated(filtered)
    ]

    assert ["Filters: landed=3" in " ".join(plan.split()) for plan in plans] == [False, True]


def _translated(statement: str) -> tuple[str, str]:
    texts = []
    for rule in (lambda tree, _: tree, elements_made_in_select):
        tree = rule(sqlglot.parse_one(statement, dialect=BigQueryDialect), None)
        texts.append(unnest_offsets(tree, None).sql(dialect=DuckDBDialect))
    return texts[0], texts[1]
