"""Runs of the sidecar, by the events they left."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ingest.warehouse import ANY_PARTITION, Warehouse


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

    @property
    def took_sec(self) -> float:
        """Seconds from the first step's start to the last step's end."""
        return (self.ended_at - self.started_at).total_seconds()


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
