"""The stack's plan (what is to run) and state (what runs), as JSON files in the data folder."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ingest.local.processes import ProcessIdentity

_PAUSE_SEC = 0.02


@dataclass(frozen=True)
class Child:
    """One service's process; exit_code is None while it runs, negative for a signal."""

    command: list[str]
    pid: int = 0
    started_at: float = 0
    exit_code: int | None = None

    @property
    def identity(self) -> ProcessIdentity:
        """The process, to look for it."""
        return ProcessIdentity(self.pid, self.started_at)


@dataclass(frozen=True)
class StackState:
    """What the supervisor runs; pid and started_at are the supervisor's own."""

    port_base: int
    endpoints: dict[str, str]
    ports: dict[str, int]
    services: dict[str, Child]
    pid: int = 0
    started_at: float = 0
    logs_dir: str = field(default="")

    @property
    def identity(self) -> ProcessIdentity:
        """The supervisor, to look for it."""
        return ProcessIdentity(self.pid, self.started_at)

    def with_child(self, name: str, child: Child) -> StackState:
        """Return the state with one service's process replaced."""
        return replace(self, services={**self.services, name: child})


def write_state(path: Path, state: StackState) -> None:
    """Replace the file in one step, so that no reader sees half of it."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(json.dumps(asdict(state), indent=2) + "\n", encoding="utf-8")
    fresh.replace(path)


def read_state(path: Path) -> StackState | None:
    """Return the state, None when there is no readable one."""
    try:
        return _parsed(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def await_state(
    path: Path, accept: Callable[[StackState], bool], deadline_sec: float = 10.0
) -> StackState | None:
    """Return the first state that is accepted, None when none is before the deadline."""
    deadline = time.monotonic() + deadline_sec
    while time.monotonic() < deadline:
        state = read_state(path)
        if state is not None and accept(state):
            return state
        time.sleep(_PAUSE_SEC)
    return None


def _parsed(raw: Mapping[str, Any]) -> StackState:
    services = {name: Child(**child) for name, child in raw["services"].items()}
    return StackState(**{**raw, "services": services})
