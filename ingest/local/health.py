"""Whether a service answers: asked over its own protocol, on loopback, within a second or two."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Collection

from ingest.local.gcs_server import HOST
from ingest.local.layout import Layout, Service
from ingest.settings import LOCAL_PROJECT_ID

_PROBE_TIMEOUT_SEC = 2.0
_PAUSE_SEC = 0.05
_PATHS = {
    Service.GCS: "/_internal/healthcheck",
    Service.BIGQUERY: f"/bigquery/v2/projects/{LOCAL_PROJECT_ID}/datasets?maxResults=1",
}


def answers(layout: Layout, service: Service) -> bool:
    """Say whether the service does its work now."""
    port = layout.ports[service.value]
    return _grpc_answers(port) if service is Service.CI else _http_answers(port, _PATHS[service])


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
