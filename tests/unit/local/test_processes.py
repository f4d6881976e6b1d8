from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.local.processes import (
    Child,
    ProcessIdentity,
    StackState,
    await_state,
    end_processes,
    holder_of_port,
    identity_of,
    is_alive,
    processes_of,
    read_state,
    still_alive,
    write_state,
)

WAITS = "import signal; print('ready', flush=True); signal.pause()"
STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('ready', flush=True)\nwhile True: signal.pause()"
)


@contextmanager
def running(program: str, *arguments: str) -> Iterator[ProcessIdentity]:
    process = subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        identity = identity_of(process.pid)
        assert identity is not None
        yield identity
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_process_is_alive_until_it_is_ended() -> None:
    with running(WAITS) as identity:
        before = is_alive(identity)
        end_processes([identity], grace_sec=5)

        assert (before, is_alive(identity)) == (True, False)


def test_a_process_that_ignores_sigterm_is_killed_after_the_grace() -> None:
    with running(STUBBORN) as identity:
        end_processes([identity], grace_sec=0.2)

        assert not is_alive(identity)


def test_a_stopped_process_gets_its_signal_within_the_grace() -> None:
    with running(WAITS) as identity:
        os.kill(identity.pid, signal.SIGSTOP)

        end_processes([identity], grace_sec=30)

        assert not is_alive(identity)


def test_another_process_with_a_recycled_pid_is_left_alone() -> None:
    with running(WAITS) as identity:
        recorded = replace(identity, started_at=identity.started_at - 60)

        end_processes([recorded], grace_sec=0.1)

        assert (is_alive(recorded), is_alive(identity)) == (False, True)


def test_waiting_for_a_process_that_goes_on_ends_at_the_deadline() -> None:
    with running(WAITS) as identity:
        assert still_alive([identity], deadline_sec=0.1) == [identity]


def test_a_pid_that_nobody_has_gives_no_identity() -> None:
    with running(WAITS) as identity:
        pass

    assert identity_of(identity.pid) is None


def test_the_stacks_processes_are_found_by_their_data_folder_alone(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    with (
        running(WAITS, "ingest.emulator", str(mine / "ci")) as child,
        running(WAITS, "ingest.local.supervisor", str(mine / "stack.plan.json")) as supervisor,
        running(WAITS, "ingest.emulator", str(other / "ci")),
        running(WAITS, "some.other.program", str(mine / "ci")),
    ):
        assert processes_of(mine) == [supervisor, child]


def test_the_holder_of_a_port_is_named() -> None:
    listens = (
        "import signal, socket; s = socket.create_server(('127.0.0.1', 0)); "
        "open(__import__('sys').argv[1], 'w').write(str(s.getsockname()[1])); "
        "print('ready', flush=True); signal.pause()"
    )
    with subprocess_port(listens) as (port, pid):
        assert holder_of_port(port).startswith(f"pid {pid} (")


@contextmanager
def subprocess_port(program: str) -> Iterator[tuple[int, int]]:
    import tempfile

    with tempfile.NamedTemporaryFile() as file, running(program, file.name) as identity:
        yield int(Path(file.name).read_text()), identity.pid


names = st.sampled_from(["gcs", "bigquery", "ci"])
children = st.builds(
    Child,
    command=st.lists(st.text()),
    pid=st.integers(0, 2**22),
    started_at=st.floats(0, 2e9),
    exit_code=st.none() | st.integers(-64, 255),
)
states = st.builds(
    StackState,
    port_base=st.integers(1024, 65530),
    endpoints=st.dictionaries(names, st.text()),
    ports=st.dictionaries(names, st.integers(1024, 65535)),
    services=st.dictionaries(names, children),
    pid=st.integers(0, 2**22),
    started_at=st.floats(0, 2e9),
    logs_dir=st.text(),
)


@given(states)
def test_a_state_reads_back_as_it_was_written(tmp_path_factory, state: StackState) -> None:
    file = tmp_path_factory.mktemp("state") / "stack.json"

    write_state(file, state)

    assert read_state(file) == state


def test_settings_find_the_endpoints_where_the_state_keeps_them(tmp_path: Path) -> None:
    endpoints = {"gcs_endpoint": "http://127.0.0.1:9040"}
    write_state(tmp_path / "stack.json", StackState(9040, endpoints, {}, {}))

    assert json.loads((tmp_path / "stack.json").read_text())["endpoints"] == endpoints


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', '{"services": {"a": 1}}', "\0"])
def test_a_damaged_state_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "stack.json").write_text(content)

    assert read_state(tmp_path / "stack.json") is None


def test_waiting_for_a_state_that_never_comes_ends_at_the_deadline(tmp_path: Path) -> None:
    assert await_state(tmp_path / "stack.json", lambda _: True, deadline_sec=0.05) is None
