"""Statements: where BigQuery takes WITH RECURSIVE, what CREATE TABLE AS SELECT returns, JSON_KEYS.

WITH RECURSIVE stands at the top level of a statement, and nowhere else. Statements and views are
judged. Expressions of a script (DECLARE, SET, IF, WHILE) and the query of FOR aren't: the emulator
parses them elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import duckdb
import orjson
from local_bigquery.errors import BigQueryError
from sqlglot import exp

CREATE_TABLE_AS = "CREATE_TABLE_AS_SELECT"
Parse = Callable[[str], list[exp.Expression]]
REFUSAL = (
    "WITH RECURSIVE is only allowed at the top level of the SELECT, CREATE TABLE AS SELECT, "
    "CREATE VIEW, INSERT, EXPORT DATA statements."
)


def with_recursion_at_the_top(parse: Parse) -> Parse:
    """Return the parser of statements that refuses WITH RECURSIVE inside of one, as BigQuery."""

    def corrected(sql: str) -> list[exp.Expression]:
        trees = parse(sql)
        if any(_has_recursion_inside(tree) for tree in trees):
            raise BigQueryError("invalidQuery", REFUSAL)
        return trees

    return corrected


def _has_recursion_inside(tree: exp.Expression) -> bool:
    top = _query(tree)
    clauses = (each for each in tree.find_all(exp.With) if each.args.get("recursive"))
    return any(clause.parent is not top for clause in clauses)


def _query(tree: exp.Expression) -> exp.Expression | None:
    """Return the query that a statement is or takes its rows from, without parentheses."""
    query: exp.Expression | None = None
    if isinstance(tree, exp.Query):
        query = tree
    elif isinstance(tree, exp.Export):
        query = tree.this
    elif isinstance(tree, exp.Insert) or (
        isinstance(tree, exp.Create) and tree.args.get("kind") in ("TABLE", "VIEW")
    ):
        query = tree.args.get("expression")
    while isinstance(query, exp.Subquery) and _is_bare(query):
        query = query.this
    return query


def _is_bare(parentheses: exp.Subquery) -> bool:
    """Tell whether nothing but a query stands in or behind the parentheses."""
    return not any(value for name, value in parentheses.args.items() if name != "this")


def with_destination_of_ctas(execute: Callable[..., Any]) -> Callable[..., Any]:
    """Return `execute` that names the created table as the job's destinationTable.

    BigQuery's job resource has it for CREATE TABLE AS SELECT, and dbt reads the row count there.
    """

    def corrected(*args: Any, **kwargs: Any) -> Any:
        statistics, children, destination = execute(*args, **kwargs)
        if destination is None and statistics.statementType == CREATE_TABLE_AS:
            destination = statistics.ddlTargetTable
        return statistics, children, destination

    return corrected


def with_texts_at_hand(evaluator: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the maker of what finds an option's value, which asks DuckDB for no text's own."""

    def corrected(cursor: Any) -> Callable[[exp.Expression], Any]:
        evaluate = evaluator(cursor)
        return lambda node: (
            node.this if isinstance(node, exp.Literal) and node.is_string else evaluate(node)
        )

    return corrected


def without_rows_of_ctas(read: Callable[..., Any]) -> Callable[..., Any]:
    """Return the reader of results that, as BigQuery, has no rows for CREATE TABLE AS SELECT."""

    def corrected(job: Any, *args: Any, **kwargs: Any) -> Any:
        statistics = job.statistics.query if job.statistics else None
        if statistics and statistics.statementType == CREATE_TABLE_AS:
            bare = job.configuration.query.without("destinationTable")
            job = job.replace(configuration=job.configuration.replace(query=bare.dump()).dump())
        return read(job, *args, **kwargs)

    return corrected


_CALLS = {"bq.main.json_keys": "bq.main.", "json_keys": ""}
"""The calls: at first, and in a statement that the emulator has written out and read again."""
_LAX, _LAX_LINES, _TOP = "_json_keys_lax_recursive", "_json_keys_lines", "_json_keys_of_object"
_SPECIAL = r'[."\\\x00-\x1f]'
_LAX_MACRO = f"""
    CREATE OR REPLACE MACRO bq.main.{_LAX}(j) AS string_split({_LAX_LINES}(j), chr(10))[:-2]
"""
_TOP_MACRO = f"""
    CREATE OR REPLACE MACRO bq.main.{_TOP}(j) AS list_sort(list_transform(
        json_keys(j),
        lambda k: CASE WHEN regexp_matches(k, '{_SPECIAL}') THEN to_json(k)::VARCHAR ELSE k END
    ))
"""


def register(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the functions known that `json_keys_of_bigquery` writes into statements."""
    connection.create_function(_LAX_LINES, _lax_lines, ["VARCHAR"], "VARCHAR")
    connection.execute(_LAX_MACRO)
    connection.execute(_TOP_MACRO)


def json_keys_of_bigquery(node: exp.Expression, _context: Any) -> exp.Expression:
    """Return the node, or what stands for it where it is JSON_KEYS(j, 1) or has the mode."""
    if not (isinstance(node, exp.Anonymous) and node.name.lower() in _CALLS):
        return node
    place = _CALLS[node.name.lower()]
    value, *options = node.expressions
    match options:
        case [exp.Literal(this="1")]:
            return exp.Anonymous(this=f"{place}{_TOP}", expressions=[value])
        case [exp.Kwarg(this=name, expression=exp.Literal(this="lax recursive"))] if (
            name.name.lower() == "mode"
        ):
            return exp.Anonymous(this=f"{place}{_LAX}", expressions=[value])
    return node


def lax_recursive_keys(json: str) -> list[str]:
    """Return the paths to all keys in a JSON text, each once and in order, arrays left out."""
    found: list[str] = []
    _collect([orjson.loads(json)], "", found)
    found.sort()
    return found


def _lax_lines(json: str) -> str:
    """One text is cheaper to hand to DuckDB than a list; no path has a bare line feed in it."""
    return "".join(f"{path}\n" for path in lax_recursive_keys(json))


def _collect(values: list[Any], prefix: str, found: list[str]) -> None:
    """Add what lies under `values`, all of which stand at the path `prefix`."""
    members: dict[str, list[Any]] = {}
    for value in values:  # grows by the elements of its arrays
        if type(value) is list:
            values.extend(value)
        elif type(value) is dict:
            for key, member in value.items():
                nested = members.get(key)
                if nested is None:
                    nested = members[key] = []
                if type(member) is dict or type(member) is list:
                    nested.append(member)
    for key, nested in members.items():
        path = prefix + _escaped(key)
        found.append(path)
        if nested:
            _collect(nested, path + ".", found)


@lru_cache(maxsize=4096)
def _escaped(key: str) -> str:
    return orjson.dumps(key).decode() if re.search(_SPECIAL, key) else key
