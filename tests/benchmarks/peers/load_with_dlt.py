"""dlt as its documentation shows it: a generator, a pipeline, a run.

The generator reads as dlt's own reader of JSON lines does: by its JSON module, 1,000 lines at once.

    python load_with_dlt.py PAYLOADS DATASET STATE_FOLDER [MAX_TABLE_NESTING]

Its BigQuery client finds the emulator by BIGQUERY_EMULATOR_HOST; it needs no credentials there.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
from dlt.common import json
from dlt.common.configuration.specs import gcp_credentials
from google.auth.credentials import AnonymousCredentials

CHUNK = 1000
payloads, dataset, state, *nesting = sys.argv[1:]
for kind in (
    gcp_credentials.GcpServiceAccountCredentialsWithoutDefaults,
    gcp_credentials.GcpServiceAccountCredentials,
):
    kind.to_native_credentials = lambda self: AnonymousCredentials()


def rows() -> Iterator[list[dict[str, Any]]]:
    with Path(payloads).open("rb") as lines:
        for chunk in itertools.batched(lines, CHUNK, strict=False):
            yield [json.loadb(line) for line in chunk]


resource = dlt.resource(
    rows, name="conversations", max_table_nesting=int(nesting[0]) if nesting else None
)
pipeline = dlt.pipeline(
    dataset,
    destination=dlt.destinations.bigquery(
        credentials={
            "project_id": "local-project",
            "private_key": "-",
            "client_email": "nobody@local.invalid",
        },
    ),
    dataset_name=dataset,
    pipelines_dir=state,
)
pipeline.run(resource).raise_on_failed_jobs()
