"""Lands a file of CI payloads as a run of the sidecar does.

    python tests/benchmarks/land_payloads.py PAYLOADS

Bucket, dataset and table are made first where they are missing: programs that this is compared
with make theirs within their time too. The run's id, made from the dataset's name, and the clock
are fixed: landing again in the same dataset is the same batch again, as after a kill, and in
another dataset it is another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from google.api_core.exceptions import Conflict

from ingest.cli._context import SystemClock
from ingest.domain.raw_records import (
    CI_CONVERSATIONS,
    PIPELINE_EVENTS,
    RawRow,
    ci_conversation_row,
)
from ingest.errors import RemoteError
from ingest.flows.attempts import Attempts
from ingest.flows.landing import Landing
from ingest.gcp.bigquery import BigQueryRawSink, bigquery, bigquery_client
from ingest.gcp.storage import GcsObjectStore, storage_client
from ingest.local.provisioning import declared_table, raw_table_schemas
from ingest.settings import Settings, load_settings

LANDED_AT = dt.datetime(2026, 1, 5, 8, 0, tzinfo=dt.UTC)


class FixedClock(SystemClock):
    """Always the same moment; waiting takes the time it takes."""

    def now(self) -> dt.datetime:
        """Return the moment of the run."""
        return LANDED_AT


def main() -> None:
    """Land everything, or fail."""
    settings = load_settings()
    make_targets(settings)
    asyncio.run(land(settings, Path(sys.argv[1])))


def make_targets(settings: Settings) -> None:
    """Make the bucket, and the dataset and table as `ingest local up` makes them, where missing."""
    bucket = storage_client(settings)
    with contextlib.closing(bucket), contextlib.suppress(Conflict):
        bucket.create_bucket(settings.bucket, location=settings.location)
    client = bigquery_client(settings)
    with contextlib.closing(client):
        dataset = bigquery.Dataset(f"{settings.project_id}.{settings.raw_dataset}")
        dataset.location = settings.location
        client.create_dataset(dataset, exists_ok=True)
        # A batch looks for tombstones among the events before it is loaded.
        for table in (CI_CONVERSATIONS, PIPELINE_EVENTS):
            declared = declared_table(settings, table, raw_table_schemas()[table])
            client.create_table(declared, exists_ok=True)


async def land(settings: Settings, payloads: Path) -> None:
    """Land the rows in the batches that a run would make, one on its way while the next grows."""
    store, sink, clock = GcsObjectStore(settings), BigQueryRawSink(settings), FixedClock()
    attempts = Attempts(clock, settings.step_budget_sec, random.Random(5))
    landing = Landing(store, sink, clock, attempts, f"20260105T080000Z-{settings.raw_dataset}")
    try:
        flushing = asyncio.create_task(landing.flush())
        for row in rows(payloads):
            landing.add([row], lambda: None, give_up)
            await asyncio.sleep(0)
            if landing.is_full:
                await flushing
                flushing = asyncio.create_task(landing.flush())
        await flushing
        await landing.flush()
    finally:
        store.close()
        sink.close()


def give_up(error: RemoteError) -> None:
    """End the run: a row that isn't landed would be one too few."""
    raise error


def rows(payloads: Path) -> Iterator[RawRow]:
    """Yield the row of each line."""
    with payloads.open("rb") as lines:
        for line in lines:
            payload: dict[str, Any] = orjson.loads(line)
            yield ci_conversation_row(
                conversation_id=payload["name"].rsplit("/", 1)[1],
                ci_name=payload["name"],
                analysis_name=payload.get("latestAnalysis", {}).get("name"),
                annotator_profile_sha256=None,
                labels=payload.get("labels", {}),
                payload=payload,
                updated_at=dt.datetime.fromisoformat(payload["updateTime"]),
            )


if __name__ == "__main__":
    main()
