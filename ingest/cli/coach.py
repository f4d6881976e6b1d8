"""`ingest coach`: what one conversation did well and missed, each with its evidence."""

from __future__ import annotations

import shutil
from itertools import groupby

import typer

from ingest.cli._console import safe, wrapped
from ingest.cli._context import resolved_id
from ingest.cli._options import ConversationArgument
from ingest.cli._output import opened
from ingest.flows.coach import Check, JudgedConversation, read_checks

_HEADINGS = {"fail": "Misses", "pass": "Strengths", "not_applicable": "Not judged"}
_MOST_WIDTH = 80


def coach(conversation_id: ConversationArgument) -> None:
    """Show what a conversation did well and missed, with turn and quote. Holds personal data.

    Example: ingest coach 317675af
    """

    settings, warehouse = opened()
    judged = read_checks(warehouse, resolved_id(settings, warehouse, conversation_id))
    typer.echo(text_of(judged, min(_MOST_WIDTH, shutil.get_terminal_size().columns)))


def text_of(judged: JudgedConversation, width: int) -> str:
    """Return the judgement for a terminal, in lines of at most `width` cells."""
    agent = f" {judged.agent_id}" if judged.agent_id else ""
    lines = wrapped(safe(f"{judged.conversation_id} {judged.batch_date}{agent}"), width, "  ")
    places = list(_HEADINGS)
    ordered = sorted(judged.checks, key=lambda check: places.index(check.verdict))
    for verdict, checks in groupby(ordered, key=lambda check: check.verdict):
        lines += ["", _HEADINGS[verdict]]
        for check in checks:
            lines += _check_lines(check, width)
    return "\n".join(lines)


def _check_lines(check: Check, width: int) -> list[str]:
    policy = f"{check.policy} v{check.policy_version}"
    texts = [f"{check.check_id} ({check.dimension}, {check.severity}; {policy})"]
    if evidence := _evidence(check):
        texts.append(evidence)
    if check.verdict == "fail":
        texts.append(f"Next: {check.advice}")
    return [
        indent + line
        for indent, text in zip(("  ", "    ", "    "), texts, strict=False)
        for line in wrapped(safe(text), width - len(indent))
    ]


def _evidence(check: Check) -> str:
    if check.quote is not None:
        return f"turn {check.turn_index}, {check.start_char}-{check.end_char}: «{check.quote}»"
    if check.measured_value is not None:
        return f"measured: {check.measured_value:g}"
    if check.searched_from_turn is not None:
        return f"not said in turns {check.searched_from_turn} to {check.searched_to_turn}"
    return ""
