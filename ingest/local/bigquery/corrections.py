"""Where the BigQuery emulator is corrected to behave as BigQuery does.

Each `with…` function takes the emulator's own function and returns the corrected one; `install`
puts all of them in place. Without them dbt can't build a table.
"""

from __future__ import annotations

from typing import Any

from local_bigquery import errors
from local_bigquery.api import jobs as jobs_api
from local_bigquery.catalog import tabledata, tables
from local_bigquery.engine import database, results
from local_bigquery.jobs import extract, load, query, runner, store
from local_bigquery.sql import script
from local_bigquery.sql.rules import NODE_RULES, STATEMENT_RULES, ddl, partitions

from ingest.local.bigquery import creations, files, jobs, loads, statements
from ingest.local.bigquery.catalog import (
    columns,
    with_lookup_of_hidden_column,
    with_lookup_of_one,
    without_search_for_temporary,
)


def install(gcs_endpoint: str | None = None) -> None:
    """Every job that the emulator runs from now on follows the corrected rules.

    Extracts are uploaded to the Cloud Storage emulator at `gcs_endpoint`.
    """
    errors.STATUSES["backendError"] = (503, "UNAVAILABLE")
    errors.from_duckdb = query.from_duckdb = jobs.with_own_troubles(errors.from_duckdb)
    database.objects = creations.with_table_in_creation(with_lookup_of_one(database.objects))
    tables.columns = tabledata.columns = columns
    partitions._hidden = with_lookup_of_hidden_column(partitions._hidden)
    script.parse = query.parse = files.with_known_statements(
        statements.with_recursion_at_the_top(script.parse)
    )
    STATEMENT_RULES.insert(0, files.check_tables)
    database.execute = jobs.one_at_a_time(database.execute)
    tabledata.insert_all = jobs.one_at_a_time(tabledata.insert_all)
    database.attach = files.with_checked_project_id(database.attach)
    extract.written = files.uploaded_to(gcs_endpoint)
    query._evaluator = statements.with_texts_at_hand(query._evaluator)
    query._run = creations.with_end_of_parts(query._run)
    ddl.split = creations.with_parts_at_once(ddl.split)
    query.execute = jobs.one_at_a_time(
        statements.with_destination_of_ctas(without_search_for_temporary(query.execute))
    )
    jobs_api.results = statements.without_rows_of_ctas(jobs_api.results)
    store.save = jobs.with_start_at_once(store.save)
    runner.submit = jobs.with_checked_job_id(runner.submit)
    runner._handle = jobs.one_at_a_time(jobs.with_job_in_commits(runner._handle))
    results.materialise = jobs.with_marked_commit(results.materialise)
    handlers: dict[str, Any] = runner.HANDLERS
    load.paths = loads.paths
    handlers["load"] = loads.refuse_what_bigquery_refuses(handlers["load"])
    ddl.normalise = files.with_checked_tables(ddl.normalise)
    NODE_RULES.append(statements.json_keys_of_bigquery)
    statements.register(database.connection())
    # For a name that isn't there DuckDB would look through those of all results for a like one.
    database.connection().execute("SET GLOBAL catalog_error_max_schemas = 0")
