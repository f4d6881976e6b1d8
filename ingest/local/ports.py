"""Free ports, and who holds the ones that aren't."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from ingest.errors import InputError
from ingest.local.gcs_server import HOST
from ingest.local.layout import Layout, Service
from ingest.local.processes import holder_of_port

_LAST_PORT = 65_535


def check_ports_free(layout: Layout, wanted: Iterable[Service]) -> None:
    """Raise InputError when a port of the stack is out of range or another program's."""
    base = layout.port_base
    if not 1024 <= base <= _LAST_PORT - max(layout.ports.values()) + base:
        raise InputError(
            f"port base {base} is out of range",
            "choose one from 1024 to 65532, for example `ingest local up --port-base 9140`",
        )
    for service in wanted:
        for port in layout.ports_of(service):
            if not is_free(port):
                holder = holder_of_port(port)
                raise InputError(
                    f"port {port} ({service}) is in use" + (f" by {holder}" if holder else ""),
                    "end that program, or choose other ports: "
                    f"`ingest local up --port-base {base + 100}`",
                )


def is_free(port: int) -> bool:
    """Say whether a server could listen on the port of the loopback address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
