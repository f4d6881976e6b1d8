"""End to end: generated conversations through upload, CI and landing, nothing taking time."""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks.end_to_end import WholeRun, whole_run
from tests.benchmarks.harness import Bench, Row, Scale, Scenario, growth_row

SIZES = {
    Scale.QUICK: (5, 10, 20),
    Scale.DEFAULT: (1_000, 3_000, 10_000),
    Scale.FULL: (2_500, 10_000, 40_000),
}
LARGEST = 100_000
"""Measured only on request (`--with-100k`): it takes an hour or more."""
MOST_MEMORY_GROWTH = 0.15
SHOWN_CALLS = 0.005


def run(bench: Bench) -> Iterator[Row]:
    """Yield the rows."""
    sizes = (*SIZES[bench.scale], *((LARGEST,) if bench.is_largest_wanted else ()))
    runs = {}
    for count in sizes:
        done = whole_run(bench.folder / f"end-to-end-{count}", count)
        bench.say(f"  {count:,}: {done.push.wall_sec:.1f} s, {done.push.peak_mb:.0f} MB")
        runs[count] = done
        yield _row(done)
    yield from _calls(done)
    yield growth_row("time", {n: r.push.wall_sec for n, r in runs.items()}, "s")
    yield growth_row("CPU", {n: r.push.cpu_sec for n, r in runs.items()}, "s")
    memory = {n: r.push.peak_mb for n, r in runs.items()}
    yield growth_row("memory", memory, "MB", MOST_MEMORY_GROWTH)


def _row(done: WholeRun) -> Row:
    a_minute = 60 * done.count / done.push.wall_sec
    return Row(
        f"{done.count:,} conversations",
        f"{a_minute:,.0f} a minute, {done.cpu_ms_each:.1f} ms CPU each, {done.push.peak_mb:.0f} MB",
        "CI's quota: 300 a minute",
        f"{a_minute / 300:.1f} x",
        "≥ 1 x",
        a_minute >= 300 if done.count >= 500 else None,
    )


def _calls(done: WholeRun) -> Iterator[Row]:
    for method, calls in done.calls.items():
        if calls >= SHOWN_CALLS:
            yield Row(f"calls of {method}", f"{calls:.3f} a conversation")


SCENARIO = Scenario(
    "end_to_end",
    "End to end, no latency",
    "`ingest push` of generated conversations, single mode, every service on this machine and "
    "sharing its cores; one run a size, so these are figures and not ratios of pairs. Memory is "
    "the sidecar's largest.",
    run,
)
