"""What of the local stack runs, whether it answers, how much data it keeps, and its logs.

A service is asked over its own protocol, on loopback, within a second or two."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.local.gcs import HOST
from ingest.local.layout import Layout, Service
from ingest.local.processes import Child, is_alive, read_state
from ingest.settings import LOCAL_PROJECT_ID

_PROBE_TIMEOUT_SEC = 2.0
_PAUSE_SEC = 0.05
_PAUSE_OF_LOGS_SEC = 0.25
_PATHS = {
    Service.GCS: "/_internal/healthcheck",
    Service.BIGQUERY: f"/bigquery/v2/projects/{LOCAL_PROJECT_ID}/datasets?maxResults=1",
}


@dataclass(frozen=True)
class ServiceStatus:
    """One service as it is now; health is ok, starting, dead or stopped."""

    name: str
    health: str
    port: int
    pid: int | None
    exit_code: int | None
    data_bytes: int


@dataclass(frozen=True)
class StackStatus:
    """The stack as it is now; supervisor_pid is None when none runs."""

    supervisor_pid: int | None
    port_base: int
    data_dir: str
    endpoints: dict[str, str]
    services: tuple[ServiceStatus, ...]

    @property
    def is_healthy(self) -> bool:
        """True when a supervisor and every service of its plan do their work."""
        return self.supervisor_pid is not None and all(s.health == "ok" for s in self.services)


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


def answers(layout: Layout, service: Service) -> bool:
    """Say whether the service does its work now."""
    port = layout.ports[service.value]
    return (
        _grpc_answers(port) if service is Service.INSIGHTS else _http_answers(port, _PATHS[service])
    )


def wait_until_answering(
    pending: Collection[Service],
    probe: Callable[[Service], bool],
    *,
    deadline_sec: float,
    on_ready: Callable[[Service, float], None],
    stop_if: Callable[[], None],
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> set[Service]:
    """Return the services that didn't answer before the deadline; `stop_if` may raise to give up.

    `on_ready` gets each service as it answers and the seconds that took.
    """
    started, waiting = clock(), set(pending)
    while waiting and clock() - started < deadline_sec:
        stop_if()
        for service in sorted(waiting):
            if probe(service):
                waiting.discard(service)
                on_ready(service, clock() - started)
        if waiting:
            pause(_PAUSE_SEC)
    return waiting


def _http_answers(port: int, path: str) -> bool:
    # http.client and not urllib: a proxy set in the environment has no say on loopback.
    connection = http.client.HTTPConnection(HOST, port, timeout=_PROBE_TIMEOUT_SEC)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _grpc_answers(port: int) -> bool:
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    options = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(f"{HOST}:{port}", options=options) as channel:
        try:
            reply = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=_PROBE_TIMEOUT_SEC
            )
        except grpc.RpcError:
            return False
    return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


def last_lines(log: Path, count: int) -> list[str]:
    """Return the last lines of a log, none when there is no log."""
    if count <= 0 or not log.exists():
        return []
    return log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]


def follow(
    logs: Sequence[Path], pause: Callable[[float], None] = time.sleep
) -> Iterator[tuple[Path, str]]:
    """Yield each whole line as it is appended, from now on; a log that is begun anew counts."""
    offsets = {log: log.stat().st_size if log.exists() else 0 for log in logs}
    while True:
        for log in logs:
            for line in _appended(log, offsets):
                yield log, line
        pause(_PAUSE_OF_LOGS_SEC)


def _appended(log: Path, offsets: dict[Path, int]) -> list[str]:
    if not log.exists():
        return []
    with log.open("rb") as stream:
        if log.stat().st_size < offsets[log]:
            offsets[log] = 0
        stream.seek(offsets[log])
        whole, newline, _ = stream.read().rpartition(b"\n")
    offsets[log] += len(whole) + len(newline)
    return whole.decode("utf-8", errors="replace").splitlines()
