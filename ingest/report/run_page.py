"""The page of runs: funnel, failures, latency, cost, matchers, agents."""

from __future__ import annotations

from ingest.flows.inspection.run_report import RunReport
from ingest.report.charts import bar_chart
from ingest.report.pages import own_svg, rendered


def run_page(report: RunReport, project: str, *, with_pii: bool = False) -> str:
    """Return the page as HTML; agents go by id alone unless personal details are asked for."""
    stages = (
        ("received", sum(date.received for date in report.status.dates)),
        ("complete", sum(date.complete for date in report.status.dates)),
        ("in CI", sum(date.submitted for date in report.status.dates)),
        ("analysed", sum(date.analysed for date in report.status.dates)),
        *(
            [("in the registry", sum(date.in_registry or 0 for date in report.status.dates))]
            if any(date.in_registry is not None for date in report.status.dates)
            else []
        ),
    )
    latencies = [(latency.step, round(latency.p95_sec, 3)) for latency in report.latencies]
    funnel_label = ", ".join(f"{name} {number}" for name, number in stages)
    latency_label = "p95: " + ", ".join(f"{step} {seconds} s" for step, seconds in latencies)
    return rendered(
        "run.html.j2",
        report=report,
        project=project,
        with_pii=with_pii,
        funnel=own_svg(bar_chart(stages, "conversations", f"Funnel: {funnel_label}")),
        latency=(
            own_svg(bar_chart(latencies, "seconds, 95th percentile", latency_label))
            if latencies
            else None
        ),
    )
