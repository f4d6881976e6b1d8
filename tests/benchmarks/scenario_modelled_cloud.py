"""The modelled cloud: Google's latencies and quotas, on a clock that jumps over the waiting."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from pathlib import Path

from ingest.domain.outcome import ItemState
from ingest.emulator.control import Control
from ingest.emulator.options import EmulatorOptions
from ingest.emulator.testing.object_server import ObjectServer
from ingest.emulator.testing.thread import EmulatorThread
from tests.benchmarks.harness import Bench, Row, Scale, Scenario, growth_row
from tests.fakes.modelled_cloud import (
    MINUTE_SEC,
    NOT_AT_A_MINUTES_BEGINNING,
    Latencies,
    ModelledRun,
    modelled_push,
    most_in_a_minute,
)

ANALYSIS_SEC = 14.0
LATENCIES = Latencies(bucket_sec=0.05, ci_sec=0.2, bigquery_sec=1.0)
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
    took, cpu = {}, {}
    for count in SIZES[bench.scale]:
        before = _cpu_sec()
        done = measured(bench.folder / f"modelled-{count}", count)
        cpu[count] = _cpu_sec() - before
        took[count] = done.took_sec
        bench.say(f"  {count:,}: {done.took_sec:.0f} modelled s, {cpu[count]:.1f} s of CPU")
        yield from _pace(count, done)
    yield from _calls(count, done)
    yield growth_row("modelled time", took, "s")
    yield growth_row("CPU, the CI emulator's included", cpu, "s")


def measured(folder: Path, count: int) -> ModelledRun:
    """Push into a CI emulator of this process, its clock stopped."""
    with ObjectServer() as objects:
        options = EmulatorOptions(
            data_dir=folder, gcs_endpoint=objects.endpoint, project_number="123456789012"
        )
        with EmulatorThread(options) as thread, Control(thread.address) as control:
            control.freeze(NOT_AT_A_MINUTES_BEGINNING)
            control.set_quotas("real")
            control.set_operation_latency("CreateAnalysis", ANALYSIS_SEC)
            pushed = modelled_push(thread.address, control, objects, count, LATENCIES)
            done = asyncio.run(pushed)
            refused = [m for m, by in control.calls().items() if "RESOURCE_EXHAUSTED" in by]
    if done.states != {ItemState.DONE: count} or refused:
        raise SystemExit(f"the modelled run ended in {done.states}; refused: {refused}")
    return done


def _pace(count: int, done: ModelledRun) -> Iterator[Row]:
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


def _cpu_sec() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


SCENARIO = Scenario(
    "modelled_cloud",
    "The modelled cloud",
    "A call of the bucket takes 50 ms and 16 go at once, a call of CI 200 ms, a job of BigQuery "
    "1 s, an analysis 14 s; CI's quotas are Google's. The clock jumps over the waiting. The CI "
    "emulator and the sidecar's adapter are real, bucket and tables are in memory.",
    run,
)
