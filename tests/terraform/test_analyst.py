"""What an analyst could read, by the plan's grants and the columns that dbt declares and tags."""

from __future__ import annotations

import copy
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from tests.warehouse.dbt_runs import DbtProject

from . import inputs, plan_policy
from .workspace import REPOSITORY, Workspace

pytestmark = pytest.mark.terraform
ANALYSTS = "group:analysts@acme.example"
_READ_ROWS = {"roles/bigquery.dataViewer", "roles/bigquery.dataEditor", "roles/bigquery.dataOwner"}
_READ_OBJECTS = {"roles/storage.objectViewer", "roles/storage.objectUser"}
_READ_TAG = "roles/datacatalog.categoryFineGrainedReader"
_TEXT = {"string", "json", "array<string>"}


@dataclass(frozen=True)
class Rights:
    """What the plan grants one member; a grant that nothing here knows is in `others`."""

    datasets: frozenset[str]
    objects: frozenset[str]
    reads_tag: bool
    others: frozenset[str]

    @classmethod
    def of(cls, plan: dict[str, Any], member: str) -> Rights:
        """Return the member's rights."""
        grants = [
            (each["type"], each["values"])
            for each in plan_policy.resources(plan)
            if each["values"].get("member") == member
        ]
        rows = {v["dataset_id"] for _, v in grants if v["role"] in _READ_ROWS and "dataset_id" in v}
        objects = {v["bucket"] for _, v in grants if v["role"] in _READ_OBJECTS}
        known = _READ_ROWS | _READ_OBJECTS | {_READ_TAG}
        others = {f"{kind}: {v['role']}" for kind, v in grants if v["role"] not in known}
        reads_tag = any(v["role"] == _READ_TAG for _, v in grants)
        return cls(frozenset(rows), frozenset(objects), reads_tag, frozenset(others))


@dataclass(frozen=True)
class Warehouse:
    """Columns with text, and those that are personal; what a raw table's payload holds is tagged
    too (privacy.tftest.hcl), so that a view over it shows nothing more."""

    manifest: dict[str, Any]
    personal: frozenset[str]

    def tables_read_by(self, rights: Rights) -> Iterator[dict[str, Any]]:
        """Yield the tables of datasets that may be read, and all that their views show."""
        models = {key: node for key, node in self.manifest["nodes"].items() if _is_model(node)}
        open_ = [node for node in models.values() if node["schema"] in rights.datasets]
        seen = set()
        while open_:
            node = open_.pop()
            if node["unique_id"] in seen:
                continue
            seen.add(node["unique_id"])
            if node["config"]["materialized"] == "view":
                parents = node["depends_on"]["nodes"]
                open_ += [models[name] for name in parents if name in models]
            else:
                yield node

    def readable(self, rights: Rights) -> set[str]:
        """Return the personal columns of these tables that the member sees words in."""
        return {
            f"{node['name']}.{name}"
            for node in self.tables_read_by(rights)
            for name, column in node["columns"].items()
            if (column["data_type"] or "").lower() in _TEXT and name in self.personal
            if rights.reads_tag or not _is_tagged(node)
        }


def _is_tagged(node: dict[str, Any]) -> bool:
    """Whether dbt puts the tag on the table's personal columns: it does with their descriptions."""
    return bool(node["config"]["persist_docs"].get("columns"))


def _is_model(node: dict[str, Any]) -> bool:
    return bool(node["resource_type"] == "model")


@pytest.fixture(scope="module")
def plan(workspace: Workspace) -> dict[str, Any]:
    return workspace.plan("terraform/environments/prod", *inputs.EVERYTHING)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    project = DbtProject(tmp_path_factory.mktemp("manifest"))
    project.run("parse")
    declared = yaml.safe_load((REPOSITORY / "dbt_project.yml").read_text("utf-8"))["vars"]
    return Warehouse(project.manifest(), frozenset(declared["personal_columns"]))


def test_an_analyst_reads_marts_and_no_personal_column(
    plan: dict[str, Any], warehouse: Warehouse
) -> None:
    rights = Rights.of(plan, ANALYSTS)
    tables = {node["name"] for node in warehouse.tables_read_by(rights)}

    assert rights == Rights(
        frozenset({"coach"}),
        frozenset(),
        reads_tag=False,
        others=frozenset(
            {
                "google_bigquery_datapolicy_data_policy_iam_member: "
                "roles/bigquerydatapolicy.maskedReader",
                "google_project_iam_member: roles/bigquery.jobUser",
            }
        ),
    )
    assert {"ci_turns", "coaching_cards", "conversation_registry_v2"} & tables
    assert warehouse.readable(rights) == set()


def test_every_column_with_text_that_an_analyst_reads_is_decided(
    plan: dict[str, Any], warehouse: Warehouse
) -> None:
    path = REPOSITORY / "tests" / "warehouse" / "impersonal_columns.csv"
    with path.open(encoding="utf-8", newline="") as file:
        impersonal = {row["column"] for row in csv.DictReader(file)}
    undecided = {
        f"{node['name']}.{name}"
        for node in warehouse.tables_read_by(Rights.of(plan, ANALYSTS))
        for name, column in node["columns"].items()
        if (column["data_type"] or "").lower() in _TEXT
        and name not in impersonal | warehouse.personal
    }

    assert undecided == set()


def test_datasets_are_made_without_readers_of_their_own(plan: dict[str, Any]) -> None:
    defaults = {
        tuple(access["special_group"] for access in each["values"]["access"])
        for each in plan_policy.resources(plan)
        if each["type"] == "google_bigquery_dataset"
    }

    assert defaults == {("projectOwners",)}


def test_a_grant_on_the_tag_would_open_columns(plan: dict[str, Any], warehouse: Warehouse) -> None:
    wrong = copy.deepcopy(plan)
    for each in plan_policy.resources(wrong):
        if each["type"] == "google_data_catalog_policy_tag_iam_member":
            each["values"]["member"] = ANALYSTS

    opened = warehouse.readable(Rights.of(wrong, ANALYSTS))

    assert {"ci_turns.text", "coaching_cards.summary"} & opened
    assert len(opened) > 10
