"""BigQuery, through google-cloud-bigquery: the raw tables for flows, both datasets for people."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import functools
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from google.api_core import exceptions as api
from google.auth.credentials import AnonymousCredentials, Credentials

from ingest.domain.outcome import Step
from ingest.domain.raw_records import ANY_PARTITION, PIPELINE_EVENTS
from ingest.errors import RemoteError
from ingest.gcp.credentials import client_options, default_credentials, is_emulator
from ingest.gcp.errors import is_page, odd_answer, reading
from ingest.ports.inspect import (
    Column,
    Estimate,
    QueryResult,
    TableDetails,
    TableSummary,
)
from ingest.ports.move import LoadResult
from ingest.settings import Settings

_OPTIONAL = (
    "db_dtypes",
    "google.cloud.bigquery_storage",
    "google.cloud.bigquery_storage_v1",
    "numpy",
    "pandas",
    "pandas_gbq",
    "pyarrow",
    "tqdm",
)


@contextmanager
def _absent(names: tuple[str, ...]) -> Iterator[None]:
    """Let imports of these modules fail, but of those that are loaded already.

    dbt's adapter installs data-frame libraries beside the client, which takes each for an optional
    extra but loads all that are there: half of a command's start, and 80 MB. Rows are read one by
    one here, so nothing needs them.
    """
    hidden = [name for name in names if name not in sys.modules]
    modules: dict[str, Any] = sys.modules
    modules.update(dict.fromkeys(hidden))  # None is how Python marks what can't be imported
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


with _absent(_OPTIONAL):
    from google.cloud import bigquery

__all__ = ["BigQueryRawSink", "BigQueryWarehouse", "bigquery", "bigquery_client"]

_SERVICE = "BigQuery"
_THREADS = 4
_CHECK_TIMEOUT_SEC = 8.0
_LONGEST_QUERY_SEC = 600.0
_FIRST_POLL_SEC, _LONGEST_POLL_SEC = 0.1, 5.0
"""A load of a batch takes seconds, of which the client's own first pause would add up to one."""
_TYPES: dict[type, str] = {
    str: "STRING",
    int: "INT64",
    float: "FLOAT64",
    bool: "BOOL",
    dt.date: "DATE",
    dt.datetime: "TIMESTAMP",
}
_JOB_STATES = frozenset({"PENDING", "RUNNING", "DONE"})


def bigquery_credentials(settings: Settings) -> Credentials:
    """Return Application Default Credentials, or anonymous ones for the emulator."""
    if is_emulator(settings.bigquery_endpoint):
        return AnonymousCredentials()
    return default_credentials(_SERVICE, bigquery.Client.SCOPE)


def bigquery_client(settings: Settings, credentials: Credentials | None = None) -> bigquery.Client:
    """Return a client of the project, or of the emulator."""
    endpoint = settings.bigquery_endpoint
    return bigquery.Client(
        project=settings.project_id,
        credentials=credentials or bigquery_credentials(settings),
        location=None if is_emulator(endpoint) else settings.location,
        client_options=client_options(settings, endpoint),
    )


class BigQueryRawSink:
    """The raw dataset: load jobs with ids of ours, SELECTs, and erasure."""

    def __init__(self, settings: Settings, credentials: Credentials | None = None) -> None:
        self._settings = settings
        self._timeout = settings.rpc_timeout_sec
        self._executor = ThreadPoolExecutor(_THREADS, "bigquery")
        self._client = bigquery_client(settings, credentials)

    def close(self) -> None:
        """End the threads and connections."""
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._client.close()

    def table(self, name: str) -> str:
        """Return the full, quoted name of a raw table for use in SQL."""
        return f"`{self._settings.project_id}.{self._settings.raw_dataset}.{name}`"

    def mart(self, name: str) -> str:
        """Return the full, quoted name of one of dbt's marts for use in SQL."""
        return f"`{self._settings.project_id}.{self._settings.marts_dataset}.{name}`"

    async def check(self, names: Sequence[str]) -> None:
        """Raise RemoteError unless these raw tables answer."""
        for name in names:
            await self._call(self._get_table, name)

    async def load(self, table: str, uri: str, job_id: str) -> LoadResult:
        """Load one gzip'd newline-delimited JSON object; the job id makes it happen once."""
        result: LoadResult = await self._call(self._load, table, uri, job_id)
        return result

    async def query(
        self, sql: str, parameters: Mapping[str, Any], max_rows: int | None = None
    ) -> Sequence[Mapping[str, Any]]:
        """Return the rows of a parametrised SELECT."""
        rows: Sequence[Mapping[str, Any]] = await self._call(self._query, sql, parameters, max_rows)
        return rows

    async def erase(self, table: str, conversation_id: str) -> int:
        """Delete the rows of one conversation but for its tombstones; return how many."""
        return await self._call(self._erase, table, conversation_id)

    def _get_table(self, name: str) -> None:
        timeout = min(self._timeout, _CHECK_TIMEOUT_SEC)
        self._client.get_table(self._table_id(name), timeout=timeout, retry=None)

    def _load(self, table: str, uri: str, job_id: str) -> LoadResult:
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.NEWLINE_DELIMITED_JSON,
            write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
            create_disposition=bigquery.CreateDisposition.CREATE_NEVER,
        )
        failed = "JOB_FAILED"
        try:
            job = self._client.load_table_from_uri(
                uri,
                self._table_id(table),
                job_id=job_id,
                job_config=config,
                timeout=self._timeout,
                retry=None,
            )
        except api.Conflict:
            job = self._client.get_job(job_id, timeout=self._timeout, retry=None)
            failed = "JOB_FAILED_BEFORE" if job.state == "DONE" else failed
        self._await(job)
        if job.error_result:
            # Its message may quote a row.
            reason = str(job.error_result.get("reason", "unknown"))
            raise RemoteError(
                f"BigQuery: load job {job_id} into {table} failed ({reason})",
                f"look at it with `bq show -j {job_id}`, then run the same command again",
                code=failed,
            )
        return LoadResult(job_id, int(job.output_rows or 0))

    def _await(self, job: bigquery.LoadJob) -> None:
        """Return once the job has ended, well or not; raise TimeoutError when it doesn't."""
        deadline = time.monotonic() + self._settings.step_budget_sec
        pause = _FIRST_POLL_SEC
        while not job.done(timeout=self._timeout, retry=None):
            if job.state not in _JOB_STATES:
                raise odd_answer(_SERVICE)
            if time.monotonic() + pause > deadline:
                raise TimeoutError
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_POLL_SEC)

    def _query(
        self, sql: str, parameters: Mapping[str, Any], max_rows: int | None
    ) -> list[dict[str, Any]]:
        found = _run(
            self._client,
            sql,
            parameters,
            timeout=self._timeout,
            wait=self._settings.step_budget_sec,
            max_rows=max_rows,
        )
        return _all_rows(found, max_rows, dict)

    def _erase(self, table: str, conversation_id: str) -> int:
        # A tombstone that went, even for a moment, would let a push bring the conversation back.
        tombstones_stay = f" and step != '{Step.FORGET}'" if table == PIPELINE_EVENTS else ""
        done = _run(
            self._client,
            f"delete from {self.table(table)} "
            f"where {ANY_PARTITION} and conversation_id = @conversation_id{tombstones_stay}",
            {"conversation_id": conversation_id},
            timeout=self._timeout,
            wait=self._settings.step_budget_sec,
        )
        if done.num_dml_affected_rows is None:
            raise odd_answer(_SERVICE)
        return int(done.num_dml_affected_rows)

    def _table_id(self, name: str) -> str:
        return f"{self._settings.project_id}.{self._settings.raw_dataset}.{name}"

    async def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        bound = functools.partial(_read, function, *arguments)
        return await asyncio.get_running_loop().run_in_executor(self._executor, bound)


def _read(function: Callable[..., Any], *arguments: Any) -> Any:
    with reading(_SERVICE):
        return function(*arguments)


_DBT_TEMPORARY = re.compile(r"__dbt_(tmp|backup)")
_PAUSES_SEC = (0.3, 1.0)
"""Before a mart that may just be replaced is read again."""


class BigQueryWarehouse:
    """Both datasets, for people to read; errors show all that BigQuery says of a statement."""

    def __init__(
        self,
        settings: Settings,
        credentials: Credentials | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings
        self._credentials = credentials
        self._sleep = sleep
        self._limits: dict[str, Any] = {"timeout": settings.rpc_timeout_sec, "retry": None}

    @functools.cached_property
    def _client(self) -> bigquery.Client:
        return bigquery_client(self._settings, self._credentials)

    def close(self) -> None:
        """End the connections."""
        self._client.close()

    @property
    def raw_dataset(self) -> str:
        """Name of the dataset of raw tables."""
        return self._settings.raw_dataset

    @property
    def marts_dataset(self) -> str:
        """Name of the dataset of marts."""
        return self._settings.marts_dataset

    def raw(self, table: str) -> str:
        """Return the full, quoted name of a raw table."""
        return self.full_name(self._settings.raw_dataset, table)

    def mart(self, table: str) -> str:
        """Return the full, quoted name of a mart."""
        return self.full_name(self._settings.marts_dataset, table)

    def full_name(self, dataset: str, table: str) -> str:
        """Return the full, quoted name of a table of any dataset of the project."""
        return f"`{self._settings.project_id}.{dataset}.{table}`"

    def query(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        max_rows: int | None = None,
        max_bytes: int | None = None,
    ) -> QueryResult:
        """Return the rows of one statement with named parameters.

        A mart that isn't there, among others that are, may just be replaced: it is read again.
        """
        for pause in _PAUSES_SEC:
            try:
                return self._query(sql, parameters, max_rows, max_bytes)
            except RemoteError as error:
                is_of_marts = f".{self.marts_dataset}." in sql
                if error.code != "NOT_FOUND" or not is_of_marts or not self._has_marts():
                    raise
            self._sleep(pause)
        return self._query(sql, parameters, max_rows, max_bytes)

    def _has_marts(self) -> bool:
        return bool(self.tables(self.marts_dataset))

    def _query(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None,
        max_rows: int | None,
        max_bytes: int | None,
    ) -> QueryResult:
        client = self._client
        with reading(_SERVICE, in_full=True):
            found = _run(
                client,
                sql,
                parameters,
                timeout=self._settings.rpc_timeout_sec,
                wait=_LONGEST_QUERY_SEC,
                max_rows=max_rows,
                max_bytes=max_bytes,
            )
            rows = _all_rows(
                found, max_rows, functools.partial(_printable, _printers(found.schema))
            )
            return QueryResult(
                columns=tuple(_column(field) for field in found.schema),
                rows=tuple(rows),
                total_count=int(found.total_rows or 0),
                processed_bytes=int(found.total_bytes_processed or 0),
            )

    def estimate(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Estimate:
        """Return what the statement is and would read, without running it."""
        config = bigquery.QueryJobConfig(dry_run=True, query_parameters=_parameters(parameters))
        client = self._client
        with reading(_SERVICE, in_full=True):
            job = client.query(sql, job_config=config, job_retry=None, **self._limits)
            if job.total_bytes_processed is None:
                raise odd_answer(_SERVICE)
            return Estimate(job.statement_type or "UNKNOWN", int(job.total_bytes_processed))

    def tables(self, dataset: str) -> Sequence[TableSummary]:
        """Return the dataset's tables and views by name; none when there is no such dataset.

        What dbt makes only for the time of a build is left out.
        """
        reference = bigquery.DatasetReference(self._settings.project_id, dataset)
        client = self._client
        found: list[TableSummary] = []
        with reading(_SERVICE, in_full=True):
            try:
                for page in client.list_tables(reference, page_size=1000, **self._limits).pages:
                    if page.raw_page.get("kind") != "bigquery#tableList":
                        raise odd_answer(_SERVICE)
                    found += [
                        TableSummary(dataset, item.table_id, item.table_type)
                        for item in page
                        if _DBT_TEMPORARY.search(item.table_id) is None
                    ]
            except api.NotFound as error:
                if is_page(error):
                    raise
                return []
        return sorted(found, key=lambda table: table.name)

    def table(self, dataset: str, name: str) -> TableDetails | None:
        """Return one table, or None."""
        reference = bigquery.DatasetReference(self._settings.project_id, dataset).table(name)
        client = self._client
        with reading(_SERVICE, in_full=True):
            try:
                return _table_details(client.get_table(reference, **self._limits))
            except api.NotFound as error:
                if is_page(error):
                    raise
                return None

    def pages(
        self, dataset: str, name: str, columns: Sequence[str], size: int
    ) -> Iterator[Sequence[Mapping[str, Any]]]:
        """Yield the rows of a table, so many at a time; those of the columns that it has."""
        reference = bigquery.DatasetReference(self._settings.project_id, dataset).table(name)
        client = self._client
        with reading(_SERVICE, in_full=True):
            table = client.get_table(reference, **self._limits)
            chosen = [field for field in table.schema if field.name in columns]
            found = client.list_rows(
                table, selected_fields=chosen, page_size=size, **self._limits
            ).pages
        while True:
            with reading(_SERVICE, in_full=True):
                page = next(found, None)
                rows = None if page is None else [dict(row.items()) for row in page]
            if rows is None:
                return
            yield rows


def _run(
    client: bigquery.Client,
    sql: str,
    parameters: Mapping[str, Any] | None,
    *,
    timeout: float,
    wait: float,
    max_rows: int | None = None,
    max_bytes: int | None = None,
) -> Any:
    """Return the client's iterator over the rows of one statement that has ended well."""
    config = bigquery.QueryJobConfig(query_parameters=_parameters(parameters))
    if max_bytes is not None:
        config.maximum_bytes_billed = max_bytes
    found = client.query_and_wait(
        sql,
        job_config=config,
        api_timeout=timeout,
        wait_timeout=wait,
        retry=None,
        job_retry=None,
        max_results=max_rows,
    )
    if found.job_id is None and found.query_id is None:
        raise odd_answer(_SERVICE)
    return found


def _all_rows[Item](found: Any, max_rows: int | None, make: Callable[[Any], Item]) -> list[Item]:
    """Return each row as made of its items; raise RemoteError when some didn't come."""
    rows = [make(row.items()) for row in found]
    total = int(found.total_rows or 0)
    if len(rows) != (total if max_rows is None else min(total, max_rows)):
        raise odd_answer(_SERVICE, f"{len(rows)} rows came of {total}")
    return rows


def _parameters(values: Mapping[str, Any] | None) -> list[Any]:
    """Return named query parameters; a list is an array of strings."""
    return [_parameter(name, value) for name, value in (values or {}).items()]


def _parameter(name: str, value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return bigquery.ArrayQueryParameter(name, "STRING", [str(item) for item in value])
    return bigquery.ScalarQueryParameter(name, _TYPES[type(value)], value)


def _column(field: bigquery.SchemaField) -> Column:
    """Return a field of a schema; the type carries its inner fields."""
    type_ = field.field_type
    if field.fields:
        inner = ", ".join(f"{part.name} {_column(part).type}" for part in field.fields)
        type_ = f"STRUCT<{inner}>"
    return Column(field.name, type_, field.mode or "NULLABLE", field.description or "")


def _table_details(table: bigquery.Table) -> TableDetails:
    partitioning = table.time_partitioning
    is_table = table.table_type == "TABLE"
    return TableDetails(
        dataset=table.dataset_id,
        name=table.table_id,
        type=table.table_type or "TABLE",
        columns=tuple(_column(field) for field in table.schema),
        row_count=int(table.num_rows or 0) if is_table else None,
        size_bytes=int(table.num_bytes or 0) if is_table else None,
        partitioned_by=partitioning.field if partitioning else None,
        requires_partition_filter=bool(table.require_partition_filter),
        clustered_by=tuple(table.clustering_fields or ()),
        modified_at=table.modified,
        description=table.description or "",
    )


def _printers(fields: Iterable[bigquery.SchemaField]) -> dict[str, Callable[[Any], Any]]:
    """Return by column what makes its values such that JSON and tables can print them."""
    made = {field.name: _printer(field) for field in fields}
    return {name: printer for name, printer in made.items() if printer is not None}


def _printer(field: bigquery.SchemaField) -> Callable[[Any], Any] | None:
    if field.fields:
        inner = _printers(field.fields)
        one = (lambda record: _printable(inner, record.items())) if inner else None
    else:
        one = _PRINTERS.get(field.field_type)
    if one is None or field.mode != "REPEATED":
        return one
    return lambda values: [None if value is None else one(value) for value in values]


def _printable(printers: Mapping[str, Callable[[Any], Any]], items: Any) -> dict[str, Any]:
    if not printers:
        return dict(items)
    return {
        name: printers[name](value) if value is not None and name in printers else value
        for name, value in items
    }


def _interval(value: Any) -> str:
    """Return an interval as BigQuery writes it: Y-M D H:M:S."""
    seconds = f"{value.seconds}.{value.microseconds:06}" if value.microseconds else value.seconds
    return f"{value.years}-{value.months} {value.days} {value.hours}:{value.minutes}:{seconds}"


def _range(value: Mapping[str, Any]) -> str:
    """Return a range as BigQuery writes it: [start, end)."""
    start, end = (
        "UNBOUNDED" if bound is None else bound.isoformat()
        for bound in (value["start"], value["end"])
    )
    return f"[{start}, {end})"


_PRINTERS: Mapping[str, Callable[[Any], Any]] = {
    "BYTES": lambda value: base64.b64encode(value).decode(),
    "DATETIME": dt.datetime.isoformat,
    "TIME": dt.time.isoformat,
    "INTERVAL": _interval,
    "RANGE": _range,
}
