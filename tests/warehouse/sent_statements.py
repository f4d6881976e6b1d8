"""Records what dbt sends to BigQuery, and judges it with the GoogleSQL analyzer.

A compiled model is only a part of what runs: dbt and the project's macros write the rest of it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from google.cloud import bigquery

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


def _place(node: dict[str, Any], name: str) -> tuple[str, str, str]:
    return node["database"], node["schema"], node[name]
