"""What an operation is made of: its kind, its work, its outcome."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ingest.emulator import protos


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an operation ended: with a response, or with the analysis that is its response."""

    response: protos.Pb | None = None
    analysis_seq: int | None = None


@dataclass(slots=True)
class Running:
    """An operation at work; `metadata` may be changed until it ends."""

    kind: str
    operation_id: str
    parent: str
    conversation_id: str
    create_us: int
    request: protos.Pb
    metadata: protos.Pb
    resumed: bool = False
    prepared: object = None
    """What `Kind.beforehand` returned."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of operation: its messages and its work."""

    name: str
    request: protos.Pb
    metadata: protos.Pb
    beforehand: Callable[[Running], Awaitable[object]] | None = None
    """Work that may wait and stores nothing, for `at_once`; left out when nobody can wait."""
    at_once: Callable[[Running], Outcome] | None = None
    """Work that never waits: stored together with the operation's end."""
    in_background: Callable[[Running], Awaitable[Outcome]] | None = None
