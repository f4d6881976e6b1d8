"""Every statement that dbt really sends is GoogleSQL that BigQuery would take."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from google.cloud import bigquery

from tests.warehouse.conftest import Warehouse
from tests.warehouse.dbt_runs import ROOT, DbtProject, lean_root
from tests.warehouse.raw_loading import create_raw_tables, land
from tests.warehouse.sent_statements import recording, refused, unpruned
from tests.warehouse.story import ERASURE, batches

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def project(warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    return DbtProject(tmp_path_factory.mktemp("sent"), warehouse.endpoint, dataset="sent")


@pytest.fixture(scope="module")
def sent(warehouse: Warehouse, project: DbtProject) -> tuple[list[str], list[str]]:
    """Return what a first build sent, its unit tests and data tests included, and what the next
    run sent after the story went on."""
    create_raw_tables(warehouse.client)
    first, second, third = batches()
    land(warehouse.client, first)
    project.run("seed")
    with recording() as at_first:
        project.run("build", "--exclude", "resource_type:seed")
    land(warehouse.client, second.extend(third))
    for statement in (*ERASURE, "delete from sent_staging.int_custom_fields where true"):
        warehouse.rows(statement)
    with recording() as again:
        project.run("run")
    return at_first, again


def test_every_statement_of_a_first_and_an_incremental_build_is_valid_googlesql(
    project: DbtProject, sent: tuple[list[str], list[str]]
) -> None:
    at_first, again = sent

    assert refused(at_first + again, project.manifest(), ROOT) == []


def test_the_builds_sent_what_only_macros_write(sent: tuple[list[str], list[str]]) -> None:
    at_first, again = ("\n".join(statements) for statements in sent)

    assert "primary key" in at_first
    assert "dbt_internal_unit_test_actual" in at_first
    assert "dbt_internal_test" in at_first
    assert "merge into" in again
    assert "from `local-project`.`sent_staging`.`int_changed_days`" in again
    assert "as landed_from" in again
    assert "delete from" in again
    assert "not in (select phrase_match_id from" in again
    assert "forgotten.step = 'forget'" not in at_first
    assert "forgotten.step = 'forget'" in again
    assert "mart.landed_at <= forgotten.forgotten_at" in again
    assert "current_state.payload_sha256 = mart.payload_sha256" in again
    assert "current_state.payload_sha256 != mart.payload_sha256" in again


ALL_DAYS = {
    ("ci_phrase_matches", "ci_conversations"),
    ("ci_phrase_matches", "int_analysis_findings"),
    ("ci_phrase_matches", "phrase_matchers"),
    ("int_ci_states", "int_conversation_days"),
    ("int_conversation_days", "int_ci_states"),
    ("int_conversation_days", "int_conversation_days"),
    ("int_conversation_files", "int_conversation_days"),
    ("int_pipeline_events", "int_conversation_days"),
    ("stg_ci__payload_paths", "stg_ci__payload_paths"),
}
"""The index of days; who has annotations, after a matcher revision has landed (the story has one);
matcher revisions, and counts of paths, which are a few rows."""

LIST_OF_DAYS = re.compile(r"in \((date '[^)]*)\)")


def test_an_increment_reads_and_merges_the_days_of_what_changed_alone(
    project: DbtProject, sent: tuple[list[str], list[str]]
) -> None:
    # The story's days are long past, so each watermark is looked for in all of them at last.
    statements = [each for each in sent[1] if "as landed_from" not in each]

    assert unpruned(statements, project.manifest()) == ALL_DAYS


@pytest.mark.usefixtures("sent")
def test_the_sql_of_an_increment_has_one_list_of_days_for_its_hooks_and_merge(
    project: DbtProject,
) -> None:
    lists = {
        node["name"]: set(LIST_OF_DAYS.findall(node["compiled_code"]))
        for node in project.manifest()["nodes"].values()
        if node["config"]["materialized"] == "incremental"
    }

    assert {name for name, found in lists.items() if len(found) > 1} == set()
    assert len(lists["int_transcript_turns"]) == 1


@pytest.mark.usefixtures("sent")
def test_a_model_without_rows_looks_back_from_the_build_before(project: DbtProject) -> None:
    """Custom fields were taken out; the first build knew the story's first batch, of 12:01."""
    sql = project.manifest()["nodes"]["model.conversation_coach.int_custom_fields"]["compiled_code"]

    assert set(re.findall(r"landed_at >= timestamp '([^']*)'", sql)) == {
        "2025-12-28 12:01:00.000000+00"
    }


def test_a_view_is_made_and_a_description_is_told_where_it_differs(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_raw_tables(warehouse.client)
    root = _copy(ROOT, tmp_path, "dbt_project")
    project = DbtProject(tmp_path, warehouse.endpoint, dataset="empty", own_root=root)
    told: list[str] = []
    tell = bigquery.Client.update_table

    def record(client: bigquery.Client, table: bigquery.Table, fields: list[str]) -> object:
        told.append(f"{table.table_id} {fields[0]}")
        return tell(client, table, fields)

    monkeypatch.setattr(bigquery.Client, "update_table", record)
    statements: list[str] = []

    def sent_by_a_build() -> tuple[int, list[str]]:
        told.clear()
        with recording() as sent:
            project.run("run", "--select", "+int_pipeline_events")
        statements.extend(sent)
        return sum("create or replace view" in each for each in sent), sorted(told)

    first, second = sent_by_a_build(), sent_by_a_build()
    models = root / "dbt_project/models"
    _edit(models / "staging/pipeline/stg_pipeline__events.sql", "1970-01-01", "1970-01-02")
    _edit(models / "intermediate/int_pipeline_events.yml", "Why the step ran", "The reason it ran")
    _edit(models / "intermediate/int_pipeline_events.yml", "Outcomes of the", "How went the")
    third = sent_by_a_build()

    columns = ["int_pipeline_events schema", "stg_pipeline__events schema"]
    assert first == (1, columns)
    assert second == (0, [])
    assert third == (1, ["int_pipeline_events description", *columns])
    assert "merge into" in "\n".join(statements)
    assert refused(statements, project.manifest(), ROOT) == []
    table = warehouse.client.get_table("empty_staging.int_pipeline_events")
    reason = next(field for field in table.schema if field.name == "reason")
    assert str(table.description).startswith("How went the")
    assert str(reason.description).startswith("The reason it ran")


def _copy(project: Path, tmp_path: Path, own: str) -> Path:
    """Return a project of the same files, of which one folder is a copy to be changed."""
    root = tmp_path / "root"
    ignored = shutil.ignore_patterns("conversations")
    shutil.copytree(project / own, root / own, ignore=ignored)
    shutil.copy(project / "dbt_project.yml", root)
    for name in {"dbt_project", "seeds", "tests"} - {own}:
        (root / name).symlink_to(ROOT / name)
    return root


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_seed_is_loaded_where_its_file_has_changed_and_is_never_missing(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    root = _copy(lean_root(), tmp_path, "seeds")
    project = DbtProject(tmp_path, warehouse.endpoint, dataset="seeds", own_root=root)
    chosen = ("--select", "speakers", "queues")
    project.run("seed", *chosen)
    loaded = _loads(warehouse)
    project.run("seed", *chosen)
    unchanged = _loads(warehouse)
    with (root / "seeds/queues.csv").open("a", encoding="utf-8") as file:
        file.write("night,Calls at night\n")
    with recording() as statements:
        project.run("seed", *chosen)
    changed = _loads(warehouse)
    with recording() as again:
        project.run("seed", "--full-refresh", *chosen)

    assert unchanged == loaded
    assert changed["speakers"] == loaded["speakers"]
    assert {name: made for name, (made, _) in changed.items()} == {
        name: made for name, (made, _) in loaded.items()
    }
    assert warehouse.rows("select description from seeds_staging.queues where queue = 'night'") == [
        {"description": "Calls at night"}
    ]
    assert refused(statements, project.manifest(), ROOT) == []
    assert [sum("alter table" in each for each in sent) for sent in (statements, again)] == [1, 2]


def _loads(warehouse: Warehouse) -> dict[str, tuple[object, object]]:
    """Return when each seed's table was made, and when it was last changed."""
    tables = {
        name: warehouse.client.get_table(f"seeds_staging.{name}") for name in ("speakers", "queues")
    }
    return {name: (table.created, table.modified) for name, table in tables.items()}


def test_what_the_tests_said_is_kept_where_it_is_asked_for(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    asked = {"keep_test_history": True}
    project = DbtProject(tmp_path, warehouse.endpoint, dataset="history", variables=asked)
    built = ("--select", "matcher_measures", "test_history")
    project.run("seed", *built)
    with recording() as statements:
        project.run("run", *built)
        for _ in range(2):
            project.run("test", *built)

    kept = warehouse.rows(
        "select test_name, model_name, status, failing_row_count, count(*) as runs "
        "from history.test_history group by all order by test_name"
    )
    assert [tuple(row.values()) for row in kept] == [
        ("key_matcher_measures_phrase_matcher", "matcher_measures", "pass", 0, 2),
        ("key_test_history_test_result_id", "test_history", "pass", 0, 2),
    ]
    assert refused(statements, project.manifest(), ROOT) == []
