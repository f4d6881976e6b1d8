"""End to end: generated conversations through upload, CI and landing, nothing taking time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ingest.local.layout import Service
from tests.benchmarks.end_to_end import Again, WholeRun, whole_run
from tests.benchmarks.harness import (
    CLOCK_TICK_SEC,
    Bench,
    Row,
    Scale,
    Scenario,
    fitted_exponent,
    growth_row,
)
from tests.benchmarks.stacks import SERVICE_NAMES

SIZES = {
    Scale.QUICK: (5, 10, 20),
    Scale.DEFAULT: (1_000, 10_000, 100_000),
    Scale.FULL: (1_000, 10_000, 100_000),
}
BUILT_TO = 10_000
"""Up to that many conversations are built by dbt too, with every test."""
JUDGED_FROM = 1_000
"""In a shorter run the sidecar's start weighs too much."""
MOST_CPU_MS = 10.0
MOST_MEMORY_MB = 250.0
MOST_MEMORY_GROWTH = 0.15
SHOWN_CALLS = 0.005


def run(bench: Bench) -> Iterator[Row]:
    """Yield the rows."""
    runs = {}
    smallest, *_ = SIZES[bench.scale]
    for count in SIZES[bench.scale]:
        folder = bench.folder / f"end-to-end-{count}"
        done = runs[count] = whole_run(
            folder, count, has_build=count <= BUILT_TO, is_repeated=count == smallest
        )
        bench.say(f"  {count:,}: {done.push.wall_sec:.1f} s, {done.push.peak_mb:.0f} MB")
        yield from _rows(done)
    yield from _calls(done)
    if again := runs[smallest].again:
        yield from rows_of_a_second_run(smallest, again)
    yield growth_row("time", {n: r.push.wall_sec for n, r in runs.items()}, "s")
    yield growth_row("CPU of the sidecar", {n: r.push.cpu_sec for n, r in runs.items()}, "s")
    for service in Service:
        cpu_sec = {n: r.services_cpu_sec[service] for n, r in runs.items()}
        yield cpu_row(f"CPU of the {SERVICE_NAMES[service]} emulator", cpu_sec)
    memory = {n: r.push.peak_mb for n, r in runs.items()}
    yield growth_row("memory of the sidecar", memory, "MB", MOST_MEMORY_GROWTH)


def rows_of_a_second_run(count: int, again: Again) -> Iterator[Row]:
    """Yield what a new run over what is there already adds to each raw table."""
    for table, before in again.before.items():
        added = again.after[table] - before
        yield Row(
            f"{count:,} conversations pushed again, a new run: {table}",
            f"{added:,} rows more",
            f"of {before:,}",
            goal="none, of as many as were pushed",
            is_met=added == 0 and before >= count,
        )


def cpu_row(what: str, cpu_sec: Mapping[int, float]) -> Row:
    """Return the row of the CPU that a service took at each size: the exponent is that of the whole
    time, so 1 is a conversation's cost that stays the same."""
    shown = ", ".join(f"{n:,}: {1000 * took / n:.1f} ms" for n, took in cpu_sec.items())
    # A clock tick stands for none: an idle service has taken less.
    exponent = fitted_exponent({n: max(took, CLOCK_TICK_SEC) for n, took in cpu_sec.items()})
    return Row(f"{what}, a conversation", shown, "all of it: size^k", f"k = {exponent:.2f}")


def _rows(done: WholeRun) -> Iterator[Row]:
    a_minute = 60 * done.count / done.push.wall_sec
    what, is_judged = f"{done.count:,} conversations", done.count >= JUDGED_FROM
    yield Row(
        f"{what}: pace",
        f"{done.push.wall_sec:,.1f} s, {a_minute:,.0f} a minute",
        "CI's quota: 300 a minute",
        f"{a_minute / 300:.1f} x",
        "≥ 1 x" if is_judged else "",
        a_minute >= 300 if is_judged else None,
    )
    yield Row(
        f"{what}: CPU of the sidecar",
        f"{done.cpu_ms_each:.1f} ms a conversation",
        goal=f"≤ {MOST_CPU_MS:.0f} ms" if is_judged else "",
        is_met=done.cpu_ms_each <= MOST_CPU_MS if is_judged else None,
    )
    yield Row(
        f"{what}: memory of the sidecar",
        f"{done.push.peak_mb:.0f} MB",
        goal=f"≤ {MOST_MEMORY_MB:.0f} MB",
        is_met=done.push.peak_mb <= MOST_MEMORY_MB,
    )
    if done.build_sec is not None:
        yield Row(f"{what}: dbt build, every test", f"{done.build_sec:.1f} s")


def _calls(done: WholeRun) -> Iterator[Row]:
    for method, calls in done.calls.items():
        if calls >= SHOWN_CALLS:
            yield Row(f"calls of {method}", f"{calls:.3f} a conversation")


SCENARIO = Scenario(
    "end_to_end",
    "End to end, no latency",
    "`ingest push` of generated conversations, single mode, every service on this machine and "
    "sharing its cores; one run a size, so these are figures and not ratios of pairs. Memory is "
    "the sidecar's largest. Time is the sidecar's CPU, the emulators', and what is waited for on "
    "the disk and for a core: the rows of CPU say whose grows how. The new run pushes the "
    "smallest size again, with a run id of its own.",
    run,
    "one run a size",
    {
        "time": "the sidecar's own CPU grows as its row says; the rows of the emulators' CPU say "
        "which of them takes more a conversation at the larger sizes, and what no CPU accounts for "
        "is the wait for the disk and for a core.",
    },
)
