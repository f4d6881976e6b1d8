"""Local stacks of the benchmarks: on free ports, data in scratch folders, ended with the run."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from ingest.cli.local import run_first_steps
from ingest.local import stack as local_stack
from ingest.local.layout import PORTS_PER_STACK, Layout, Service, is_free
from ingest.local.processes import StackState
from ingest.local.provisioning import provision
from ingest.settings import Settings

INGEST = str(Path(sys.executable).with_name("ingest"))
"""The sidecar's command, as installed."""
SERVICE_NAMES = {
    Service.GCS: "Cloud Storage",
    Service.BIGQUERY: "BigQuery",
    Service.INSIGHTS: "CI",
}
UNLIMITED = "100000000"
_PORTS = range(31_000, 32_000, PORTS_PER_STACK)


@dataclass(frozen=True)
class BenchStack:
    """A stack that answers, filled as `ingest local up` fills it."""

    layout: Layout
    state: StackState
    settings: Settings

    def fresh(self, name: str) -> Settings:
        """Return settings of a bucket and a raw dataset that hold nothing, just made."""
        settings = self.settings.model_copy(update={"bucket": name, "raw_dataset": f"raw_{name}"})
        provision(settings)
        return settings

    def cpu_sec(self) -> dict[Service, float]:
        """Return the time on cores that each service has taken by now, its children included."""
        return {
            Service(name): sum(
                _cpu_sec(process) for process in (root, *root.children(recursive=True))
            )
            for name, child in self.state.services.items()
            for root in [psutil.Process(child.pid)]
        }


@contextmanager
def running_stack(
    folder: Path, services: Sequence[Service] = tuple(Service)
) -> Iterator[BenchStack]:
    """Yield a stack with its data under `folder`."""
    layout = Layout(folder, free_port_base())
    state = local_stack.up(layout, list(services), lambda _: None, ends_with_caller=True)
    try:
        yield BenchStack(layout, state, run_first_steps(layout, state, lambda _: None))
    finally:
        local_stack.down(layout, lambda _: None)


def _cpu_sec(process: psutil.Process) -> float:
    """Its own time, and that of the children that it waited for."""
    try:
        used = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(used.user + used.system + used.children_user + used.children_system)


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the process environment in which the sidecar works with these settings, without
    quotas of its own."""
    named = {
        "PROJECT_ID": settings.project_id,
        "LOCATION": settings.location,
        "BUCKET": settings.bucket,
        "RAW_DATASET": settings.raw_dataset,
        "GCS_ENDPOINT": settings.gcs_endpoint or "",
        "BIGQUERY_ENDPOINT": settings.bigquery_endpoint or "",
        "INSIGHTS_ENDPOINT": settings.insights_endpoint or "",
        "QUOTA_CREATES_PER_MIN": UNLIMITED,
        "QUOTA_ANALYSES_PER_MIN": UNLIMITED,
        "QUOTA_REQUESTS_PER_MIN": UNLIMITED,
    }
    return {**os.environ, **{f"INGEST_{name}": value for name, value in named.items()}}


def free_port_base() -> int:
    """Return the first of four free ports."""
    return next(
        base for base in _PORTS if all(is_free(base + offset) for offset in range(PORTS_PER_STACK))
    )
