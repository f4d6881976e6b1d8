"""Where the BigQuery emulator is corrected to behave as BigQuery does.

Each `with…` function takes the emulator's own function and returns the corrected one; `install`
puts all of them in place. Without them dbt can't build a table.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import duckdb
from local_bigquery import errors
from local_bigquery.api import jobs as jobs_api
from local_bigquery.catalog import tabledata, tables
from local_bigquery.engine import database, results
from local_bigquery.jobs import load, query, runner
from local_bigquery.sql import script
from local_bigquery.sql.rules import NODE_RULES, STATEMENT_RULES, ddl, partitions

from ingest.local import bigquery_json_keys, bigquery_unnest
from ingest.local.bigquery_catalog_lookup import (
    columns,
    with_lookup_of_hidden_column,
    with_lookup_of_one,
)
from ingest.local.bigquery_interrupted_jobs import with_job_in_commits, with_marked_commit
from ingest.local.bigquery_load_rules import refuse_what_bigquery_refuses
from ingest.local.bigquery_partition_order import with_partitions_in_order
from ingest.local.bigquery_recursive_with import with_recursion_at_the_top
from ingest.local.bigquery_sources import paths, with_decompressed_sources

_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,1024}")
CREATE_TABLE_AS = "CREATE_TABLE_AS_SELECT"
_FAULTS_OF_QUERIES = (
    duckdb.ProgrammingError,
    duckdb.DataError,
    duckdb.IntegrityError,
    duckdb.NotSupportedError,
    duckdb.PermissionException,
)


def install() -> None:
    """Every job that the emulator runs from now on follows the corrected rules."""
    errors.STATUSES["backendError"] = (503, "UNAVAILABLE")
    errors.from_duckdb = query.from_duckdb = with_own_troubles(errors.from_duckdb)
    database.objects = with_lookup_of_one(database.objects)
    tables.columns = tabledata.columns = columns
    partitions._hidden = with_lookup_of_hidden_column(partitions._hidden)
    script.parse = query.parse = with_recursion_at_the_top(script.parse)
    query.execute = with_destination_of_ctas(query.execute)
    jobs_api.results = without_rows_of_ctas(jobs_api.results)
    runner.submit = with_checked_job_id(runner.submit)
    runner._handle = with_job_in_commits(runner._handle)
    results.materialise = with_marked_commit(results.materialise)
    handlers: dict[str, Any] = runner.HANDLERS
    load.paths = paths
    handlers["load"] = with_decompressed_sources(refuse_what_bigquery_refuses(handlers["load"]))
    ddl.split = with_partitions_in_order(ddl.split)
    NODE_RULES.append(bigquery_json_keys.faster_json_keys)
    STATEMENT_RULES.insert(0, bigquery_unnest.elements_made_in_select)
    for module in (bigquery_json_keys, bigquery_unnest):
        module.register(database.connection())


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


def without_rows_of_ctas(read: Callable[..., Any]) -> Callable[..., Any]:
    """Return the reader of results that, as BigQuery, has no rows for CREATE TABLE AS SELECT."""

    def corrected(job: Any, *args: Any, **kwargs: Any) -> Any:
        statistics = job.statistics.query if job.statistics else None
        if statistics and statistics.statementType == CREATE_TABLE_AS:
            bare = job.configuration.query.without("destinationTable")
            job = job.replace(configuration=job.configuration.replace(query=bare.dump()).dump())
        return read(job, *args, **kwargs)

    return corrected
