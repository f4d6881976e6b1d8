"""Runs a push and shows its report."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import typer

from ingest.choices import LogFormat, Mode
from ingest.cli._context import (
    new_run_id,
    other_bucket,
    outside,
    run,
    say_target,
    stop_on_signals,
)
from ingest.cli._progress import progress_for_people
from ingest.cli._reading import print_json
from ingest.cli._report import (
    BatchResult,
    batch_result,
    show_failures,
    show_faults,
    show_result,
)
from ingest.domain.fault import Fault
from ingest.domain.outcome import Step
from ingest.domain.sharding import Shard, parse_shard
from ingest.errors import ExitCode
from ingest.flows.attempts import Attempts
from ingest.flows.bucket_source import BucketSource, parse_gs_uri
from ingest.flows.dry_run import without_effects
from ingest.flows.outside import Outside
from ingest.flows.progress import Progress
from ingest.flows.push import Push, PushOptions
from ingest.flows.push_report import PushReport
from ingest.flows.source import LocalSource, Source
from ingest.settings import Settings, cloud_run_shard, load_settings


@dataclass(frozen=True)
class PushResult(BatchResult):
    """What became of a push; `planned` counts what a dry run would do, None when it was done."""

    planned: Mapping[str, int] | None
    faults: tuple[Fault, ...]


def execute(
    source: str,
    *,
    until: Step,
    mode: Mode,
    summarize: bool,
    shard: str | None,
    concurrency: int | None,
    log_format: LogFormat | None,
    dry_run: bool,
    as_json: bool,
) -> ExitCode:
    """Push, print the report, return the exit code."""
    settings = load_settings(concurrency=concurrency, log_format=log_format)
    say_target(settings, is_dry_run=dry_run)
    part = parse_shard(shard) if shard else Shard(*cloud_run_shard())
    local = None if source.startswith("gs://") else LocalSource(Path(source))
    options = PushOptions(new_run_id(), until, mode, part, summarize)
    with progress_for_people() as progress:
        report, planned = run(_push(settings, local or source, progress, options, dry_run))
    if as_json:
        print_json(_result(report, planned))
    else:
        _print(report, planned)
    return report.exit_code


async def _push(
    settings: Settings,
    source: LocalSource | str,
    progress: Progress,
    options: PushOptions,
    dry_run: bool,
) -> tuple[PushReport, Counter[str] | None]:
    async with (
        outside(settings, progress, options.shard) as real,
        _opened(source, real, settings) as found,
    ):
        used, planned = without_effects(real) if dry_run else (real, None)
        push = Push(used, settings, options)
        stop_on_signals(push.stop)
        return await push.run(found), planned


@contextlib.asynccontextmanager
async def _opened(
    source: LocalSource | str, real: Outside, settings: Settings
) -> AsyncIterator[Source]:
    if isinstance(source, LocalSource):
        yield source
        return
    bucket, prefix = parse_gs_uri(source)
    attempts = Attempts(real.clock, settings.step_budget_sec, real.rng)
    if bucket == real.store.bucket:
        yield BucketSource(real.store, prefix, attempts, is_own_bucket=True)
        return
    async with other_bucket(settings, bucket) as store:
        yield BucketSource(store, prefix, attempts, is_own_bucket=False)


def _print(report: PushReport, planned: Counter[str] | None) -> None:
    show_faults(report.faults)
    show_failures(report)
    if planned is None:
        show_result(report)
        return
    steps = ", ".join(f"{name}: {count}" for name, count in sorted(planned.items()))
    typer.echo(f"would do: {steps or 'nothing, everything is in place'}")


def _result(report: PushReport, planned: Counter[str] | None) -> PushResult:
    return PushResult(
        **vars(batch_result(report)),
        planned=None if planned is None else dict(sorted(planned.items())),
        faults=tuple(report.faults),
    )
