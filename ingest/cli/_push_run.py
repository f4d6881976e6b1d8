"""Runs a push and shows its report."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import typer

from ingest.cli._context import (
    new_run_id,
    other_bucket,
    outside,
    run,
    say,
    say_target,
    stop_on_signals,
)
from ingest.cli._progress import progress_for_people
from ingest.domain.outcome import ItemState, Step
from ingest.domain.sharding import Shard, parse_shard
from ingest.errors import ExitCode
from ingest.flows.dry_run import without_effects
from ingest.flows.outside import Outside
from ingest.flows.progress import Progress
from ingest.flows.push import Mode, Push, PushOptions, PushReport
from ingest.flows.source import BucketSource, LocalSource, Source, parse_gs_uri
from ingest.settings import Settings, cloud_run_shard, load_settings

_FAULT_LINES = 200
_FAILURE_LINES = 50


def execute(
    source: str,
    *,
    until: Step,
    mode: Mode,
    summarize: bool,
    shard: str | None,
    concurrency: int | None,
    dry_run: bool,
    as_json: bool,
) -> ExitCode:
    """Push, print the report, return the exit code."""
    settings = load_settings(concurrency=concurrency)
    say_target(settings)
    part = parse_shard(shard) if shard else Shard(*cloud_run_shard())
    local = None if source.startswith("gs://") else LocalSource(Path(source))
    options = PushOptions(new_run_id(), until, mode, part, summarize)
    with progress_for_people() as progress:
        report, planned = run(_push(settings, local or source, progress, options, dry_run))
    if as_json:
        typer.echo(json.dumps(_as_dict(report, planned), ensure_ascii=False, indent=2))
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
    if bucket == real.store.bucket:
        yield BucketSource(real.store, prefix, is_own_bucket=True)
        return
    async with other_bucket(settings, bucket) as store:
        yield BucketSource(store, prefix, is_own_bucket=False)


def _print(report: PushReport, planned: Counter[str] | None) -> None:
    for fault in report.faults[:_FAULT_LINES]:
        place = f"{fault.file}{'#' + fault.pointer if fault.pointer else ''}"
        say(f"{fault.severity.value}: {_plain(place)}: {fault.message} ({fault.hint})")
    if len(report.faults) > _FAULT_LINES:
        say(f"… and {len(report.faults) - _FAULT_LINES} more; --json lists all")
    for failure in report.failures[:_FAILURE_LINES]:
        say(
            f"failed: {failure.conversation_id}: {failure.step.value}: "
            f"{failure.code}: {_plain(failure.message)}"
        )
    if len(report.failures) > _FAILURE_LINES:
        say(f"… and {len(report.failures) - _FAILURE_LINES} more; --json lists all")
    if planned is not None:
        steps = ", ".join(f"{name}: {count}" for name, count in sorted(planned.items()))
        typer.echo(f"would do: {steps or 'nothing, everything is in place'}")
        return
    typer.echo(_sentence(report))


def _sentence(report: PushReport) -> str:
    total = sum(report.states.values())
    parts = [f"{report.states[state]} {state.value}" for state in ItemState if report.states[state]]
    if total and report.states[ItemState.UNCHANGED] == total:
        return f"{total} conversations: nothing to do, everything is in place"
    effects = ", ".join(f"{name} {count}" for name, count in sorted(report.effects.items()))
    return f"{total} conversations: {', '.join(parts)}" + (f"\n{effects}" if effects else "")


def _as_dict(report: PushReport, planned: Counter[str] | None) -> dict[str, object]:
    return {
        "exit_code": int(report.exit_code),
        "states": {state.value: report.states[state] for state in ItemState},
        "effects": dict(sorted(report.effects.items())),
        "planned": None if planned is None else dict(sorted(planned.items())),
        "faults": [fault.as_dict() for fault in report.faults],
        "failures": [
            {
                "conversation_id": failure.conversation_id,
                "step": failure.step.value,
                "code": failure.code,
                "message": failure.message,
            }
            for failure in report.failures
        ],
    }


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
