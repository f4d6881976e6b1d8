"""The one query of `ingest status`. CI counts an operation against its quota by the minute."""

from __future__ import annotations

from ingest.flows.inspection.standing import judged_sql
from ingest.warehouse import Warehouse

QUOTA_WINDOW_SEC = 60
REGISTRY = "conversation_registry"
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
