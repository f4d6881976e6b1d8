"""The worked examples of dbt_project/README.md, done on a stack in a copy of the project."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ingest.domain.conversation import json_sha256
from tests.warehouse.conftest import Warehouse
from tests.warehouse.dbt_runs import ROOT, DbtProject, lean_root
from tests.warehouse.manifest_walk import walk
from tests.warehouse.raw_loading import create_raw_tables, land
from tests.warehouse.raw_rows import RawRows
from tests.warehouse.story import batches

pytestmark = pytest.mark.stack

WITHOUT_TESTS = ("--exclude", "resource_type:test", "resource_type:unit_test")
RULE = "when is_last_failed then 'failed'"
WRONG_RULE = "when is_last_failed and failure_count > 1 then 'failed'"
COLUMN = """
      - name: risk_score
        data_type: float64
        description: Risk of the conversation, as Insights scores it.
"""


@dataclass
class EditedProject(DbtProject):
    """A copy of the project, whose files a test changes."""

    @property
    def root(self) -> Path:
        folder = self.work_dir / "edited"
        if not folder.exists():
            shutil.copytree(ROOT / "dbt_project", folder / "dbt_project")
            shutil.copytree(ROOT / "seeds", folder / "seeds", ignore=lambda *_: {"conversations"})
            shutil.copy(lean_root() / "dbt_project.yml", folder)
            (folder / "tests").symlink_to(ROOT / "tests")
        return folder

    def edit(self, path: str, old: str, new: str) -> None:
        text = (self.root / path).read_text("utf-8")
        assert text.count(old) == 1
        (self.root / path).write_text(text.replace(old, new), encoding="utf-8")


def _example(number: int) -> str:
    readme = (ROOT / "dbt_project" / "README.md").read_text("utf-8")
    return re.split(r"^#+ .*$", readme.split(f"### Worked example {number}: ")[1], flags=re.M)[0]


def _full_refresh(number: int) -> list[str]:
    (command,) = re.findall(r"`dbt (build --full-refresh -s [^`]+)`", _example(number))
    return str(command).split()


def _rows(warehouse: Warehouse, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in warehouse.rows(sql)]


def test_a_corrected_rule_is_rebuilt_from_raw(
    warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory
) -> None:
    create_raw_tables(warehouse.client)
    land(warehouse.client, batches()[0])
    folder = tmp_path_factory.mktemp("corrected")
    project = EditedProject(folder, warehouse.endpoint, dataset="corrected")
    model = "dbt_project/macros/folds/version_progress.sql"
    versions = (
        "select conversation_version_id, conversation_id, status"
        " from corrected.conversation_registry order by conversation_id"
    )
    days = "select batch_date, failed_count from corrected.pipeline_daily order by batch_date desc"
    project.edit(model, RULE, WRONG_RULE)
    project.run("build", "--select", "@int_version_progress", *WITHOUT_TESTS)
    wrong, wrong_days = _rows(warehouse, versions), _rows(warehouse, days)

    project.edit(model, WRONG_RULE, RULE)
    project.run("run", "--full-refresh", "--select", "conversation_registry", "pipeline_daily")
    from_the_registry_on = _rows(warehouse, versions)
    project.run(*_full_refresh(3), *WITHOUT_TESTS)

    right = [(*row[:2], "failed" if row[1] == "c-fail" else row[2]) for row in wrong]
    assert ("c-fail", "registered") in [row[1:] for row in wrong]
    assert from_the_registry_on == wrong
    assert _rows(warehouse, versions) == right
    assert [count for _, count in wrong_days] == [0, 0]
    assert [count for _, count in _rows(warehouse, days)] == [0, 1]


def test_an_added_column_is_appended_and_older_rows_get_it_by_a_full_refresh(
    warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory
) -> None:
    create_raw_tables(warehouse.client)
    first, second, third = batches()
    land(warehouse.client, _with_risk(first, "c-plain", 0.25))
    land(warehouse.client, second)
    folder = tmp_path_factory.mktemp("added")
    variables = {"incremental_overlap_hours": 0}
    project = EditedProject(folder, warehouse.endpoint, dataset="added", variables=variables)
    built = ("--select", "+ci_conversations", "+schema_drift")
    drift = "select path from added.schema_drift where path like '%riskScore'"
    scores = (
        "select conversation_id, risk_score from added.ci_conversations"
        " where conversation_id in ('c-plain', 'c-edit') order by conversation_id"
    )
    project.run("build", *WITHOUT_TESTS, *built)
    unread = _rows(warehouse, drift)

    _add_the_column(project)
    land(warehouse.client, _with_risk(third, "c-edit", 0.5))
    project.run("build", *WITHOUT_TESTS, *built)
    appended = _rows(warehouse, scores)
    project.run(*_full_refresh(1), *WITHOUT_TESTS)

    assert unread == [("latestAnalysis.riskScore",)]
    assert appended == [("c-edit", 0.5), ("c-plain", None)]
    assert _rows(warehouse, scores) == [("c-edit", 0.5), ("c-plain", 0.25)]
    assert _rows(warehouse, drift) == []


def test_the_example_of_an_added_column_leaves_no_file_out(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    compiled = []
    for mode in ("full", "incremental"):
        folder = tmp_path_factory.mktemp(mode)
        project = EditedProject(folder, variables={"offline_compile": mode})
        _add_the_column(project)
        project.run("compile", "--no-introspect", "--no-populate-cache")
        compiled.append(project.manifest())

    result = walk(compiled[0], compiled[1], project.root)

    names = {
        name.rpartition(".")[2]
        for name, columns in result.columns.items()
        if "risk_score" in [column.name for column in columns]
    }
    assert result.failures == []
    assert names == {
        "stg_ci__conversations",
        "int_ci_states",
        "int_ci_state_versions",
        "ci_conversations",
    }


def _add_the_column(project: EditedProject) -> None:
    """Do steps 1 to 4 of the first example."""
    (expression,) = re.findall(r"`(safe_cast\(.+ as risk_score)`", _example(1))
    (path,) = re.findall(r"`(latestAnalysis\.riskScore,\w+)`", _example(1))
    staging = "dbt_project/models/staging/ci/stg_ci__conversations"
    states = "dbt_project/models/intermediate/int_ci_states"
    versions = "dbt_project/models/intermediate/int_ci_state_versions"
    mart = "dbt_project/models/marts/ci_export/ci_conversations"
    label = "json_value(label_map, '$.queue') as queue,"
    project.edit(f"{staging}.sql", label, f"{label}\n        {expression},")
    project.edit(f"{mart}.sql", "        queue,\n", "        queue,\n        risk_score,\n")
    for model in (staging, states, versions, mart):
        project.edit(f"{model}.yml", "\n      - name: queue\n", f"{COLUMN}      - name: queue\n")
    with (project.root / "seeds" / "ci_read_paths.csv").open("a", encoding="utf-8") as file:
        file.write(f"{path}\n")


def _with_risk(rows: RawRows, conversation_id: str, score: float) -> RawRows:
    for row in rows.ci_conversations:
        if row["conversation_id"] == conversation_id:
            row["payload"]["latestAnalysis"]["riskScore"] = score
            row["payload_sha256"] = json_sha256(row["payload"])
    return rows
