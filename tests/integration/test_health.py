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
SCHEMAS = Path(__file__).parents[2] / "ingest" / "schemas"
DAYS = ("2025-12-05", "2025-12-06", "2026-01-03", "2026-01-04", "_ready", "2026-01-02")
"""Folders of the bucket; 2 to 30 days before NOW are from 2025-12-06 to 2026-01-03."""


class Bucket:
    """A bucket with these folders."""

    async def folders(self, prefix: str) -> Sequence[str]:
        """Return them."""
        return [f"{day}/" for day in DAYS] if prefix == "" else []


def event(
    conversation: str, step: str, outcome: str, hours_ago: float, batch_date: str = "2026-01-02"
) -> dict[str, Any]:
    """A step that took one minute and was landed at once."""
    ended = NOW - dt.timedelta(hours=hours_ago)
    return {
        "conversation_id": conversation,
        "batch_date": batch_date,
        "event_id": uuid.uuid4().hex,
        "step": step,
        "outcome": outcome,
        "attempt": 1,
        "started_at": (ended - dt.timedelta(minutes=1)).isoformat(),
        "ended_at": ended.isoformat(),
        "_run_id": "run",
        "_landed_at": ended.isoformat(),
    }


def state(conversation: str, analysis: str | None) -> dict[str, Any]:
    """What landed of Insights."""
    return {
        "conversation_id": conversation,
        "analysis_name": analysis,
        "ci_name": f"projects/1/locations/l/conversations/{conversation}",
        "payload_sha256": uuid.uuid4().hex,
        "payload": "{}",
        "ci_updated_at": NOW.isoformat(),
        "_run_id": "run",
        "_landed_at": NOW.isoformat(),
    }


def health_of(
    stack: Stack,
    events: list[dict[str, Any]],
    aside: Sequence[str] = (),
    states: Sequence[dict[str, Any]] = (),
    region_count: int = 1,
) -> Health:
    """Read the health of a dataset that holds these rows alone, and who is set aside."""
    own = f"h{uuid.uuid4().hex}"
    datasets = {"raw_dataset": own, "marts_dataset": own}
    settings = Settings(**{**stack.settings.model_dump(), **datasets})
    client = bigquery.Client(
        project=settings.project_id,
        credentials=AnonymousCredentials(),
        client_options=ClientOptions(api_endpoint=settings.bigquery_endpoint),
    )
    client.create_dataset(settings.raw_dataset, timeout=20)
    config = bigquery.LoadJobConfig(source_format="NEWLINE_DELIMITED_JSON")
    for name, rows in {"pipeline_events": events, "ci_conversations": states}.items():
        table = bigquery.Table(
            f"{settings.project_id}.{own}.{name}",
            schema=client.schema_from_json(str(SCHEMAS / f"{name}.json")),
        )
        client.create_table(table, timeout=20)
        if rows:
            lines = io.BytesIO("\n".join(json.dumps(row) for row in rows).encode())
            job = client.load_table_from_file(lines, table, job_config=config, timeout=20)
            job.result(timeout=20)
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
        attempts = Attempts(clock, 30, random.Random(1))
        return asyncio.run(read_health(sink, Bucket(), attempts, clock, region_count))
    finally:
        sink.close()
        client.delete_dataset(settings.raw_dataset, delete_contents=True, timeout=20)


def test_a_pipeline_without_events_has_no_ages(stack: Stack) -> None:
    assert health_of(stack, []) == Health(0, 0, 0, None, 0.0, None, None, 3, 0.0, 0.0)


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

    assert found == Health(0, 1, 0, None, 100.0, 0.0, 0.0, 2, 0.0, 0.0)


def test_what_failed_more_than_a_month_ago_is_no_backlog(stack: Stack) -> None:
    found = health_of(stack, [event("old", "submit", "failed", 31 * 24)])

    assert found == Health(0, 0, 0, None, 0.0, None, None, 3, 0.0, 0.0)


def test_days_of_the_bucket_cost_and_room_in_insights_are_told(stack: Stack) -> None:
    events = [
        event("a", "analyse", "succeeded", 23, "2025-12-06"),
        event("b", "analyse", "succeeded", 2),
        event("b", "analyse", "failed", 3),
        event("c", "analyse", "succeeded", 25),
        event("gone", "forget", "succeeded", 1),
    ]
    states = [state("a", "1"), state("a", "2"), state("b", "3"), state("gone", "4")]

    found = health_of(stack, events, states=[*states, state("late", None)], region_count=2)

    assert found.days_not_landed == 1
    assert found.cost_usd_last_day == 0.04
    assert found.insights_percent == pytest.approx(100 * 3 / 4_000_000)
