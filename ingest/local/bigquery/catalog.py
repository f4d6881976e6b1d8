"""Where the BigQuery emulator finds one table without listing all of them.

For every table that a statement names, and once a statement for those that are temporary, the
emulator asks DuckDB for the list of all tables, of which each costs a look at its statistics: a few
milliseconds, many times a query, the more the fuller the warehouse. The functions here ask for the
one table, and for temporary ones only where there can be any. They give what the emulator's own
give, which a test holds, but for the number of rows: it is exact here, as BigQuery's `numRows` is,
where the emulator still counts the deleted ones.

What was found holds until something is committed: of a statement's four or five questions about a
table all but the first cost a look at the newest snapshot's number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import duckdb
from local_bigquery.catalog import names, tables
from local_bigquery.engine import database, types
from local_bigquery.errors import not_found

type Objects = Callable[..., list[tuple[str, str, int]]]

_RESULTS_DATABASE = "emulator"
_NEWEST_COMMIT = "select max(snapshot_id), max(snapshot_time) from {catalog}.ducklake_snapshot"
_LIVE_SCHEMA = """
    with live_schema as (
        select schema_id from {catalog}.ducklake_schema
        where end_snapshot is null and schema_name = $1
    )
"""
_ONE_OBJECT = f"""{_LIVE_SCHEMA}
    select
        table_name,
        'TABLE',
        (
            select coalesce(sum(file.record_count - coalesce(deleted.delete_count, 0)), 0)
            from {{catalog}}.ducklake_data_file as file
            left join {{catalog}}.ducklake_delete_file as deleted
                on file.data_file_id = deleted.data_file_id and deleted.end_snapshot is null
            where file.table_id = of_table.table_id and file.end_snapshot is null
        )
    from {{catalog}}.ducklake_table as of_table
    inner join live_schema using (schema_id)
    where end_snapshot is null and table_name = $2
    union all
    select view_name, 'VIEW', 0
    from {{catalog}}.ducklake_view
    inner join live_schema using (schema_id)
    where end_snapshot is null and view_name = $2
    order by 1
"""
_COLUMN_NAMES = f"""{_LIVE_SCHEMA}
    select column_name
    from {{catalog}}.ducklake_column as field
    inner join {{catalog}}.ducklake_table as of_table using (table_id)
    inner join live_schema using (schema_id)
    where
        of_table.end_snapshot is null and of_table.table_name = $2
        and field.end_snapshot is null and field.parent_column is null
"""
_REQUIRED_COLUMNS = f"{_COLUMN_NAMES} and not field.nulls_allowed"


def with_lookup_of_one(objects: Objects) -> Objects:
    """Return `objects`, rows of (name, TABLE or VIEW, row count), that looks one name up."""

    def corrected(
        project_id: str, dataset_id: str, table_id: str | None = None
    ) -> list[tuple[str, str, int]]:
        if table_id is None:
            return objects(project_id, dataset_id)
        try:
            if project_id == _RESULTS_DATABASE:
                source = database.quote(project_id, dataset_id, table_id)
                return [(table_id, "TABLE", database.fetch(f"select count(*) from {source}")[0][0])]
            return _of_catalog(_ONE_OBJECT, project_id, dataset_id, table_id)
        except duckdb.CatalogException:
            return []

    return corrected


def columns(project_id: str, dataset_id: str, table_id: str) -> list[Any]:
    """Return the fields of one table or view, as the emulator's own `columns`."""
    ids = (project_id, dataset_id, table_id)
    if dataset_id == tables.RESULTS:
        return _columns(*ids)
    # A view may read another project's tables, whose commits aren't this one's.
    if not any(kind == "TABLE" for _, kind, _ in _of_catalog(_ONE_OBJECT, *ids)):
        return _columns(*ids)
    with database.cursor() as cursor:
        found = _found_since_commit(cursor, project_id)
    key = ("columns", dataset_id, table_id)
    if key not in found:
        found[key] = _columns(*ids)
    return list(found[key])


def _columns(project_id: str, dataset_id: str, table_id: str) -> list[Any]:
    table = tables.name(project_id, dataset_id, table_id)
    required: set[str] = set()
    if dataset_id != tables.RESULTS:
        rows = _of_catalog(_REQUIRED_COLUMNS, project_id, dataset_id, table_id)
        required = {name for (name,) in rows}
    with database.cursor() as cur:
        try:
            relation = cur.sql(f"SELECT * FROM {table} LIMIT 0")
        except duckdb.CatalogException:
            raise not_found("Table", names.label(project_id, dataset_id, table_id)) from None
        return [
            types.field(column, kind, column in required)
            for column, kind in zip(relation.columns, relation.types, strict=True)
            if column != tables.INGESTION_TIME or dataset_id == tables.RESULTS
        ]


def with_lookup_of_hidden_column(is_hidden: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return `is_hidden`, of a table named in a statement: is it partitioned by ingestion time?"""

    def corrected(table: Any) -> bool:
        if table.catalog in ("", _RESULTS_DATABASE):
            return is_hidden(table)
        try:
            rows = _of_catalog(_COLUMN_NAMES, table.catalog, table.db, table.name)
        except duckdb.CatalogException:
            return is_hidden(table)
        return (tables.INGESTION_TIME,) in rows

    return corrected


_SEARCH = "SELECT table_name FROM duckdb_tables() WHERE temporary"
"""What the emulator asks before each statement."""


class _NewCursor:
    """A cursor that nothing has run on, so that it has no temporary table: nobody looks for one."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def sql(self, query: str, *args: Any, **kwargs: Any) -> Any:
        """Return the relation; an empty one for the search."""
        return self._cursor.sql(
            "SELECT 1 WHERE false" if query == _SEARCH else query, *args, **kwargs
        )


def without_search_for_temporary(execute: Callable[..., Any]) -> Callable[..., Any]:
    """Return the runner of a job's text that looks for temporary tables in a session alone."""

    def corrected(cursor: Any, *args: Any, session: Any = None, **kwargs: Any) -> Any:
        own = _NewCursor(cursor) if session is None else cursor
        return execute(own, *args, session=session, **kwargs)

    return corrected


type _Rows = dict[tuple[str, str, str], list[Any]]


@dataclass
class _Found:
    """What was found in a project's catalog since its last commit."""

    commit: tuple[Any, ...]
    rows: _Rows = field(default_factory=dict)


_found: dict[str, _Found] = {}


def _found_since_commit(cursor: Any, project_id: str) -> _Rows:
    """Return what is known of the project's newest snapshot, to be added to.

    What is read after the snapshot's number may be of a later one; then the next caller, who sees
    that number, begins anew.
    """
    commit = cursor.execute(_NEWEST_COMMIT.format(catalog=_catalog(project_id))).fetchone()
    found = _found.get(project_id)
    if found is None or found.commit != commit:
        found = _found[project_id] = _Found(commit)
    return found.rows


def _of_catalog(sql: str, project_id: str, dataset_id: str, table_id: str) -> list[Any]:
    with database.cursor() as cursor:
        found = _found_since_commit(cursor, project_id)
        key = (sql, dataset_id, table_id)
        if key not in found:
            statement = sql.format(catalog=_catalog(project_id))
            found[key] = cursor.execute(statement, [dataset_id, table_id]).fetchall()
        return list(found[key])


def _catalog(project_id: str) -> str:
    return database.quote(f"__ducklake_metadata_{project_id}")
