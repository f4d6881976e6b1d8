"""What BigQuery refuses in a load job of newline-delimited JSON, and the emulator lets through.

The rules: a field that the schema doesn't have (unless ignoreUnknownValues), a null or a missing
value in a REQUIRED field of the top level, a source that isn't there, and a schema that disagrees
with the table's. Source: BigQuery's documentation of load jobs and the error texts it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
from local_bigquery.catalog import names, tables
from local_bigquery.engine import types
from local_bigquery.errors import BigQueryError
from local_bigquery.jobs import storage
from local_bigquery.jobs.storage import literal
from local_bigquery.models import JobConfigurationLoad, TableFieldSchema

from ingest.local.bigquery.files import check_source

JSON_LINES = "NEWLINE_DELIMITED_JSON"
Load = Callable[[duckdb.DuckDBPyConnection, JobConfigurationLoad, str | None], Any]

Fields = Sequence[TableFieldSchema]


def refuse_what_bigquery_refuses(load: Load) -> Load:
    """Return the load handler with BigQuery's checks in front of it."""

    def corrected(
        cursor: duckdb.DuckDBPyConnection, config: JobConfigurationLoad, upload: str | None
    ) -> Any:
        if not upload:
            check_sources(cursor, config)
        existing = table_fields(config)
        given = list((config.schema_ and config.schema_.fields) or [])
        if given and existing:
            check_schema_matches(config, given, existing)
        if not given and existing and not config.autodetect:
            config = config.replace(schema={"fields": [field.dump() for field in existing]})
        if config.sourceFormat == JSON_LINES:
            check_rows(cursor, config, upload, given or existing)
        return load(cursor, config, upload)

    return corrected


def check_sources(cursor: duckdb.DuckDBPyConnection, config: JobConfigurationLoad) -> None:
    """Raise BigQueryError notFound for the first source URI without an object."""
    for uri in config.sourceUris or []:
        if not any(Path(path).is_file() for path in paths(cursor, uri)):
            raise BigQueryError("notFound", f"Not found: URI {uri}")


def table_fields(config: JobConfigurationLoad) -> list[TableFieldSchema]:
    """Return the destination's fields; empty when there is no such table, or it is replaced."""
    reference = tables.reference(config.destinationTable)
    if config.writeDisposition == "WRITE_TRUNCATE" or not tables.exists(*reference):
        return []
    return list(tables.fields(tables.load(*reference)))


def check_schema_matches(config: JobConfigurationLoad, given: Fields, existing: Fields) -> None:
    """Raise BigQueryError when the job's schema contradicts the table's in type or mode."""
    label = names.label(*tables.reference(config.destinationTable))
    by_name = {_key(field): field for field in given}
    for field in existing:
        other = by_name.get(_key(field))
        if other is None:
            if field.mode == "REQUIRED":
                raise _mismatch(label, f"Field {field.name} is missing in new schema")
            continue
        old, new = types.duckdb_type(field), types.duckdb_type(other)
        if old != new:
            fault = f"has changed type from {field.type} to {other.type}"
            raise _mismatch(label, f"Field {field.name} {fault}")
        if "REPEATED" not in (field.mode, other.mode) and _mode(field) != _mode(other):
            relaxed = "ALLOW_FIELD_RELAXATION" in (config.schemaUpdateOptions or [])
            if not (relaxed and _mode(other) == "NULLABLE"):
                fault = f"has changed mode from {_mode(field)} to {_mode(other)}"
                raise _mismatch(label, f"Field {field.name} {fault}")


def check_rows(
    cursor: duckdb.DuckDBPyConnection,
    config: JobConfigurationLoad,
    upload: str | None,
    fields: Fields,
) -> None:
    """Raise BigQueryError when more rows than maxBadRecords break the schema.

    One difference stays: with maxBadRecords above zero the emulator loads the bad rows that
    BigQuery would leave out.
    """
    sources = [upload] if upload else [p for u in config.sourceUris or [] for p in paths(cursor, u)]
    required = [field for field in fields if _mode(field) == "REQUIRED"]
    faults = [required_fault(f"found[{at}]", field) for at, field in enumerate(required, 1)]
    if fields and not config.ignoreUnknownValues:
        faults.insert(0, unknown_fault("json", fields))
    if not faults or not sources:
        return
    files = f"[{', '.join(map(literal, sources))}]"
    # All types in one call: DuckDB parses a row, of 43 KB and more, for each call anew.
    wanted = ", ".join(literal(f'$."{field.name}"') for field in required)
    typed = f"SELECT json, json_type(json, [{wanted}]::VARCHAR[]) AS found"
    typed = f"{typed} FROM read_ndjson_objects({files})"
    rows = f"SELECT coalesce({', '.join(faults)}) AS fault FROM ({typed})"
    try:
        found = cursor.sql(f"SELECT count(*), count(fault), min(fault) FROM ({rows})").fetchone()
    except duckdb.Error:
        return  # unreadable files: the emulator's own reader says so, in BigQuery's words
    total, bad, example = found or (0, 0, None)
    if bad > (config.maxBadRecords or 0):
        raise BigQueryError(
            "invalid",
            "Error while reading data, error message: JSON table encountered too many errors, "
            f"giving up. Rows: {total}; errors: {bad}. Please look into the errors[] collection "
            f"for more details. JSON parsing error in row: {example}"
            + (f" File: {(config.sourceUris or [''])[0]}" if config.sourceUris else ""),
        )


def unknown_fault(json: str, fields: Fields, depth: int = 0) -> str:
    """Return SQL for the text "No such field: x." of one JSON object, or null."""
    known = ", ".join(literal(_key(field)) for field in fields)
    key = f"k{depth}"
    unknown = f"list_filter(json_keys({json}), lambda {key}: lower({key}) NOT IN ({known}))[1]"
    faults = [f"'No such field: ' || {unknown} || '.'"]
    for field in fields:
        if field.type not in ("RECORD", "STRUCT"):
            continue
        if field.mode == "REPEATED":
            item = f"e{depth}"
            inner = unknown_fault(item, field.fields or [], depth + 1)
            items = f"json_extract({json}, {literal(f'$."{field.name}"[*]')})"
            found = f"list_transform({items}, lambda {item}: {inner})"
            faults.append(f"list_filter({found}, lambda {item}: {item} IS NOT NULL)[1]")
        else:
            member = f"json_extract({json}, {literal(f'$."{field.name}"')})"
            faults.append(unknown_fault(member, field.fields or [], depth + 1))
    return f"coalesce({', '.join(faults)})" if len(faults) > 1 else faults[0]


def required_fault(found: str, field: TableFieldSchema) -> str:
    """Return SQL for what is wrong with a REQUIRED field whose JSON type is `found`, or null."""
    missing = literal(f"Missing required field: {field.name}.")
    null = literal(f"Only optional fields can be set to NULL. Field: {field.name}; Value: NULL.")
    return f"CASE WHEN {found} IS NULL THEN {missing} WHEN {found} = 'NULL' THEN {null} END"


def _key(field: TableFieldSchema) -> str:
    return str(field.name).casefold()


def _mode(field: TableFieldSchema) -> str:
    return str(field.mode or "NULLABLE").upper()


def _mismatch(label: str, fault: str) -> BigQueryError:
    return BigQueryError("invalid", f"Provided Schema does not match Table {label}. {fault}")


def paths(cursor: duckdb.DuckDBPyConnection, uri: str) -> list[str]:
    """Return the files of a source URI, as the emulator's own `paths`; raise BigQueryError for one
    that can be no object."""
    check_source(uri)
    found: list[str] = storage.paths(cursor, uri)
    return found
