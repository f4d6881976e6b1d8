"""Failed steps, one by one or by step and code, and whether the conversation got over them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from ingest.warehouse import ANY_PARTITION, Warehouse


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
