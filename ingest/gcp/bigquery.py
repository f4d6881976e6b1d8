"""The raw tables, through google-cloud-bigquery: load jobs with ids of ours, and SELECTs."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from google.api_core import exceptions as api
from google.api_core.client_options import ClientOptions
from google.api_core.future.polling import DEFAULT_POLLING, PollingFuture
from google.auth.credentials import AnonymousCredentials

from ingest.domain.outcome import Step
from ingest.domain.raw_records import PIPELINE_EVENTS
from ingest.errors import RemoteError
from ingest.gcp.bigquery_import import bigquery
from ingest.gcp.remote_errors import translated
from ingest.ports.move import LoadResult
from ingest.settings import Settings

_THREADS = 4
_CHECK_TIMEOUT_SEC = 8.0
_POLLING = DEFAULT_POLLING.with_delay(initial=0.1, maximum=5.0, multiplier=1.5)
"""A load of a batch takes seconds, of which the client's own first pause would add up to one."""
_TYPES: dict[type, str] = {
    str: "STRING",
    int: "INT64",
    float: "FLOAT64",
    bool: "BOOL",
    dt.date: "DATE",
    dt.datetime: "TIMESTAMP",
}


class BigQueryRawSink:
    """The raw dataset of BigQuery or of its emulator."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._timeout = settings.rpc_timeout_sec
        self._executor = ThreadPoolExecutor(_THREADS, "bigquery")
        self._client = bigquery_client(settings)

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

    def _erase(self, table: str, conversation_id: str) -> int:
        config = bigquery.QueryJobConfig(
            query_parameters=[_parameter("conversation_id", conversation_id)]
        )
        # A tombstone that went, even for a moment, would let a push bring the conversation back.
        tombstones_stay = f" and step != '{Step.FORGET}'" if table == PIPELINE_EVENTS else ""
        job = self._client.query(
            f"delete from {self.table(table)} "
            "where _landed_at >= timestamp('2000-01-01') and conversation_id = @conversation_id"
            f"{tombstones_stay}",
            job_config=config,
            timeout=self._timeout,
            retry=None,
            job_retry=None,
        )
        job.result(timeout=self._settings.step_budget_sec, retry=None)
        return int(job.num_dml_affected_rows or 0)

    def _get_table(self, name: str) -> bigquery.Table:
        timeout = min(self._timeout, _CHECK_TIMEOUT_SEC)
        return self._client.get_table(self._table_id(name), timeout=timeout, retry=None)

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
        try:
            _await(job, self._settings.step_budget_sec)
        except api.GoogleAPICallError as error:
            if job.done(reload=False) and job.error_result:
                # Its message may quote a row.
                reason = str(job.error_result.get("reason", "unknown"))
                raise RemoteError(
                    f"BigQuery: load job {job_id} into {table} failed ({reason})",
                    f"look at it with `bq show -j {job_id}`, then run the same command again",
                    code=failed,
                ) from error
            raise
        return LoadResult(job_id, int(job.output_rows or 0))

    def _query(
        self, sql: str, parameters: Mapping[str, Any], max_rows: int | None
    ) -> list[dict[str, Any]]:
        config = bigquery.QueryJobConfig(
            query_parameters=[_parameter(name, value) for name, value in parameters.items()]
        )
        rows = self._client.query_and_wait(
            sql,
            job_config=config,
            api_timeout=self._timeout,
            wait_timeout=self._settings.step_budget_sec,
            retry=None,
            job_retry=None,
            max_results=max_rows,
        )
        return [dict(row.items()) for row in rows]

    def _table_id(self, name: str) -> str:
        return f"{self._settings.project_id}.{self._settings.raw_dataset}.{name}"

    async def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        bound = functools.partial(_translated, function, *arguments)
        return await asyncio.get_running_loop().run_in_executor(self._executor, bound)


def _translated(function: Callable[..., Any], *arguments: Any) -> Any:
    with translated("BigQuery"):
        return function(*arguments)


def _await(job: bigquery.LoadJob, timeout_sec: float) -> None:
    """Return once the job has ended well; raise its error, or TimeoutError."""
    # The job's own `result` takes no polling, unlike the one that it builds upon.
    PollingFuture.result(job, timeout_sec, bigquery.DEFAULT_RETRY, _POLLING)


def _parameter(name: str, value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return bigquery.ArrayQueryParameter(name, "STRING", [str(item) for item in value])
    return bigquery.ScalarQueryParameter(name, _TYPES[type(value)], value)


def bigquery_client(settings: Settings) -> bigquery.Client:
    if settings.bigquery_endpoint is None:
        with translated("BigQuery"):
            return bigquery.Client(project=settings.project_id, location=settings.location)
    return bigquery.Client(
        project=settings.project_id,
        credentials=AnonymousCredentials(),
        client_options=ClientOptions(api_endpoint=settings.bigquery_endpoint),
    )
