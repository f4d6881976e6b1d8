"""JSON_KEYS as BigQuery has it: its mode, and the keys of an object without a walk through it.

The emulator knows no `mode => 'lax recursive'`, and for a depth of 1 it walks everything that lies
below the object, which costs more the larger the object is.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import duckdb
import orjson
from sqlglot import exp

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
    """Make the functions known that `faster_json_keys` writes into statements."""
    connection.create_function(_LAX_LINES, _lax_lines, ["VARCHAR"], "VARCHAR")
    connection.execute(_LAX_MACRO)
    connection.execute(_TOP_MACRO)


def faster_json_keys(node: exp.Expression, _context: Any) -> exp.Expression:
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
