"""Where each service of the local stack listens, keeps its data and writes its log."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ingest.local.gcs_server import HOST, gcs_server_command

DEFAULT_PORT_BASE = 9040
DEFAULT_DATA_DIR = Path(".local")
PORTS_PER_STACK = 4
PROJECT_NUMBER = "123456789012"


class Service(StrEnum):
    """The three services, in the order of their ports."""

    GCS = "gcs"
    BIGQUERY = "bigquery"
    CI = "ci"


@dataclass(frozen=True)
class Layout:
    """One stack: an absolute data folder and the first of its four ports."""

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
        return {"gcs": base, "bigquery": base + 1, "ci": base + 2, "bigquery_grpc": base + 3}

    def endpoints(self, wanted: Iterable[Service]) -> dict[str, str]:
        """Return the settings (names of ingest.settings.Settings) that reach the services."""
        ports = self.ports
        addresses = {
            Service.GCS: ("gcs_endpoint", f"http://{HOST}:{ports['gcs']}"),
            Service.BIGQUERY: ("bigquery_endpoint", f"http://{HOST}:{ports['bigquery']}"),
            Service.CI: ("insights_endpoint", f"{HOST}:{ports['ci']}"),
        }
        return dict(addresses[service] for service in Service if service in set(wanted))

    def ports_of(self, service: Service) -> list[int]:
        """Return the ports that one service listens on."""
        names = ["bigquery", "bigquery_grpc"] if service is Service.BIGQUERY else [service.value]
        return [self.ports[name] for name in names]

    def command(self, service: Service) -> list[str]:
        """Return the command line that runs one service."""
        if service is Service.GCS:
            return gcs_server_command(self.ports["gcs"], self.service_dir(service))
        if service is Service.BIGQUERY:
            return [
                *(sys.executable, "-m", "ingest.local.bigquery_server"),
                *("--port", str(self.ports["bigquery"])),
                *("--grpc-port", str(self.ports["bigquery_grpc"])),
                *("--data-dir", str(self.service_dir(service))),
                *("--gcs-root", str(self.service_dir(Service.GCS))),
            ]
        every = self.endpoints(Service)
        return [
            *(sys.executable, "-m", "ingest.emulator"),
            *("--port", str(self.ports["ci"])),
            *("--data-dir", str(self.service_dir(service))),
            *("--gcs-endpoint", every["gcs_endpoint"]),
            *("--bigquery-endpoint", every["bigquery_endpoint"]),
            *("--project-number", PROJECT_NUMBER),
        ]
