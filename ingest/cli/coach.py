"""`ingest coach`: a conversation's card, the queue of a supervisor, the weeks of an agent."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Sequence
from typing import Annotated

import typer

from ingest.cli._console import counted, safe, wrapped
from ingest.cli._context import resolved_id, say
from ingest.cli._options import AsJson, Limit
from ingest.cli._output import opened, parsed_date, print_json
from ingest.errors import InputError
from ingest.flows.coach import (
    AgentWeek,
    Card,
    Check,
    QueuedCall,
    read_agent,
    read_card,
    read_queue,
    record_coaching,
)
from ingest.settings import load_declared_places

_HEADINGS = {"fail": "Misses", "pass": "Strengths", "not_applicable": "Not judged"}
_KINDS = {"coach": "To coach by", "show": "To show others"}
_MOST_WIDTH = 80


def coach(
    conversation_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="An id, or its first 4 characters or more.")
    ] = None,
    queue: Annotated[
        bool, typer.Option("--queue", help="List calls to hear first, and why.")
    ] = False,
    agent: Annotated[
        str | None, typer.Option("--agent", help="Show the weeks of this agent.")
    ] = None,
    done: Annotated[
        bool, typer.Option("--done", help="Note in seeds/coached.csv that the call was coached by.")
    ] = False,
    on: Annotated[
        str | None, typer.Option("--on", help="Day of the coaching with --done; else today.")
    ] = None,
    limit: Limit = 10,
    as_json: AsJson = False,
) -> None:
    """Show a conversation's coaching card, the queue, or an agent's weeks. Holds personal data.

    The card has what happened, misses and strengths with turn and quote, moments to hear and next
    actions; it judges by seeds/coaching_rubric.csv, as of the last build.

    Example: ingest coach --queue
    """

    if (done and conversation_id is None) or (on is not None and not done):
        raise InputError("what was done isn't clear", "write `ingest coach ID --done --on DATE`")
    if sum((conversation_id is not None, queue, agent is not None)) != 1:
        raise InputError("what to show isn't clear", "give an id, --queue, or --agent AGENT")
    settings, warehouse = opened()
    width = min(_MOST_WIDTH, shutil.get_terminal_size().columns)
    if queue:
        calls = read_queue(warehouse, limit)
        print_json(calls) if as_json else typer.echo(text_of_queue(calls, width))
    elif agent is not None:
        weeks = read_agent(warehouse, agent, limit)
        print_json(weeks) if as_json else typer.echo(text_of_weeks(weeks, width))
    else:
        card = read_card(warehouse, resolved_id(settings, warehouse, str(conversation_id)))
        if done:
            _note(card, parsed_date(on or "today"))
        print_json(card) if as_json else typer.echo(text_of(card, width))


def _note(card: Card, day: dt.date | None) -> None:
    if card.agent_id is None or day is None:
        raise InputError(
            f"nobody is known to have taken {card.conversation_id}", "name its agent in metadata"
        )
    seeds_dir, _ = load_declared_places()
    is_new = record_coaching(seeds_dir, card.agent_id, card.conversation_id, day)
    told = "the next `dbt build` takes the call from the queue" if is_new else "noted before"
    say(f"{card.agent_id} was coached on {day}: {told}")


def text_of(card: Card, width: int) -> str:
    """Return the card for a terminal, in lines of at most `width` cells."""
    agent = f" {card.agent_id}" if card.agent_id else ""
    lines = wrapped(safe(f"{card.conversation_id} {card.call_date}{agent}"), width, "  ")
    lines += wrapped(safe(_sentence(card.summary)), width)
    if card.score is not None and card.confidence is not None:
        lines += [f"Score {card.score:.2f}, confidence {card.confidence:.2f}"]
    for verdict, heading in _HEADINGS.items():
        checks = [check for check in card.checks if check.verdict == verdict]
        if checks and verdict == "not_applicable":
            named = f"{heading}: {', '.join(check.check_id for check in checks)}"
            lines += ["", *wrapped(safe(named), width, "  ")]
        elif checks:
            lines += ["", heading]
            for check in checks:
                lines += _check_lines(check, width)
    if card.moments:
        lines += ["", "Moments to hear"]
        for moment in card.moments:
            kind = moment.kind.replace("_", " ")
            what = f"{kind}, {moment.check_id}" if moment.check_id else kind
            text = f"turn {moment.turn_index} ({what}): «{moment.quote}»"
            lines += _indented(text, width, "  ", "    ")
    if card.next_actions:
        lines += ["", "Next"]
        for number, action in enumerate(card.next_actions, 1):
            lines += _indented(f"{number}. {action}", width, "  ", "     ")
    return "\n".join([*lines, "", f"Judged by rubric {card.rubric_sha256[:12]}"])


def text_of_queue(calls: Sequence[QueuedCall], width: int) -> str:
    """Return the queue for a terminal, calls to coach by before those to show."""
    lines: list[str] = []
    for kind, heading in _KINDS.items():
        of_kind = [call for call in calls if call.kind == kind]
        lines += ["", heading] if of_kind else []
        for call in of_kind:
            agent = f" {call.agent_id}" if call.agent_id else ""
            told = f"{call.queue_rank}. {call.conversation_id} {call.call_date}{agent}"
            lines += _indented(told, width, "  ", "     ")
            why = f"{counted(call.points, 'point')}: {', '.join(call.reasons)}"
            lines += _indented(why, width, "     ", "     ")
            lines += _indented(_sentence(call.summary), width, "     ", "     ")
    return "\n".join(lines[1:]) if lines else "nothing waits to be heard"


def text_of_weeks(weeks: Sequence[AgentWeek], width: int) -> str:
    """Return the weeks for a terminal, the latest first."""
    lines = [safe(weeks[0].agent_id)]
    for week in weeks:
        calls = counted(week.conversation_count, "call")
        told = f"week of {week.week_start}: score {_score(week.score, week.score_change)}, {calls}"
        lines += ["", *wrapped(f"{told}, {week.exemplary_count} without a miss", width, "  ")]
        if week.coached_on is not None:
            change = week.score_change_since_coaching
            since = "" if change is None else f", {change:+.2f} since that week"
            lines += [f"  coached on {week.coached_on}{since}"]
        for part in week.dimensions:
            lines += [safe(f"  {part.dimension} {_score(part.score, part.score_change)}")]
        for miss in week.top_misses:
            calls = counted(miss.miss_count, "call")
            text = f"missed {miss.check_id} in {calls}, as in {miss.example_conversation_id}"
            lines += _indented(text, width, "  ", "    ")
        lines += _indented(f"best call {week.best_conversation_id}", width, "  ", "    ")
    return "\n".join(lines)


def _score(score: float, change: float | None) -> str:
    return f"{score:.2f}" if change is None else f"{score:.2f} ({change:+.2f})"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _check_lines(check: Check, width: int) -> list[str]:
    policy = f"{check.policy} v{check.policy_version}"
    head = f"{check.check_id} ({check.dimension}, {check.severity}; {policy})"
    lines = _indented(head, width, "  ", "  ")
    if evidence := _evidence(check):
        lines += _indented(evidence, width, "    ", "    ")
    return lines


def _evidence(check: Check) -> str:
    searched = f"turns {check.searched_from_turn} to {check.searched_to_turn}"
    if check.quote is not None:
        place = f"turn {check.turn_index}, {check.start_char}-{check.end_char}: «{check.quote}»"
        return (
            f"{place}; looked for in {searched}" if check.searched_from_turn is not None else place
        )
    if check.measured_value is not None:
        if check.qa_answer is not None:
            share = f"{check.measured_value:.0%} of its points, at least {check.limit_value:.0%}"
            return f"answered «{check.qa_answer}»: {share}"
        return f"measured {check.measured_value:.2g}, at most {check.limit_value:g}"
    return f"not said in {searched}" if check.searched_from_turn is not None else ""


def _indented(text: str, width: int, first: str, rest: str) -> list[str]:
    lines = wrapped(safe(text), width - len(rest))
    return [f"{first if place == 0 else rest}{line}" for place, line in enumerate(lines)]
