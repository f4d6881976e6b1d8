"""Reads how a conversation is judged by the coaching rubric, with evidence."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from ingest.errors import InputError
from ingest.ports.inspect import Warehouse

_TABLE = "coaching_checks"
_COLUMNS = (
    "check_id, dimension, severity, policy, policy_version, verdict, advice, quote, turn_index, "
    "start_char, end_char, searched_from_turn, searched_to_turn, measured_value"
)


@dataclass(frozen=True, slots=True)
class Check:
    """One check of one conversation; turns from 0, characters are code points of the turn."""

    check_id: str
    dimension: str
    severity: str
    policy: str
    policy_version: int
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


@dataclass(frozen=True, slots=True)
class JudgedConversation:
    """All checks that were due, the gravest first."""

    conversation_id: str
    batch_date: dt.date
    agent_id: str | None
    checks: tuple[Check, ...]


def read_checks(warehouse: Warehouse, conversation_id: str) -> JudgedConversation:
    """Return how the conversation is judged.

    Raises InputError before the mart's first build, and where nothing was due for the conversation.
    """
    if all(table.name != _TABLE for table in warehouse.tables(warehouse.marts_dataset)):
        raise InputError("the coaching marts were never built", "run `dbt build`")
    sql = f"""
select batch_date, agent_id, {_COLUMNS}
from {warehouse.mart(_TABLE)}
where conversation_id = @conversation_id
order by
    case severity when 'critical' then 1 when 'high' then 2 when 'medium' then 3 else 4 end,
    dimension, check_id
"""
    rows = warehouse.query(sql, {"conversation_id": conversation_id}).rows
    if not rows:
        raise InputError(
            f"no check was due for conversation {conversation_id}",
            "it is judged once it is analysed and not in quarantine: `ingest why` says where it is",
        )
    names = [name.strip() for name in _COLUMNS.split(",")]
    checks = tuple(Check(**{name: row[name] for name in names}) for row in rows)
    return JudgedConversation(conversation_id, rows[0]["batch_date"], rows[0]["agent_id"], checks)
