"""What dbt_project/README.md says each table reads is what its SQL reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.warehouse.dbt_runs import ROOT, DbtProject

LEFT_OUT = {"int_conversations_forgotten", "int_forgotten_days", "int_changed_days"}
"""Tables of a few rows: a dozen models read them to clean up, or to know their days."""
_LINE = re.compile(r"^\| `(\w+)` \| (`.*?`) \| (.+) \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    project = DbtProject(tmp_path_factory.mktemp("readme"))
    project.run("parse")
    return project.manifest()


def test_every_table_has_a_line_with_what_it_reads(manifest: dict[str, Any]) -> None:
    readme = (ROOT / "dbt_project" / "README.md").read_text("utf-8")
    told = [
        (name, set(re.findall(r"`([\w.]+)`", reads))) for name, reads, _ in _LINE.findall(readme)
    ]

    built = {
        node["name"]: set(_tables_read(manifest, node["unique_id"])) - LEFT_OUT
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["config"]["materialized"] != "view"
    }
    assert sorted(told) == sorted(built.items())


def _tables_read(manifest: dict[str, Any], node: str) -> Iterator[str]:
    """Yield the tables that the node reads, itself or through views; seeds are left out."""
    for parent in manifest["nodes"][node]["depends_on"]["nodes"]:
        if parent.startswith("source."):
            source = manifest["sources"][parent]
            yield f"{source['schema']}.{source['name']}"
        elif manifest["nodes"][parent]["resource_type"] == "model":
            if manifest["nodes"][parent]["config"]["materialized"] == "view":
                yield from _tables_read(manifest, parent)
            else:
                yield manifest["nodes"][parent]["name"]
