"""Values as BigQuery's REST API writes them, and as Python holds them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from ingest.ports.inspect import Column, TableDetails

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_PARAMETER_TYPES: Mapping[type, str] = {
    bool: "BOOL",
    str: "STRING",
    int: "INT64",
    float: "FLOAT64",
    dt.date: "DATE",
    dt.datetime: "TIMESTAMP",
}


def column(field: Mapping[str, Any]) -> Column:
    """Return a field of a schema; the type carries its inner fields."""
    inner = field.get("fields")
    type_ = field["type"]
    if inner:
        parts = ", ".join(f"{part['name']} {column(part).type}" for part in inner)
        type_ = f"STRUCT<{parts}>"
    return Column(
        field["name"], type_, field.get("mode") or "NULLABLE", field.get("description", "")
    )


def decoded_row(fields: Sequence[Mapping[str, Any]], row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of a query's answer by column name."""
    cells = row["f"]
    return {
        field["name"]: _decoded(field, cell["v"]) for field, cell in zip(fields, cells, strict=True)
    }


def encoded_parameter(name: str, value: Any) -> dict[str, Any]:
    """Return a named query parameter; a list is an array of strings."""
    if isinstance(value, (list, tuple)):
        return {
            "name": name,
            "parameterType": {"type": "ARRAY", "arrayType": {"type": "STRING"}},
            "parameterValue": {"arrayValues": [{"value": str(item)} for item in value]},
        }
    text = value.isoformat() if isinstance(value, dt.date) else str(value)
    if isinstance(value, bool):
        text = text.lower()
    return {
        "name": name,
        "parameterType": {"type": _PARAMETER_TYPES[type(value)]},
        "parameterValue": {"value": text},
    }


def table_details(answer: Mapping[str, Any]) -> TableDetails:
    """Return a table resource."""
    reference = answer["tableReference"]
    partitioning = answer.get("timePartitioning") or {}
    type_ = answer.get("type", "TABLE")
    is_table = type_ == "TABLE"
    modified = answer.get("lastModifiedTime")
    return TableDetails(
        dataset=reference["datasetId"],
        name=reference["tableId"],
        type=type_,
        columns=tuple(column(field) for field in answer.get("schema", {}).get("fields", ())),
        row_count=int(answer.get("numRows") or 0) if is_table else None,
        size_bytes=int(answer.get("numBytes") or 0) if is_table else None,
        partitioned_by=partitioning.get("field"),
        requires_partition_filter=bool(answer.get("requirePartitionFilter")),
        clustered_by=tuple((answer.get("clustering") or {}).get("fields", ())),
        modified_at=_EPOCH + dt.timedelta(milliseconds=int(modified)) if modified else None,
        description=answer.get("description", ""),
    )


def _decoded(field: Mapping[str, Any], value: Any) -> Any:
    if value is None:
        return None
    if field.get("mode") == "REPEATED":
        single = {**field, "mode": "NULLABLE"}
        return [_decoded(single, item["v"]) for item in value]
    if field["type"] in ("RECORD", "STRUCT"):
        return decoded_row(field["fields"], value)
    decode = _DECODERS.get(field["type"])
    return value if decode is None else decode(value)


def _timestamp(value: str) -> dt.datetime:
    """Return the time of seconds since 1970 as decimal text, to the microsecond."""
    return _EPOCH + dt.timedelta(microseconds=round(float(value) * 1_000_000))


_DECODERS: Mapping[str, Callable[[str], Any]] = {
    "INTEGER": int,
    "INT64": int,
    "FLOAT": float,
    "FLOAT64": float,
    "BOOLEAN": lambda value: value == "true",
    "BOOL": lambda value: value == "true",
    "TIMESTAMP": _timestamp,
    "DATE": dt.date.fromisoformat,
    "JSON": json.loads,
    "NUMERIC": Decimal,
    "BIGNUMERIC": Decimal,
}
