"""`python -m ingest.local.supervisor PLAN STATE`: runs the services of a plan until SIGTERM.

The state file names every process, from before the first service can answer until the last has
ended. A service that dies stays dead, with its exit code in the state; SIGUSR1 starts it again.
On Linux the services end with the supervisor even when that is killed.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ingest.local.processes import Child, StackState, identity_of, private, read_state, write_state

GRACE_SEC = 8.0
_PR_SET_PDEATHSIG = 1
_STOP = {signal.SIGTERM, signal.SIGINT}
_LOG_LIMIT_BYTES = 5_000_000


class Supervisor:
    """The processes of one plan; `run` returns when all have ended."""

    def __init__(self, plan: StackState, state_file: Path) -> None:
        me = identity_of(os.getpid())
        started_at = me.started_at if me else 0
        self._state = replace(plan, pid=os.getpid(), started_at=started_at)
        self._state_file = state_file
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._tie = tie_to_parent()

    def run(self) -> None:
        """Start everything, then act on signals until told to stop."""
        with _SignalInbox() as inbox:
            self._start_missing()
            while not _STOP & (received := inbox.wait()):
                if signal.SIGCHLD in received:
                    self._note_exits()
                if signal.SIGUSR1 in received:
                    self._start_missing()
            self._end_all()

    def _start_missing(self) -> None:
        for name, child in self._state.services.items():
            if name not in self._processes:
                self._state = self._state.with_child(name, self._start(name, child))
        write_state(self._state_file, self._state)

    def _start(self, name: str, child: Child) -> Child:
        log = Path(self._state.logs_dir) / f"{name}.log"
        if log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES:
            log.replace(log.with_suffix(".log.1"))
        with open(log, "ab", opener=private) as output:
            process = subprocess.Popen(
                child.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=self._tie,
            )
        self._processes[name] = process
        identity = identity_of(process.pid)
        started_at = identity.started_at if identity else 0
        return Child(child.command, process.pid, started_at)

    def _note_exits(self) -> None:
        ended = {n: p for n, p in self._processes.items() if p.poll() is not None}
        for name, process in ended.items():
            del self._processes[name]
            child = replace(self._state.services[name], exit_code=process.returncode)
            self._state = self._state.with_child(name, child)
        if ended:
            write_state(self._state_file, self._state)

    def _end_all(self) -> None:
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(GRACE_SEC)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class _SignalInbox:
    """Signals as a stream: the wait costs nothing until one arrives."""

    def __enter__(self) -> _SignalInbox:
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno())
        for number in (*_STOP, signal.SIGCHLD, signal.SIGUSR1):
            signal.signal(number, lambda *_: None)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(-1)
        self._reader.close()
        self._writer.close()

    def wait(self) -> set[signal.Signals]:
        """Return the signals that arrived, at least one."""
        return {signal.Signals(number) for number in self._reader.recv(1024)}


def tie_to_parent() -> Callable[[], None] | None:
    """Return what makes a Linux child get SIGTERM when its parent dies; None elsewhere."""
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)

    return tie


def main() -> None:
    """Run the plan named on the command line."""
    os.umask(0o077)  # what the services keep is their user's alone
    plan_file, state_file = map(Path, sys.argv[1:3])
    plan = read_state(plan_file)
    if plan is None:
        raise SystemExit(f"error: {plan_file} is not a plan of the local stack")
    Supervisor(plan, state_file).run()


if __name__ == "__main__":
    main()
