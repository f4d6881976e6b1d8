"""GoogleSQL's own reference evaluator: rows in, rows out, without DuckDB.

The emulator runs DuckDB underneath. What a model gives there is compared with what ZetaSQL's
evaluator makes of the same SQL and the same rows.
"""

from __future__ import annotations

import datetime as dt
import decimal
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zetasql.core.exceptions import ServerError
from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2
from zetasql.wasi._pb2.zetasql.public import type_pb2, value_pb2

from tests.warehouse.googlesql import Column, GoogleSql, SqlError

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
Rows = Sequence[Mapping[str, Any]]
_PLAIN = {
    "STRING": "string_value",
    "INT64": "int64_value",
    "DOUBLE": "double_value",
    "BOOL": "bool_value",
}
_BIGNUMERIC = decimal.Context(prec=77)
_SCALE = decimal.Decimal(10) ** 38


@dataclass
class Reference:
    """Tables with rows, and the evaluator that queries them."""

    sql: GoogleSql = field(default_factory=GoogleSql)
    contents: dict[tuple[str, str, str], Any] = field(default_factory=dict)

    def add(self, place: tuple[str, str, str], columns: list[Column], rows: Rows) -> None:
        """Let queries read the rows; cells are as google-cloud-bigquery gives them."""
        self.sql.add_table(place, columns)
        content = local_service_pb2.TableContent()
        content.table_data.SetInParent()
        for row in rows:
            cells = content.table_data.row.add().cell
            for column in columns:
                cells.add().CopyFrom(_value(column.type, row[column.name]))
        self.contents[place] = content

    def rows(self, query: str) -> list[str]:
        """Return the rows of the query as sorted text; raise SqlError where it can't be run."""
        query = _evaluable(query)
        columns = self.sql.columns_of(query)
        request = self._request(query)
        try:
            response = self.sql.call("EvaluateQuery", request)
        except ServerError as error:
            raise SqlError(str(error)) from error
        return as_text(
            {
                column.name: _python(column.type, cell)
                for column, cell in zip(columns, row.cell, strict=True)
            }
            for row in response.content.table_data.row
        )

    def _request(self, query: str) -> Any:
        """The evaluator gives rows to tables at the root of the catalog alone."""
        named = {place: ".".join(place) for place in self.contents if _quoted(place) in query}
        for place, name in named.items():
            query = query.replace(_quoted(place), f"`{name}`")
        request = self.sql.request(local_service_pb2.EvaluateQueryRequest, query)
        for place, name in named.items():
            table = request.simple_catalog.table.add(name=name)
            for column in self.sql.tables[place]:
                table.column.add(name=column.name, type=column.type)
            request.table_content[name].CopyFrom(self.contents[place])
        return request


def as_text(rows: Any) -> list[str]:
    """Return rows as sorted JSON: cell for cell the same exactly where the rows are."""
    return sorted(json.dumps(dict(row), default=_text, sort_keys=True) for row in rows)


def _text(cell: Any) -> str:
    return str(cell.normalize() if isinstance(cell, decimal.Decimal) else cell)


def _evaluable(query: str) -> str:
    """BigQuery documents MAX_BY(x, y) as ANY_VALUE(x HAVING MAX y), which ZetaSQL can evaluate."""
    while found := re.search(r"\b(max|min)_by\(", query):
        comma = end = found.end()
        depth = 1
        while depth:
            depth += {"(": 1, ")": -1}.get(query[end], 0)
            comma = end if depth == 1 and query[end] == "," else comma
            end += 1
        value, order = query[found.end() : comma], query[comma + 1 : end - 1]
        called = f"any_value({value} having {found[1]} {order})"
        query = query[: found.start()] + called + query[end:]
    return query


def _quoted(place: tuple[str, str, str]) -> str:
    return "`" + "`.`".join(place) + "`"


def _value(kind: Any, cell: Any) -> Any:
    value = value_pb2.ValueProto()
    name = _kind(kind)
    if name == "ARRAY":
        value.array_value.SetInParent()
        for element in cell or []:
            value.array_value.element.add().CopyFrom(_value(kind.array_type.element_type, element))
    elif cell is None:
        return value
    elif name == "STRUCT":
        value.struct_value.SetInParent()
        for part in kind.struct_type.field:
            value.struct_value.field.add().CopyFrom(_value(part.field_type, cell[part.field_name]))
    elif name == "DATE":
        value.date_value = (cell - EPOCH.date()).days
    elif name == "TIMESTAMP":
        value.timestamp_value.FromDatetime(cell)
    elif name == "JSON":
        value.json_value = cell if isinstance(cell, str) else json.dumps(cell)
    elif name == "BIGNUMERIC":
        scaled = int(_BIGNUMERIC.multiply(cell, _SCALE))
        length = scaled.bit_length() // 8 + 1
        value.bignumeric_value = scaled.to_bytes(length, "little", signed=True)
    else:
        setattr(value, _PLAIN[name], cell)
    return value


def _python(kind: Any, value: Any) -> Any:
    name = _kind(kind)
    if value.WhichOneof("value") is None:
        return [] if name == "ARRAY" else None
    if name == "ARRAY":
        elements = value.array_value.element
        return [_python(kind.array_type.element_type, element) for element in elements]
    if name == "STRUCT":
        parts = zip(kind.struct_type.field, value.struct_value.field, strict=True)
        return {part.field_name: _python(part.field_type, cell) for part, cell in parts}
    if name == "DATE":
        return EPOCH.date() + dt.timedelta(days=value.date_value)
    if name == "TIMESTAMP":
        return value.timestamp_value.ToDatetime(tzinfo=dt.UTC)
    if name == "JSON":
        return json.loads(value.json_value)
    if name == "BIGNUMERIC":
        whole = decimal.Decimal(int.from_bytes(value.bignumeric_value, "little", signed=True))
        return _BIGNUMERIC.divide(whole, _SCALE)
    return getattr(value, _PLAIN[name])


def _kind(kind: Any) -> str:
    return type_pb2.TypeKind.Name(kind.type_kind).removeprefix("TYPE_")
