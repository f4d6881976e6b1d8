"""The life of the local stack: killed, cut off, started twice, on taken ports."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from stack_fixture import print_nothing

from ingest.errors import InputError, RemoteError
from ingest.local import stack as local_stack
from ingest.local.layout import Layout, Service
from ingest.local.processes import (
    ProcessIdentity,
    StackState,
    await_state,
    is_alive,
    processes_of,
    read_state,
    still_alive,
    write_state,
)
from ingest.local.status import status

pytestmark = [pytest.mark.stack, pytest.mark.chaos]

QUICK = [Service.GCS]


@dataclass
class Playground:
    """A small stack (Cloud Storage alone, which starts in a moment) to be mistreated."""

    layout: Layout

    def up(self, wanted: list[Service] | None = None) -> tuple[StackState, list[str]]:
        said: list[str] = []
        state = local_stack.up(self.layout, wanted or QUICK, said.append, ends_with_caller=True)
        return state, said

    def down(self) -> list[int]:
        return local_stack.down(self.layout, print_nothing)

    def processes(self) -> list[ProcessIdentity]:
        return processes_of(self.layout.data_dir)


@pytest.fixture
def playground(tmp_path: Path, stack_port_bases: Iterator[int]) -> Iterator[Playground]:
    playground = Playground(Layout(tmp_path / "data", next(stack_port_bases)))
    yield playground
    playground.down()
    assert playground.processes() == []


def kill(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def test_up_is_idempotent(playground: Playground) -> None:
    first, _ = playground.up()
    second, said = playground.up()

    assert second == first
    assert said[0] == "the local stack already runs"


def test_up_restarts_a_stack_that_runs_other_programs(
    playground: Playground, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, _ = playground.up()
    monkeypatch.setattr(local_stack, "programs", lambda: "those of an upgrade")

    after, said = playground.up()
    again, said_again = playground.up()

    assert said[0] == "the local stack runs programs of another version; restarting it"
    assert not is_alive(before.identity)
    assert (after.pid != before.pid, after.programs) == (True, "those of an upgrade")
    assert (again, said_again[0]) == (after, "the local stack already runs")


def test_a_state_without_programs_is_that_of_an_older_version(playground: Playground) -> None:
    before, _ = playground.up()
    raw = json.loads(playground.layout.state_file.read_text())
    del raw["programs"]
    playground.layout.state_file.write_text(json.dumps({**raw, "later": 1}))

    after, said = playground.up()

    assert said[0] == "the local stack runs programs of another version; restarting it"
    assert after.pid != before.pid


def test_nobody_else_may_read_what_the_stack_keeps(playground: Playground) -> None:
    folder = playground.layout.data_dir
    playground.up()
    client = storage.Client(
        project="p",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": f"http://127.0.0.1:{playground.layout.port_base}"},
    )
    bucket = client.create_bucket("bucket", timeout=10, retry=None)
    bucket.blob("folder/object").upload_from_string("text", timeout=10, retry=None)
    client.close()

    fresh = _open_to_others(folder)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    loosened = _open_to_others(folder)
    playground.up()

    assert (fresh, len(loosened) > 8, _open_to_others(folder)) == ([], True, [])


def test_a_folder_that_holds_other_things_keeps_its_own_mode(playground: Playground) -> None:
    folder = playground.layout.data_dir
    folder.mkdir()
    other = folder / "other.txt"
    other.write_text("mine")
    for path, mode in ((folder, 0o755), (other, 0o644)):
        path.chmod(mode)

    playground.up()

    assert _open_to_others(folder) == [folder, other]


def _open_to_others(folder: Path) -> list[Path]:
    return [path for path in [folder, *folder.rglob("*")] if path.stat().st_mode & 0o077]


def test_down_leaves_no_process_and_no_state_but_the_data(playground: Playground) -> None:
    state, _ = playground.up()
    (playground.layout.service_dir(Service.GCS) / "kept").mkdir()

    ended = playground.down()

    assert {state.pid, state.services["gcs"].pid} < set(ended)
    assert playground.processes() == []
    assert read_state(playground.layout.state_file) is None
    assert (playground.layout.service_dir(Service.GCS) / "kept").is_dir()


def test_down_of_a_stack_that_does_not_run_ends_nothing(playground: Playground) -> None:
    assert playground.down() == []


def test_a_killed_service_is_shown_by_status_and_restarted_by_up(playground: Playground) -> None:
    before, _ = playground.up()
    kill(before.services["gcs"].pid)
    await_state(playground.layout.state_file, lambda s: s.services["gcs"].exit_code is not None)

    shown = status(playground.layout)
    after, said = playground.up()

    (gcs,) = shown.services
    assert (gcs.health, gcs.pid, gcs.exit_code, shown.is_healthy) == ("dead", None, -9, False)
    assert said[0] == (
        f"gcs (pid {before.services['gcs'].pid}) has ended: killed by SIGKILL; restarting it"
    )
    assert after.pid == before.pid
    assert status(playground.layout).is_healthy


def test_a_killed_supervisor_is_reported_and_replaced(playground: Playground) -> None:
    before, _ = playground.up()
    kill(before.pid)
    still_alive([before.identity], deadline_sec=5)

    shown = status(playground.layout)
    after, said = playground.up()

    assert (shown.supervisor_pid, shown.is_healthy) == (None, False)
    assert said[0].startswith(f"the supervisor (pid {before.pid}) is gone")
    assert is_alive(after.identity)
    assert status(playground.layout).is_healthy


def test_down_after_a_killed_supervisor_leaves_no_process(playground: Playground) -> None:
    state, _ = playground.up()
    kill(state.pid)

    playground.down()

    assert playground.processes() == []


def test_down_ends_a_supervisor_that_was_stopped(playground: Playground) -> None:
    state, _ = playground.up()
    os.kill(state.pid, signal.SIGSTOP)

    playground.down()

    assert not is_alive(state.identity)
    assert playground.processes() == []


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_text("{")])
def test_processes_are_found_and_ended_without_the_state_file(
    playground: Playground, damage
) -> None:
    lost, _ = playground.up()
    damage(playground.layout.state_file)

    fresh, said = playground.up()

    assert said[0] == "no state file, but 2 processes of this stack ran; ended them"
    assert not is_alive(lost.identity)
    assert is_alive(fresh.identity)


def test_a_stale_state_file_whose_pids_others_have_now_harms_nobody(
    playground: Playground,
) -> None:
    state, _ = playground.up()
    playground.down()
    stranger = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    try:
        child = state.services["gcs"]
        stale = state.with_child("gcs", type(child)(child.command, stranger.pid, 1.0))
        write_state(playground.layout.state_file, stale)

        playground.up()

        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_taken_port_is_a_clear_error_and_leaves_nothing(playground: Playground) -> None:
    port = playground.layout.ports["gcs"]
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(InputError, match=rf"port {port} \(gcs\) is in use by pid {os.getpid()}"),
    ):
        playground.up()

    assert playground.processes() == []
    assert playground.up()[0].port_base == playground.layout.port_base


def test_a_running_stack_does_not_move_to_other_ports(
    playground: Playground, stack_port_bases: Iterator[int]
) -> None:
    state, _ = playground.up()
    elsewhere = Layout(playground.layout.data_dir, next(stack_port_bases))

    with pytest.raises(InputError, match=f"already runs on port base {state.port_base}"):
        local_stack.up(elsewhere, QUICK, print_nothing)

    assert is_alive(state.identity)


def test_a_service_that_cannot_start_is_named_and_nothing_is_left(
    playground: Playground,
) -> None:
    data = playground.layout.service_dir(Service.BIGQUERY)
    data.mkdir(parents=True)
    (data / "emulator.duckdb").write_text("this is no database")

    with pytest.raises(RemoteError) as caught:
        playground.up([Service.GCS, Service.BIGQUERY])

    assert caught.value.message == "bigquery ended while it started"
    assert caught.value.hint == "run `ingest local logs bigquery`"
    assert "not a valid DuckDB database" in playground.layout.log_file("bigquery").read_text()
    assert playground.processes() == []


def test_ups_at_the_same_time_start_one_stack(playground: Playground) -> None:
    program = (
        "import sys; from pathlib import Path; from ingest.local import stack; "
        "from ingest.local.layout import Layout, Service; "
        "layout = Layout(Path(sys.argv[1]), int(sys.argv[2])); "
        "print(stack.up(layout, [Service.GCS], lambda line: None).pid)"
    )
    layout = playground.layout
    command = [sys.executable, "-c", program, str(layout.data_dir), str(layout.port_base)]

    with ThreadPoolExecutor(3) as threads:
        runs = list(
            threads.map(
                lambda _: subprocess.run(
                    command, capture_output=True, text=True, timeout=60, check=True
                ),
                range(3),
            )
        )

    pids = {int(run.stdout) for run in runs}
    assert len(pids) == 1
    assert len(playground.processes()) == 2


def test_reset_deletes_what_the_stack_made_and_nothing_else(playground: Playground) -> None:
    playground.up()
    (playground.layout.service_dir(Service.GCS) / "object").write_bytes(b"12345")
    mine = playground.layout.data_dir / "mine.txt"
    mine.write_text("mine")

    freed = local_stack.reset(playground.layout, print_nothing)

    assert freed >= 5
    assert playground.processes() == []
    assert mine.read_text() == "mine"
    assert not any(playground.layout.service_dir(service).exists() for service in Service)


def test_the_state_file_is_what_settings_read(playground: Playground) -> None:
    state, _ = playground.up()

    raw = json.loads(playground.layout.state_file.read_text())

    assert raw["pid"] == state.pid
    assert raw["endpoints"] == {"gcs_endpoint": f"http://127.0.0.1:{playground.layout.port_base}"}
