"""The supervisor alone, with two small programs as its services."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.local.processes import (
    Child,
    StackState,
    await_state,
    end_processes,
    is_alive,
    still_alive,
    write_state,
)

WAITS = [sys.executable, "-c", "import signal; signal.pause()"]
FAILS = [sys.executable, "-c", "print('cannot start'); raise SystemExit(3)"]


class Running:
    """A supervisor under test and what it says of itself."""

    def __init__(self, folder: Path, commands: dict[str, list[str]]) -> None:
        self.state_file = folder / "stack.json"
        self.log = folder / "logs"
        self.log.mkdir()
        plan = StackState(
            port_base=9040,
            endpoints={},
            ports={},
            services={name: Child(command) for name, command in commands.items()},
            logs_dir=str(self.log),
        )
        write_state(folder / "plan.json", plan)
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "ingest.local.supervisor"),
                *(str(folder / "plan.json"), str(self.state_file)),
            ]
        )
        self.state = self.wait_for(lambda state: state.pid == self.process.pid)

    def wait_for(self, accept) -> StackState:
        state = await_state(self.state_file, accept)
        assert state is not None, "the supervisor never came to the expected state"
        return state

    def end(self) -> None:
        state = await_state(self.state_file, lambda _: True)
        self.process.kill()
        self.process.wait()
        if state is not None:
            end_processes([child.identity for child in state.services.values()], 1)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path, {"a": WAITS, "b": WAITS})
    yield running
    running.end()


def test_the_state_names_every_process(supervisor: Running) -> None:
    alive = {name: is_alive(child.identity) for name, child in supervisor.state.services.items()}

    assert alive == {"a": True, "b": True}
    assert is_alive(supervisor.state.identity)


def test_a_killed_service_is_reported_and_not_restarted_in_silence(supervisor: Running) -> None:
    os.kill(supervisor.state.services["a"].pid, signal.SIGKILL)

    after = supervisor.wait_for(lambda state: state.services["a"].exit_code is not None)

    assert after.services["a"].exit_code == -signal.SIGKILL
    assert after.services["a"].pid == supervisor.state.services["a"].pid
    assert after.services["b"] == supervisor.state.services["b"]


def test_sigusr1_restarts_what_died_and_nothing_else(supervisor: Running) -> None:
    os.kill(supervisor.state.services["a"].pid, signal.SIGKILL)
    supervisor.wait_for(lambda state: state.services["a"].exit_code is not None)

    os.kill(supervisor.state.pid, signal.SIGUSR1)
    after = supervisor.wait_for(lambda state: state.services["a"].exit_code is None)

    assert is_alive(after.services["a"].identity)
    assert after.services["b"] == supervisor.state.services["b"]


def test_sigterm_ends_every_service_and_then_the_supervisor(supervisor: Running) -> None:
    supervisor.process.terminate()

    assert supervisor.process.wait(10) == 0
    assert [is_alive(child.identity) for child in supervisor.state.services.values()] == [
        False,
        False,
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent")
def test_services_end_with_a_supervisor_that_is_killed(supervisor: Running) -> None:
    supervisor.process.kill()
    supervisor.process.wait()

    children = [child.identity for child in supervisor.state.services.values()]
    assert still_alive(children, deadline_sec=5) == []


def test_a_service_that_cannot_start_leaves_its_words_in_its_log(tmp_path: Path) -> None:
    running = Running(tmp_path, {"a": FAILS, "b": WAITS})
    try:
        after = running.wait_for(lambda state: state.services["a"].exit_code is not None)
    finally:
        running.end()

    assert after.services["a"].exit_code == 3
    assert (running.log / "a.log").read_text() == "cannot start\n"
