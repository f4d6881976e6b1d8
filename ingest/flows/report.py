"""What the report of runs shows: funnel, failures, latency, cost, matchers, agents.

Status, failures and latency come from the raw facts; funnel, cost, matchers and agents are dbt's,
and are None before their mart was built.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ingest.domain.raw_records import ANY_PARTITION
from ingest.flows.runs import FailureGroup, Run, read_failure_groups, read_runs
from ingest.flows.status import QUARANTINE, PipelineStatus, quarantine_sql, read_status
from ingest.ports.inspect import Warehouse

EVALUATION = "phrase_matcher_evaluation"


@dataclass(frozen=True)
class MatcherQuality:
    """How a matcher did on labelled data; shares are None where there was nothing to judge."""

    phrase_matcher: str
    judged_conversation_count: int
    true_positive_count: int
    false_positive_count: int
    false_negative_count: int
    precision_share: float | None
    recall_share: float | None


def read_matcher_quality(warehouse: Warehouse) -> tuple[MatcherQuality, ...] | None:
    """Return the evaluation by matcher, or None before the mart was built."""
    if all(table.name != EVALUATION for table in warehouse.tables(warehouse.marts_dataset)):
        return None
    rows = warehouse.query(
        "select phrase_matcher, judged_conversation_count, true_positive_count, "
        "false_positive_count, false_negative_count, precision_share, recall_share "
        f"from {warehouse.mart(EVALUATION)} order by phrase_matcher"
    ).rows
    return tuple(MatcherQuality(**row) for row in rows)


COSTS = ("ci_costs", "ci_analyses")
AGENTS = (
    "ci_conversations", "ci_phrase_matches", "customer_sentiment_arcs", "missing_disclosures",
)  # fmt: skip
FUNNEL = ("pipeline_daily", QUARANTINE)
MATCHERS = "matchers"


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
    """What Insights bills for analyses, scores and topics, at the prices that dbt holds."""

    analysis_count: int
    billing_unit_count: int
    score_count: int
    topic_count: int
    cost_usd: Decimal


@dataclass(frozen=True)
class Funnel:
    """How many delivered conversations came how far, each also past the stage before; by dbt.

    Folders that validation refused were never delivered; those that dbt has set aside count in
    the funnel and in no mart of quality.
    """

    delivered_count: int
    complete_count: int
    in_insights_count: int
    analysed_count: int
    refused_count: int
    quarantined_count: int


@dataclass(frozen=True)
class AgentTotals:
    """One agent; the sentiment is the mean of the customers' turns."""

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
    """Everything on the page, of one date or of all.

    `over_all_dates` names the parts that cover all dates although one was asked for: labels judge
    a matcher, and not a date.
    """

    batch_date: dt.date | None
    over_all_dates: tuple[str, ...]
    status: PipelineStatus
    funnel: Funnel | None
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
        over_all_dates=() if batch_date is None else (MATCHERS,),
        status=read_status(warehouse, now, quotas, batch_date),
        funnel=_funnel(warehouse, batch_date) if marts.issuperset(FUNNEL) else None,
        failures=read_failure_groups(warehouse, batch_date),
        latencies=_latencies(warehouse, batch_date),
        runs=read_runs(warehouse, batch_date, 10),
        cost=_cost(warehouse, batch_date) if marts.issuperset(COSTS) else None,
        matchers=read_matcher_quality(warehouse),
        agents=_agents(warehouse, batch_date) if marts.issuperset(AGENTS) else None,
    )


def _funnel(warehouse: Warehouse, batch_date: dt.date | None) -> Funnel:
    where, parameters = _of_date(batch_date)
    row = warehouse.query(
        f"""
select
    coalesce(sum(funnel_delivered_count), 0) as delivered_count,
    coalesce(sum(funnel_complete_count), 0) as complete_count,
    coalesce(sum(funnel_in_insights_count), 0) as in_insights_count,
    coalesce(sum(funnel_analysed_count), 0) as analysed_count,
    coalesce(sum(refused_count), 0) as refused_count
from {warehouse.mart("pipeline_daily")}
{where}
""",
        parameters,
    ).rows[0]
    aside = warehouse.query(quarantine_sql(warehouse.mart(QUARANTINE), where), parameters).rows[0]
    return Funnel(**row, quarantined_count=aside["conversation_count"])


def _latencies(warehouse: Warehouse, batch_date: dt.date | None) -> tuple[StepLatency, ...]:
    of_date = "and batch_date = @batch_date" if batch_date else ""
    parameters: dict[str, Any] = {"batch_date": batch_date} if batch_date else {}
    rows = warehouse.query(
        f"""
with
events as (
    select
        step, greatest(0, timestamp_diff(ended_at, started_at, microsecond)) / 1000000 as seconds,
        started_at
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


def _cost(warehouse: Warehouse, batch_date: dt.date | None) -> Cost:
    where, parameters = _of_date(batch_date)
    row = warehouse.query(
        f"""
select
    count(*) as analysis_count,
    coalesce(sum(billing_unit_count), 0) as billing_unit_count,
    coalesce(sum(score_count), 0) as score_count,
    countif(has_topics) as topic_count,
    cast(
        coalesce(sum(billing_unit_count) * max(usd_per_unit), 0)
        + coalesce(sum(score_count) * max(usd_per_score), 0)
        + coalesce(countif(has_topics) * max(usd_per_topic), 0)
        as numeric
    ) as cost_usd
from {warehouse.mart("ci_analyses")}
cross join (
    select
        safe_divide(sum(analysis_cost_usd), sum(billing_unit_count)) as usd_per_unit,
        safe_divide(sum(score_cost_usd), sum(score_count)) as usd_per_score,
        safe_divide(sum(topic_cost_usd), sum(topic_count)) as usd_per_topic
    from {warehouse.mart("ci_costs")}
) as prices
{where}
""",
        parameters,
    ).rows[0]
    return Cost(**row)


def _agents(warehouse: Warehouse, batch_date: dt.date | None) -> tuple[AgentTotals, ...]:
    where, parameters = _of_date(batch_date)
    rows = warehouse.query(
        f"""
with
facts as (
    select
        conversation_id, agent_id, agent_name, agent_team, 1 as conversation_count,
        0 as violation_count, 0 as empathy_count, 0 as missing_count,
        cast(null as float64) as score_sum, 0 as turn_count
    from {warehouse.mart("ci_conversations")} {where}
    union all
    select
        conversation_id, null, null, null, 0,
        count(distinct if(phrase_matcher = 'compliance_violations', turn_id, null)),
        count(distinct if(phrase_matcher = 'empathy_indicators', turn_id, null)),
        0, null, 0
    from {warehouse.mart("ci_phrase_matches")}
    group by conversation_id
    union all
    select conversation_id, null, null, null, 0, 0, 0, count(*), null, 0
    from {warehouse.mart("missing_disclosures")}
    group by conversation_id
    union all
    select
        conversation_id, null, null, null, 0, 0, 0, 0,
        mean_sentiment_score * customer_turn_count, customer_turn_count
    from {warehouse.mart("customer_sentiment_arcs")}
),
conversations as (
    select
        max(agent_id) as agent_id, max(agent_name) as agent_name, max(agent_team) as agent_team,
        sum(conversation_count) as conversation_count, sum(violation_count) as violation_count,
        sum(empathy_count) as empathy_count, sum(missing_count) as missing_count,
        sum(score_sum) as score_sum, sum(turn_count) as turn_count
    from facts
    group by conversation_id
)
select
    agent_id,
    max(agent_name) as agent_name,
    max(agent_team) as agent_team,
    sum(conversation_count) as conversation_count,
    sum(violation_count) as violation_count,
    sum(empathy_count) as empathy_count,
    sum(missing_count) as missing_disclosure_count,
    safe_divide(sum(score_sum), sum(turn_count)) as mean_customer_sentiment_score
from conversations
where agent_id is not null
group by agent_id
order by violation_count desc, missing_disclosure_count desc, agent_id
""",
        parameters,
    ).rows
    return tuple(AgentTotals(**row) for row in rows)


def _of_date(batch_date: dt.date | None) -> tuple[str, dict[str, Any]]:
    if batch_date is None:
        return "", {}
    return "where batch_date = @batch_date", {"batch_date": batch_date}
