"""Writes catalog.json beside a manifest that was compiled without a warehouse.

The tools behind `make dbt-rules` compare what is documented with what a warehouse holds. Here the
columns are those that the analyzer infers, fields of structs one by one, as BigQuery lists them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.warehouse.dbt_runs import ROOT
from tests.warehouse.googlesql import Column, GoogleSql
from tests.warehouse.manifest_walk import Walk, infer_columns, load_manifest

SCHEMA = "https://schemas.getdbt.com/dbt/catalog/v1.json"


def catalog_of(manifest: dict[str, Any], root: Path) -> dict[str, Any]:
    """Return dbt's catalog of all sources, seeds and models."""
    inferred = Walk()
    infer_columns(GoogleSql(), inferred, manifest, root)
    assert inferred.failures == []
    listed = {
        name: _entry(manifest["sources"].get(name) or manifest["nodes"][name], columns)
        for name, columns in inferred.columns.items()
    }
    return {
        "metadata": {"dbt_schema_version": SCHEMA},
        "sources": {name: entry for name, entry in listed.items() if name in manifest["sources"]},
        "nodes": {name: entry for name, entry in listed.items() if name in manifest["nodes"]},
        "errors": None,
    }


def _entry(node: dict[str, Any], columns: list[Column]) -> dict[str, Any]:
    fields = [field for column in columns for field in _fields(column)]
    return {
        "unique_id": node["unique_id"],
        "metadata": {
            "type": "view" if node["config"].get("materialized") == "view" else "table",
            "database": node["database"],
            "schema": node["schema"],
            "name": node.get("identifier") or node["alias"],
        },
        "columns": {
            field.name: {"name": field.name, "type": field.type_name, "index": place}
            for place, field in enumerate(fields, start=1)
        },
        "stats": {},
    }


def _fields(column: Column) -> Iterator[Column]:
    """Yield the column, and the fields of the struct that it is or has as elements."""
    yield column
    element = column.type.array_type.element_type if column.type.HasField("array_type") else None
    for field in (element or column.type).struct_type.field:
        yield from _fields(Column(f"{column.name}.{field.field_name}", field.field_type))


if __name__ == "__main__":
    target = Path(sys.argv[1])
    made = catalog_of(load_manifest(target), ROOT)
    (target / "catalog.json").write_text(json.dumps(made), encoding="utf-8")
