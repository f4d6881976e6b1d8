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
from local_bigquery.jobs import load, query, runner
from local_bigquery.sql import script
from local_bigquery.sql.rules import NODE_RULES, STATEMENT_RULES, ddl, partitions

from ingest.local.bigquery import jobs, loads, statements, unnest
from ingest.local.bigquery.catalog import columns, with_lookup_of_hidden_column, with_lookup_of_one
from ingest.local.bigquery.partition_order import with_partitions_in_order


def install() -> None:
    """Every job that the emulator runs from now on follows the corrected rules."""
    errors.STATUSES["backendError"] = (503, "UNAVAILABLE")
    errors.from_duckdb = query.from_duckdb = jobs.with_own_troubles(errors.from_duckdb)
    database.objects = with_lookup_of_one(database.objects)
    tables.columns = tabledata.columns = columns
    partitions._hidden = with_lookup_of_hidden_column(partitions._hidden)
    script.parse = query.parse = statements.with_recursion_at_the_top(script.parse)
    query.execute = statements.with_destination_of_ctas(query.execute)
    jobs_api.results = statements.without_rows_of_ctas(jobs_api.results)
    runner.submit = jobs.with_checked_job_id(runner.submit)
    runner._handle = jobs.with_job_in_commits(runner._handle)
    results.materialise = jobs.with_marked_commit(results.materialise)
    handlers: dict[str, Any] = runner.HANDLERS
    load.paths = loads.paths
    handlers["load"] = loads.with_decompressed_sources(
        loads.refuse_what_bigquery_refuses(handlers["load"])
    )
    ddl.split = with_partitions_in_order(ddl.split)
    NODE_RULES.append(statements.faster_json_keys)
    STATEMENT_RULES.insert(0, unnest.elements_made_in_select)
    for module in (statements, unnest):
        module.register(database.connection())
