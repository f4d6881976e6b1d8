"""Reads what the coaching marts say: a conversation's card, the queue, an agent's weeks."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ingest.errors import InputError
from ingest.ports.inspect import Warehouse


@dataclass(frozen=True, slots=True)
class Check:
    """One check of one conversation; turns from 0, characters are code points of the turn."""

    check_id: str
    dimension: str
    rule: str
    """Kind of rule."""
    severity: str
    policy: str
    policy_version: int
    rule_sha256: str
    verdict: str
    """pass, fail or not_applicable."""
    advice: str
    quote: str | None
    turn_index: int | None
    start_char: int | None
    end_char: int | None
    searched_from_turn: int | None
    searched_to_turn: int | None
    measured_value: float | None
    qa_answer: str | None
    """The answer to a scorecard's question that was measured."""
    limit_value: float | None


@dataclass(frozen=True, slots=True)
class Moment:
    """A turn to hear: evidence of a miss or strength, or a mood of the customer."""

    kind: str
    check_id: str | None
    turn_index: int
    start_char: int
    end_char: int
    quote: str


@dataclass(frozen=True, slots=True)
class Card:
    """A conversation's coaching card, with the versions of all that judged; holds personal data."""

    conversation_id: str
    conversation_version_id: str | None
    analysis_id: str | None
    agent_id: str | None
    call_date: dt.date
    """Date of the call where it was."""
    summary: str
    score: float | None
    """Share of the weight that passed, 0 to 1; None where nothing could be judged."""
    confidence: float | None
    worst_severity: str | None
    rubric_sha256: str
    judgement_sha256: str
    annotator_profile_sha256: str | None
    moments: tuple[Moment, ...]
    next_actions: tuple[str, ...]
    checks: tuple[Check, ...]
    """All that were due, the gravest first."""


@dataclass(frozen=True, slots=True)
class QueuedCall:
    """A call that a supervisor should hear."""

    queue_rank: int
    """Place within the kind, from 1."""
    kind: str
    """coach where there are misses, show where there are none."""
    conversation_id: str
    agent_id: str | None
    call_date: dt.date
    points: int
    reasons: tuple[str, ...]
    summary: str


@dataclass(frozen=True, slots=True)
class DimensionOfWeek:
    """Part of the agent's work; the change is since the week before that has it."""

    dimension: str
    judged_count: int
    score: float
    score_change: float | None


@dataclass(frozen=True, slots=True)
class MissOfWeek:
    """A check that calls of the week miss, and one of them."""

    check_id: str
    miss_count: int
    example_conversation_id: str


@dataclass(frozen=True, slots=True)
class AgentWeek:
    """A week of an agent, from Monday; scores are shares of weight, 0 to 1."""

    agent_id: str
    week_start: dt.date
    conversation_count: int
    exemplary_count: int
    score: float
    score_change: float | None
    coached_on: dt.date | None
    score_change_since_coaching: float | None
    best_conversation_id: str
    dimensions: tuple[DimensionOfWeek, ...]
    top_misses: tuple[MissOfWeek, ...]


def read_verdicts(warehouse: Warehouse) -> dict[str, list[Mapping[str, Any]]]:
    """Return by conversation what `coaching_checks` says, with evidence; empty before a build."""
    columns = "conversation_id, check_id, verdict, policy_version, quote, turn_index, start_char"
    found: dict[str, list[Mapping[str, Any]]] = {}
    dataset, name = warehouse.marts_dataset, "coaching_checks"
    if all(table.name != name for table in warehouse.tables(dataset)):
        return found
    sql = f"select {columns}, end_char from {warehouse.mart(name)}"
    for row in warehouse.query(sql).rows:
        found.setdefault(row["conversation_id"], []).append(row)
    return found


def read_card(warehouse: Warehouse, conversation_id: str) -> Card:
    """Return the card of the conversation.

    Raises InputError before the marts' first build, and where nothing was due for the conversation.
    """
    _ensure_built(warehouse)
    of_it = {"conversation_id": conversation_id}
    cards = warehouse.query(
        f"select * from {warehouse.mart('coaching_cards')} "
        "where conversation_id = @conversation_id",
        of_it,
    ).rows
    if not cards:
        raise InputError(
            f"no check was due for conversation {conversation_id}",
            "it is judged once it is analysed and not in quarantine: `ingest why` says where it is",
        )
    checks = warehouse.query(
        f"select {', '.join(_names(Check))} from {warehouse.mart('coaching_checks')} "
        "where conversation_id = @conversation_id order by weight desc, dimension, check_id",
        of_it,
    ).rows
    card = dict(cards[0]) | {"checks": checks}
    return _made(
        Card,
        card,
        moments=_all(Moment, card["moments"]),
        checks=_all(Check, checks),
        next_actions=tuple(card["next_actions"] or ()),
    )


def read_queue(warehouse: Warehouse, limit: int) -> tuple[QueuedCall, ...]:
    """Return the first calls of each kind, those to coach by before those to show.

    Raises InputError before the marts' first build.
    """
    _ensure_built(warehouse)
    rows = warehouse.query(
        f"select {', '.join(_names(QueuedCall))} from {warehouse.mart('coaching_queue')} "
        "where queue_rank <= @most order by kind, queue_rank",
        {"most": limit},
    ).rows
    return tuple(_made(QueuedCall, row, reasons=tuple(row["reasons"])) for row in rows)


def read_agent(warehouse: Warehouse, agent_id: str, limit: int) -> tuple[AgentWeek, ...]:
    """Return the agent's weeks, the latest first.

    Raises InputError before the marts' first build, and for an agent without judged calls.
    """
    _ensure_built(warehouse)
    rows = warehouse.query(
        f"select * from {warehouse.mart('agent_weekly')} "
        "where agent_id = @agent_id order by week_start desc",
        {"agent_id": agent_id},
        max_rows=limit,
    ).rows
    if not rows:
        raise InputError(
            f"no judged calls of agent {agent_id}",
            "`ingest bq head agent_weekly` shows who has some",
        )
    return tuple(
        _made(
            AgentWeek,
            row,
            dimensions=_all(DimensionOfWeek, row["dimensions"]),
            top_misses=_all(MissOfWeek, row["top_misses"]),
        )
        for row in rows
    )


def record_coaching(seeds_dir: Path, agent_id: str, conversation_id: str, day: dt.date) -> bool:
    """Add to `coached.csv` that the agent was coached by the call; return False if it says so.

    Raises InputError where the file can't be read or written.
    """
    path = seeds_dir / "coached.csv"
    row = [agent_id, conversation_id, day.isoformat()]
    try:
        with path.open("r+", encoding="utf-8", newline="") as file:
            if row in list(csv.reader(file)):
                return False
            csv.writer(file, lineterminator="\n").writerow(row)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"can't write {path}", "run at the repository root, or set INGEST_SEEDS_DIR"
        ) from error
    return True


def _ensure_built(warehouse: Warehouse) -> None:
    built = {table.name for table in warehouse.tables(warehouse.marts_dataset)}
    if not {"coaching_cards", "coaching_checks", "coaching_queue", "agent_weekly"} <= built:
        raise InputError("the coaching marts were never built", "run `dbt build`")


def _names(type_: type) -> Sequence[str]:
    return [field.name for field in fields(type_)]


def _made[Record](type_: type[Record], row: Mapping[str, Any], **changed: Any) -> Record:
    return type_(**{name: row[name] for name in _names(type_) if name not in changed}, **changed)


def _all[Record](
    type_: type[Record], rows: Iterable[Mapping[str, Any]] | None
) -> tuple[Record, ...]:
    return tuple(_made(type_, row) for row in rows or ())
