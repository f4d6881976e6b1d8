"""Creates the raw tables on a BigQuery endpoint and lands rows in them."""

from __future__ import annotations

import json
from pathlib import Path

from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from tests.warehouse.raw_rows import RawRows

SCHEMAS = Path(__file__).parents[2] / "ingest" / "schemas"
RAW_TABLES = (
    "conversation_files",
    "ci_conversations",
    "pipeline_events",
    "phrase_matchers",
    "conversation_truths",
    "feedback_labels",
)
TIMEOUT_SEC = 120


def client_for(endpoint: str, project: str = "local-project") -> bigquery.Client:
    return bigquery.Client(
        project=project,
        location="us-central1",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": endpoint},
    )


def create_raw_tables(client: bigquery.Client, dataset: str = "coach_raw") -> None:
    """Make the dataset empty: the raw tables as ingest/schemas declares them."""
    reference = f"{client.project}.{dataset}"
    client.delete_dataset(reference, delete_contents=True, not_found_ok=True, timeout=TIMEOUT_SEC)
    created = bigquery.Dataset(reference)
    created.location = "us-central1"
    client.create_dataset(created, timeout=TIMEOUT_SEC, retry=None)
    for name in RAW_TABLES:
        fields = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
        schema = [bigquery.SchemaField.from_api_repr(field) for field in fields]
        table = bigquery.Table(f"{reference}.{name}", schema=schema)
        table.time_partitioning = bigquery.TimePartitioning(field="_landed_at")
        table.require_partition_filter = True
        table.clustering_fields = [schema[0].name]
        client.create_table(table, timeout=TIMEOUT_SEC, retry=None)


def land(client: bigquery.Client, rows: RawRows, dataset: str = "coach_raw") -> None:
    """Append the rows, table by table, with load jobs."""
    for name, landed in rows.tables().items():
        schema = client.schema_from_json(str(SCHEMAS / f"{name}.json"))
        job = client.load_table_from_json(
            landed,
            f"{client.project}.{dataset}.{name}",
            job_config=bigquery.LoadJobConfig(schema=schema, write_disposition="WRITE_APPEND"),
            timeout=TIMEOUT_SEC,
        )
        job.result(timeout=TIMEOUT_SEC, retry=None)
