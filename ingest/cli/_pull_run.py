"""Runs a pull and shows its report."""

from __future__ import annotations

from dataclasses import dataclass

import typer

from ingest.cli._context import landing_of, new_run_id, outside, run, say_target, stop_on_signals
from ingest.cli._progress import progress_for_people
from ingest.cli._reading import print_json
from ingest.cli._report import BatchResult, batch_result, show_failures, show_result
from ingest.domain.outcome import ItemState
from ingest.errors import ExitCode, InputError
from ingest.flows.dry_run import without_effects
from ingest.flows.progress import Progress
from ingest.flows.pull import Pull, PullReport, PullSelection
from ingest.settings import Settings, load_settings


@dataclass(frozen=True)
class PullResult(BatchResult):
    """What became of a pull; `filter` is what CI was asked for, empty for ids and for all."""

    filter: str


def execute(selection: PullSelection, *, dry_run: bool, as_json: bool) -> ExitCode:
    """Pull, print the report, return the exit code."""
    chosen = [bool(selection.ids), bool(selection.date), bool(selection.since), selection.is_all]
    if sum(chosen) > 1:
        raise InputError("--ids, --date, --since and --all exclude each other", "name one")
    settings = load_settings()
    say_target(settings, is_dry_run=dry_run)
    with progress_for_people() as progress:
        report = run(_pull(settings, selection, progress, dry_run))
    if as_json:
        print_json(PullResult(**vars(batch_result(report)), filter=report.filter))
    elif dry_run:
        show_failures(report)
        typer.echo(f"would land: {report.states[ItemState.DONE]} states")
    else:
        show_failures(report)
        show_result(report)
    return report.exit_code


async def _pull(
    settings: Settings, selection: PullSelection, progress: Progress, dry_run: bool
) -> PullReport:
    async with outside(settings, progress) as real:
        used = without_effects(real)[0] if dry_run else real
        attempts, landing = landing_of(used, settings, new_run_id())
        pull = Pull(used, attempts, landing)
        stop_on_signals(pull.stop)
        return await pull.run(selection)
