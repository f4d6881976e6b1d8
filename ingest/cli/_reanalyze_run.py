"""Runs a re-analysis: selection, estimate, consent, work, report."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import typer

from ingest.choices import LogFormat
from ingest.cli._context import (
    landing_of,
    new_run_id,
    outside,
    run,
    say,
    say_target,
    stop_on_signals,
)
from ingest.cli._progress import progress_for_people
from ingest.cli._reading import print_json
from ingest.cli._report import BatchResult, batch_result, show_failures, show_result
from ingest.domain.costs import Estimate
from ingest.domain.outcome import BatchReport
from ingest.errors import ExitCode, InputError
from ingest.flows.progress import Progress, Silent
from ingest.flows.reanalyze import Reanalyze, Selected, Selection
from ingest.settings import Settings, load_settings


@dataclass(frozen=True)
class ReanalyzeResult(BatchResult):
    """What became of a re-analysis, and what it was estimated at before."""

    estimate: Estimate


def check_choice(selection: Selection, *, is_all: bool, has_filter: bool) -> None:
    """Raise InputError unless exactly one way to choose was given."""
    chosen = [bool(selection.ids), selection.only_stale and not has_filter, has_filter, is_all]
    if sum(chosen) != 1:
        raise InputError(
            "say which conversations",
            "give ids, --stale, --where FILTER (with or without --stale), or --all",
        )


def execute(
    selection: Selection,
    *,
    because: str | None,
    summarize: bool,
    yes: bool,
    concurrency: int | None,
    log_format: LogFormat | None,
    dry_run: bool,
    as_json: bool,
) -> ExitCode:
    """Re-analyse, print the report, return the exit code."""
    settings = load_settings(concurrency=concurrency, log_format=log_format)
    say_target(settings)
    selected, cost = run(_select(settings, selection, summarize))
    say(_sentence(cost))
    if dry_run or not selected.targets:
        report = report_without_work(selected)
        if as_json:
            print_json(ReanalyzeResult(**vars(batch_result(report)), estimate=cost))
        else:
            show_failures(report)
            typer.echo(f"would analyse: {cost.conversation_count}")
        return report.exit_code
    if not yes:
        _ask()
    with progress_for_people() as progress:
        report = run(_reanalyze(settings, selected, because, summarize, progress))
    if as_json:
        print_json(ReanalyzeResult(**vars(batch_result(report)), estimate=cost))
    else:
        show_failures(report)
        show_result(report)
    return report.exit_code


async def _select(
    settings: Settings, selection: Selection, summarize: bool
) -> tuple[Selected, Estimate]:
    async with outside(settings, Silent()) as real:
        attempts, landing = landing_of(real, settings, new_run_id())
        flow = Reanalyze(real, settings, attempts, landing, "", None)
        selected = await flow.select(selection, await flow.profile(summarization=summarize))
        return selected, flow.estimate(selected)


async def _reanalyze(
    settings: Settings,
    selected: Selected,
    because: str | None,
    summarize: bool,
    progress: Progress,
) -> BatchReport:
    run_id = new_run_id()
    async with outside(settings, progress) as real:
        attempts, landing = landing_of(real, settings, run_id)
        flow = Reanalyze(real, settings, attempts, landing, run_id, because)
        stop_on_signals(flow.stop)
        return await flow.run(selected, await flow.profile(summarization=summarize))


def _ask() -> None:
    if not sys.stdin.isatty():
        raise InputError("analyses are billed, so this wants consent", "add --yes")
    if not typer.confirm("Start?", err=True):
        raise typer.Exit(int(ExitCode.USAGE))


def report_without_work(selected: Selected) -> BatchReport:
    """Return what a selection comes to when nothing of it is analysed."""
    report = BatchReport()
    report.fail(selected.failures)
    return report


def _sentence(cost: Estimate) -> str:
    return (
        f"{cost.conversation_count} conversations, {cost.billing_unit_count} billing units, "
        f"about {cost.minutes_at_quota:.1f} minutes at quota, US${cost.usd:.2f}"
    )
