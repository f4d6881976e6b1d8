"""`ingest report`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import typer

from ingest.cli._console import moment_text, table
from ingest.cli._options import (
    AsJson,
    DateOption,
    HtmlFile,
    WithPii,
    refuse_what_a_page_ignores,
    write_html,
)
from ingest.cli._output import now, opened, parsed_date, print_json
from ingest.cli.runs import group_table
from ingest.cli.status import quotas_of, status_text
from ingest.flows.report import (
    MATCHERS,
    AgentTotals,
    Funnel,
    MatcherQuality,
    RunReport,
    read_run_report,
)


def report(
    date: DateOption = None,
    html: HtmlFile = None,
    with_pii: WithPii = False,
    as_json: AsJson = False,
) -> None:
    """Report funnel, failures, latency, cost, phrase matchers and agents.

    A page is written to .local/site/report.html unless FILE says otherwise.

    Example: ingest report --html
    """

    refuse_what_a_page_ignores(html, with_pii=with_pii, others={"--json": as_json})
    show(date, html, with_pii=with_pii, as_json=as_json)


def show(date: str | None, html: str | None, *, with_pii: bool, as_json: bool) -> None:
    """Print the report, or write its page."""
    batch_date = parsed_date(date)
    settings, warehouse = opened()
    found = read_run_report(warehouse, now(), quotas_of(settings), batch_date)
    if html is not None:
        from ingest.site.pages import run_page

        page = run_page(
            found, settings.project_id, with_pii=with_pii, is_emulated=settings.is_local
        )
        write_html(html, page, "report.html")
    elif as_json:
        print_json(without_names(found))
    else:
        typer.echo("\n\n".join((status_text(found.status, settings), *_tables(found))))


def without_names(report: RunReport) -> RunReport:
    """Return the report with agents by id alone."""
    if report.agents is None:
        return report
    agents = tuple(dataclasses.replace(agent, agent_name=None) for agent in report.agents)
    return dataclasses.replace(report, agents=agents)


def _tables(report: RunReport) -> list[str]:
    scope = "all dates" if report.batch_date is None else report.batch_date.isoformat()
    unknown = "  not known yet: run `dbt build`"
    cost, matchers, agents = report.cost, report.matchers, report.agents
    matcher_scope = "all dates" if MATCHERS in report.over_all_dates else scope
    parts = [
        (f"funnel, {scope}", unknown if report.funnel is None else _funnel(report.funnel)),
        (
            "failed steps by code",
            group_table(report.failures, indent=2) if report.failures else "  no failed step",
        ),
        ("seconds by step", _latencies(report)),
        ("runs", _runs(report)),
        (
            f"cost of Insights analyses, {scope}",
            unknown
            if cost is None
            else f"  {cost.analysis_count:,} analyses, {cost.billing_unit_count:,} units, "
            f"{cost.score_count:,} scores, {cost.topic_count:,} with topics, "
            f"US$ {cost.cost_usd:,.2f} at list price",
        ),
        (
            f"phrase matchers against labels, {matcher_scope}",
            unknown if matchers is None else _matchers(matchers),
        ),
        (f"agents, {scope}", unknown if agents is None else _agents(agents)),
    ]
    return [f"{title}\n{text}" for title, text in parts]


def _funnel(funnel: Funnel) -> str:
    return (
        f"  {funnel.delivered_count:,} delivered, {funnel.complete_count:,} complete, "
        f"{funnel.in_insights_count:,} in Insights, {funnel.analysed_count:,} analysed; "
        f"{funnel.refused_count:,} refused, {funnel.quarantined_count:,} set aside"
    )


def _latencies(report: RunReport) -> str:
    rows = [
        (
            item.step,
            str(item.event_count),
            f"{item.p50_sec:.3f}",
            f"{item.p95_sec:.3f}",
            f"{item.longest_sec:.3f}",
        )
        for item in report.latencies
    ]
    return table(("STEP", "EVENTS", "MEDIAN", "P95", "LONGEST"), rows, " rrrr", indent=2)


def _runs(report: RunReport) -> str:
    rows = [
        (
            run.run_id,
            str(run.conversation_count),
            str(run.failed_count or "-"),
            f"{run.took_sec:.1f}",
            moment_text(run.ended_at),
        )
        for run in report.runs
    ]
    return table(("RUN", "CONVERSATIONS", "FAILED", "SECONDS", "ENDED"), rows, " rrr", indent=2)


def _matchers(matchers: Sequence[MatcherQuality]) -> str:
    rows = [
        (
            item.phrase_matcher,
            _share(item.precision_share),
            _share(item.recall_share),
            str(item.true_positive_count),
            str(item.false_positive_count),
            str(item.false_negative_count),
        )
        for item in matchers
    ]
    header = ("MATCHER", "PRECISION", "RECALL", "RIGHT", "WRONG", "MISSED")
    return table(header, rows, " rrrrr", indent=2)


def _agents(agents: Sequence[AgentTotals]) -> str:
    rows = [
        (
            agent.agent_id,
            agent.agent_team or "-",
            str(agent.conversation_count),
            str(agent.violation_count or "-"),
            str(agent.missing_disclosure_count or "-"),
            str(agent.empathy_count or "-"),
            "-"
            if agent.mean_customer_sentiment_score is None
            else f"{agent.mean_customer_sentiment_score:+.2f}",
        )
        for agent in agents
    ]
    header = ("AGENT", "TEAM", "CALLS", "VIOLATIONS", "UNDISCLOSED", "EMPATHY", "SENTIMENT")
    return table(header, rows, "  rrrrr", indent=2)


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"
