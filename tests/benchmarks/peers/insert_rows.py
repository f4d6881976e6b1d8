"""What a user would write first: google-cloud-bigquery's insert_rows_json, by the batch.

    python insert_rows.py ENDPOINT TABLE SCHEMA_FILE PAYLOADS

Makes dataset and table where they are missing. Batches stay below the API's 10 MB a request.
"""

from __future__ import annotations

import datetime as dt
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

try:
    from orjson import loads
except ImportError:
    from json import loads

BATCH = 100
endpoint, table_name, schema_file, payloads = sys.argv[1:]
client = bigquery.Client(
    project=table_name.split(".")[0],
    credentials=AnonymousCredentials(),
    client_options={"api_endpoint": endpoint},
)


def rows() -> Iterator[dict[str, str]]:
    now = dt.datetime.now(dt.UTC).isoformat()
    with Path(payloads).open("rb") as lines:
        for line in lines:
            payload = loads(line)
            yield {
                "conversation_id": payload["name"].rsplit("/", 1)[1],
                "ci_name": payload["name"],
                "payload": line.decode().strip(),
                "payload_sha256": "-",
                "ci_updated_at": now,
                "_run_id": "bench",
                "_landed_at": now,
            }


dataset = bigquery.Dataset(table_name.rpartition(".")[0])
dataset.location = "us-central1"
client.create_dataset(dataset, exists_ok=True)
table = bigquery.Table(table_name, schema=client.schema_from_json(schema_file))
table.time_partitioning = bigquery.TimePartitioning(field="_landed_at")
table.require_partition_filter = True
client.create_table(table, exists_ok=True)
for batch in itertools.batched(rows(), BATCH, strict=False):
    errors = client.insert_rows_json(table_name, list(batch))
    if errors:
        raise SystemExit(str(errors[0]))
