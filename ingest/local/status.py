"""What of the local stack runs, whether it answers and how much data it keeps."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from ingest.local.health import answers
from ingest.local.layout import Layout, Service
from ingest.local.processes import is_alive
from ingest.local.stack_status import ServiceStatus, StackStatus
from ingest.local.state import Child, read_state


def status(layout: Layout) -> StackStatus:
    """Return what runs and whether it answers; changes nothing."""
    state = read_state(layout.state_file)
    if state is None:
        stopped = [_service_status(layout, service, None) for service in Service]
        return StackStatus(None, layout.port_base, str(layout.data_dir), {}, tuple(stopped))
    actual = Layout(layout.data_dir, state.port_base)
    children = {Service(name): child for name, child in state.services.items()}
    return StackStatus(
        supervisor_pid=state.pid if is_alive(state.identity) else None,
        port_base=state.port_base,
        data_dir=str(layout.data_dir),
        endpoints=state.endpoints,
        services=tuple(_service_status(actual, *pair) for pair in children.items()),
    )


def size_of(folder: Path) -> int:
    """Return the bytes of all files under a folder; links count as nothing."""
    found = (Path(root) / name for root, _, names in os.walk(folder) for name in names)
    total = 0
    for path in found:
        with contextlib.suppress(OSError):
            total += path.lstat().st_size if not path.is_symlink() else 0
    return total


def describe_exit(exit_code: int | None) -> str:
    """Return an exit code in words; negative codes are signals, as in subprocess."""
    if exit_code is None:
        return "exit code unknown"
    if exit_code < 0:
        return f"killed by {signal.Signals(-exit_code).name}"
    return f"exit code {exit_code}"


def _service_status(layout: Layout, service: Service, child: Child | None) -> ServiceStatus:
    if child is None:
        health = "stopped"
    elif not is_alive(child.identity):
        health = "dead"
    else:
        health = "ok" if answers(layout, service) else "not answering"
    return ServiceStatus(
        name=service.value,
        health=health,
        port=layout.ports[service.value],
        pid=child.pid if child and is_alive(child.identity) else None,
        exit_code=child.exit_code if child else None,
        data_bytes=size_of(layout.service_dir(service)),
    )


def as_table(found: StackStatus) -> str:
    """Return the status as a table for people."""
    supervisor = f"pid {found.supervisor_pid}" if found.supervisor_pid else "not running"
    lines = [f"supervisor {supervisor}, data in {found.data_dir}"]
    lines.append(f"{'SERVICE':<10}{'HEALTH':<16}{'PID':>8}{'PORT':>7}{'DATA':>12}")
    for service in found.services:
        pid = "-" if service.pid is None else str(service.pid)
        size = f"{service.data_bytes / 1e6:.1f} MB"
        end = describe_exit(service.exit_code) if service.health == "dead" else ""
        lines.append(
            f"{service.name:<10}{service.health:<16}{pid:>8}{service.port:>7}{size:>12}  {end}"
        )
    return "\n".join(line.rstrip() for line in lines)
