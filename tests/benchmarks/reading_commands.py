"""How long commands that read take, and how much memory, at thousands of conversations.

    python -m tests.benchmarks.reading_commands      # or: make reading

Each size is a stack of its own: generated conversations, pushed, and built by dbt. Every command is
a process; its figures are medians. Exit code 1 when one of those that people wait for takes longer
than 2 s at any size, or when its memory at the last size is more than a tenth above the first.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.local.layout import Service
from tests.benchmarks.harness import Usage, run_command
from tests.benchmarks.stacks import INGEST, BenchStack, environment_of, running_stack
from tests.warehouse.dbt_runs import DbtProject

MAX_SEC = 2.0
MAX_GROWTH = 1.1
WAITED_FOR = ("status", "health", "ls raw", "ls ci", "ls gcs", "ls marts", "why", "show")
OTHERS = ("why, short id", "transcript", "runs", "errors", "report")


@dataclass(frozen=True)
class Figures:
    """One command: medians, and the time on cores that BigQuery took of it."""

    usage: Usage
    warehouse_cpu_sec: float


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--conversations", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    measured = {count: _measured(count, given.rounds) for count in given.conversations}
    is_met = True
    for name in (*WAITED_FOR, *OTHERS):
        figures = [measured[count][name] for count in given.conversations]
        slowest = max(each.usage.wall_sec for each in figures)
        growth = figures[-1].usage.peak_mb / figures[0].usage.peak_mb
        misses = [f"over {MAX_SEC:.0f} s"] * (slowest > MAX_SEC)
        misses += ["memory grows"] * (growth > MAX_GROWTH)
        is_met = is_met and not (misses and name in WAITED_FOR)
        print(f"{name:<14}  {' | '.join(map(_text, figures))}  {', '.join(misses) or 'met'}")
    return 0 if is_met else 1


def _text(figures: Figures) -> str:
    usage = figures.usage
    return (
        f"{usage.wall_sec:5.2f} s, {usage.cpu_sec:4.2f} s of CPU, {usage.peak_mb:3.0f} MB, "
        f"BigQuery {figures.warehouse_cpu_sec:4.2f} s"
    )


def _measured(count: int, rounds: int) -> Mapping[str, Figures]:
    """Return the figures of every command by name."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        source = folder / "source"
        run_command([INGEST, "data", "generate", "--count", str(count), "--out", str(source)])
        with running_stack(folder / "stack") as stack:
            environment = environment_of(stack.settings)
            run_command([INGEST, "push", str(source), "--mode", "single"], environment)
            project = DbtProject(folder / "dbt", str(stack.settings.bigquery_endpoint))
            project.run("build", "--resource-type", "model", "seed")
            id_ = sorted(path.parent.name for path in source.glob("*/*/metadata.json"))[count // 2]
            return {
                name: _median(stack, words, environment, rounds)
                for name, words in _commands(id_).items()
            }


def _commands(id_: str) -> dict[str, Sequence[str]]:
    of_one = {name: (name, id_) for name in ("why", "show", "transcript")}
    return {
        **{name: name.split() for name in (*WAITED_FOR, *OTHERS)},
        **of_one,
        "why, short id": ("why", id_[:12]),
    }


def _median(
    stack: BenchStack, words: Sequence[str], environment: Mapping[str, str], rounds: int
) -> Figures:
    usages: list[Usage] = []
    before = stack.cpu_sec()[Service.BIGQUERY]
    for _ in range(rounds):
        usages.append(run_command([INGEST, *words], environment))
    warehouse = (stack.cpu_sec()[Service.BIGQUERY] - before) / rounds
    middle = (
        statistics.median(values)
        for values in zip(*((u.wall_sec, u.cpu_sec, u.peak_mb) for u in usages), strict=True)
    )
    return Figures(Usage(*middle), warehouse)


if __name__ == "__main__":
    sys.exit(main())
