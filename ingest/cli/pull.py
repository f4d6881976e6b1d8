"""`ingest pull`."""

from __future__ import annotations

import datetime as dt
import re
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
    export: Annotated[
        str | None,
        typer.Option(
            "--export",
            metavar="DATASET.TABLE",
            help="Those in this table of Insights' own export, as far as it tells of them.",
        ),
    ] = None,
    wait: WaitOption = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Land the state that Insights holds, changing nothing in Insights.

    Without a selection: what changed since the last such pull, or `--all`, was complete.
    With --export nothing is asked of Insights: the table is read, which bills nothing. A pull of
    the same conversations lands what an export doesn't tell.

    Example: ingest pull --date 2025-12-28
    """
    from ingest.flows.pull import PullSelection

    chosen = PullSelection(
        ids=tuple(ids or ()),
        date=date.date() if date else None,
        since=since.replace(tzinfo=dt.UTC) if since else None,
        is_all=all_,
        export=_export_table(export) if export is not None else None,
    )
    raise typer.Exit(int(execute(chosen, dry_run=dry_run, as_json=as_json, wait=wait)))


def _export_table(text: str) -> tuple[str, str]:
    """Return dataset and table of the project, or raise InputError."""
    found = re.fullmatch(r"(\w+)\.([\w-]+)", text, re.ASCII)
    if found is None:
        raise InputError(
            f"{text!r} names no table of the project",
            "write it like insights_export.conversations",
        )
    return found[1], found[2]


@dataclass(frozen=True)
class PullResult(BatchResult):
    """What became of a pull; `filter` is what Insights was asked for, empty for ids and for all."""

    filter: str


def execute(
    selection: PullSelection, *, dry_run: bool, as_json: bool, wait: bool = False
) -> ExitCode:
    """Pull, print the report, return the exit code."""
    chosen = [
        bool(selection.ids),
        bool(selection.date),
        bool(selection.since),
        selection.is_all,
        bool(selection.export),
    ]
    if sum(chosen) > 1:
        raise InputError("--ids, --date, --since, --all, --export exclude each other", "name one")
    settings = load_settings()
    selection = replace(selection, ids=resolved_ids(settings, selection.ids))
    say_target(settings, is_dry_run=dry_run)
    with progress_for_people() as progress:
        report = run(pull_states(settings, selection, progress, dry_run=dry_run, wait=wait))
    if as_json:
        print_json(PullResult(**vars(batch_result(report)), filter=report.filter))
    elif dry_run:
        show_failures(report)
        typer.echo(f"would land: {report.states[ItemState.DONE]} states")
    else:
        show_failures(report)
        show_result(report)
    return report.exit_code


async def pull_states(
    settings: Settings, selection: PullSelection, progress: Progress, *, dry_run: bool, wait: bool
) -> PullReport:
    """Land what Insights holds of the selection; one pull runs at a time."""
    from ingest.gcp.bigquery import BigQueryWarehouse

    running = Running("pull", new_run_id())
    async with open_services(settings, progress, running=running) as real:
        used = without_effects(real)[0] if dry_run else real
        attempts, landing = landing_of(used, settings, running.run_id)
        warehouse = BigQueryWarehouse(settings) if selection.export else None
        pull = Pull(used, attempts, landing, warehouse)
        stop_on_signals(pull.stop)
        async with used.lease.running():
            # Two at a time would land the same states twice.
            await used.lease.take(["pull"], waits=wait)
            return await pull.run(selection)
