"""Rules of `ingest why` that rest on files, the raw tables and the bucket."""

from __future__ import annotations

from ingest.flows.inspection.trace import EventRow, Hop, Trace
from ingest.flows.inspection.why_verdict import (
    Verdict,
    at,
    command_line,
    date_folder_of,
    date_of,
    folder_of,
    push_command,
    pushed,
    unread,
)

_KINDS = ("metadata", "transcription")
_FIX_FIRST = frozenset(
    {"INVALID_ARGUMENT", "FAILED_PRECONDITION", "NOT_FOUND", "FORGOTTEN", "OUT_OF_RANGE"}
)
_PERMISSION = frozenset({"PERMISSION_DENIED", "UNAUTHENTICATED"})
_ERASED = ("forget", "succeeded")


def forgotten(trace: Trace) -> Verdict | None:
    """Return that it was erased, and where something of it is left."""
    events = [event for event in trace.events if (event.step, event.outcome) == _ERASED]
    if not events:
        return None
    last = max(events, key=lambda event: event.ended_at)
    text = f"It was erased on request {at(last.ended_at)} by run {last.run_id}."
    left = [hop for hop, held in (("the bucket", trace.objects), ("CI", trace.ci)) if held]
    if left:
        rest = f"Yet {' and '.join(left)} still hold something of it."
        command = f"ingest forget {trace.conversation_id}"
        return Verdict("forgotten", last.ended_at, (text, rest), "its last traces to go", command)
    if unknown := unread(Hop.GCS, Hop.CI, Hop.REGISTRY, Hop.MARTS)(trace):
        return unknown
    built = sorted(mart.table for mart in trace.marts if mart.row_count)
    if trace.versions or built:
        rest = f"Rows of it are still in {', '.join(built) or 'the registry'}."
        return Verdict(
            "forgotten", last.ended_at, (text, rest), "the marts to drop it", "dbt build"
        )
    return Verdict("forgotten", last.ended_at, (text, "Nothing of it is left to push."))


def invalid(trace: Trace) -> Verdict | None:
    """Return that its files here have faults which a push refuses."""
    landed = {row.content_sha256 for row in trace.files}
    if not trace.faults or all(file.content_sha256 in landed for file in trace.source):
        return None
    first = trace.faults[0]
    newest = max((row.landed_at for row in trace.files), default=None)
    more = len(trace.faults) - 1
    text = (
        f"A push refuses its files in {folder_of(first.path)}: {first.text}"
        f"{f', and {more} more' if more else ''}."
    )
    command = command_line("ingest data validate", date_folder_of(first.path))
    return Verdict("invalid", newest, (text,), "its files to be mended", command)


def only_local(trace: Trace) -> Verdict | None:
    """Return that nothing of it is known but its files on this machine."""
    if trace.is_known_remotely:
        return None
    if unknown := unread(Hop.GCS, Hop.CI)(trace):
        return unknown
    folder = folder_of(trace.source[0].path)
    text = f"Its files lie in {folder}, and bucket, CI and raw tables hold nothing of it."
    return Verdict("local", None, (text,), "a push", push_command(trace))


def not_landed(trace: Trace) -> Verdict | None:
    """Return how far it came without any file in the raw tables."""
    if trace.files:
        return None
    if found := failed(trace):
        return found
    live = [held for held in trace.objects if held.is_live]
    if live:
        since = min(held.written_at for held in live)
        text = f"{len(live)} objects of it lie in the bucket since {at(since)}, and no raw row."
        return pushed("uploaded", since, (text,), "landing", trace)
    if unknown := unread(Hop.GCS, Hop.CI)(trace):
        return unknown
    text = "CI or the events know it, but no file of it has landed in the raw tables."
    return pushed("unregistered", None, (text,), "its files", trace)


def waiting(trace: Trace) -> Verdict | None:
    """Return which of its two files is missing."""
    missing = [kind for kind in _KINDS if trace.newest_file(kind) is None]
    if not missing:
        return None
    held = next(row for kind in _KINDS if (row := trace.newest_file(kind)))
    text = (
        f"Its {held.kind} file landed {at(held.landed_at)} ({held.uri}, generation "
        f"{held.generation}); its {missing[0]} file never did, so it is not submitted."
    )
    has_local = any(file.kind == missing[0] for file in trace.source)
    place = "The file is here" if has_local else f"Put {missing[0]}.json beside it and push"
    status = "waiting_for_transcript" if missing[0] == "transcription" else "waiting_for_metadata"
    return pushed(status, held.landed_at, (text, f"{place}."), f"{missing[0]}.json", trace)


def changed_locally(trace: Trace) -> Verdict | None:
    """Return that a file here differs from the newest that landed of its date folder."""
    for file in trace.source:
        date = date_of(file.path)
        of_date = [row for row in trace.files if (row.kind, row.batch_date) == (file.kind, date)]
        landed = max(of_date, key=lambda row: row.generation, default=trace.newest_file(file.kind))
        if landed and file.content_sha256 and file.content_sha256 != landed.content_sha256:
            text = (
                f"{file.path} has other content ({file.content_sha256[:12]}) than the newest that "
                f"landed of it ({landed.content_sha256[:12]}, {at(landed.landed_at)})."
            )
            command = command_line("ingest push", date_folder_of(file.path))
            return Verdict("changed", landed.landed_at, (text,), "a push", command)
    return None


def failed(trace: Trace) -> Verdict | None:
    """Return that its latest step failed, unless an analysis landed since."""
    last = _last_event(trace)
    if last is None or last.outcome != "failed" or _settled_after(trace, last):
        return None
    code = last.error_code or "UNKNOWN"
    text = (
        f"Its step {last.step} failed {at(last.ended_at)} with {code} after "
        f"{last.attempt} attempt{'' if last.attempt == 1 else 's'}"
        f"{f': {last.error_message.rstrip(".")}' if last.error_message else ''}."
    )
    if code in _PERMISSION:
        advice = "Mend the permission first: terraform/README.md has the role table."
    elif code in _FIX_FIRST:
        advice = "The same call will fail again until its cause is mended."
    else:
        advice = "The cause may pass: the same command tries again where it stopped."
    return pushed("failed", last.ended_at, (text, advice), f"{last.step} to succeed", trace)


def _last_event(trace: Trace) -> EventRow | None:
    events = [event for event in trace.events if event.step not in ("validate", "forget")]
    return max(events, key=lambda event: event.ended_at, default=None)


def _settled_after(trace: Trace, event: EventRow) -> bool:
    landed = trace.landed_analysis()
    return landed is not None and landed.landed_at > event.ended_at
