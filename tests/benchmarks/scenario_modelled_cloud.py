"""The modelled cloud: Google's latencies and quotas, on a clock that jumps over the waiting."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ingest.domain.conversation import Region, region_of
from ingest.domain.quota import CallWindow
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
REGIONS = ("us-central1", "us-east1", "us-west1")
DAY_COUNT, DAY_HOURS = 1_000_000, 24
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
    yield from _day(bench, SIZES[bench.scale][-1])
    yield growth_row("modelled time", {n: each.took_sec for n, each in runs.items()}, "s")
    yield growth_row("CPU of the process", {n: u.cpu_sec for n, u in usages.items()}, "s")
    yield growth_row("memory of the process", {n: u.peak_mb for n, u in usages.items()}, "MB")


def _measured(folder: Path, count: int, *regions: str) -> Usage:
    module = "tests.benchmarks.modelled_run"
    command = [sys.executable, "-m", module, str(count), str(folder), *regions]
    return run_command(command, cwd=ROOT)


def _day(bench: Bench, count: int) -> Iterator[Row]:
    """Yield the rows of three regions: so many conversations each, and from that a day."""
    folder = bench.folder / "modelled-regions"
    folder.mkdir()
    _measured(folder, count * len(REGIONS), ",".join(REGIONS))
    yield day_row(run_of(folder))
    hours = quota_hours(DAY_COUNT, REGIONS)
    yield Row(
        f"{DAY_COUNT:,} conversations in {len(REGIONS)} regions, by their quotas alone",
        f"{hours:.1f} h",
        "a day",
        goal=f"≤ {DAY_HOURS} h",
        is_met=hours <= DAY_HOURS,
    )


def day_row(done: ModelledRun) -> Row:
    """Return what a day comes to at the pace of a run over several regions."""
    creates = done.moments["create_conversation"]
    minutes = (max(creates) + MINUTE_SEC) / MINUTE_SEC
    a_day = len(creates) / minutes * DAY_HOURS * 60
    return Row(
        f"{len(creates):,} conversations in {len(done.creates_by_region)} regions",
        f"{len(creates) / minutes:.0f} a minute of quota",
        "a day at this pace",
        f"{a_day:,.0f}",
        f"≥ {DAY_COUNT:,}",
        a_day >= DAY_COUNT,
    )


def quota_hours(count: int, locations: Sequence[str]) -> float:
    """Return how long the sidecar's windows take to admit that many creates, spread by hash."""
    regions = [Region("project", location) for location in locations]
    shares = Counter(region_of(f"conversation-{number}", regions) for number in range(count))
    return max(_admitted_at(share) for share in shares.values()) / 3600


def _admitted_at(count: int) -> float:
    """Return when the last of that many creates is admitted, in seconds."""
    window, now = CallWindow(QUOTA_A_MINUTE), 0.0
    for _ in range(count):
        now += window.delay(now)
        window.take(now)
    return now


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
