"""Jobs: ids, blame, and what becomes of a job that a kill cuts off.

A job is whole or it didn't happen, also across a kill of the emulator. The emulator writes a load's
rows and the job's end in two steps. A kill between them would leave landed rows under a job that
failed, so each load names its job in the very commit of its rows, and at start the commits say how
the open jobs ended."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from threading import RLock
from typing import Any

import duckdb
from local_bigquery import errors
from local_bigquery.catalog import tables
from local_bigquery.engine import database
from local_bigquery.engine.database import quote
from local_bigquery.jobs import store
from local_bigquery.jobs.storage import literal
from local_bigquery.models import Job

INTERRUPTED = {
    "reason": "backendError",
    "message": "The job was stopped by a restart of the emulator. Retrying the job may succeed.",
}
MOST_COMMITS = 10
_COMMIT_AUTHOR = "load"
_one_job = RLock()
_load_job: ContextVar[Any] = ContextVar("load_job", default=None)
_CONFLICTS = (duckdb.TransactionException, UnicodeDecodeError)
"""Of two commits that met. DuckDB's words of it may hold rows that aren't text, which Python's
binding can't read: then this is what it raises instead."""
_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,1024}")
_FAULTS_OF_QUERIES = (
    duckdb.ProgrammingError,
    duckdb.DataError,
    duckdb.IntegrityError,
    duckdb.NotSupportedError,
    duckdb.PermissionException,
)


def with_own_troubles(from_duckdb: Callable[..., Any]) -> Callable[..., Any]:
    """Return `from_duckdb` that blames a query only for what queries do wrong.

    Any other error of the database, as a conflict of transactions or a full disk, BigQuery calls
    backendError, which clients try again.
    """

    def corrected(error: Exception, *args: Any, **kwargs: Any) -> Any:
        told = from_duckdb(error, *args, **kwargs)
        if told.reason == "invalidQuery" and not isinstance(error, _FAULTS_OF_QUERIES):
            return errors.BigQueryError("backendError", told.message)
        return told

    return corrected


def one_at_a_time(run: Callable[..., Any]) -> Callable[..., Any]:
    """Return `run`, of a job or another change of tables, that waits while one of these runs.

    DuckLake crashes now and then, or loses a table that it told was made, where two connections of
    a process bind and commit at once (duckdb/ducklake issues 528 and 1431).
    """

    def corrected(*args: Any, **kwargs: Any) -> Any:
        with _one_job:
            return run(*args, **kwargs)

    return corrected


def with_checked_job_id(submit: Callable[..., Any]) -> Callable[..., Any]:
    """Return `submit` that refuses job ids outside BigQuery's alphabet and length."""

    def corrected(project_id: str, job_id: str, *args: Any, **kwargs: Any) -> Any:
        if not _JOB_ID.fullmatch(job_id):
            raise errors.BigQueryError(
                "invalid",
                f'Invalid job ID "{job_id}". Job IDs must be alphanumeric (plus underscores and '
                "dashes) and must be at most 1024 characters long.",
            )
        return submit(project_id, job_id, *args, **kwargs)

    return corrected


def with_job_in_commits(handle: Callable[..., Any]) -> Callable[..., Any]:
    """Return the runner of load, copy and extract jobs that makes the load's id known below."""

    def corrected(job: Any, job_type: str, *args: Any) -> Any:
        token = _load_job.set(job if job_type == "load" else None)
        try:
            return handle(job, job_type, *args)
        finally:
            _load_job.reset(token)

    return corrected


def with_marked_commit(materialise: Callable[..., Any]) -> Callable[..., Any]:
    """Return the writer of rows that commits a load's rows together with its job's id.

    Loads don't disturb each other in BigQuery, so one whose commit met another's is done again; one
    that meets them each time ends with backendError, after which clients try again.
    """

    def corrected(cursor: Any, query: str, name: str, *args: Any, **kwargs: Any) -> None:
        job = _load_job.get()
        if job is None:
            materialise(cursor, query, name, *args, **kwargs)
            return
        catalog = quote(job.configuration.load.destinationTable.projectId)
        message = f"CALL {catalog}.set_commit_message('{_COMMIT_AUTHOR}', {literal(_key(job))})"
        conflict = ""
        for _ in range(MOST_COMMITS):
            try:
                with transaction(cursor):
                    cursor.execute(message)
                    materialise(cursor, query, name, *args, **kwargs)
                return
            except _CONFLICTS as error:
                conflict = str(error)
        raise errors.BigQueryError("backendError", conflict)

    return corrected


def with_start_at_once(save: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the keeper of jobs that writes one as running from the first.

    The emulator writes it as pending and a moment later, at another wait for the disk, as running.
    """

    def corrected(job: Any) -> Any:
        match job.status.state:
            case "PENDING":
                began = job.statistics.replace(startTime=job.statistics.creationTime)
                save(job.replace(status={"state": "RUNNING"}, statistics=began))
                return job
            case "RUNNING":
                return job
        return save(job)

    return corrected


@contextmanager
def transaction(cursor: Any) -> Iterator[None]:
    """Commit what the block does, or nothing of it when it ends in an error."""
    cursor.execute("BEGIN")
    try:
        yield
        cursor.execute("COMMIT")
    except BaseException:
        # A commit that failed has ended its transaction.
        with suppress(duckdb.TransactionException):
            cursor.execute("ROLLBACK")
        raise


def close_interrupted_jobs() -> int:
    """End every job that a kill left open, by what its commit says; return how many there were.

    A load whose rows are in is done with its row count; any other gets an error, and its id goes
    on answering 409, as the id of a failed job does in BigQuery.
    """
    rows = database.fetch("SELECT resource FROM emulator.jobs WHERE state <> 'DONE'")
    for (resource,) in rows:
        job: Any = Job.model_validate_json(resource)
        landed = landed_rows(job)
        if landed is None:
            ended = {"state": "DONE", "errorResult": INTERRUPTED, "errors": [INTERRUPTED]}
            store.save(job.replace(status=ended))
        else:
            load = {"outputRows": str(landed), "badRecords": "0"}
            statistics = job.statistics.replace(endTime=job.statistics.creationTime, load=load)
            store.save(job.replace(status={"state": "DONE"}, statistics=statistics.dump()))
    return len(rows)


def landed_rows(job: Any) -> int | None:
    """Return how many rows the load job committed, None when it committed nothing."""
    if job.configuration.load is None:
        return None
    project_id, dataset_id, table_id = tables.reference(job.configuration.load.destinationTable)
    database.attach(project_id)
    found = database.fetch(
        "SELECT snapshot_id FROM ducklake_snapshots($1) WHERE author = $2 AND commit_message = $3",
        [project_id, _COMMIT_AUTHOR, _key(job)],
    )
    if not found:
        return None
    snapshot = int(found[0][0])
    of_commit = ", ".join(
        [*map(literal, (project_id, dataset_id, table_id)), str(snapshot), str(snapshot)]
    )
    (count,) = database.fetch(f"SELECT count(*) FROM ducklake_table_insertions({of_commit})")[0]
    return int(count)


def _key(job: Any) -> str:
    return f"{job.jobReference.projectId}:{job.jobReference.jobId}"
