"""How far every conversation has come, from the facts in the raw tables, in one query.

The status of a conversation follows the rule of dbt's `int_version_progress`, on its newest
files; it is read from the facts themselves so that it is right before the next `dbt build`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ingest.domain.raw_records import ANY_PARTITION, KEPT_HERE_SQL
from ingest.errors import RemoteError
from ingest.flows.lease import RunRecord
from ingest.ports.inspect import Warehouse

STATUSES = (
    "waiting_for_transcript",
    "waiting_for_metadata",
    "registered",
    "submitted",
    "failed",
    "analysed",
    "not_for_insights",
    "forgotten",
)
"""`not_for_insights` is done: its medium isn't sent there (in the registry an `open_reason`)."""
WHERE_ONE = "and conversation_id = @conversation_id"


def judged_sql(warehouse: Warehouse, restriction: str = "") -> str:
    """Return a WITH clause of `events`, as they landed, up to `judged`: one row a conversation.

    Columns of `judged`: conversation_id, batch_date, status, metadata_sha256, transcript_sha256,
    failed_step, error_code, since (when its latest fact came). `restriction` is added to every raw
    WHERE.

    All facts go through one GROUP BY: an emulator needs longer for each further join than for
    reading the tables.
    """
    where = f"where {ANY_PARTITION} {restriction}"
    return f"""
with
events as (
    select
        conversation_id, batch_date, step, outcome, error_code, metadata_sha256,
        transcript_sha256, started_at, ended_at, _run_id, {KEPT_HERE_SQL} as is_kept_here
    from {warehouse.raw("pipeline_events")} {where}
),
facts as (
    select
        conversation_id, batch_date, kind as step, 'landed' as outcome, content_sha256 as code,
        cast(null as string) as version, generation,
        cast(null as timestamp) as event_at, _landed_at as known_at
    from {warehouse.raw("conversation_files")} {where}
    union all
    select
        conversation_id, null, if(analysis_name is null, 'state', 'analysis'), 'landed', null,
        concat(metadata_sha256, transcript_sha256), null, null, _landed_at
    from {warehouse.raw("ci_conversations")} {where}
    union all
    select
        conversation_id, batch_date, step, if(is_kept_here, 'kept_here', outcome), error_code,
        concat(metadata_sha256, transcript_sha256), null, ended_at, ended_at
    from events
),
conversations as (
    select
        conversation_id,
        coalesce(max_by(batch_date, generation), max(batch_date)) as batch_date,
        max_by(code, if(step = 'metadata', generation, null)) as metadata_sha256,
        max_by(code, if(step = 'transcription', generation, null)) as transcript_sha256,
        string_agg(if(step = 'analysis', version, null)) as analysed_versions,
        string_agg(
            if(
                step in ('state', 'submit') and outcome not in ('failed', 'waiting', 'kept_here'),
                version,
                null
            )
        ) as submitted_versions,
        max_by(
            if(outcome = 'kept_here', version, ''), if(step = 'submit', event_at, null)
        ) as kept_version,
        max(if(step = 'forget', 1, 0)) as is_forgotten,
        countif(step = 'analysis') as analysis_count,
        countif(step in ('state', 'analysis')) as state_count,
        max_by(outcome, event_at) as outcome,
        max_by(step, event_at) as step,
        max_by(code, event_at) as code,
        max(known_at) as since
    from facts
    group by conversation_id
),
judged as (
    select
        * except (
            analysed_versions, submitted_versions, kept_version, is_forgotten, analysis_count,
            state_count, outcome, step, code
        ),
        case
            when is_forgotten = 1 then 'forgotten'
            when strpos(analysed_versions, concat(metadata_sha256, transcript_sha256)) > 0
                then 'analysed'
            when metadata_sha256 is null and transcript_sha256 is null and analysis_count > 0
                then 'analysed'
            when outcome = 'failed' then 'failed'
            when kept_version = concat(metadata_sha256, transcript_sha256)
                then 'not_for_insights'
            when strpos(submitted_versions, concat(metadata_sha256, transcript_sha256)) > 0
                then 'submitted'
            when metadata_sha256 is null and transcript_sha256 is null and state_count > 0
                then 'submitted'
            when transcript_sha256 is null and metadata_sha256 is null then 'registered'
            when transcript_sha256 is null then 'waiting_for_transcript'
            when metadata_sha256 is null then 'waiting_for_metadata'
            else 'registered'
        end as status,
        if(outcome = 'failed', step, null) as failed_step,
        if(outcome = 'failed', code, null) as error_code
    from conversations
)"""


QUOTA_WINDOW_SEC = 60
REGISTRY = "conversation_registry"
QUARANTINE = "quarantined_conversations"
RUN_COUNT = 5


def status_sql(warehouse: Warehouse, *, is_one_date: bool, has_registry: bool) -> str:
    """Return the query; @now, and @batch_date for one date, are its parameters.

    Columns: fact (conversation, run, forgotten, quota, mart), batch_date, name, failed_step,
    error_code, item_count, failed_count (of a mart: how many are erased), first_at, last_at.
    """
    of_date = "where batch_date = @batch_date" if is_one_date else ""
    registry = _registry_sql(warehouse) if has_registry else ""
    return f"""
{judged_sql(warehouse)}
select
    'conversation' as fact, batch_date, status as name,
    failed_step, error_code,
    count(*) as item_count, 0 as failed_count, min(since) as first_at, max(since) as last_at
from judged {of_date}
group by 1, 2, 3, 4, 5
union all
select * from (
    select
        'run', max(batch_date), _run_id, null, null,
        count(distinct conversation_id),
        count(distinct if(outcome = 'failed', conversation_id, null)),
        min(started_at), max(ended_at) as ended_at
    from events {of_date}
    group by _run_id
    order by ended_at desc
    limit {RUN_COUNT}
)
union all
select 'forgotten', null, null, null, null, count(distinct conversation_id), 0, null, null
from events
where step = 'forget'
union all
select
    'quota', null, step, null, null,
    countif(ended_at >= timestamp_sub(@now, interval {QUOTA_WINDOW_SEC} second)),
    0, null, null
from events
where step in ('submit', 'analyse')
group by step
{registry}
"""


def quarantine_sql(mart: str, where: str = "") -> str:
    """Return the query that counts the conversations that dbt has set aside."""
    return f"select count(distinct conversation_id) as conversation_count from {mart} {where}"


def _registry_sql(warehouse: Warehouse) -> str:
    return f"""
union all
select
    'mart', batch_date, null, null, null, countif(not is_erased), countif(is_erased), null, null
from (
    select
        batch_date,
        conversation_id in (
            select conversation_id from events where step = 'forget'
        ) as is_erased
    from {warehouse.mart(REGISTRY)}
    where is_current
)
group by batch_date
"""


OPEN_STATUSES = (
    "waiting_for_transcript",
    "waiting_for_metadata",
    "registered",
    "failed",
    "submitted",
)
WAITING = ("waiting_for_transcript", "waiting_for_metadata")
STEPS_IN_CI = ("analyse", "land")
"""Steps that only a conversation which Insights holds comes to."""


@dataclass(frozen=True)
class StatusCount:
    """Conversations of one date, status and latest failure; erased ones have no date."""

    batch_date: dt.date | None
    status: str
    failed_step: str | None
    error_code: str | None
    count: int
    oldest_at: dt.datetime
    newest_at: dt.datetime


@dataclass(frozen=True)
class DateFunnel:
    """How many conversations of one date got how far; each stage counts those beyond it too.

    `in_registry` counts conversations that dbt's registry holds; None before the first build.
    Those without a date, such as what was only ever pulled, make a funnel of their own.
    """

    batch_date: dt.date | None
    received: int
    complete: int
    submitted: int
    analysed: int
    waiting: int
    failed: int
    forgotten: int
    in_registry: int | None
    oldest_open_at: dt.datetime | None
    newest_at: dt.datetime


@dataclass(frozen=True)
class OpenFailure:
    """Conversations whose latest step failed, by step and code."""

    step: str
    error_code: str
    count: int
    oldest_at: dt.datetime
    newest_at: dt.datetime


@dataclass(frozen=True)
class RunSummary:
    """One run of the sidecar by its events."""

    run_id: str
    conversation_count: int
    failed_count: int
    started_at: dt.datetime
    ended_at: dt.datetime


@dataclass(frozen=True)
class QuotaUse:
    """Calls of the last minute against the quota that is set."""

    name: str
    used: int
    limit: int


@dataclass(frozen=True)
class PipelineStatus:
    """Everything that `ingest status` shows."""

    taken_at: dt.datetime
    dates: tuple[DateFunnel, ...]
    backlog: tuple[StatusCount, ...]
    failures: tuple[OpenFailure, ...]
    runs: tuple[RunSummary, ...]
    quotas: tuple[QuotaUse, ...]
    forgotten: int
    """Conversations that were erased on request; of all dates, since nothing else is kept."""
    forgotten_in_marts: int | None
    """How many of them the registry still holds; None before the first build."""
    quarantined: int | None = None
    """Conversations that dbt has set aside; None before the first build."""
    in_bucket: tuple[RunRecord, ...] | None = None
    """Runs that go on now, and those that were interrupted or died, by their leases; None where
    the bucket was not, or could not be, read."""


def read_status(
    warehouse: Warehouse,
    now: dt.datetime,
    quotas: Mapping[str, int],
    batch_date: dt.date | None = None,
) -> PipelineStatus:
    """Return the status; `quotas` gives calls a minute by step (submit, analyse)."""
    parameters: dict[str, Any] = {"now": now}
    if batch_date is not None:
        parameters["batch_date"] = batch_date
    is_one_date, has_registry = batch_date is not None, True
    try:
        rows = warehouse.query(
            status_sql(warehouse, is_one_date=is_one_date, has_registry=has_registry), parameters
        ).rows
    except RemoteError as error:
        if error.code != "NOT_FOUND":
            raise
        has_registry = False
        rows = warehouse.query(
            status_sql(warehouse, is_one_date=is_one_date, has_registry=has_registry), parameters
        ).rows
    counts = [_status_count(row) for row in rows if row["fact"] == "conversation"]
    runs = [_run(row) for row in rows if row["fact"] == "run"]
    marts = [row for row in rows if row["fact"] == "mart"]
    registered = {row["batch_date"]: row["item_count"] for row in marts}
    used = {row["name"]: row["item_count"] for row in rows if row["fact"] == "quota"}
    return PipelineStatus(
        taken_at=now,
        dates=funnels(counts, registered if has_registry else None),
        backlog=backlog(counts),
        failures=open_failures(counts),
        runs=tuple(sorted(runs, key=lambda run: run.ended_at, reverse=True)),
        quotas=tuple(QuotaUse(step, used.get(step) or 0, limit) for step, limit in quotas.items()),
        forgotten=sum(row["item_count"] for row in rows if row["fact"] == "forgotten"),
        forgotten_in_marts=sum(row["failed_count"] for row in marts) if has_registry else None,
        quarantined=_quarantined(warehouse, batch_date) if has_registry else None,
    )


def _quarantined(warehouse: Warehouse, batch_date: dt.date | None) -> int | None:
    where = "" if batch_date is None else "where batch_date = @batch_date"
    parameters = {} if batch_date is None else {"batch_date": batch_date}
    try:
        rows = warehouse.query(quarantine_sql(warehouse.mart(QUARANTINE), where), parameters).rows
    except RemoteError as error:
        if error.code != "NOT_FOUND":
            raise
        return None
    return int(rows[0]["conversation_count"])


def funnels(
    counts: Iterable[StatusCount], registered: Mapping[dt.date | None, int] | None
) -> tuple[DateFunnel, ...]:
    """Return one funnel a date, by date; `registered` counts the registry's rows by date."""
    by_date: dict[dt.date | None, list[StatusCount]] = {}
    for count in counts:
        if count.batch_date is not None or count.status != "forgotten":
            by_date.setdefault(count.batch_date, []).append(count)
    return tuple(
        _funnel(date, by_date[date], None if registered is None else registered.get(date, 0))
        for date in sorted(by_date, key=lambda date: date or dt.date.max)
    )


def backlog(counts: Iterable[StatusCount]) -> tuple[StatusCount, ...]:
    """Return what is not analysed yet, one entry a date and status."""
    merged: dict[tuple[dt.date | None, str], StatusCount] = {}
    for count in counts:
        if count.status not in OPEN_STATUSES:
            continue
        key = (count.batch_date, count.status)
        held = merged.get(key)
        merged[key] = StatusCount(
            *key,
            None,
            None,
            count.count + (held.count if held else 0),
            min(count.oldest_at, held.oldest_at) if held else count.oldest_at,
            max(count.newest_at, held.newest_at) if held else count.newest_at,
        )
    return tuple(sorted(merged.values(), key=lambda count: (count.oldest_at, count.status)))


def open_failures(counts: Iterable[StatusCount]) -> tuple[OpenFailure, ...]:
    """Return latest failures by step and code, most conversations first."""
    merged: dict[tuple[str, str], list[StatusCount]] = {}
    for count in counts:
        if count.failed_step is not None and count.status != "forgotten":
            merged.setdefault((count.failed_step, count.error_code or "UNKNOWN"), []).append(count)
    found = [
        OpenFailure(
            step,
            code,
            sum(count.count for count in group),
            min(count.oldest_at for count in group),
            max(count.newest_at for count in group),
        )
        for (step, code), group in merged.items()
    ]
    return tuple(sorted(found, key=lambda failure: (-failure.count, failure.step)))


def _funnel(
    batch_date: dt.date | None, counts: list[StatusCount], in_registry: int | None
) -> DateFunnel:
    def total(*statuses: str) -> int:
        return sum(count.count for count in counts if count.status in statuses)

    forgotten = total("forgotten")
    received = sum(count.count for count in counts) - forgotten
    waiting = total(*WAITING)
    failed_in_ci = sum(
        count.count
        for count in counts
        if count.status == "failed" and count.failed_step in STEPS_IN_CI
    )
    refused = sum(
        count.count
        for count in counts
        if count.status == "failed" and count.failed_step == "validate"
    )
    open_since = [count.oldest_at for count in counts if count.status in OPEN_STATUSES]
    return DateFunnel(
        batch_date=batch_date,
        received=received,
        complete=received - waiting - refused,
        submitted=total("submitted", "analysed") + failed_in_ci,
        analysed=total("analysed"),
        waiting=waiting,
        failed=total("failed"),
        forgotten=forgotten,
        in_registry=in_registry,
        oldest_open_at=min(open_since, default=None),
        newest_at=max(count.newest_at for count in counts),
    )


def _status_count(row: Mapping[str, Any]) -> StatusCount:
    return StatusCount(
        row["batch_date"],
        row["name"],
        row["failed_step"],
        row["error_code"],
        row["item_count"],
        row["first_at"],
        row["last_at"],
    )


def _run(row: Mapping[str, Any]) -> RunSummary:
    return RunSummary(
        row["name"], row["item_count"], row["failed_count"], row["first_at"], row["last_at"]
    )
