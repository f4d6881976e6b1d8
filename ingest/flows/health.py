"""How the pipeline stands, in numbers that an alert can compare.

Read from the raw events and not from the marts, so that it also speaks when dbt is what's broken;
only what is set aside is dbt's to know.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from ingest.domain.raw_records import PIPELINE_EVENTS
from ingest.errors import RemoteError
from ingest.flows.attempts import Attempts
from ingest.flows.status import QUARANTINE, quarantine_sql
from ingest.ports.move import Clock, RawSink

LOOK_BACK_DAYS = 30
SHARE_HOURS = 24

_SQL = """
with events as (
  select conversation_id, step, outcome, started_at, ended_at, _landed_at
  from {table}
  where _landed_at >= @since and step != 'forget'
),
latest as (
  select
    conversation_id,
    array_agg(outcome order by ended_at desc, started_at desc limit 1)[offset(0)] as outcome,
    array_agg(step order by ended_at desc, started_at desc limit 1)[offset(0)] as step,
    max(ended_at) as ended_at,
    max(if(outcome in ('succeeded', 'adopted'), ended_at, null)) as succeeded_at,
    max(_landed_at) as landed_at
  from events
  group by conversation_id
),
trouble as (
  select latest.conversation_id, min(events.started_at) as since
  from latest
  inner join events
    on latest.conversation_id = events.conversation_id
    and latest.outcome in ('failed', 'waiting')
    and events.outcome in ('failed', 'waiting')
    and (latest.succeeded_at is null or events.ended_at >= latest.succeeded_at)
  group by latest.conversation_id
)
select
  countif(latest.outcome = 'waiting') as waiting,
  countif(latest.outcome = 'failed') as failed,
  countif(latest.outcome = 'failed' and latest.step = 'validate') as refused,
  countif(latest.ended_at >= @day_ago) as seen_lately,
  countif(latest.ended_at >= @day_ago and latest.outcome = 'failed') as failed_lately,
  min(trouble.since) as oldest_since,
  max(latest.landed_at) as landed_at
from latest
left join trouble
  on latest.conversation_id = trouble.conversation_id
"""


class HealthLine(TypedDict):
    """What is logged and compared; ages are in hours."""

    event: Literal["pipeline_health"]
    waiting: int
    failed: int
    refused: int
    quarantined: int | None
    failure_percent: float
    backlog_age_hours: float
    landed_age_hours: float | None


@dataclass(frozen=True)
class Health:
    """Conversations of the last 30 days whose latest step failed or waits, and for how long.

    `refused` are those of the failed that validation refused; `quarantined` counts conversations
    that dbt has set aside, None before it was built. `failure_percent` is of the conversations
    seen in the last 24 h; ages are in hours, None when there is nothing to have an age.
    """

    waiting: int
    failed: int
    refused: int
    quarantined: int | None
    failure_percent: float
    backlog_age_hours: float | None
    landed_age_hours: float | None

    def log_line(self) -> HealthLine:
        """Return the fields that alerts name (terraform: alerts.tf); no age counts as zero."""
        return {
            "event": "pipeline_health",
            "waiting": self.waiting,
            "failed": self.failed,
            "refused": self.refused,
            "quarantined": self.quarantined,
            "failure_percent": round(self.failure_percent, 3),
            "backlog_age_hours": round(self.backlog_age_hours or 0.0, 3),
            "landed_age_hours": (
                None if self.landed_age_hours is None else round(self.landed_age_hours, 3)
            ),
        }


async def read_health(sink: RawSink, attempts: Attempts, clock: Clock) -> Health:
    """Return how the pipeline stands now; no row of a conversation leaves BigQuery."""
    now = clock.now()
    parameters = {
        "since": now - dt.timedelta(days=LOOK_BACK_DAYS),
        "day_ago": now - dt.timedelta(hours=SHARE_HOURS),
    }
    sql = _SQL.format(table=sink.table(PIPELINE_EVENTS))
    rows = (await attempts.run(lambda: sink.query(sql, parameters))).value
    return _health(rows[0], await _quarantined(sink, attempts), now)


async def _quarantined(sink: RawSink, attempts: Attempts) -> int | None:
    sql = quarantine_sql(sink.mart(QUARANTINE))
    try:
        rows = (await attempts.run(lambda: sink.query(sql, {}))).value
    except RemoteError as error:
        if error.code != "NOT_FOUND":
            raise
        return None
    return int(rows[0]["conversation_count"])


def _health(row: Mapping[str, Any], quarantined: int | None, now: dt.datetime) -> Health:
    seen = row["seen_lately"] or 0
    return Health(
        waiting=row["waiting"] or 0,
        failed=row["failed"] or 0,
        refused=row["refused"] or 0,
        quarantined=quarantined,
        failure_percent=100 * row["failed_lately"] / seen if seen else 0.0,
        backlog_age_hours=_hours(row["oldest_since"], now),
        landed_age_hours=_hours(row["landed_at"], now),
    )


def _hours(moment: dt.datetime | None, now: dt.datetime) -> float | None:
    """Return how long ago that was; the clock of the machine that landed it may be ahead."""
    return None if moment is None else max(0.0, (now - moment).total_seconds() / 3600)
