"""Each law of tests/data_tests is broken on a built stack, and that law alone says so."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.warehouse.breaches import (
    BREACHES,
    FINDINGS_WITHOUT_HITS,
    FORGETTING_AFTER_IT,
    LATER_EVENT,
)
from tests.warehouse.conftest import Warehouse
from tests.warehouse.dbt_runs import DbtProject
from tests.warehouse.raw_loading import create_raw_tables, land
from tests.warehouse.story import ERASURE, batches

pytestmark = pytest.mark.stack

DATASET = "laws"
STAGING = f"{DATASET}_staging"


@dataclass(frozen=True)
class Law:
    """A test of the project: its query, and the tables that it reads, through views too."""

    name: str
    sql: str
    tables: frozenset[str]


@dataclass(frozen=True)
class Laws:
    """The story as tables, and the laws that hold in it."""

    warehouse: Warehouse
    laws: tuple[Law, ...]
    staging_keys: dict[str, str]

    def broken(self, table: str | None = None) -> set[object]:
        """Return the laws that don't hold; with a table, only those that read it are asked."""
        parts = [
            f"select '{law.name}' as law where exists (select 1 from ({law.sql}) as broken)"
            for law in self.laws
            if table is None or table in law.tables
        ]
        return {row["law"] for row in self.warehouse.rows(" union all ".join(parts))}

    def broken_keys(self) -> set[str]:
        """Return the staging models whose key is null or there twice."""
        return {name for name, sql in self.staging_keys.items() if self.warehouse.rows(sql)}

    @contextmanager
    def breach(self, table: str, statement: str) -> Iterator[None]:
        """Break one table, and have it whole again afterwards."""
        whole = f"{STAGING}.whole_{table.replace('.', '_')}"
        every_row = "_landed_at >= timestamp '2020-01-01 00:00:00+00'"
        where = every_row if table.startswith("coach_raw.") else "true"
        self.warehouse.rows(
            f"create or replace table {whole} as select * from {table} where {where}"
        )
        change = f"update {table} {statement}" if statement.startswith("set ") else statement
        try:
            self.warehouse.rows(change)
            yield
        finally:
            self.warehouse.rows(f"delete from {table} where {where}")
            self.warehouse.rows(f"insert into {table} select * from {whole}")


@pytest.fixture(scope="module")
def laws(warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Laws:
    create_raw_tables(warehouse.client)
    for rows in batches():
        land(warehouse.client, rows)
    for statement in ERASURE:
        warehouse.rows(statement)
    folder = tmp_path_factory.mktemp("laws")
    project = DbtProject(folder, warehouse.endpoint, DATASET, is_lean=True)
    project.run("seed")
    project.run("run", "--full-refresh")
    project.run("test", "--select", "test_type:data")
    manifest = project.manifest()
    keys = (node for node in manifest["nodes"].values() if node["name"].startswith("key_stg_"))
    laws = (node for node in manifest["nodes"].values() if node["name"].startswith("assert_"))
    return Laws(
        warehouse,
        tuple(
            Law(node["name"].removeprefix("assert_"), node["compiled_code"], _read(manifest, node))
            for node in laws
        ),
        {node["attached_node"].split(".")[-1]: node["compiled_code"] for node in keys},
    )


def test_the_story_breaks_no_law(laws: Laws) -> None:
    assert laws.broken() == set()


def test_every_law_is_broken_once(laws: Laws) -> None:
    assert {law for law, _, _ in BREACHES.values()} == {law.name for law in laws.laws}


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_is_found_by_its_law_alone(laws: Laws, breach: str) -> None:
    law, table, statement = BREACHES[breach]

    with laws.breach(table, statement):
        assert laws.broken(table) == {law}


def test_hits_that_the_findings_and_the_mart_lost_are_found_in_what_landed_lately(
    laws: Laws,
) -> None:
    with (
        laws.breach("laws_staging.int_analysis_findings", FINDINGS_WITHOUT_HITS),
        laws.breach(
            "laws.ci_phrase_matches",
            "delete from laws.ci_phrase_matches where conversation_id = 'c-plain'",
        ),
    ):
        unseen = laws.broken()
        with laws.breach("coach_raw.ci_conversations", _landed_again("ci_conversations", 1)):
            seen = laws.broken()

    assert (unseen, seen) == (set(), {"phrase_matches_agree_with_ci"})


def test_a_custom_field_that_was_lost_is_found_in_what_landed_lately(laws: Laws) -> None:
    lost = "delete from laws_staging.int_custom_fields where conversation_id = 'c-plain'"
    with (
        laws.breach("laws_staging.int_custom_fields", lost),
        laws.breach("coach_raw.conversation_files", _landed_again("conversation_files", 1, 2)),
    ):
        assert laws.broken("laws_staging.int_custom_fields") == {"custom_fields_are_kept"}


def test_what_landed_again_lately_breaks_no_law(laws: Laws) -> None:
    with laws.breach("coach_raw.ci_conversations", _landed_again("ci_conversations", 1)):
        assert laws.broken("coach_raw.ci_conversations") == set()


def test_a_failure_from_before_a_forgetting_breaks_no_law(laws: Laws) -> None:
    with (
        laws.breach("laws_staging.int_conversations_forgotten", FORGETTING_AFTER_IT),
        laws.breach("coach_raw.pipeline_events", LATER_EVENT),
    ):
        assert laws.broken("coach_raw.pipeline_events") == set()


def test_what_landed_twice_at_once_breaks_the_keys_of_staging(laws: Laws) -> None:
    broken = laws.broken_keys()

    for table in ("ci_conversations", "conversation_files", "pipeline_events"):
        with laws.breach(f"coach_raw.{table}", _landed_again(table, 2)):
            broken |= laws.broken_keys()

    assert broken == {
        "stg_ci__conversations",
        "stg_ci__entities",
        "stg_ci__summaries",
        "stg_ci__turns",
        "stg_files__conversation_files",
        "stg_files__custom_fields",
        "stg_files__turns",
        "stg_pipeline__events",
    }


def _landed_again(table: str, times: int, hours_ago: int = 0) -> str:
    now = (dt.datetime.now(dt.UTC) - dt.timedelta(hours=hours_ago)).isoformat()
    return f"""
        insert into coach_raw.{table}
        select landed.* replace (timestamp '{now}' as _landed_at)
        from coach_raw.{table} as landed
        cross join unnest(generate_array(1, {times})) as copy
        where conversation_id = 'c-plain'
        and _landed_at >= timestamp '2020-01-01 00:00:00+00'
    """


def _read(manifest: dict[str, Any], node: dict[str, Any]) -> frozenset[str]:
    tables: set[str] = set()
    for parent in node["depends_on"]["nodes"]:
        read = manifest["nodes"].get(parent) or manifest["sources"][parent]
        if read.get("config", {}).get("materialized") == "view":
            tables |= _read(manifest, read)
        else:
            tables.add(".".join(read["relation_name"].replace("`", "").split(".")[1:]))
    return frozenset(tables)
