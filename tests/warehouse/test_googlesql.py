"""Every compiled statement is GoogleSQL that BigQuery would take, judged offline."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.warehouse.dbt_runs import ROOT, DbtProject
from tests.warehouse.googlesql import GoogleSql, SqlError
from tests.warehouse.manifest_walk import walk

OFFLINE = ("compile", "--no-introspect", "--no-populate-cache")
FAULTS = {
    "unknown column": "select no_such_column from (select 1 as a)",
    "types of case branches": "select case when true then 1 else 'a' end as a",
    "function of DuckDB": "select list_filter([1], x -> x > 1) as a",
    "function of ZetaSQL alone": "select array_transform([1], x -> x) as a",
    "cast with colons": "select '1'::int64 as a",
    "comparison of types": "select timestamp '2025-01-01' >= date '2025-01-01' as a",
    "aggregate in where": "select 1 as a from (select 1 as b) where sum(b) > 0",
    "alias in where": "select 1 as a from (select 1 as b) where a > 0",
    "ilike": "select 'a' ilike 'A' as a",
    "interval in quotes": "select current_timestamp() - interval '1 day' as a",
    "grouping by json": "select count(*) as n from (select json '1' as j) group by j",
    "columns of a union": "select 1 as a union all select 'x' as a",
    "column without a name": "select 1 + 1",
    "table that is not there": "select 1 as a from `p`.`d`.`t`",
}


@pytest.fixture(scope="module")
def analyzer() -> GoogleSql:
    return GoogleSql()


def test_every_model_test_and_merge_is_valid_googlesql(tmp_path: Path) -> None:
    full = DbtProject(tmp_path / "full", variables={"offline_compile": "full"})
    incremental = DbtProject(tmp_path / "incremental", variables={"offline_compile": "incremental"})
    full.run(*OFFLINE)
    incremental.run(*OFFLINE)

    result = walk(full.manifest(), incremental.manifest(), ROOT)

    assert result.failures == []
    assert result.statements >= 150


def test_a_fault_in_a_model_is_found(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    for name in ("dbt_project", "seeds", "tests/data_tests"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("conversations"))
    shutil.copy(ROOT / "dbt_project.yml", root)
    model = root / "dbt_project/models/intermediate/int_conversations_forgotten.sql"
    model.write_text(model.read_text("utf-8").replace("max(greatest(", "max(least_of("), "utf-8")
    project = DbtProject(tmp_path / "work", variables={"offline_compile": "full"}, root=root)
    project.run(*OFFLINE)

    result = walk(project.manifest(), project.manifest(), root)

    assert [failure for failure in result.failures if "Function not found: least_of" in failure]


@pytest.mark.parametrize("fault", FAULTS)
def test_the_analyzer_refuses_what_bigquery_refuses(analyzer: GoogleSql, fault: str) -> None:
    with pytest.raises(SqlError):
        analyzer.columns_of(FAULTS[fault])


def test_the_analyzer_takes_what_the_project_uses(analyzer: GoogleSql) -> None:
    columns = analyzer.columns_of(
        "select max_by(x, y) as m, array_agg(struct(x as k) order by y limit 1) as a "
        "from unnest([struct(1 as x, 'a' as y)]) group by all"
    )

    assert [(column.name, column.type_name) for column in columns] == [
        ("m", "int64"),
        ("a", "array<struct<k int64>>"),
    ]
