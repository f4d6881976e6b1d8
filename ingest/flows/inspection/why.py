"""Where a conversation is, since when, what it waits for and what to run: judged from a trace.

Each rule names the evidence that it rests on; where a hop could not be read, that is said instead
of guessing what it holds.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from ingest.flows.inspection.trace import EventRow, FileRow, Hop, Trace

_KINDS = ("metadata", "transcription")
_FIX_FIRST = frozenset(
    {"INVALID_ARGUMENT", "FAILED_PRECONDITION", "NOT_FOUND", "FORGOTTEN", "OUT_OF_RANGE"}
)
_PERMISSION = frozenset({"PERMISSION_DENIED", "UNAUTHENTICATED"})


@dataclass(frozen=True)
class Explanation:
    """One paragraph, and its parts for machines; `command` is None when nothing is to be run."""

    conversation_id: str
    status: str
    since: dt.datetime | None
    waits_for: str | None
    command: str | None
    paragraph: str


@dataclass(frozen=True)
class _Verdict:
    status: str
    since: dt.datetime | None
    sentences: tuple[str, ...]
    waits_for: str | None = None
    command: str | None = None


def explain(trace: Trace) -> Explanation:
    """Return the explanation of the first rule that the evidence meets."""
    rules: tuple[Callable[[Trace], _Verdict | None], ...] = (
        _unreadable,
        _forgotten,
        _only_local,
        _not_landed,
        _waiting,
        _changed_locally,
        _failed,
        _not_in_ci,
        _not_analysed,
        _not_landed_analysis,
        _stale,
        _not_in_registry,
        _done,
    )
    verdict = next(found for rule in rules if (found := rule(trace)))
    sentences = list(verdict.sentences)
    if verdict.command:
        sentences.append(f"Run: {verdict.command}")
    elif verdict.status == "done":
        sentences.append("Nothing is to be run.")
    for hop in sorted(set(trace.problems) - {Hop.RAW.value}):
        sentences.append(f"Not looked at: {hop} ({trace.problems[hop]}).")
    return Explanation(
        trace.conversation_id,
        verdict.status,
        verdict.since,
        verdict.waits_for,
        verdict.command,
        " ".join(sentences),
    )


def _unreadable(trace: Trace) -> _Verdict | None:
    problem = trace.problems.get(Hop.RAW.value)
    if problem is None:
        return None
    text = f"Where it is can't be said, since the raw tables can't be read: {problem}."
    return _Verdict("unknown", None, (text,), "the raw tables", "ingest local status")


def _forgotten(trace: Trace) -> _Verdict | None:
    events = [event for event in trace.events if (event.step, event.outcome) == _ERASED]
    if not events:
        return None
    last = max(events, key=lambda event: event.ended_at)
    left = [hop for hop, held in (("the bucket", trace.objects), ("CI", trace.ci)) if held]
    text = f"It was erased on request {_at(last.ended_at)} by run {last.run_id}."
    if left:
        rest = f"Yet {' and '.join(left)} still hold something of it."
        command = f"ingest forget {trace.conversation_id}"
        return _Verdict("forgotten", last.ended_at, (text, rest), "its last traces to go", command)
    return _Verdict("forgotten", last.ended_at, (text, "Nothing of it is left to push."))


_ERASED = ("forget", "succeeded")


def _only_local(trace: Trace) -> _Verdict | None:
    if trace.is_known_remotely:
        return None
    text = f"Its files lie in {_folder(trace)} and nothing of it was ever pushed."
    return _Verdict("local", None, (text,), "a push", f"ingest push {_date_folder(trace)}")


def _not_landed(trace: Trace) -> _Verdict | None:
    if trace.files:
        return None
    failed = _failed(trace)
    if failed:
        return failed
    live = [held for held in trace.objects if held.is_live]
    if live:
        since = min(held.written_at for held in live)
        text = f"{len(live)} objects of it lie in the bucket since {_at(since)}, and no raw row."
        return _Verdict("uploaded", since, (text,), "landing", _push(trace))
    text = "CI or the events know it, but no file of it has landed in the raw tables."
    return _Verdict("unregistered", None, (text,), "its files", _push(trace))


def _waiting(trace: Trace) -> _Verdict | None:
    missing = [kind for kind in _KINDS if trace.newest_file(kind) is None]
    if not missing:
        return None
    held = next(row for kind in _KINDS if (row := trace.newest_file(kind)))
    text = (
        f"Its {held.kind} file landed {_at(held.landed_at)} ({held.uri}, generation "
        f"{held.generation}); its {missing[0]} file never did, so it is not submitted."
    )
    has_local = any(file.kind == missing[0] for file in trace.source)
    place = "The file is here" if has_local else f"Put {missing[0]}.json beside it and push"
    status = "waiting_for_transcript" if missing[0] == "transcription" else "waiting_for_metadata"
    return _Verdict(status, held.landed_at, (text, f"{place}."), f"{missing[0]}.json", _push(trace))


def _changed_locally(trace: Trace) -> _Verdict | None:
    for file in trace.source:
        landed = trace.newest_file(file.kind)
        if landed and file.content_sha256 and file.content_sha256 != landed.content_sha256:
            text = (
                f"{file.path} has other content ({file.content_sha256[:12]}) than the newest that "
                f"landed ({landed.content_sha256[:12]}, {_at(landed.landed_at)})."
            )
            return _Verdict("changed", landed.landed_at, (text,), "a push", _push(trace))
    return None


def _failed(trace: Trace) -> _Verdict | None:
    last = _last_event(trace)
    if last is None or last.outcome != "failed" or _settled_after(trace, last):
        return None
    code = last.error_code or "UNKNOWN"
    text = (
        f"Its step {last.step} failed {_at(last.ended_at)} with {code} after "
        f"{last.attempt} attempt{'' if last.attempt == 1 else 's'}"
        f"{f': {last.error_message}' if last.error_message else ''}."
    )
    if code in _PERMISSION:
        advice = "Mend the permission first: terraform/README.md has the role table."
    elif code in _FIX_FIRST:
        advice = "The same call will fail again until its cause is mended."
    else:
        advice = "The cause may pass: the same command tries again where it stopped."
    waits_for = f"{last.step} to succeed"
    return _Verdict("failed", last.ended_at, (text, advice), waits_for, _push(trace))


def _not_in_ci(trace: Trace) -> _Verdict | None:
    if trace.ci is not None or Hop.CI.value in trace.problems:
        return None
    newest = _newest_landed(trace)
    if trace.states:
        text = f"CI held it until {_at(trace.states[-1].ci_updated_at)} and holds it no longer."
        return _Verdict("gone_from_ci", None, (text,), "CI to get it again", _push(trace))
    text = f"Both files landed by {_at(newest.landed_at)}; CI holds no conversation of this id."
    return _Verdict("registered", newest.landed_at, (text,), "its submission", _push(trace))


def _not_analysed(trace: Trace) -> _Verdict | None:
    ci = trace.ci
    if ci is None or ci.latest_analysis_name is not None:
        return None
    if ci.running_operation:
        text = f"CI holds it, and analyses it now ({_tail(ci.running_operation)})."
        return _Verdict("submitted", ci.updated_at, (text,), "CI's analysis", _push(trace))
    text = f"CI holds it since {_at(ci.updated_at)} without any analysis; none is running."
    return _Verdict("submitted", ci.updated_at, (text,), "an analysis", _push(trace))


def _not_landed_analysis(trace: Trace) -> _Verdict | None:
    ci = trace.ci
    landed = trace.landed_analysis()
    if ci is None or ci.latest_analysis_name is None:
        return None
    if landed and landed.analysis_name == ci.latest_analysis_name:
        return None
    text = f"CI finished analysis {_tail(ci.latest_analysis_name)}, which has not landed"
    rest = "." if landed is None else f"; {_tail(landed.analysis_name or '')} has."
    command = f"ingest pull --ids {trace.conversation_id}"
    return _Verdict("analysed", ci.updated_at, (text + rest,), "landing", command)


def _stale(trace: Trace) -> _Verdict | None:
    landed = trace.landed_analysis()
    if landed is None or trace.ci is None or not trace.ci.is_stale:
        return None
    text = (
        f"It is analysed and landed ({_at(landed.landed_at)}), but with older phrase matchers or "
        "other annotators than CI now holds."
    )
    command = f"ingest reanalyze {trace.conversation_id}"
    return _Verdict("stale", landed.landed_at, (text,), "an analysis anew", command)


def _not_in_registry(trace: Trace) -> _Verdict | None:
    landed = trace.landed_analysis()
    if landed is None or Hop.REGISTRY.value in trace.problems:
        return None
    if trace.versions is None:
        text = f"Its analysis landed {_at(landed.landed_at)}; the marts were never built."
    elif any(
        version.is_current
        and version.status == "analysed"
        and version.landed_at >= landed.landed_at
        for version in trace.versions
    ):
        return None
    else:
        text = f"Its analysis landed {_at(landed.landed_at)}; the registry doesn't show it yet."
    return _Verdict("landed", landed.landed_at, (text,), "the marts to be built", "dbt build")


def _done(trace: Trace) -> _Verdict:
    landed = trace.landed_analysis()
    if landed is None:
        text = "No landed analysis belongs to its newest files."
        return _Verdict("registered", None, (text,), "its analysis to land", _push(trace))
    number = len(trace.versions or ())
    text = (
        f"Analysis {_tail(landed.analysis_name or '')} of its newest files landed "
        f"{_at(landed.landed_at)} by run {landed.run_id}"
        f"{f', and the registry shows version {number} as current' if number else ''}."
    )
    return _Verdict("done", landed.landed_at, (text,))


def _last_event(trace: Trace) -> EventRow | None:
    events = [event for event in trace.events if event.step not in ("validate", "forget")]
    return max(events, key=lambda event: event.ended_at, default=None)


def _settled_after(trace: Trace, event: EventRow) -> bool:
    landed = trace.landed_analysis()
    return landed is not None and landed.landed_at > event.ended_at


def _newest_landed(trace: Trace) -> FileRow:
    return max(trace.files, key=lambda row: row.landed_at)


def _folder(trace: Trace) -> str:
    if trace.source:
        return trace.source[0].path.rsplit("/", 1)[0]
    if trace.files:
        return trace.files[-1].uri.rsplit("/", 1)[0]
    date = trace.batch_dates[-1].isoformat() if trace.batch_dates else "2025-12-28"
    return f"seeds/conversations/{date}/{trace.conversation_id}"


def _date_folder(trace: Trace) -> str:
    return _folder(trace).rsplit("/", 1)[0]


def _push(trace: Trace) -> str:
    return f"ingest push {_date_folder(trace)}"


def _tail(name: str) -> str:
    return name.rsplit("/", 1)[-1]


def _at(moment: dt.datetime) -> str:
    return f"on {moment.astimezone(dt.UTC):%Y-%m-%d at %H:%M:%SZ}"
