"""Scenarios: state machines of moves, read from `scenarios.yaml` and checked when read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ingest.domain.conversation import Direction, Medium, Speaker
from ingest.errors import InputError

SCENARIOS_FILE = Path(__file__).with_name("scenarios.yaml")

_SPEAKERS = {"A": Speaker.AGENT, "B": Speaker.AUTOMATED_AGENT, "C": Speaker.CUSTOMER}
_TOKEN = re.compile(r"[()]\S*|[^\s()]+")


class BusinessLine(StrEnum):
    """Businesses of the lender whose calls are made up; words of seeds/business_lines.csv."""

    COLLECTIONS = "COLLECTIONS"
    LOANS = "LOANS"


class CallOutcome(StrEnum):
    """How its conversations end; words of seeds/call_outcomes.csv."""

    APPLICATION_PROGRESSED = "APPLICATION_PROGRESSED"
    CALL_DROPPED = "CALL_DROPPED"
    CALLBACK_SCHEDULED = "CALLBACK_SCHEDULED"
    COMPLAINT_LOGGED = "COMPLAINT_LOGGED"
    CONTACT_PREFERENCE_UPDATED = "CONTACT_PREFERENCE_UPDATED"
    DISPUTE_LOGGED = "DISPUTE_LOGGED"
    ESCALATED_TO_SUPERVISOR = "ESCALATED_TO_SUPERVISOR"
    EXTENSION_GRANTED = "EXTENSION_GRANTED"
    HARDSHIP_REFERRED = "HARDSHIP_REFERRED"
    INFORMATION_GIVEN = "INFORMATION_GIVEN"
    NO_AGREEMENT = "NO_AGREEMENT"
    PAYMENT_PLAN_AGREED = "PAYMENT_PLAN_AGREED"
    PAYMENT_TAKEN = "PAYMENT_TAKEN"
    PROMISE_TO_PAY = "PROMISE_TO_PAY"
    WRONG_PARTY = "WRONG_PARTY"


@dataclass(frozen=True, slots=True)
class Say:
    """A speaker says one template of each bank, joined."""

    speaker: Speaker
    banks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Use:
    """A fragment, chosen by direction and medium when the talk gets there."""

    name: str


@dataclass(frozen=True, slots=True)
class Group:
    """Moves that are done together with a chance, a number or the name of a talk's own share."""

    moves: tuple[Move, ...]
    chance: float | str


@dataclass(frozen=True, slots=True)
class Effect:
    """Something that isn't said: mood, cut, transfer, flag, action, outcome."""

    kind: str
    value: str


Move = Say | Use | Group | Effect


@dataclass(frozen=True, slots=True)
class State:
    """Moves and weighted followers; no followers end the talk."""

    moves: tuple[Move, ...]
    followers: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of conversation."""

    name: str
    business_line: BusinessLine
    call_reason: str
    """Why its conversations are held; a word of seeds/call_reasons.csv."""
    directions: tuple[tuple[Direction, float], ...]
    chat_weight: float
    """Weight of chat against 10 for the phone."""
    mood: int
    states: Mapping[str, State]


@dataclass(frozen=True, slots=True)
class Script:
    """All scenarios and the fragments that they share."""

    scenarios: Mapping[str, Scenario]
    fragments: Mapping[str, tuple[Move, ...]]

    def fragment(self, name: str, direction: Direction, medium: Medium) -> tuple[Move, ...]:
        """Return the most special variant of a fragment."""
        for variant in _variants(name, direction, medium):
            if variant in self.fragments:
                return self.fragments[variant]
        raise InputError(f"no fragment {name!r} for {direction} {medium}", "see scenarios.yaml")


def _variants(name: str, direction: Direction, medium: Medium) -> tuple[str, ...]:
    return (f"{name}.{direction}.{medium}", f"{name}.{medium}", f"{name}.{direction}", name)


@cache
def load_script(path: Path = SCENARIOS_FILE) -> Script:
    """Return the checked script; raise InputError for an unknown state, fragment or outcome."""
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    fragments = {name: _parse_moves(line) for name, line in data["fragments"].items()}
    scenarios = {name: _scenario(name, fields) for name, fields in data["scenarios"].items()}
    script = Script(scenarios, fragments)
    for scenario in scenarios.values():
        for state_name, state in scenario.states.items():
            unknown = {name for name, _ in state.followers} - scenario.states.keys()
            if unknown:
                raise InputError(f"{scenario.name}.{state_name} leads to {sorted(unknown)}")
    return script


def _scenario(name: str, fields: dict[str, Any]) -> Scenario:
    return Scenario(
        name=name,
        business_line=BusinessLine(fields["line"]),
        call_reason=fields["reason"],
        directions=tuple(
            (Direction(key), float(weight)) for key, weight in fields["directions"].items()
        ),
        chat_weight=float(fields.get("chat", 0)),
        mood=int(fields["mood"]),
        states={key: _parse_state(line) for key, line in fields["states"].items()},
    )


def _parse_state(line: str) -> State:
    moves, _, followers = line.partition("->")
    pairs: list[tuple[str, float]] = []
    for follower in followers.split():
        name, _, weight = follower.partition(":")
        pairs.append((name, float(weight or 1)))
    return State(_parse_moves(moves), tuple(pairs))


def _parse_moves(line: str) -> tuple[Move, ...]:
    stack: list[list[Move]] = [[]]
    for token in _TOKEN.findall(line):
        if token == "(":  # noqa: S105
            stack.append([])
        elif token.startswith(")"):
            moves = tuple(stack.pop())
            stack[-1].append(Group(moves, _chance(token[1:] or "?1")))
        else:
            body, mark, chance = token.partition("?")
            move = _parse_move(body)
            stack[-1].append(Group((move,), _chance(mark + (chance or "0.5"))) if mark else move)
    if len(stack) != 1:
        raise InputError(f"a bracket isn't closed in {line!r}")
    return tuple(stack[0])


def _chance(text: str) -> float | str:
    value = text.removeprefix("?")
    return float(value) if value[:1].isdigit() else value


def _parse_move(body: str) -> Move:
    head, _, rest = body.partition(":")
    if head in _SPEAKERS:
        return Say(_SPEAKERS[head], tuple(rest.split("&")))
    if body.startswith("@"):
        return Use(body[1:])
    if body.startswith("="):
        return Effect("outcome", CallOutcome(body[1:]).value)
    if body.startswith("m"):
        return Effect("mood", str(int(body[1:])))
    if body in ("cut", "transfer"):
        return Effect(body, "")
    if head in ("f", "n") and rest:
        return Effect("flag" if head == "f" else "action", rest)
    raise InputError(f"{body!r} is no move", "see the top of scenarios.yaml")
