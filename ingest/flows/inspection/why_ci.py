"""Rules of `ingest why` that rest on CI and the registry, of what has landed whole."""

from __future__ import annotations

from ingest.flows.inspection.trace import Trace
from ingest.flows.inspection.why_verdict import Verdict, at, pushed, tail


def not_in_ci(trace: Trace) -> Verdict | None:
    """Return that CI holds nothing of it."""
    if trace.ci is not None:
        return None
    if trace.states:
        text = f"CI held it until {at(trace.states[-1].ci_updated_at)} and holds it no longer."
        return pushed("gone_from_ci", None, (text,), "CI to get it again", trace)
    newest = max(row.landed_at for row in trace.files)
    text = f"Both files landed by {at(newest)}; CI holds no conversation of this id."
    return pushed("registered", newest, (text,), "its submission", trace)


def not_analysed(trace: Trace) -> Verdict | None:
    """Return that CI holds it without an analysis."""
    ci = trace.ci
    if ci is None or ci.latest_analysis_name is not None:
        return None
    if ci.running_operation:
        text = f"CI holds it, and analyses it now ({tail(ci.running_operation)})."
        return pushed("submitted", ci.updated_at, (text,), "CI's analysis", trace)
    text = f"CI holds it since {at(ci.updated_at)} without any analysis; none is running."
    return pushed("submitted", ci.updated_at, (text,), "an analysis", trace)


def not_landed_analysis(trace: Trace) -> Verdict | None:
    """Return that the latest analysis of CI has not landed."""
    ci = trace.ci
    landed = trace.landed_analysis()
    if ci is None or ci.latest_analysis_name is None:
        return None
    if landed and landed.analysis_name == ci.latest_analysis_name:
        return None
    text = f"CI finished analysis {tail(ci.latest_analysis_name)}, which has not landed"
    rest = "." if landed is None else f"; {tail(landed.analysis_name or '')} has."
    command = f"ingest pull --ids {trace.conversation_id}"
    return Verdict("analysed", ci.updated_at, (text + rest,), "landing", command)


def stale(trace: Trace) -> Verdict | None:
    """Return that its analysis used other matchers or annotators than are now in force."""
    landed = trace.landed_analysis()
    if landed is None or trace.ci is None or not trace.ci.is_stale:
        return None
    text = (
        f"It is analysed and landed ({at(landed.landed_at)}), but with older phrase matchers or "
        "other annotators than CI now holds."
    )
    command = f"ingest reanalyze {trace.conversation_id}"
    return Verdict("stale", landed.landed_at, (text,), "an analysis anew", command)


def not_in_registry(trace: Trace) -> Verdict | None:
    """Return that the registry doesn't show its landed analysis."""
    landed = trace.landed_analysis()
    if landed is None:
        return None
    if trace.versions is None:
        text = f"Its analysis landed {at(landed.landed_at)}; the marts were never built."
    elif any(
        version.is_current
        and version.status == "analysed"
        and version.landed_at >= landed.landed_at
        for version in trace.versions
    ):
        return None
    else:
        text = f"Its analysis landed {at(landed.landed_at)}; the registry doesn't show it yet."
    return Verdict("landed", landed.landed_at, (text,), "the marts to be built", "dbt build")


def done(trace: Trace) -> Verdict:
    """Return that everything is where it should be; the rule that meets all that is left."""
    landed = trace.landed_analysis()
    current = next((row for row in trace.versions or () if row.is_current), None)
    if landed is None or current is None:
        text = "No landed analysis belongs to its newest files."
        return pushed("registered", None, (text,), "its analysis to land", trace)
    text = (
        f"Analysis {tail(landed.analysis_name or '')} of its newest files landed "
        f"{at(landed.landed_at)} by run {landed.run_id}, "
        f"and the registry shows version {current.version_number} as current."
    )
    return Verdict("done", landed.landed_at, (text,))
