"""Shows `ingest report`."""

from __future__ import annotations

import dataclasses

import typer

from ingest.cli._reading import now, opened, parsed_date, print_json
from ingest.cli._status_view import quotas_of, status_text
from ingest.cli._terminal import aligned
from ingest.flows.inspection.run_report import RunReport, read_run_report


def show(date: str | None, html: str | None, *, with_pii: bool, as_json: bool) -> None:
    """Print the report, or write its page."""
    batch_date = parsed_date(date)
    settings, warehouse = opened()
    found = read_run_report(warehouse, now(), quotas_of(settings), batch_date)
    if html is not None:
        from ingest.cli._show_view import write_html
        from ingest.report.run_page import run_page

        write_html(html, run_page(found, settings.project_id, with_pii=with_pii))
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
    tables = [
        aligned(
            ("STEP", "EVENTS", "MEDIAN", "P95", "LONGEST"),
            [
                (
                    item.step,
                    str(item.event_count),
                    f"{item.p50_sec:.3f} s",
                    f"{item.p95_sec:.3f} s",
                    f"{item.longest_sec:.3f} s",
                )
                for item in report.latencies
            ],
            " rrrr",
        )
    ]
    if report.cost is None or report.matchers is None:
        return [*tables, "cost, matchers and agents are not known yet: run `dbt build`"]
    cost = report.cost
    tables.append(
        f"{cost.analysis_count:,} analyses, {cost.billing_unit_count:,} units, "
        f"US$ {cost.cost_usd:,.2f}"
    )
    tables.append(
        aligned(
            ("MATCHER", "PRECISION", "RECALL", "RIGHT", "WRONG", "MISSED"),
            [
                (
                    item.phrase_matcher,
                    _share(item.precision_share),
                    _share(item.recall_share),
                    str(item.true_positive_count),
                    str(item.false_positive_count),
                    str(item.false_negative_count),
                )
                for item in report.matchers
            ],
            " rrrrr",
        )
    )
    return tables


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"
