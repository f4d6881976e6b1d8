"""What a rule of `ingest why` says, and the words and commands that rules share."""

from __future__ import annotations

import datetime as dt
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from ingest.domain.object_paths import parse_batch_date
from ingest.flows.inspection.trace import Hop, Trace

UNKNOWN = "unknown"
_NAMES = {
    Hop.GCS: "the bucket",
    Hop.CI: "CI",
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
        return command_line("ingest push", date_folder_of(trace.source[-1].path))
    if trace.files:
        newest = max(trace.files, key=lambda row: row.generation)
        return command_line("ingest push", date_folder_of(newest.uri))
    live = [held.stored.name for held in trace.objects if held.is_live]
    dated = [name for name in live if parse_batch_date(name.split("/")[0])]
    if dated and trace.bucket:
        return command_line("ingest push", f"gs://{trace.bucket}/{max(dated).split('/')[0]}")
    return None


def command_line(command: str, argument: str) -> str:
    """Return a line that a shell takes as it is."""
    return f"{command} {shlex.quote(argument)}"


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
