"""A whole run at size: generated conversations, zero latency, push and build on one machine.

    python -m tests.benchmarks.end_to_end --conversations 10000

Prints wall time, the sidecar's CPU a conversation and its largest memory, calls of CI by method a
conversation, load jobs a conversation, and the time of the build that follows.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ingest.emulator.control import Control
from ingest.local import stack as local_stack
from ingest.local.first_steps import run_first_steps
from ingest.local.layout import Layout, Service
from ingest.local.ports import is_free
from tests.warehouse.dbt_runs import DbtProject

RUN_INGEST = "from ingest.cli import main; main()"
UNLIMITED = "100000000"


def main() -> None:
    """Run once and print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--conversations", type=int, default=1000)
    arguments.add_argument("--mode", default="single", choices=["single", "bulk"])
    arguments.add_argument("--without-dbt", action="store_true")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), chosen.conversations, chosen.mode, chosen.without_dbt)


def measure(folder: Path, count: int, mode: str, without_dbt: bool) -> None:
    """Generate, push, build; print each figure on its line."""
    source = folder / "source"
    ingest(os.environ, "data", "generate", "--count", str(count), "--out", str(source))
    layout = Layout(folder / "stack", free_port_base())
    state = local_stack.up(layout, list(Service), lambda _: None)
    try:
        settings = run_first_steps(layout, state, lambda _: None)
        environment = os.environ | {
            f"INGEST_{name.upper()}": value for name, value in state.endpoints.items()
        }
        for quota in ("CREATES", "ANALYSES", "REQUESTS"):
            environment[f"INGEST_QUOTA_{quota}_PER_MIN"] = UNLIMITED
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.monotonic()
        ingest(environment, "push", str(source), "--mode", mode)
        took = time.monotonic() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"push              {took:8.1f} s   {count / took:6.0f} conversations/s")
        print(f"CPU of the sidecar{1000 * cpu / count:8.1f} ms a conversation")
        print(f"memory            {after.ru_maxrss / 1024:8.0f} MB at most")
        with Control(str(settings.insights_endpoint)) as control:
            for method, by_status in sorted(control.calls().items()):
                calls = sum(by_status.values())
                print(f"{method:<28} {calls / count:6.3f} calls a conversation")
        if not without_dbt:
            began = time.monotonic()
            DbtProject(folder, str(settings.bigquery_endpoint)).run("build")
            print(f"dbt build         {time.monotonic() - began:8.1f} s")
    finally:
        local_stack.down(layout, lambda _: None)


def ingest(environment: os._Environ[str] | dict[str, str], *arguments: str) -> None:
    """Run one command of the sidecar; its exit code must be 0."""
    subprocess.run(
        [sys.executable, "-c", RUN_INGEST, *arguments],
        env=dict(environment),
        check=True,
        stdout=subprocess.DEVNULL,
    )


def free_port_base() -> int:
    """Return the first of four free ports."""
    return next(
        base
        for base in range(31_000, 32_000, 4)
        if all(is_free(base + offset) for offset in range(4))
    )


if __name__ == "__main__":
    main()
