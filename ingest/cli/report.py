"""`ingest report`."""

from __future__ import annotations

from ingest.cli._reading_options import AsJson, DateOption, HtmlFile, WithPii


def report(
    date: DateOption = None,
    html: HtmlFile = None,
    with_pii: WithPii = False,
    as_json: AsJson = False,
) -> None:
    """Report funnel, failures, latency, cost, phrase matchers and agents.

    Example: ingest report --html report.html
    """
    from ingest.cli import _report_view

    _report_view.show(date, html, with_pii=with_pii, as_json=as_json)
