"""The numbers that alerts compare, read from events in the BigQuery emulator."""

from __future__ import annotations

import asyncio
import datetime as dt
import io
import json
import random
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from stack_fixture import Stack

from ingest.flows.attempts import Attempts
from ingest.flows.health import Health, read_health
from ingest.gcp.bigquery import BigQueryRawSink
from ingest.settings import Settings
from tests.fakes.clock import ManualClock

pytestmark = pytest.mark.stack

NOW = dt.datetime(2026, 1, 5, 8, 0, tzinfo=dt.UTC)
SCHEMA = Path(__file__).parents[2] / "ingest" / "schemas" / "pipeline_events.json"


def event(conversation: str, step: str, outcome: str, hours_ago: float) -> dict[str, Any]:
    """A step that took one minute and was landed at once."""
    ended = NOW - dt.timedelta(hours=hours_ago)
    return {
        "conversation_id": conversation,
        "event_id": uuid.uuid4().hex,
        "step": step,
        "outcome": outcome,
        "attempt": 1,
        "started_at": (ended - dt.timedelta(minutes=1)).isoformat(),
        "ended_at": ended.isoformat(),
        "_run_id": "run",
        "_landed_at": ended.isoformat(),
    }


def health_of(stack: Stack, events: list[dict[str, Any]], aside: Sequence[str] = ()) -> Health:
    """Read the health of a dataset that holds these events alone, and who is set aside."""
    own = f"h{uuid.uuid4().hex}"
    datasets = {"raw_dataset": own, "marts_dataset": own}
    settings = Settings(**{**stack.settings.model_dump(), **datasets})
    client = bigquery.Client(
        project=settings.project_id,
        credentials=AnonymousCredentials(),
        client_options=ClientOptions(api_endpoint=settings.bigquery_endpoint),
    )
    client.create_dataset(settings.raw_dataset, timeout=20)
    table = bigquery.Table(
        f"{settings.project_id}.{settings.raw_dataset}.pipeline_events",
        schema=client.schema_from_json(str(SCHEMA)),
    )
    client.create_table(table, timeout=20)
    if events:
        lines = io.BytesIO("\n".join(json.dumps(each) for each in events).encode())
        config = bigquery.LoadJobConfig(source_format="NEWLINE_DELIMITED_JSON")
        client.load_table_from_file(lines, table, job_config=config, timeout=20).result(timeout=20)
    if aside:
        name = f"`{settings.project_id}.{own}.quarantined_conversations`"
        client.query_and_wait(
            f"create table {name} as select conversation_id from unnest({list(aside)}) as "
            "conversation_id",
            wait_timeout=20,
        )
    clock = ManualClock(NOW)
    sink = BigQueryRawSink(settings)
    try:
        return asyncio.run(read_health(sink, Attempts(clock, 30, random.Random(1)), clock))
    finally:
        sink.close()
        client.delete_dataset(settings.raw_dataset, delete_contents=True, timeout=20)


def test_a_pipeline_without_events_has_no_ages(stack: Stack) -> None:
    assert health_of(stack, []) == Health(0, 0, 0, None, 0.0, None, None)


def test_ages_and_shares_follow_the_latest_event_of_each_conversation(stack: Stack) -> None:
    events = [
        event("done", "upload", "succeeded", 3),
        event("done", "analyse", "succeeded", 2),
        event("mended", "submit", "failed", 10),
        event("mended", "submit", "succeeded", 1),
        event("broken", "upload", "succeeded", 8),
        event("broken", "submit", "failed", 7),
        event("broken", "submit", "failed", 5),
        event("waits", "upload", "waiting", 30),
        event("refused", "validate", "failed", 26),
        event("right", "validate", "failed", 26),
        event("right", "validate", "succeeded", 25),
        event("erased", "forget", "succeeded", 4),
    ]

    found = health_of(stack, events, aside=("odd", "odd", "strange"))

    assert found.quarantined == 2
    assert (found.waiting, found.failed, found.refused) == (1, 2, 1)
    assert found.failure_percent == pytest.approx(100 / 3)
    assert found.backlog_age_hours == pytest.approx(30 + 1 / 60)
    assert found.landed_age_hours == pytest.approx(1)


def test_trouble_before_the_last_success_is_over(stack: Stack) -> None:
    events = [
        event("again", "submit", "failed", 20),
        event("again", "submit", "succeeded", 12),
        event("again", "analyse", "failed", 6),
    ]

    found = health_of(stack, events)

    assert found.backlog_age_hours == pytest.approx(6 + 1 / 60)


def test_what_a_clock_that_is_ahead_has_stamped_is_no_negative_age(stack: Stack) -> None:
    found = health_of(stack, [event("ahead", "submit", "failed", -2)])

    assert found == Health(0, 1, 0, None, 100.0, 0.0, 0.0)


def test_what_failed_more_than_a_month_ago_is_no_backlog(stack: Stack) -> None:
    found = health_of(stack, [event("old", "submit", "failed", 31 * 24)])

    assert found == Health(0, 0, 0, None, 0.0, None, None)
