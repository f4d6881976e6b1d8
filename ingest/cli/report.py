"""`ingest report`."""

from __future__ import annotations

from ingest.cli._page_option import HtmlFile, WithPii, refuse_what_a_page_ignores
from ingest.cli._reading_options import AsJson, DateOption


def report(
    date: DateOption = None,
    html: HtmlFile = None,
    with_pii: WithPii = False,
    as_json: AsJson = False,
) -> None:
    """Report funnel, failures, latency, cost, phrase matchers and agents.

    A page is written to report.html unless FILE says otherwise.

    Example: ingest report --html
    """
    from ingest.cli import _report_view

    refuse_what_a_page_ignores(html, with_pii=with_pii, others={"--json": as_json})
    _report_view.show(date, html, with_pii=with_pii, as_json=as_json)
