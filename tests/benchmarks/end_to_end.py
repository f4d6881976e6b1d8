"""A whole run at size: generated conversations, zero latency, push and build on one machine.

    python -m tests.benchmarks.end_to_end --conversations 10000

Prints wall time, the sidecar's CPU a conversation and its largest memory, calls of CI by method a
conversation, and the time of the build that follows.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from ingest.emulator.control_client import Control
from ingest.local.layout import Service
from ingest.settings import Settings
from tests.benchmarks.harness import Usage, run_command
from tests.benchmarks.stacks import INGEST, environment_of, running_stack
from tests.warehouse.dbt_runs import DbtProject
from tests.warehouse.raw_loading import client_for

RAW_TABLES = ("ci_conversations", "conversation_files")


@dataclass(frozen=True)
class Again:
    """What the same push took as a new run, and the rows in each raw table before and after."""

    push: Usage
    before: dict[str, int]
    after: dict[str, int]


@dataclass(frozen=True)
class WholeRun:
    """What a push of `count` conversations took, and the build after it (None: not built)."""

    count: int
    push: Usage
    calls: dict[str, float]
    """Calls of CI a conversation, by method."""
    services_cpu_sec: dict[Service, float]
    """CPU of each service of the stack while the push ran."""
    build_sec: float | None
    again: Again | None
    """A new run over the same conversations (None: not done)."""

    @property
    def cpu_ms_each(self) -> float:
        """The sidecar's CPU a conversation, its start included."""
        return 1000 * self.push.cpu_sec / self.count


def main() -> None:
    """Run once and print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--conversations", type=int, default=1000)
    arguments.add_argument("--mode", default="single", choices=["single", "bulk"])
    arguments.add_argument("--without-dbt", action="store_true")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        done = whole_run(
            Path(folder), chosen.conversations, mode=chosen.mode, has_build=not chosen.without_dbt
        )
    took = done.push.wall_sec
    print(f"push              {took:8.1f} s   {done.count / took:6.0f} conversations/s")
    print(f"CPU of the sidecar{done.cpu_ms_each:8.1f} ms a conversation")
    print(f"memory            {done.push.peak_mb:8.0f} MB at most")
    for method, calls in done.calls.items():
        print(f"{method:<28} {calls:6.3f} calls a conversation")
    for service, cpu_sec in done.services_cpu_sec.items():
        print(f"CPU of {service:<11}{1000 * cpu_sec / done.count:8.1f} ms a conversation")
    if done.build_sec is not None:
        print(f"dbt build         {done.build_sec:8.1f} s")


def whole_run(
    folder: Path,
    count: int,
    *,
    mode: str = "single",
    has_build: bool = False,
    is_repeated: bool = False,
) -> WholeRun:
    """Generate, push, and build and push again where asked for, on a stack of its own."""
    source = folder / "source"
    run_command([INGEST, "data", "generate", "--count", str(count), "--out", str(source)])
    with running_stack(folder / "stack") as stack:
        command = [INGEST, "push", str(source), "--mode", mode]
        environment = environment_of(stack.settings)
        before = stack.cpu_sec()
        push = run_command(command, environment)
        services = {name: after - before[name] for name, after in stack.cpu_sec().items()}
        with Control(str(stack.settings.insights_endpoint)) as control:
            calls = {
                method: sum(by_status.values()) / count
                for method, by_status in sorted(control.calls().items())
            }
        build_sec = _build(folder, str(stack.settings.bigquery_endpoint)) if has_build else None
        again = None
        if is_repeated:
            held = _raw_rows(stack.settings)
            again = Again(run_command(command, environment), held, _raw_rows(stack.settings))
    return WholeRun(count, push, calls, services, build_sec, again)


def _raw_rows(settings: Settings) -> dict[str, int]:
    client = client_for(str(settings.bigquery_endpoint), settings.project_id)
    counts = {}
    for table in RAW_TABLES:
        sql = (
            f"select count(*) as n from {settings.raw_dataset}.{table} "
            "where _landed_at >= timestamp('2000-01-01')"
        )
        (row,) = client.query(sql, retry=None, job_retry=None).result(timeout=600)
        counts[table] = int(row.n)
    return counts


def _build(folder: Path, endpoint: str) -> float:
    began = time.monotonic()
    DbtProject(folder, endpoint).run("build")
    return time.monotonic() - began


if __name__ == "__main__":
    main()
