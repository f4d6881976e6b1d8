"""Options and fixtures of the chaos suite."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--chaos-full`, for runs that name this folder."""
    parser.addoption("--chaos-full", action="store_true", help="200 conversations, 50 kills")


@dataclass(frozen=True)
class Scale:
    """How much chaos: conversations, kills over all of them, and batches that they come in."""

    conversation_count: int
    kill_count: int
    batch_count: int


@pytest.fixture(scope="session")
def scale(request: pytest.FixtureRequest) -> Scale:
    """Return the whole scale with `--chaos-full`, else one that takes seconds."""
    return Scale(200, 50, 5) if request.config.getoption("--chaos-full", False) else Scale(12, 5, 2)


@dataclass(frozen=True)
class DoomedEnd:
    """How one run ended; -9 when it killed itself."""

    exit_code: int
    stdout: str
    stderr: str


class DoomedRuns:
    """Asks the process that forks a run each."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, *arguments: str, environment: dict[str, str], dies_at: int = 0) -> DoomedEnd:
        """Return how a run of the command ended."""
        request: dict[str, Any] = {
            "arguments": arguments,
            "environment": environment,
            "dies_at": dies_at,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return DoomedEnd(**json.loads(self._process.stdout.readline()))


@contextlib.contextmanager
def forking() -> Iterator[DoomedRuns]:
    """Yield a process that runs the command in forks, one after another."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("INGEST_", "CLOUD_RUN_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.doomed_runs"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env=clean,
    )
    yield DoomedRuns(process)
    process.communicate(timeout=30)


@pytest.fixture(scope="session")
def doomed_runs() -> Iterator[DoomedRuns]:
    """Yield a process that runs the command in forks."""
    with forking() as runs:
        yield runs
