"""Walks a compiled dbt project in the order of its graph and judges every statement.

The only types written by hand are those of the sources; each model's columns are what the
analyzer infers, and they are what the next model reads.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from dbt.adapters.bigquery.column import get_nested_column_data_types

from tests.warehouse.googlesql import Column, GoogleSql, SqlError

PARTITION_TYPES = ("date", "datetime", "timestamp", "int64")
CLUSTER_TYPES = ("string", "int64", "date", "timestamp", "bool", "numeric", "datetime")
MAX_CLUSTER_COLUMNS = 4
AGGREGATIONS = {"sum": "sum", "average": "avg"}


@dataclass
class Walk:
    """What the analyzer said about a project."""

    columns: dict[str, list[Column]] = field(default_factory=dict)
    statements: int = 0
    failures: list[str] = field(default_factory=list)

    def fail(self, node: str, what: str) -> None:
        self.failures.append(f"{node}: {what}")


def walk(full: dict[str, Any], incremental: dict[str, Any], root: Path) -> Walk:
    """Judge both compilations of the project under `root`: first run and incremental run."""
    result = Walk()
    sql = GoogleSql()
    for model in infer_columns(sql, result, full, root):
        _judge_model(sql, result, model, incremental["nodes"][model["unique_id"]])
    for test in nodes(full, "test"):
        _attempt(result, test["unique_id"], lambda t=test: sql.columns_of(_counted_by_dbt(t)))
    for semantic in full["semantic_models"].values():
        _attempt(
            result, semantic["unique_id"], lambda s=semantic: sql.columns_of(_measured(full, s))
        )
    return result


def infer_columns(
    sql: GoogleSql, result: Walk, manifest: dict[str, Any], root: Path
) -> list[dict[str, Any]]:
    """Register sources, seeds and models with the analyzer; return the models that it took."""
    for source in manifest["sources"].values():
        types = {c["name"]: c["data_type"] for c in source["columns"].values()}
        _register(sql, result, source, sql.types_of(types))
    for seed in nodes(manifest, "seed"):
        with (root / seed["original_file_path"]).open(encoding="utf-8", newline="") as file:
            header = next(csv.reader(file))
        declared = seed["config"]["column_types"]
        _register(sql, result, seed, sql.types_of({c: declared.get(c, "string") for c in header}))
    taken = []
    for model in models_in_order(manifest):
        columns = _attempt(
            result, model["unique_id"], lambda m=model: sql.columns_of(m["compiled_code"])
        )
        if columns is not None:
            _register(sql, result, model, columns)
            taken.append(model)
    return taken


def load_manifest(target: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    return loaded


def nodes(manifest: dict[str, Any], resource_type: str) -> Iterator[dict[str, Any]]:
    """Return the nodes of one kind, model, seed or test, that are built.

    dbt keeps the tests of a model that is left out among the nodes, and compiles none of them.
    """
    return (
        node
        for node in manifest["nodes"].values()
        if node["resource_type"] == resource_type and node["config"]["enabled"]
    )


def models_in_order(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return the models, each after those that it reads."""
    models = {node["unique_id"]: node for node in nodes(manifest, "model")}
    graph = {name: set(node["depends_on"]["nodes"]) for name, node in models.items()}
    return (models[name] for name in TopologicalSorter(graph).static_order() if name in models)


def place_of(node: dict[str, Any]) -> tuple[str, str, str]:
    """Return project, dataset and name of the node's table."""
    return node["database"], node["schema"], node.get("identifier") or node["alias"]


def _register(sql: GoogleSql, result: Walk, node: dict[str, Any], columns: list[Column]) -> None:
    sql.add_table(place_of(node), columns)
    result.columns[node["unique_id"]] = columns


def _attempt(result: Walk, name: str, judge: Any) -> Any:
    result.statements += 1
    try:
        return judge()
    except SqlError as error:
        result.fail(name, str(error))
        return None


def _judge_model(
    sql: GoogleSql, result: Walk, model: dict[str, Any], incremental: dict[str, Any]
) -> None:
    name = model["unique_id"]
    columns = result.columns[name]
    _attempt(result, f"{name} (ddl)", lambda: sql.check(_ddl(model, columns)))
    _judge_layout(result, model, columns)
    _judge_documentation(result, model, columns)
    if model["config"]["materialized"] == "incremental":
        again = _attempt(
            result,
            f"{name} (incremental)",
            lambda: sql.columns_of(incremental["compiled_code"]),
        )
        if again is not None and _described(again) != _described(columns):
            result.fail(name, "the incremental run has other columns than the first run")
        _attempt(result, f"{name} (merge)", lambda: sql.check(_merge(incremental, columns)))


def _described(columns: list[Column]) -> list[tuple[str, str]]:
    return [(column.name, column.type_name) for column in columns]


def _ddl(model: dict[str, Any], columns: list[Column]) -> str:
    config = model["config"]
    relation = f"{model['relation_name']}"
    if config["materialized"] == "view":
        options = ", ".join(f"{c.name} options (description = 'x')" for c in columns)
        return f"create or replace view {relation} ({options}) as {model['compiled_code']}"
    partition = config.get("partition_by")
    clauses = f"partition by {partition['field']} " if partition else ""
    if config.get("cluster_by"):
        clauses += f"cluster by {', '.join(config['cluster_by'])} "
    return f"create or replace table {relation} {clauses}as ({model['compiled_code']})"


def _counted_by_dbt(test: dict[str, Any]) -> str:
    return f"select * from (\n{test['compiled_code']}\n) as dbt_internal_test"


def _measured(manifest: dict[str, Any], semantic: dict[str, Any]) -> str:
    """What MetricFlow asks of a table: its measures by its dimensions and entities."""
    groups = [
        each["expr"] or each["name"] for each in semantic["dimensions"] + semantic["entities"]
    ]
    measures = [
        f"{AGGREGATIONS[each['agg']]}({each['expr'] or each['name']}) as {each['name']}"
        for each in semantic["measures"]
    ]
    table = manifest["nodes"][semantic["depends_on"]["nodes"][0]]["relation_name"]
    by = ", ".join(groups)
    return f"select {by}, {', '.join(measures)} from {table} group by {by}"


def _merge(model: dict[str, Any], columns: list[Column]) -> str:
    keys = model["config"]["unique_key"]
    keys = [keys] if isinstance(keys, str) else keys
    matched = " and ".join(f"target.{key} = source_rows.{key}" for key in keys)
    names = [column.name for column in columns]
    updates = ", ".join(f"{n} = source_rows.{n}" for n in names)
    predicates = "".join(
        f" and target.{p.partition(':')[2] or 'batch_date'} in (date '2025-01-01')"
        for p in model["config"].get("incremental_predicates") or []
        if p == "own_days" or p.startswith("days_of_source:")
    )
    return (
        f"merge into {model['relation_name']} as target "
        f"using ({model['compiled_code']}) as source_rows "
        f"on {matched}{predicates} "
        f"when matched then update set {updates} "
        f"when not matched then insert ({', '.join(names)}) values ({', '.join(names)})"
    )


def _judge_layout(result: Walk, model: dict[str, Any], columns: list[Column]) -> None:
    types = {column.name: column.type_name for column in columns}
    partition = model["config"].get("partition_by")
    if partition and types.get(partition["field"]) not in PARTITION_TYPES:
        result.fail(model["unique_id"], f"partitioned by {types.get(partition['field'])}")
    cluster = model["config"].get("cluster_by") or []
    if len(cluster) > MAX_CLUSTER_COLUMNS:
        result.fail(model["unique_id"], "clustered by more than four columns")
    for column in cluster:
        if types.get(column) not in CLUSTER_TYPES:
            result.fail(model["unique_id"], f"clustered by {column} of type {types.get(column)}")


def _judge_documentation(result: Walk, model: dict[str, Any], columns: list[Column]) -> None:
    declared = declared_types(model)
    produced = {column.name: column.type_name for column in columns}
    if set(declared) != set(produced):
        result.fail(model["unique_id"], f"columns differ: {set(declared) ^ set(produced)}")
        return
    for name, kind in produced.items():
        if _plain(declared[name] or "") != _plain(kind):
            result.fail(model["unique_id"], f"{name} is {kind}, declared {declared[name]}")


def declared_types(model: dict[str, Any]) -> dict[str, str | None]:
    """Return the declared type of each column; fields of structs are declared one by one."""
    nested = get_nested_column_data_types(model["columns"])
    return {name: column["data_type"] for name, column in nested.items()}


def _plain(data_type: str) -> str:
    return re.sub(r"\s+", "", data_type.lower())
