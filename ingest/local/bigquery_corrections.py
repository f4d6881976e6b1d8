"""Where the BigQuery emulator is corrected to behave as BigQuery does.

Each function takes the emulator's own function and returns the corrected one; `install` puts them
in place. Without them dbt can't build a table, and a job that was running when the emulator was
killed would be running for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local_bigquery import errors
from local_bigquery.api import jobs as jobs_api
from local_bigquery.engine import database
from local_bigquery.jobs import query, runner, store
from local_bigquery.models import Job

from ingest.local.bigquery_load_rules import refuse_what_bigquery_refuses

INTERRUPTED = {
    "reason": "backendError",
    "message": "The job was stopped by a restart of the emulator. Retrying the job may succeed.",
}
CREATE_TABLE_AS = "CREATE_TABLE_AS_SELECT"


def install() -> None:
    """Every job that the emulator runs from now on follows the corrected rules."""
    errors.STATUSES["backendError"] = (503, "UNAVAILABLE")
    query.execute = with_destination_of_ctas(query.execute)
    jobs_api.results = without_rows_of_ctas(jobs_api.results)
    handlers: dict[str, Any] = runner.HANDLERS
    handlers["load"] = refuse_what_bigquery_refuses(handlers["load"])


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


def without_rows_of_ctas(results: Callable[..., Any]) -> Callable[..., Any]:
    """Return `results` that gives no rows for CREATE TABLE AS SELECT, as BigQuery does."""

    def corrected(job: Any, *args: Any, **kwargs: Any) -> Any:
        statistics = job.statistics.query if job.statistics else None
        if statistics and statistics.statementType == CREATE_TABLE_AS:
            bare = job.configuration.query.without("destinationTable")
            job = job.replace(configuration=job.configuration.replace(query=bare.dump()).dump())
        return results(job, *args, **kwargs)

    return corrected


def close_interrupted_jobs() -> int:
    """Give each job that a kill left open an error; returns how many there were.

    The id goes on answering 409, as the id of a failed job does in BigQuery.
    """
    rows = database.fetch("SELECT resource FROM emulator.jobs WHERE state <> 'DONE'")
    for (resource,) in rows:
        job = Job.model_validate_json(resource)
        status = {"state": "DONE", "errorResult": INTERRUPTED, "errors": [INTERRUPTED]}
        store.save(job.replace(status=status))
    return len(rows)
