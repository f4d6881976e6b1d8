"""Statements whose bytes were counted by hand: ten days, a million rows a day, round widths."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from google.cloud.bigquery import SchemaField

from tests.benchmarks.build_cost import Recorded, all_reads, cost, logical_bytes, usd
from tests.benchmarks.scanned_bytes import (
    LEAST_OF_A_TABLE,
    Catalog,
    Table,
    billed,
    reads_of,
)

DAYS = [dt.date(2026, 1, day) for day in range(10, 0, -1)]
ROWS = 1_000_000
"""A day; so a byte of width is MB = 1,000,000 bytes a day."""
MB = 1_000_000
LEAST = LEAST_OF_A_TABLE / MB
CATALOG = Catalog(
    {
        ("p", "d", "turns"): Table(
            {"id": 20, "day": 8, "score": 8, "text": 100}, 10 * ROWS, "day", DAYS
        ),
        ("p", "d", "names"): Table({"id": 20, "name": 30}, 10 * ROWS),
        ("p", "d", "few"): Table({"id": 20, "word": 10}, 10),
        ("p", "d", "raw"): Table(
            {"id": 20, "_landed_at": 8, "payload": 1000}, 10 * ROWS, "_landed_at", DAYS
        ),
    },
    {
        ("p", "d", "staged"): "select id, _landed_at as landed_at, json_value(payload, '$.a') as a "
        "from `p`.`d`.`raw` where _landed_at >= timestamp '2020-01-01 00:00:00+00'",
        ("p", "d", "latest"): "select * from `p`.`d`.`staged` "
        "qualify row_number() over (partition by id order by landed_at) = 1",
        ("p", "d", "numbered"): "with d as (select t.id, t.day, n.place from p.d.turns as t "
        "join (select id, row_number() over (order by id) as place from p.d.names) as n "
        "on t.id = n.id) select * from d",
        ("p", "d", "counted"): "select day, count(*) as turn_count from p.d.turns group by day",
    },
    dt.datetime(2026, 1, 10, 12, tzinfo=dt.UTC),
)
TWO_DAYS = "day between date '2026-01-02' and date '2026-01-03'"
MERGE = "merge into p.d.turns as DEST using (select id from p.d.few) as src on DEST.id = src.id"
CASES = {
    "one column of all days": ("select id from p.d.turns", {"turns": 200}),
    "a column once, however often it is named": (
        "select id from p.d.turns where id != 'a' group by id",
        {"turns": 200},
    ),
    "a table read twice, its columns once": (
        "select a.id from p.d.turns as a join p.d.turns as b on a.id = b.id",
        {"turns": 200},
    ),
    "each column in the days of its own reads": (
        f"select id from p.d.turns union all select text from p.d.turns where {TWO_DAYS}",
        {"turns": 200 + 2 * 100 + 2 * 8},
    ),
    "every column": ("select * from p.d.turns", {"turns": 1360}),
    "all but one": ("select * except (text) from p.d.turns", {"turns": 360}),
    "two days by literals": (f"select id from p.d.turns where {TWO_DAYS}", {"turns": 2 * 28}),
    "listed days": (
        "select id from p.d.turns where day in (date '2026-01-02', date '2026-01-09')",
        {"turns": 2 * 28},
    ),
    "a day that holds nothing": (
        "select id from p.d.turns where day = date '2027-01-01'",
        {},
    ),
    "days from a date on": (
        "select id from p.d.turns where day >= date '2026-01-09'",
        {"turns": 2 * 28},
    ),
    "days after a date": (
        "select id from p.d.turns where day > date '2026-01-08'",
        {"turns": 2 * 28},
    ),
    "either of two days": (
        "select id from p.d.turns where day = date '2026-01-02' or day = date '2026-01-03'",
        {"turns": 2 * 28},
    ),
    "a day or something else": (
        "select id from p.d.turns where day = date '2026-01-02' or id = 'a'",
        {"turns": 280},
    ),
    "days from a subquery prune nothing": (
        "select id from p.d.turns where day in (select date '2026-01-02' from p.d.few)",
        {"turns": 280},
    ),
    "days of a joined table prune nothing": (
        f"select t.id from p.d.turns as t join (select id from p.d.turns where {TWO_DAYS}) as u "
        "on t.id = u.id",
        {"turns": 10 * 20 + 2 * 8},
    ),
    "10 MiB at the least": ("select word from p.d.few", {"few": LEAST}),
    "10 MiB of each table": (
        "select f.word from p.d.few as f join p.d.names as n on f.id = n.id",
        {"few": LEAST, "names": 200},
    ),
    "never true": ("select * from (select id from p.d.turns) as q where false limit 0", {}),
    "never true, whatever stands below": (
        "select * from (select id from p.d.latest where id in (select id from p.d.names)) as q "
        "where false and current_timestamp() = current_timestamp() limit 0",
        {},
    ),
    "limit saves nothing": ("select id from p.d.turns limit 1", {"turns": 200}),
    "a view is what it selects": ("select id from p.d.staged", {"raw": 280}),
    "a filter on a view's column prunes": (
        "select id from p.d.staged where landed_at >= timestamp '2026-01-09 20:00:00+00'",
        {"raw": 2 * 28},
    ),
    "and through a CTE": (
        "with s as (select * from p.d.staged) "
        "select id from s where landed_at < timestamp '2026-01-02 00:00:00+00'",
        {"raw": 28},
    ),
    "but not below a window": (
        "select id from p.d.latest where landed_at >= timestamp '2026-01-09 20:00:00+00'",
        {"raw": 280},
    ),
    "but beside one that the view joins": (
        f"select id, place from p.d.numbered where {TWO_DAYS}",
        {"turns": 2 * 20 + 2 * 8, "names": 200},
    ),
    "below an aggregation by its keys": (
        "select day, turn_count from p.d.counted where day = date '2026-01-02'",
        {"turns": LEAST},
    ),
    "a span before now": (
        "select id from p.d.staged "
        "where landed_at >= timestamp_sub(current_timestamp(), interval 36 hour)",
        {"raw": 2 * 28},
    ),
    "a CTE that nobody reads": ("with s as (select text from p.d.turns) select 1", {}),
    "create table": (
        "create or replace table p.d.x partition by day as "
        f"(select id from p.d.turns where {TWO_DAYS})",
        {"turns": 56},
    ),
    "create view": ("create or replace view p.d.x as select * from p.d.turns", {}),
    "insert": ("insert into p.d.few (id) select id from p.d.names", {"names": 200}),
    "delete: what it reads, and whole rows of the days": (
        f"delete from p.d.turns as t where {TWO_DAYS} and t.id in (select id from p.d.few)",
        {"turns": 2 * 28 + 2 * 136, "few": LEAST},
    ),
    "delete without days": (
        "delete from p.d.turns as t where exists (select 1 from p.d.few as f where f.id = t.id)",
        {"turns": 200 + 1360, "few": LEAST},
    ),
    "merge: what it reads, and whole rows of the days": (
        f"{MERGE} and DEST.day = date '2026-01-02' when matched then update set id = src.id "
        "when not matched then insert (id) values (id)",
        {"turns": 28 + 136, "few": LEAST},
    ),
    "merge that never matches": (
        f"{MERGE} and false when matched then update set id = src.id "
        "when not matched then insert (id) values (id)",
        {"few": LEAST},
    ),
    "merge that only inserts": (
        f"{MERGE} when not matched then insert (id) values (id)",
        {"turns": 200, "few": LEAST},
    ),
    "ddl": ("drop table if exists p.d.turns", {}),
}


@pytest.mark.parametrize(("statement", "expected"), CASES.values(), ids=CASES)
def test_a_statement_is_billed_as_counted_by_hand(
    statement: str, expected: dict[str, float]
) -> None:
    found = billed(reads_of(statement, CATALOG), CATALOG)

    assert {name[2]: size / MB for name, size in found.items()} == pytest.approx(expected)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("select id from p.d.turns", 9.25 * 20),
        ("select id from p.d.turns where day >= date '2026-01-10'", 1.25 * 28),
        ("select id from p.d.turns where day >= date '2026-01-09'", 1.25 * 28),
        ("select id from p.d.turns where day = date '2026-01-02'", 28),
        (
            "delete from p.d.turns as t where day in (date '2026-01-02', date '2026-01-10')",
            2.25 * (8 + 136),
        ),
        (
            "select id from p.d.staged where landed_at >= timestamp '2026-01-10 08:00:00+00'",
            1.25 * 28,
        ),
    ],
)
def test_after_midnight_the_newest_day_is_short_and_the_one_before_is_read_with_it(
    statement: str, expected: float
) -> None:
    tables = {
        name: replace(table, newest_share=0.25 if table.partition else 1.0)
        for name, table in CATALOG.tables.items()
    }
    catalog = replace(CATALOG, tables=tables, reads_day_before=True)

    (size,) = billed(reads_of(statement, catalog), catalog).values()

    assert size / MB == pytest.approx(expected)


def test_a_table_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"p\.d\.unknown"):
        reads_of("select id from p.d.unknown", CATALOG)


@pytest.mark.parametrize(
    ("value", "kind", "mode", "size"),
    [
        (None, "STRING", "NULLABLE", 0),
        ("é", "STRING", "NULLABLE", 4),
        (1, "INTEGER", "NULLABLE", 8),
        (True, "BOOLEAN", "NULLABLE", 1),
        ({"a": 1}, "JSON", "NULLABLE", 8),
        (["a", "bc"], "STRING", "REPEATED", 7),
    ],
)
def test_a_value_has_the_size_that_bigquery_bills(
    value: object, kind: str, mode: str, size: int
) -> None:
    assert logical_bytes(value, SchemaField("x", kind, mode)) == size


def test_a_struct_is_the_sum_of_its_parts() -> None:
    parts = (SchemaField("a", "STRING"), SchemaField("b", "FLOAT"))
    field = SchemaField("x", "RECORD", "REPEATED", fields=parts)

    assert logical_bytes([{"a": "x", "b": 0.5}, {"a": None, "b": 1.0}], field) == 3 + 8 + 8


def test_a_builds_cost_grows_with_history_where_nothing_prunes() -> None:
    recorded = Recorded(
        at=dt.datetime(2026, 1, 10, 12, tzinfo=dt.UTC),
        statements={
            "hourly": [
                ("m.a", "select id from `p`.`coach`.`ci_turns`"),
                ("m.b", "select id from p.coach.ci_turns where day >= date '2026-01-10'"),
                ("m.c", "select id from `p`.`coach`.`ci_turns__dbt_tmp1`"),
            ]
        },
        tables={
            "p.coach.ci_turns": {"widths": {"id": 20, "day": 8}, "rows": 230, "partition": "day"}
        },
        views={},
        conversations=23,
        evidence="select 1",
    )

    reads = all_reads(recorded, "hourly")
    month, later = (cost(reads, recorded.catalog(days, 6)) for days in (30, 300))
    same = {"m.b": LEAST_OF_A_TABLE, "m.c": 6 * 100_000 * 20}
    assert month == {"m.a": 30 * 100_000 * 20} | same
    assert later == {"m.a": 10 * month["m.a"]} | same
    assert usd(1024**4, 720) == 720 * 6.25
