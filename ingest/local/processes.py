"""The stack's processes, and the files that name them: its plan (what is to run) and its state.

A process is known by its pid and its start time together, so a recycled pid is never taken."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import psutil

_START_TOLERANCE_SEC = 2.0  # the kernel states start times against a boot time that may drift
_PAUSE_SEC = 0.02
_SUPERVISOR = "ingest.local.supervisor"
_CHILDREN = ("ingest.local.bigquery", "ingest.emulator")
_GCS_PROGRAM = "fake-gcs-server"


@dataclass(frozen=True)
class ProcessIdentity:
    """One process of this machine, now or in the past; started_at in seconds since the epoch."""

    pid: int
    started_at: float


def identity_of(pid: int) -> ProcessIdentity | None:
    """Return the identity of the process that has `pid` now, None when there is none."""
    try:
        return ProcessIdentity(pid, psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return None


def is_alive(identity: ProcessIdentity) -> bool:
    """Say whether this very process still runs or holds ports and files."""
    return _find(identity) is not None


def end_processes(identities: Iterable[ProcessIdentity], grace_sec: float) -> None:
    """End the processes that still run, stopped ones too: SIGTERM, after `grace_sec` SIGKILL."""
    alive = [identity for identity in identities if is_alive(identity)]
    for send in (psutil.Process.terminate, psutil.Process.kill):
        for identity in alive:
            process = _find(identity)
            with contextlib.suppress(psutil.NoSuchProcess):
                if process is not None:
                    send(process)
                    process.resume()
        alive = still_alive(alive, grace_sec)


def still_alive(
    identities: Iterable[ProcessIdentity], deadline_sec: float
) -> list[ProcessIdentity]:
    """Wait until the processes have ended; return those that haven't at the deadline.

    A zombie without threads has ended: whether its parent collects it isn't ours to wait for.
    """
    deadline = time.monotonic() + deadline_sec
    alive = [identity for identity in identities if is_alive(identity)]
    while alive and time.monotonic() < deadline:
        time.sleep(_PAUSE_SEC)
        alive = [identity for identity in alive if is_alive(identity)]
    return alive


def processes_of(data_dir: Path) -> list[ProcessIdentity]:
    """Return the stack's processes that work on `data_dir`, by command line.

    Finds what a lost or damaged state file no longer names; the supervisor comes first.
    """
    found: list[tuple[int, ProcessIdentity]] = []
    for process in psutil.process_iter(["cmdline", "create_time"]):
        rank = _rank(process.info["cmdline"] or [], data_dir)
        if rank is not None:
            found.append((rank, ProcessIdentity(process.pid, process.info["create_time"])))
    return [identity for _, identity in sorted(found, key=lambda pair: pair[0])]


def holder_of_port(port: int) -> str:
    """Return "pid 12 (name)" of the process that listens on `port`, "" where that is hidden."""
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,)
            if listens and connection.pid:
                return f"pid {connection.pid} ({psutil.Process(connection.pid).name()})"
    return ""


def _rank(command: Sequence[str], data_dir: Path) -> int | None:
    if not any(Path(part).parent == data_dir for part in command[1:]):
        return None
    if _SUPERVISOR in command:
        return 0
    program = Path(command[0]).name
    # By prefix: after an upgrade the modules of the processes that are left may have other names.
    is_ours = any(part.startswith(_CHILDREN) for part in command)
    return 1 if program.startswith(_GCS_PROGRAM) or is_ours else None


def _find(identity: ProcessIdentity) -> psutil.Process | None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(identity.pid)
        same = abs(process.create_time() - identity.started_at) < _START_TOLERANCE_SEC
        if same and not _has_ended(process):
            return process
    return None


def _has_ended(process: psutil.Process) -> bool:
    # A killed process shows as a zombie while its other threads still hold its ports and files.
    return process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1


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
    """What the supervisor runs; pid and started_at are the supervisor's own, `programs` says which
    code the services run (`stack.programs`)."""

    port_base: int
    endpoints: dict[str, str]
    ports: dict[str, int]
    services: dict[str, Child]
    pid: int = 0
    started_at: float = 0
    logs_dir: str = field(default="")
    programs: str = ""

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
    with open(fresh, "w", encoding="utf-8", opener=private) as file:
        file.write(json.dumps(asdict(state), indent=2) + "\n")
    fresh.replace(path)


def private(path: str, flags: int) -> int:
    """Open a file, as `opener` of `open`, that nobody but its user may read when it is new."""
    return os.open(path, flags, 0o600)


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
    known = {each.name for each in fields(StackState)}
    values = {name: value for name, value in raw.items() if name in known}
    return StackState(**{**values, "services": services})
