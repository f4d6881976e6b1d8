"""Where each service of the local stack listens, keeps its data and writes its log."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ingest.errors import InputError
from ingest.local.gcs import HOST
from ingest.local.processes import holder_of_port

DEFAULT_PORT_BASE = 9040
DEFAULT_DATA_DIR = Path(".local")
PORTS_PER_STACK = 6
_LAST_PORT = 65_535
PROJECT_NUMBER = "123456789012"


class Service(StrEnum):
    """The three services, in the order of their ports."""

    GCS = "gcs"
    BIGQUERY = "bigquery"
    INSIGHTS = "ci"


_PORT_NAMES = {
    Service.GCS: ("gcs", "gcs_store"),
    Service.BIGQUERY: ("bigquery", "bigquery_grpc"),
    Service.INSIGHTS: ("ci", "ci_rest"),
}


@dataclass(frozen=True)
class Layout:
    """One stack: an absolute data folder and the first of its six ports."""

    data_dir: Path
    port_base: int = DEFAULT_PORT_BASE

    @property
    def state_file(self) -> Path:
        """What runs now; read by ingest/settings.py."""
        return self.data_dir / "stack.json"

    @property
    def plan_file(self) -> Path:
        """What the supervisor is to run."""
        return self.data_dir / "stack.plan.json"

    @property
    def lock_file(self) -> Path:
        """Held by the one command that changes the stack."""
        return self.data_dir / "stack.lock"

    @property
    def logs_dir(self) -> Path:
        """One log a service, and the supervisor's."""
        return self.data_dir / "logs"

    def log_file(self, name: str) -> Path:
        """Return the log of a service or of the supervisor."""
        return self.logs_dir / f"{name}.log"

    def service_dir(self, service: Service) -> Path:
        """Return the folder with all data of one service."""
        return self.data_dir / service.value

    @property
    def ports(self) -> dict[str, int]:
        """Every port of the stack by what listens there."""
        base = self.port_base
        names = ("gcs", "bigquery", "ci", "bigquery_grpc", "ci_rest", "gcs_store")
        return {name: base + offset for offset, name in enumerate(names)}

    def endpoints(self, wanted: Iterable[Service]) -> dict[str, str]:
        """Return the settings (names of ingest.settings.Settings) that reach the services."""
        ports = self.ports
        addresses = {
            Service.GCS: ("gcs_endpoint", f"http://{HOST}:{ports['gcs']}"),
            Service.BIGQUERY: ("bigquery_endpoint", f"http://{HOST}:{ports['bigquery']}"),
            Service.INSIGHTS: ("insights_endpoint", f"{HOST}:{ports['ci']}"),
        }
        return dict(addresses[service] for service in Service if service in set(wanted))

    def ports_of(self, service: Service) -> list[int]:
        """Return the ports that one service listens on."""
        return [self.ports[name] for name in _PORT_NAMES[service]]

    def command(self, service: Service) -> list[str]:
        """Return the command line that runs one service."""
        if service is Service.GCS:
            return [
                *(sys.executable, "-m", "ingest.local.gcs_front"),
                *(str(self.ports["gcs"]), str(self.ports["gcs_store"])),
                str(self.service_dir(service)),
            ]
        every = self.endpoints(Service)
        if service is Service.BIGQUERY:
            return [
                *(sys.executable, "-m", "ingest.local.bigquery.server"),
                *("--port", str(self.ports["bigquery"])),
                *("--grpc-port", str(self.ports["bigquery_grpc"])),
                *("--data-dir", str(self.service_dir(service))),
                *("--gcs-root", str(self.service_dir(Service.GCS))),
                *("--gcs-endpoint", every["gcs_endpoint"]),
            ]
        return [
            *(sys.executable, "-m", "ingest.emulator"),
            *("--port", str(self.ports["ci"])),
            *("--rest-port", str(self.ports["ci_rest"])),
            *("--data-dir", str(self.service_dir(service))),
            *("--gcs-endpoint", every["gcs_endpoint"]),
            *("--bigquery-endpoint", every["bigquery_endpoint"]),
            *("--project-number", PROJECT_NUMBER),
            *("--qa-rubric", str(Path(__file__).with_name("qa_rubric.yaml"))),
        ]


def check_ports_free(layout: Layout, wanted: Iterable[Service]) -> None:
    """Raise InputError when a port of the stack is out of range or another program's."""
    base = layout.port_base
    if not 1024 <= base <= _LAST_PORT - max(layout.ports.values()) + base:
        raise InputError(
            f"port base {base} is out of range",
            "choose one from 1024 to 65530, for example `ingest local up --port-base 9140`",
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
