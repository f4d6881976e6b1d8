"""What a user would write first: google-cloud-bigquery's insert_rows_json, by the batch.

    python insert_rows.py ENDPOINT TABLE PAYLOADS

Batches stay below the API's 10 MB a request.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

BATCH = 100
endpoint, table, payloads = sys.argv[1:]
client = bigquery.Client(
    project=table.split(".")[0],
    credentials=AnonymousCredentials(),
    client_options={"api_endpoint": endpoint},
)


def rows() -> Iterator[dict[str, str]]:
    now = dt.datetime.now(dt.UTC).isoformat()
    with Path(payloads).open(encoding="utf-8") as lines:
        for line in lines:
            payload = json.loads(line)
            yield {
                "conversation_id": payload["name"].rsplit("/", 1)[1],
                "ci_name": payload["name"],
                "payload": line.strip(),
                "payload_sha256": "-",
                "ci_updated_at": now,
                "_run_id": "bench",
                "_landed_at": now,
            }


for batch in itertools.batched(rows(), BATCH, strict=False):
    errors = client.insert_rows_json(table, list(batch))
    if errors:
        raise SystemExit(str(errors[0]))
