"""Runs of the sidecar and failed steps, by the events they left."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ingest.domain.raw_records import ANY_PARTITION
from ingest.flows.lease import RunRecord
from ingest.ports.inspect import Warehouse


@dataclass(frozen=True)
class StepCounts:
    """Events of one step in one run, by outcome."""

    step: str
    succeeded: int
    adopted: int
    waiting: int
    failed: int
    retried: int


@dataclass(frozen=True)
class Run:
    """One run; `steps` are in the order in which they began."""

    run_id: str
    started_at: dt.datetime
    ended_at: dt.datetime
    conversation_count: int
    failed_count: int
    batch_dates: tuple[dt.date, ...]
    steps: tuple[StepCounts, ...] = field(default=())
    state: str = "unknown"
    """Ended, running, interrupted or died by its lease; unknown where leases were not read."""

    @property
    def took_sec(self) -> float:
        """Seconds from the first step's start to the last step's end, by one machine's clock."""
        return max(0.0, (self.ended_at - self.started_at).total_seconds())


def read_runs(
    warehouse: Warehouse, batch_date: dt.date | None = None, limit: int = 20
) -> tuple[Run, ...]:
    """Return the newest runs, newest first; of one date only those that touched it."""
    parameters: dict[str, Any] = {"limit": limit}
    if batch_date is not None:
        parameters["batch_date"] = batch_date
    rows = warehouse.query(_sql(warehouse, is_one_date=batch_date is not None), parameters).rows
    by_run: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_run.setdefault(row["run_id"], []).append(row)
    runs = [_run(run_id, steps) for run_id, steps in by_run.items()]
    return tuple(sorted(runs, key=lambda run: run.ended_at, reverse=True))


def with_states(
    runs: Sequence[Run],
    records: Sequence[RunRecord] | None,
    limit: int,
    *,
    are_of_one_date: bool = False,
) -> tuple[Run, ...]:
    """Return the runs, newest first, with what their leases say.

    One without events is added, but among those of one date. Without leases no state is known.
    """
    if records is None:
        return tuple(runs)
    by_id = {run.run_id: replace(run, state="ended") for run in runs}
    for record in records:
        ended_at = record.seen_at or record.since
        run = by_id.get(record.run_id)
        if run is None and not are_of_one_date:
            run = Run(record.run_id, record.since, ended_at, 0, 0, ())
        if run is not None:
            by_id[record.run_id] = replace(run, state=record.state.value)
    return tuple(sorted(by_id.values(), key=lambda run: run.ended_at, reverse=True))[:limit]


def _run(run_id: str, rows: Sequence[Mapping[str, Any]]) -> Run:
    first = rows[0]
    ordered = sorted(rows, key=lambda row: row["first_at"])
    dates = {date for row in rows for date in (row["first_date"], row["last_date"]) if date}
    return Run(
        run_id=run_id,
        started_at=first["run_started_at"],
        ended_at=first["run_ended_at"],
        conversation_count=first["conversation_count"],
        failed_count=first["failed_conversation_count"],
        batch_dates=tuple(sorted(dates)),
        steps=tuple(
            StepCounts(
                row["step"],
                row["succeeded"],
                row["adopted"],
                row["waiting"],
                row["failed"],
                row["retried"],
            )
            for row in ordered
        ),
    )


def _sql(warehouse: Warehouse, *, is_one_date: bool) -> str:
    of_date = "and batch_date = @batch_date" if is_one_date else ""
    return f"""
with
runs as (
    select
        _run_id,
        min(started_at) as run_started_at,
        max(ended_at) as run_ended_at,
        count(distinct conversation_id) as conversation_count,
        count(distinct if(outcome = 'failed', conversation_id, null)) as failed_conversation_count
    from {warehouse.raw("pipeline_events")}
    where {ANY_PARTITION} {of_date}
    group by _run_id
    order by run_ended_at desc
    limit @limit
)
select
    runs._run_id as run_id, run_started_at, run_ended_at, conversation_count,
    failed_conversation_count, step,
    countif(outcome = 'succeeded') as succeeded,
    countif(outcome = 'adopted') as adopted,
    countif(outcome = 'waiting') as waiting,
    countif(outcome = 'failed') as failed,
    countif(attempt > 1) as retried,
    min(batch_date) as first_date, max(batch_date) as last_date, min(started_at) as first_at
from {warehouse.raw("pipeline_events")} as events
inner join runs on events._run_id = runs._run_id
where {ANY_PARTITION} {of_date}
group by 1, 2, 3, 4, 5, 6
"""


@dataclass(frozen=True)
class FailedStep:
    """One failed step; it is open while no later step of the conversation went well."""

    conversation_id: str
    batch_date: dt.date | None
    step: str
    error_code: str
    error_message: str | None
    attempts: int
    failed_at: dt.datetime
    run_id: str
    is_open: bool


@dataclass(frozen=True)
class FailureGroup:
    """All failures of one step with one code."""

    step: str
    error_code: str
    failure_count: int
    conversation_count: int
    open_count: int
    first_at: dt.datetime
    last_at: dt.datetime
    example_id: str


def read_failures(
    warehouse: Warehouse,
    batch_date: dt.date | None = None,
    *,
    only_open: bool = False,
    limit: int = 50,
) -> tuple[FailedStep, ...]:
    """Return failed steps, newest first."""
    sql = f"""
{_failures(warehouse, is_one_date=batch_date is not None)}
select * from failures {"where is_open" if only_open else ""}
order by failed_at desc, conversation_id
limit @limit
"""
    rows = warehouse.query(sql, _parameters(batch_date, limit)).rows
    return tuple(FailedStep(**row) for row in rows)


def read_failure_groups(
    warehouse: Warehouse,
    batch_date: dt.date | None = None,
    *,
    only_open: bool = False,
    limit: int = 50,
) -> tuple[FailureGroup, ...]:
    """Return failures by step and code, those with most open conversations first."""
    sql = f"""
{_failures(warehouse, is_one_date=batch_date is not None)}
select
    step, error_code,
    count(*) as failure_count,
    count(distinct conversation_id) as conversation_count,
    count(distinct if(is_open, conversation_id, null)) as open_count,
    min(failed_at) as first_at,
    max(failed_at) as last_at,
    max_by(conversation_id, failed_at) as example_id
from failures {"where is_open" if only_open else ""}
group by step, error_code
order by open_count desc, failure_count desc, step, error_code
limit @limit
"""
    rows = warehouse.query(sql, _parameters(batch_date, limit)).rows
    return tuple(FailureGroup(**row) for row in rows)


def _parameters(batch_date: dt.date | None, limit: int) -> dict[str, Any]:
    if batch_date is None:
        return {"limit": limit}
    return {"limit": limit, "batch_date": batch_date}


def _failures(warehouse: Warehouse, *, is_one_date: bool) -> str:
    of_date = "and batch_date = @batch_date" if is_one_date else ""
    return f"""
with
events as (
    select
        *,
        max(if(outcome = 'failed', null, ended_at)) over (
            partition by conversation_id
        ) as went_well_at
    from {warehouse.raw("pipeline_events")}
    where {ANY_PARTITION} {of_date}
),
failures as (
    select
        conversation_id, batch_date, step,
        coalesce(error_code, 'UNKNOWN') as error_code,
        error_message,
        attempt as attempts,
        ended_at as failed_at,
        _run_id as run_id,
        went_well_at is null or went_well_at < ended_at as is_open
    from events
    where outcome = 'failed'
)"""
