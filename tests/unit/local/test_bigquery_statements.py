"""WITH RECURSIVE is taken where BigQuery takes it, and refused in its words elsewhere."""

from __future__ import annotations

import pytest
from local_bigquery.errors import BigQueryError
from local_bigquery.sql.translate import parse

from ingest.local.bigquery.statements import with_recursion_at_the_top, with_texts_at_hand

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


@pytest.mark.parametrize(
    ("written", "found"),
    [
        (r"'it\'s\n'", "it's\n"),
        ('"""two\nlines"""', "two\nlines"),
        (r"r'a\n'", "asked"),
        ("concat('a', 'b')", "asked"),
        ("1", "asked"),
    ],
)
def test_an_option_that_is_a_text_is_found_without_a_query(written: str, found: str) -> None:
    evaluate = with_texts_at_hand(lambda _: lambda _: "asked")(None)

    assert evaluate(parse(f"select {written}")[0].expressions[0]) == found
