"""`ingest pull`."""

from __future__ import annotations

import datetime as dt
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
    say_target,
    stop_on_signals,
)
from ingest.cli._options import AsJson, DryRun, WaitOption
from ingest.cli._output import (
    BatchResult,
    batch_result,
    print_json,
    show_failures,
    show_result,
)
from ingest.cli._progress import progress_for_people
from ingest.domain.outcome import ItemState
from ingest.errors import ExitCode, InputError
from ingest.flows.dry_run import without_effects
from ingest.flows.pull import Pull, PullReport, PullSelection
from ingest.flows.services import Progress
from ingest.settings import Settings, load_settings


def pull(
    ids: Annotated[
        list[str] | None,
        typer.Option(
            "--ids", help="This conversation, by its id or first characters; may be repeated."
        ),
    ] = None,
    date: Annotated[
        dt.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Those of this date folder.")
    ] = None,
    since: Annotated[
        dt.datetime | None,
        typer.Option(
            formats=["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"],
            help="Those changed in Insights since (UTC).",
        ),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    wait: WaitOption = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Land the state that Insights holds, changing nothing in Insights.

    Without a selection: what changed since the last such pull, or `--all`, was complete.

    Example: ingest pull --date 2025-12-28
    """
    from ingest.flows.pull import PullSelection

    chosen = PullSelection(
        ids=tuple(ids or ()),
        date=date.date() if date else None,
        since=since.replace(tzinfo=dt.UTC) if since else None,
        is_all=all_,
    )
    raise typer.Exit(int(execute(chosen, dry_run=dry_run, as_json=as_json, wait=wait)))


@dataclass(frozen=True)
class PullResult(BatchResult):
    """What became of a pull; `filter` is what Insights was asked for, empty for ids and for all."""

    filter: str


def execute(
    selection: PullSelection, *, dry_run: bool, as_json: bool, wait: bool = False
) -> ExitCode:
    """Pull, print the report, return the exit code."""
    chosen = [bool(selection.ids), bool(selection.date), bool(selection.since), selection.is_all]
    if sum(chosen) > 1:
        raise InputError("--ids, --date, --since and --all exclude each other", "name one")
    settings = load_settings()
    selection = replace(selection, ids=resolved_ids(settings, selection.ids))
    say_target(settings, is_dry_run=dry_run)
    with progress_for_people() as progress:
        report = run(_pull(settings, selection, progress, dry_run, wait))
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
    settings: Settings, selection: PullSelection, progress: Progress, dry_run: bool, wait: bool
) -> PullReport:
    running = Running("pull", new_run_id())
    async with open_services(settings, progress, running=running) as real:
        used = without_effects(real)[0] if dry_run else real
        attempts, landing = landing_of(used, settings, running.run_id)
        pull = Pull(used, attempts, landing)
        stop_on_signals(pull.stop)
        async with used.lease.running():
            # Two at a time would land the same states twice.
            await used.lease.take(["pull"], waits=wait)
            return await pull.run(selection)
