"""A whole local stack for tests: real servers on free ports, data in a temporary folder."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ingest.cli.local import run_first_steps
from ingest.errors import InputError, RemoteError
from ingest.local import stack as local_stack
from ingest.local.layout import PORTS_PER_STACK, Layout, Service, is_free
from ingest.local.processes import StackState
from ingest.settings import Settings

_FIRST_PORT = 20_000
_PORTS_PER_WORKER = 400
_BLOCKS = 31
"""All of them below the ports that Linux gives to clients, which begin at 32768."""
_ATTEMPTS = 5


@dataclass(frozen=True)
class Stack:
    """A stack that answers: where it is, and settings that reach it."""

    layout: Layout
    state: StackState
    settings: Settings

    @property
    def endpoints(self) -> dict[str, str]:
        """Values of gcs_endpoint, bigquery_endpoint and insights_endpoint."""
        return self.state.endpoints


@pytest.fixture(scope="session")
def stack_port_bases(request: pytest.FixtureRequest) -> Iterator[int]:
    """Yield port bases with free ports each; no two workers share one, two runs seldom do."""
    worker = getattr(request.config, "workerinput", {})
    run = str(worker.get("testrunuid", os.getpid()))
    number = int(re.sub(r"\D", "", worker.get("workerid", "gw0")))
    block = (zlib.crc32(run.encode()) + number) % _BLOCKS
    first = _FIRST_PORT + block * _PORTS_PER_WORKER
    return (
        base
        for base in range(first, first + _PORTS_PER_WORKER, PORTS_PER_STACK)
        if all(is_free(base + offset) for offset in range(PORTS_PER_STACK))
    )


@pytest.fixture(scope="session")
def stack(
    tmp_path_factory: pytest.TempPathFactory, stack_port_bases: Iterator[int]
) -> Iterator[Stack]:
    """Yield one stack with bucket, datasets and raw tables for all tests of this process."""
    data_dir = tmp_path_factory.mktemp("stack")
    layout, state = _up(data_dir, stack_port_bases)
    try:
        yield Stack(layout, state, run_first_steps(layout, state, print_nothing))
    finally:
        local_stack.down(layout, print_nothing)


def print_nothing(line: str) -> None:
    """Take a progress line and drop it."""


def _up(data_dir: Path, port_bases: Iterator[int]) -> tuple[Layout, StackState]:
    # Another run of the tests may take a port between the probe and the start.
    for _ in range(_ATTEMPTS):
        layout = Layout(data_dir, next(port_bases))
        try:
            return layout, local_stack.up(
                layout, list(Service), print_nothing, ends_with_caller=True
            )
        except (InputError, RemoteError):
            continue
    raise AssertionError(f"no free ports for a stack after {_ATTEMPTS} attempts")
