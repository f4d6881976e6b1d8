"""Records what dbt sends to BigQuery, and judges it with the GoogleSQL analyzer.

A compiled model is only a part of what runs: dbt and the project's macros write the rest of it.
"""

from __future__ import annotations

import csv
import datetime as dt
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from google.cloud import bigquery

from tests.benchmarks.scanned_bytes import Catalog, Table, is_pruned, reads_of
from tests.warehouse.googlesql import GoogleSql, SqlError


@contextmanager
def recording() -> Iterator[list[str]]:
    """Yield a list that gets the text of every statement that this process sends, in order."""
    statements: list[str] = []
    send = bigquery.Client.query

    def record(client: bigquery.Client, query: str, *args: Any, **kwargs: Any) -> Any:
        statements.append(query)
        return send(client, query, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bigquery.Client, "query", record)
        yield statements


def refused(statements: list[str], manifest: dict[str, Any], root: Path) -> list[str]:
    """Return what the analyzer refuses; what one statement creates, the later ones may read."""
    sql = GoogleSql()
    for source in manifest["sources"].values():
        types = {c["name"]: c["data_type"] for c in source["columns"].values()}
        sql.add_table(_place(source, "identifier"), sql.types_of(types))
    for seed in manifest["nodes"].values():
        if seed["resource_type"] == "seed":
            with (root / seed["original_file_path"]).open(encoding="utf-8", newline="") as file:
                header = next(csv.reader(file))
            types = {name: seed["config"]["column_types"][name] for name in header}
            sql.add_table(_place(seed, "alias"), sql.types_of(types))
    found = []
    for statement in statements:
        try:
            sql.execute(statement)
        except SqlError as error:
            found.append(f"{error}\n{statement}")
    return found


DAYS = [dt.date(2025, 1, 1) + dt.timedelta(days=past) for past in range(730)]
_NODE = re.compile(r'"node_id": "([^"]+)"')
_COMMENT = re.compile(r"^\s*/\*.*?\*/", re.DOTALL)
_TEMPORARY = re.compile(r"`((\w+?)__dbt_tmp\w*)`")


def unpruned(statements: list[str], manifest: dict[str, Any]) -> set[tuple[str, str]]:
    """Return (model, table) where an incremental model reads all days of a partitioned table."""
    catalog = _catalog(statements, manifest)
    found = set()
    for statement in statements:
        node = manifest["nodes"].get(_NODE.findall(statement)[0])
        if node and node["config"]["materialized"] == "incremental":
            for read in reads_of(_COMMENT.sub("", statement), catalog):
                if catalog.tables[read.table].partition and not is_pruned(read, catalog):
                    found.add((node["name"], read.table[2]))
    return found


def _catalog(statements: list[str], manifest: dict[str, Any]) -> Catalog:
    tables = {
        _place(source, "identifier"): Table(
            dict.fromkeys(source["columns"], 1), 1, "_landed_at", DAYS
        )
        for source in manifest["sources"].values()
    }
    views = {}
    for node in manifest["nodes"].values():
        if node["config"]["materialized"] == "view":
            views[_place(node, "alias")] = node["compiled_code"]
        elif node["resource_type"] in ("model", "seed"):
            partition = (node["config"].get("partition_by") or {}).get("field")
            columns = dict.fromkeys(node["columns"] or node["config"]["column_types"], 1)
            days = DAYS if partition else []
            tables[_place(node, "alias")] = Table(columns, 1, partition, days)
    for name, model in {names for each in statements for names in _TEMPORARY.findall(each)}:
        for place in [place for place in tables if place[2] == model]:
            tables[place[0], place[1], name] = Table(tables[place].widths, 1)
    return Catalog(tables, views, dt.datetime(2026, 1, 4, tzinfo=dt.UTC))


def _place(node: dict[str, Any], name: str) -> tuple[str, str, str]:
    return node["database"], node["schema"], node[name]
