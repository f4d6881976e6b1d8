"""`ingest reanalyze`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import Annotated

import typer

from ingest.cli._context import (
    Running,
    landing_of,
    new_run_id,
    open_services,
    resolved_ids,
    run,
    say,
    say_target,
    stop_on_signals,
)
from ingest.cli._options import AsJson, Concurrency, DryRun, LogFormatOption, WaitOption
from ingest.cli._output import (
    BatchResult,
    batch_result,
    print_json,
    show_failures,
    show_result,
)
from ingest.cli._progress import progress_for_people
from ingest.domain.costs import Estimate
from ingest.domain.outcome import BatchReport
from ingest.enums import LogFormat
from ingest.errors import ExitCode, InputError
from ingest.flows.reanalyze import Reanalyze, Selected, Selection
from ingest.flows.services import Progress, Silent
from ingest.settings import Settings, load_settings


def reanalyze(
    ids: Annotated[
        list[str] | None, typer.Argument(help="Conversations, by their ids or first characters.")
    ] = None,
    stale: Annotated[
        bool, typer.Option("--stale", help="Those whose analysis used an older matcher revision.")
    ] = False,
    where: Annotated[
        str | None, typer.Option(help="Those that this Insights filter admits.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    because: Annotated[
        str | None, typer.Option(help="Why; kept with the event of every new analysis.")
    ] = None,
    summarize: Annotated[
        bool,
        typer.Option(
            "--summarize",
            help="Ask for summaries too (billed separately); those that have one keep it anyway.",
        ),
    ] = False,
    include_foreign: Annotated[
        bool,
        typer.Option(
            "--include-foreign", help="Conversations that others made in Insights, too (billed)."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask before it starts.")] = False,
    wait: WaitOption = False,
    concurrency: Concurrency = None,
    log_format: LogFormatOption = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Analyse again conversations that Insights holds; says count, minutes and cost first.

    Example: ingest reanalyze --stale --because "new hardship phrases" --yes
    """
    from ingest.flows.reanalyze import Selection

    chosen = Selection(
        ids=tuple(ids or ()), filter=where or "", only_stale=stale, include_foreign=include_foreign
    )
    check_choice(chosen, is_all=all_, has_filter=where is not None)
    code = execute(
        chosen,
        because=because,
        summarize=summarize,
        yes=yes,
        concurrency=concurrency,
        log_format=log_format,
        dry_run=dry_run,
        as_json=as_json,
        wait=wait,
    )
    raise typer.Exit(int(code))


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
    wait: bool = False,
) -> ExitCode:
    """Re-analyse, print the report, return the exit code."""
    settings = load_settings(concurrency=concurrency, log_format=log_format)
    selection = replace(selection, ids=resolved_ids(settings, selection.ids))
    say_target(settings)
    selected, cost = run(_select(settings, selection, summarize))
    say(_sentence(cost))
    if selected.foreign_count:
        say(f"{selected.foreign_count} that others made are left out; --include-foreign takes them")
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
        report = run(_reanalyze(settings, selected, because, summarize, progress, wait))
    if as_json:
        print_json(ReanalyzeResult(**vars(batch_result(report)), estimate=cost))
    else:
        show_failures(report)
        show_result(report)
    return report.exit_code


async def _select(
    settings: Settings, selection: Selection, summarize: bool
) -> tuple[Selected, Estimate]:
    async with open_services(settings, Silent()) as real:
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
    wait: bool,
) -> BatchReport:
    running = Running("reanalyze", new_run_id())
    async with open_services(settings, progress, running=running) as real:
        attempts, landing = landing_of(real, settings, running.run_id)
        flow = Reanalyze(real, settings, attempts, landing, running.run_id, because)
        stop_on_signals(flow.stop)
        profile = await flow.profile(summarization=summarize)
        return await flow.run(selected, profile, waits=wait)


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
