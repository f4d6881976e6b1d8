"""The modelled cloud: Google's latencies and quotas, on a clock that jumps over the waiting."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.harness import Bench, Row, Scale, Scenario, Usage, growth_row, run_command
from tests.benchmarks.modelled_run import run_of
from tests.fakes.modelled_cloud import MINUTE_SEC, ModelledRun, most_in_a_minute

ROOT = Path(__file__).parents[2]
QUOTA_A_MINUTE = 300
SIZES = {
    Scale.QUICK: (40, 80, 320),
    Scale.DEFAULT: (750, 1_500, 3_000),
    Scale.FULL: (2_500, 5_000, 10_000),
}
MINUTES_TO_JUDGE = 10
"""A run of so many minutes of quota; in a shorter one the last analysis weighs too much."""


def run(bench: Bench) -> Iterator[Row]:
    """Yield the rows."""
    runs, usages = {}, {}
    for count in SIZES[bench.scale]:
        folder = bench.folder / f"modelled-{count}"
        folder.mkdir()
        usage = usages[count] = _measured(folder, count)
        done = runs[count] = run_of(folder)
        bench.say(f"  {count:,}: {done.took_sec:.0f} modelled s, {usage.cpu_sec:.1f} s of CPU")
        yield from pace(count, done)
        yield Row(
            f"{count:,} conversations: CPU of the process",
            f"{1000 * usage.cpu_sec / count:.1f} ms a conversation",
        )
    yield from _calls(count, done)
    yield growth_row("modelled time", {n: each.took_sec for n, each in runs.items()}, "s")
    yield growth_row("CPU of the process", {n: u.cpu_sec for n, u in usages.items()}, "s")
    yield growth_row("memory of the process", {n: u.peak_mb for n, u in usages.items()}, "MB")


def _measured(folder: Path, count: int) -> Usage:
    command = [sys.executable, "-m", "tests.benchmarks.modelled_run", str(count), str(folder)]
    return run_command(command, cwd=ROOT)


def pace(count: int, done: ModelledRun) -> Iterator[Row]:
    """Yield the rows of a run's pace against CI's quota."""
    creates = done.moments["create_conversation"]
    # A quota is used up by its last call, so the run's pace counts until a minute after that.
    minutes = (max(creates) + MINUTE_SEC) / MINUTE_SEC
    share = count / QUOTA_A_MINUTE / minutes
    is_judged = count >= MINUTES_TO_JUDGE * QUOTA_A_MINUTE
    yield Row(
        f"{count:,} conversations",
        f"{count / minutes:.0f} a minute of quota, {done.took_sec:.0f} s in all",
        f"CI's quota: {QUOTA_A_MINUTE} a minute",
        f"{share:.1%} of it",
        "≥ 95 %" if is_judged else "",
        share >= 0.95 if is_judged else None,
    )
    most = most_in_a_minute(creates)
    yield Row(
        f"{count:,} conversations: most creates in any minute",
        str(most),
        f"CI's quota: {QUOTA_A_MINUTE}",
        f"{most / QUOTA_A_MINUTE:.1%} of it",
        "≤ 100 %, none refused",
        most <= QUOTA_A_MINUTE,
    )


def _calls(count: int, done: ModelledRun) -> Iterator[Row]:
    called = {f"CI {method}": len(moments) for method, moments in done.moments.items()}
    called |= {f"bucket {method}": calls for method, calls in done.bucket_calls.items()}
    called |= {f"BigQuery {method}": calls for method, calls in done.bigquery_calls.items()}
    for name, calls in called.items():
        yield Row(f"calls: {name}", f"{calls / count:.3f} a conversation")


SCENARIO = Scenario(
    "modelled_cloud",
    "The modelled cloud",
    "A call of the bucket takes 50 ms and 16 go at once, a call of CI 200 ms, a job of BigQuery "
    "1 s, an analysis 14 s; CI's quotas are Google's. The clock jumps over the waiting. A quota is "
    "used up by its last call, so the pace a minute counts the 60 seconds after the last create "
    "too. Each size is a process of its own, in which the CI emulator and the sidecar with its "
    "adapter are real, and bucket and tables are in memory: CPU and memory are of all of that, "
    "start and emulator included. What the sidecar alone needs, at 1,000 to 100,000 "
    "conversations, is in the section End to end.",
    run,
    "one run a size",
)
