"""Where a conversation is, since when, what it waits for and what to run: judged from a trace.

Each rule names the evidence that it rests on, and comes behind a rule that says `unknown` where
that evidence could not be read: nothing is guessed.
"""

from __future__ import annotations

import datetime as dt
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from ingest.domain.conversation import parse_batch_date
from ingest.domain.declarations import MEDIA_SEED
from ingest.flows.show import EventRow, Hop, Trace, is_erasure

UNKNOWN = "unknown"
KEPT_HERE = "not_for_insights"
_NAMES = {
    Hop.GCS: "the bucket",
    Hop.INSIGHTS: "Insights",
    Hop.RAW: "the raw tables",
    Hop.REGISTRY: "the registry",
    Hop.MARTS: "the marts",
}


@dataclass(frozen=True)
class Verdict:
    """What a rule found; `command` is None when nothing, or nothing that is known, is to be run."""

    status: str
    since: dt.datetime | None
    sentences: tuple[str, ...]
    waits_for: str | None = None
    command: str | None = None


Rule = Callable[[Trace], Verdict | None]


def unread(*hops: Hop) -> Rule:
    """Return a rule that says `unknown` where one of these hops could not be read."""

    def rule(trace: Trace) -> Verdict | None:
        hop = next((hop for hop in hops if hop.value in trace.problems), None)
        if hop is None:
            return None
        text = (
            f"Where it is can't be said, since {_NAMES[hop]} can't be read: "
            f"{trace.problems[hop.value].rstrip('.')}."
        )
        return Verdict(UNKNOWN, None, (text,), _NAMES[hop], "ingest doctor")

    return rule


def pushed(
    status: str,
    since: dt.datetime | None,
    sentences: tuple[str, ...],
    waits_for: str,
    trace: Trace,
) -> Verdict:
    """Return a verdict that a push resolves; where no folder is known, it says so instead."""
    command = push_command(trace)
    told = sentences if command else (*sentences, "Push the folder that holds its files again.")
    return Verdict(status, since, told, waits_for, command)


def push_command(trace: Trace) -> str | None:
    """Return the push of its newest known date folder: here, else in the bucket; or None."""
    if trace.source:
        return _of_source("ingest push", trace, trace.source[-1].path)
    if trace.files:
        newest = max(trace.files, key=lambda row: row.generation)
        return command_line("ingest push", date_folder_of(newest.uri))
    live = [held.stored.name for held in trace.objects if held.is_live]
    dated = [name for name in live if parse_batch_date(name.split("/")[0])]
    if dated and trace.bucket:
        return command_line("ingest push", f"gs://{trace.bucket}/{max(dated).split('/')[0]}")
    return None


def command_line(command: str, *arguments: str) -> str:
    """Return a line that a shell takes as it is."""
    return f"{command} {shlex.join(arguments)}"


def _of_source(command: str, trace: Trace, path: str) -> str:
    """Return the command for the date folder of a file here, or for what a mapping converts."""
    return command_line(command, *(trace.pushed_by or (date_folder_of(path),)))


def folder_of(path: str) -> str:
    """Return the conversation's folder of one of its files."""
    return path.rsplit("/", 1)[0]


def date_folder_of(path: str) -> str:
    """Return the date folder of a conversation's file."""
    return folder_of(folder_of(path))


def date_of(path: str) -> dt.date | None:
    """Return the date that the file's date folder is named by."""
    return parse_batch_date(date_folder_of(path).rsplit("/", 1)[-1])


def tail(name: str) -> str:
    """Return the last part of a resource name."""
    return name.rsplit("/", 1)[-1]


def at(moment: dt.datetime) -> str:
    """Return a moment within a sentence."""
    return f"on {moment.astimezone(dt.UTC):%Y-%m-%d at %H:%M:%SZ}"


_KINDS = ("metadata", "transcription")
_FIX_FIRST = frozenset(
    {"INVALID_ARGUMENT", "FAILED_PRECONDITION", "NOT_FOUND", "FORGOTTEN", "OUT_OF_RANGE"}
)
_PERMISSION = frozenset({"PERMISSION_DENIED", "UNAUTHENTICATED"})


def forgotten(trace: Trace) -> Verdict | None:
    """Return that it was erased, and where something of it is left."""
    events = list(filter(is_erasure, trace.events))
    if not events:
        return None
    last = max(events, key=lambda event: event.ended_at)
    text = f"It was erased on request {at(last.ended_at)} by run {last.run_id}."
    left = [hop for hop, held in (("the bucket", trace.objects), ("Insights", trace.ci)) if held]
    if left:
        rest = f"Yet {' and '.join(left)} still hold something of it."
        command = f"ingest forget {trace.conversation_id}"
        return Verdict("forgotten", last.ended_at, (text, rest), "its last traces to go", command)
    if unknown := unread(Hop.GCS, Hop.INSIGHTS, Hop.REGISTRY, Hop.MARTS)(trace):
        return unknown
    built = sorted(mart.table for mart in trace.marts or () if mart.row_count)
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
    command = _of_source("ingest data validate", trace, first.path)
    return Verdict("invalid", newest, (text,), "its files to be mended", command)


def only_local(trace: Trace) -> Verdict | None:
    """Return that nothing of it is known but its files on this machine."""
    if trace.is_known_remotely:
        return None
    if unknown := unread(Hop.GCS, Hop.INSIGHTS)(trace):
        return unknown
    folder = folder_of(trace.source[0].path)
    lie = f"A mapping makes its files {folder}" if trace.pushed_by else f"Its files lie in {folder}"
    text = f"{lie}, and bucket, Insights and raw tables hold nothing of it."
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
    if unknown := unread(Hop.GCS, Hop.INSIGHTS)(trace):
        return unknown
    text = "Insights or the events know it, but no file of it has landed in the raw tables."
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
            command = _of_source("ingest push", trace, file.path)
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


def kept_here(trace: Trace) -> Verdict | None:
    """Return that its medium isn't sent to Insights, and whether that holds it all the same."""
    event = trace.kept_here()
    if event is None:
        return None
    text = (
        f"Its medium isn't sent to Insights, as seeds/{MEDIA_SEED}.csv declares: it is done with "
        f"its files landed, and run {event.run_id} found it so {at(event.ended_at)}."
    )
    if trace.ci is None:
        return Verdict(KEPT_HERE, event.ended_at, (text,))
    rest = (
        "Yet Insights still holds an earlier state of it. Leave it, or erase the conversation "
        "everywhere."
    )
    command = f"ingest forget {trace.conversation_id}"
    return Verdict(KEPT_HERE, event.ended_at, (text, rest), None, command)


def not_in_ci(trace: Trace) -> Verdict | None:
    """Return that Insights holds nothing of it."""
    if trace.ci is not None:
        return None
    if trace.states:
        text = (
            f"Insights held it until {at(trace.states[-1].ci_updated_at)} and holds it no longer."
        )
        return pushed("gone_from_ci", None, (text,), "Insights to get it again", trace)
    newest = max(row.landed_at for row in trace.files)
    text = f"Both files landed by {at(newest)}; Insights holds no conversation of this id."
    return pushed("registered", newest, (text,), "its submission", trace)


def not_analysed(trace: Trace) -> Verdict | None:
    """Return that Insights holds it without an analysis."""
    ci = trace.ci
    if ci is None or ci.latest_analysis_name is not None:
        return None
    if ci.running_operation:
        text = f"Insights holds it, and analyses it now ({tail(ci.running_operation)})."
        return pushed("submitted", ci.updated_at, (text,), "Insights' analysis", trace)
    text = f"Insights holds it since {at(ci.updated_at)} without any analysis; none is running."
    return pushed("submitted", ci.updated_at, (text,), "an analysis", trace)


def not_landed_analysis(trace: Trace) -> Verdict | None:
    """Return that the latest analysis of Insights has not landed."""
    ci = trace.ci
    landed = trace.landed_analysis()
    if ci is None or ci.latest_analysis_name is None:
        return None
    if landed and landed.analysis_name == ci.latest_analysis_name:
        return None
    text = f"Insights finished analysis {tail(ci.latest_analysis_name)}, which has not landed"
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
        "other annotators than Insights now holds."
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


@dataclass(frozen=True)
class Explanation:
    """One paragraph, and its parts for machines; `command` is None when nothing is to be run.

    `status` is `unknown` when a hop that decides could not be read.
    """

    conversation_id: str
    status: str
    since: dt.datetime | None
    waits_for: str | None
    command: str | None
    paragraph: str


def explain(trace: Trace) -> Explanation:
    """Return the explanation of the first rule that the evidence meets."""
    rules: tuple[Rule, ...] = (
        unread(Hop.RAW),
        forgotten,
        invalid,
        only_local,
        not_landed,
        waiting,
        changed_locally,
        failed,
        kept_here,
        unread(Hop.INSIGHTS),
        not_in_ci,
        not_analysed,
        not_landed_analysis,
        stale,
        unread(Hop.REGISTRY),
        not_in_registry,
        done,
    )
    verdict = next(found for rule in rules if (found := rule(trace)))
    sentences = list(verdict.sentences)
    if verdict.status in ("done", KEPT_HERE) and verdict.command is None:
        sentences.append("Nothing is to be run.")
    for hop in sorted(set(trace.problems) - {Hop.RAW.value}):
        if verdict.status != UNKNOWN:
            sentences.append(f"Not looked at: {hop} ({trace.problems[hop]}).")
    return Explanation(
        trace.conversation_id,
        verdict.status,
        verdict.since,
        verdict.waits_for,
        verdict.command,
        " ".join(sentences),
    )
