"""What the report of runs shows: funnel, failures, latency, cost, matchers, agents.

Funnel, failures and latency come from the raw facts; cost, matchers and agents are dbt's, and are
None before their mart was built.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ingest.flows.inspection.failures import FailureGroup, read_failure_groups
from ingest.flows.inspection.matcher_quality import MatcherQuality, read_matcher_quality
from ingest.flows.inspection.runs import Run, read_runs
from ingest.flows.inspection.status import PipelineStatus, read_status
from ingest.warehouse import ANY_PARTITION, Warehouse

COSTS = "ci_costs"
AGENTS = "agent_daily"


@dataclass(frozen=True)
class StepLatency:
    """Seconds that a step took where it went well."""

    step: str
    event_count: int
    p50_sec: float
    p95_sec: float
    longest_sec: float


@dataclass(frozen=True)
class Cost:
    """What CI bills for analyses; over all dates, since an analysis has no batch."""

    analysis_count: int
    billing_unit_count: int
    cost_usd: Decimal


@dataclass(frozen=True)
class AgentTotals:
    """One agent over all days."""

    agent_id: str
    agent_name: str | None
    agent_team: str | None
    conversation_count: int
    violation_count: int
    empathy_count: int
    missing_disclosure_count: int
    mean_customer_sentiment_score: float | None


@dataclass(frozen=True)
class RunReport:
    """Everything on the page; agents aren't split by batch date."""

    batch_date: dt.date | None
    status: PipelineStatus
    failures: tuple[FailureGroup, ...]
    latencies: tuple[StepLatency, ...]
    runs: tuple[Run, ...]
    cost: Cost | None
    matchers: tuple[MatcherQuality, ...] | None
    agents: tuple[AgentTotals, ...] | None


def read_run_report(
    warehouse: Warehouse,
    now: dt.datetime,
    quotas: Mapping[str, int],
    batch_date: dt.date | None = None,
) -> RunReport:
    """Return the report of all dates or of one."""
    marts = {table.name for table in warehouse.tables(warehouse.marts_dataset)}
    return RunReport(
        batch_date=batch_date,
        status=read_status(warehouse, now, quotas, batch_date),
        failures=read_failure_groups(warehouse, batch_date),
        latencies=_latencies(warehouse, batch_date),
        runs=read_runs(warehouse, batch_date, 10),
        cost=_cost(warehouse) if COSTS in marts else None,
        matchers=read_matcher_quality(warehouse),
        agents=_agents(warehouse) if AGENTS in marts else None,
    )


def _latencies(warehouse: Warehouse, batch_date: dt.date | None) -> tuple[StepLatency, ...]:
    of_date = "and batch_date = @batch_date" if batch_date else ""
    parameters: dict[str, Any] = {"batch_date": batch_date} if batch_date else {}
    rows = warehouse.query(
        f"""
with
events as (
    select step, timestamp_diff(ended_at, started_at, microsecond) / 1000000 as seconds, started_at
    from {warehouse.raw("pipeline_events")}
    where {ANY_PARTITION} {of_date} and outcome = 'succeeded'
)
select
    step,
    count(*) as event_count,
    approx_quantiles(seconds, 100)[offset(50)] as p50_sec,
    approx_quantiles(seconds, 100)[offset(95)] as p95_sec,
    max(seconds) as longest_sec
from events
group by step
order by min(started_at)
""",
        parameters,
    ).rows
    return tuple(StepLatency(**row) for row in rows)


def _cost(warehouse: Warehouse) -> Cost:
    row = warehouse.query(
        "select coalesce(sum(analysis_count), 0) as analysis_count, "
        "coalesce(sum(billing_unit_count), 0) as billing_unit_count, "
        f"coalesce(sum(cost_usd), 0) as cost_usd from {warehouse.mart(COSTS)}"
    ).rows[0]
    return Cost(**row)


def _agents(warehouse: Warehouse) -> tuple[AgentTotals, ...]:
    rows = warehouse.query(
        f"""
select
    agent_id,
    max(agent_name) as agent_name,
    max(agent_team) as agent_team,
    sum(conversation_count) as conversation_count,
    sum(compliance_violation_count) as violation_count,
    sum(empathy_count) as empathy_count,
    sum(missing_disclosure_count) as missing_disclosure_count,
    avg(mean_customer_sentiment_score) as mean_customer_sentiment_score
from {warehouse.mart(AGENTS)}
group by agent_id
order by violation_count desc, missing_disclosure_count desc, agent_id
"""
    ).rows
    return tuple(AgentTotals(**row) for row in rows)
