"""Where a conversation is, since when, what it waits for and what to run: judged from a trace.

Each rule names the evidence that it rests on, and comes behind a rule that says `unknown` where
that evidence could not be read: nothing is guessed.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from ingest.flows.inspection import why_ci, why_files
from ingest.flows.inspection.trace import Hop, Trace
from ingest.flows.inspection.why_verdict import UNKNOWN, Rule, unread


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
        why_files.forgotten,
        why_files.invalid,
        why_files.only_local,
        why_files.not_landed,
        why_files.waiting,
        why_files.changed_locally,
        why_files.failed,
        unread(Hop.CI),
        why_ci.not_in_ci,
        why_ci.not_analysed,
        why_ci.not_landed_analysis,
        why_ci.stale,
        unread(Hop.REGISTRY),
        why_ci.not_in_registry,
        why_ci.done,
    )
    verdict = next(found for rule in rules if (found := rule(trace)))
    sentences = list(verdict.sentences)
    if verdict.status == "done":
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
