"""How the pipeline stands, in numbers that an alert can compare.

Read from raw tables and the bucket and not from the marts, so that it also speaks when dbt is
what's broken; only what is set aside is dbt's to know.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypedDict

from ingest.domain.conversation import ORIGINALS_PREFIX, parse_batch_date
from ingest.domain.costs import USD_PER_UNIT
from ingest.domain.raw_records import ANY_PARTITION, CI_CONVERSATIONS, PIPELINE_EVENTS
from ingest.errors import RemoteError
from ingest.flows.attempts import Attempts
from ingest.flows.status import QUARANTINE, quarantine_sql
from ingest.ports.move import Clock, RawSink

LOOK_BACK_DAYS = 30
SHARE_HOURS = 24
MOST_IN_A_REGION = 2_000_000
"""Conversations, and analyses, that Insights holds in one region (its page of quotas)."""
_DAYS_OF_GRACE = 2
"""A folder is complete once its day is over by every zone, and is then processed at night."""

_SQL = """
with events as (
  select conversation_id, batch_date, step, outcome, started_at, ended_at, _landed_at
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
  (
    select countif(step = 'analyse' and outcome = 'succeeded' and ended_at >= @day_ago) from events
  ) as analysed_lately,
  array(select distinct cast(batch_date as string) from events where batch_date is not null)
    as days,
  min(trouble.since) as oldest_since,
  max(latest.landed_at) as landed_at
from latest
left join trouble
  on latest.conversation_id = trouble.conversation_id
"""

_HELD_SQL = """
select count(distinct conversation_id) as conversations, count(distinct analysis_name) as analyses
from {states}
where {any_partition} and conversation_id not in (
  select conversation_id from {events} where {any_partition} and step = 'forget'
)
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
    days_not_landed: int
    cost_usd_last_day: float
    insights_percent: float


@dataclass(frozen=True)
class Health:
    """Conversations of the last 30 days whose latest step failed or waits, and for how long.

    `refused` are those of the failed that validation refused; `quarantined` counts conversations
    that dbt has set aside, None before it was built. `failure_percent` is of the conversations
    seen in the last 24 h; ages are in hours, None when there is nothing to have an age.

    `days_not_landed` counts date folders of the bucket, of 2 to 30 days ago, that no run has
    touched. `cost_usd_last_day` is what the analyses of the last 24 h cost at least, at list
    price. `insights_percent` is what has landed and wasn't erased, conversations or analyses, of
    what Insights holds in its regions; what its own TTL took still counts.
    """

    waiting: int
    failed: int
    refused: int
    quarantined: int | None
    failure_percent: float
    backlog_age_hours: float | None
    landed_age_hours: float | None
    days_not_landed: int
    cost_usd_last_day: float
    insights_percent: float

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
            "days_not_landed": self.days_not_landed,
            "cost_usd_last_day": round(self.cost_usd_last_day, 2),
            "insights_percent": round(self.insights_percent, 3),
        }


class Folders(Protocol):
    """What of the bucket is looked at."""

    async def folders(self, prefix: str) -> Sequence[str]:
        """Return the names that follow the prefix up to a slash, slash included."""


async def read_health(
    sink: RawSink, bucket: Folders, attempts: Attempts, clock: Clock, region_count: int = 1
) -> Health:
    """Return how the pipeline stands now; no row of a conversation leaves BigQuery."""
    now = clock.now()
    parameters = {
        "since": now - dt.timedelta(days=LOOK_BACK_DAYS),
        "day_ago": now - dt.timedelta(hours=SHARE_HOURS),
    }
    events, states = sink.table(PIPELINE_EVENTS), sink.table(CI_CONVERSATIONS)
    sql = _SQL.format(table=events)
    held_sql = _HELD_SQL.format(events=events, states=states, any_partition=ANY_PARTITION)
    told, held, folders, quarantined = await asyncio.gather(
        attempts.run(lambda: sink.query(sql, parameters)),
        attempts.run(lambda: sink.query(held_sql, {})),
        attempts.run(lambda: _date_folders(bucket)),
        _quarantined(sink, attempts),
    )
    row, most = told.value[0], max(held.value[0].values())
    return Health(
        waiting=row["waiting"] or 0,
        failed=row["failed"] or 0,
        refused=row["refused"] or 0,
        quarantined=quarantined,
        failure_percent=100 * (row["failed_lately"] or 0) / (row["seen_lately"] or 1),
        backlog_age_hours=_hours(row["oldest_since"], now),
        landed_age_hours=_hours(row["landed_at"], now),
        days_not_landed=_count_not_landed(folders.value, row["days"], now.date()),
        cost_usd_last_day=(row["analysed_lately"] or 0) * USD_PER_UNIT,
        insights_percent=100 * most / (MOST_IN_A_REGION * region_count),
    )


async def _date_folders(bucket: Folders) -> Sequence[str]:
    """Return the day folders as they were handed in: apart, where they are redacted."""
    return [*await bucket.folders(""), *await bucket.folders(ORIGINALS_PREFIX)]


def _count_not_landed(folders: Sequence[str], landed: Sequence[str], today: dt.date) -> int:
    first = today - dt.timedelta(days=LOOK_BACK_DAYS)
    last = today - dt.timedelta(days=_DAYS_OF_GRACE)
    dates = (parse_batch_date(name.rstrip("/")) for name in dict.fromkeys(folders))
    return sum(1 for day in dates if day and first <= day <= last and str(day) not in landed)


async def _quarantined(sink: RawSink, attempts: Attempts) -> int | None:
    sql = quarantine_sql(sink.mart(QUARANTINE))
    try:
        rows = (await attempts.run(lambda: sink.query(sql, {}))).value
    except RemoteError as error:
        if error.code != "NOT_FOUND":
            raise
        return None
    return int(rows[0]["conversation_count"])


def _hours(moment: dt.datetime | None, now: dt.datetime) -> float | None:
    """Return how long ago that was; the clock of the machine that landed it may be ahead."""
    return None if moment is None else max(0.0, (now - moment).total_seconds() / 3600)
