"""What is told of the local stack; loads without the packages that the stack itself needs."""

from __future__ import annotations

from dataclasses import dataclass


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
