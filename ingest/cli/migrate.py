"""`ingest migrate …`: take over what another pipeline has made."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ingest.cli._console import counted
from ingest.cli._context import (
    Running,
    landing_of,
    new_run_id,
    open_services,
    other_bucket,
    run,
    say,
    say_target,
    stop_on_signals,
)
from ingest.cli._options import AsJson, DryRun, WaitOption
from ingest.cli._output import (
    BatchResult,
    batch_result,
    opened,
    print_json,
    printable,
    show_failures,
    show_faults,
    show_result,
)
from ingest.cli._progress import progress_for_people
from ingest.cli.convert import engine_of
from ingest.cli.pull import pull_states
from ingest.domain.faults import Fault
from ingest.domain.outcome import BatchReport, Step
from ingest.enums import Foreign
from ingest.errors import ExitCode, InputError
from ingest.flows.conversation_run import PushReport
from ingest.flows.convert import Job, convert
from ingest.flows.declared import read_declarations
from ingest.flows.dry_run import without_effects
from ingest.flows.migrate import (
    Duplicate,
    Fetch,
    Placing,
    Unplaced,
    place,
    read_tables,
    unconverted,
)
from ingest.flows.pull import PullSelection
from ingest.flows.push import Push, PushOptions
from ingest.flows.services import Progress
from ingest.flows.source import LocalSource
from ingest.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Take over what another pipeline has made.")


@app.callback()
def root() -> None:
    """Take over what another pipeline has made.

    Example: ingest migrate cc-coach --dataset conversation_coach
    """


@app.command("cc-coach")
def cc_coach(
    dataset: Annotated[str, typer.Option("--dataset", help="Dataset of its two tables.")],
    mapping: Annotated[
        Path | None,
        typer.Option("--mapping", help="Mapping of its files; without one, format cc-coach."),
    ] = None,
    wait: WaitOption = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Adopt the conversations of the earlier pipeline, where Insights has the same words.

    Reads conversation_registry (conversation_id, ci_conversation_name, transcript_uri_raw,
    metadata_uri_raw) and ci_enrichment (conversation_id) of the dataset, and the files that the
    first names. Each conversation that Insights still holds gets our files and labels, and its
    state is landed as it is: nothing is analysed, so nothing is billed. `ingest reanalyze --stale`
    does that later. What is in ci_enrichment isn't copied: Insights has it whole.

    Names ids with several rows, and every row that has no place, with the reason; then the exit
    code is 1. The same command again does nothing that is done.

    Example: ingest migrate cc-coach --dataset conversation_coach
    """
    raise typer.Exit(int(execute(dataset, mapping, wait=wait, dry_run=dry_run, as_json=as_json)))


@dataclass(frozen=True)
class MigrateResult(BatchResult):
    """What became of a migration; `states` count the rows that had a place."""

    registry_rows: int
    enrichment_rows: int
    duplicates: tuple[Duplicate, ...]
    unplaced: tuple[Unplaced, ...]
    faults: tuple[Fault, ...]


def execute(
    dataset: str, mapping: Path | None, *, wait: bool, dry_run: bool, as_json: bool
) -> ExitCode:
    """Migrate, print the report, return the exit code."""
    if not re.fullmatch(r"\w+", dataset, re.ASCII):
        raise InputError(f"{dataset!r} is no name of a dataset", "letters, digits and underscores")
    settings, warehouse = opened()
    say_target(settings, is_dry_run=dry_run)
    registry, enrichment = read_tables(warehouse, dataset)
    placing = place(registry, enrichment)
    with tempfile.TemporaryDirectory(prefix="ingest-") as name, progress_for_people() as progress:
        report, placing = run(
            _adopt(settings, progress, placing, mapping, Path(name), wait=wait, dry_run=dry_run)
        )
        adopted = _adopted(placing, report)
        if adopted and not dry_run:
            selection = PullSelection(ids=adopted)
            pulled = run(pull_states(settings, selection, progress, dry_run=False, wait=wait))
            _add(report, pulled)
    code = report.exit_code
    if code is ExitCode.OK and placing.unplaced:
        code = ExitCode.SOME_FAILED
    result = MigrateResult(
        **{**vars(batch_result(report)), "exit_code": code},
        registry_rows=len(registry),
        enrichment_rows=len(enrichment),
        duplicates=placing.duplicates,
        unplaced=placing.unplaced,
        faults=tuple(report.faults),
    )
    if as_json:
        print_json(result)
    else:
        _show(result, report, is_dry_run=dry_run)
    return code


async def _adopt(
    settings: Settings,
    progress: Progress,
    placing: Placing,
    mapping: Path | None,
    folder: Path,
    *,
    wait: bool,
    dry_run: bool,
) -> tuple[PushReport, Placing]:
    """Fetch, convert and push, up to the labels in Insights; return what had a place after all."""
    engine, table = engine_of([], None if mapping else "cc-coach", mapping, None)
    declared = read_declarations(settings.seeds_dir, settings.dbt_project_file)
    options = PushOptions(
        new_run_id(), Step.SUBMIT, foreign=Foreign.ADOPT, waits=wait, declared=declared
    )
    running = Running("migrate", options.run_id)
    async with open_services(settings, progress, running=running) as real:
        used = without_effects(real)[0] if dry_run else real
        attempts, _ = landing_of(used, settings, options.run_id)
        fetch = Fetch(used.insights, attempts, partial(other_bucket, settings))
        files, out = folder / "files", folder / "out"
        unplaced = [each async for each in fetch.run(placing.placed, files)]
        lacking = {each.id for each in unplaced}
        fetched = [id_ for row in placing.placed if (id_ := row["conversation_id"]) not in lacking]
        if fetched:
            made = convert(Job([files], engine, out, {}, table))
            unplaced += unconverted(made, fetched, out)
        placing = _without(placing, unplaced)
        if not placing.placed:
            return PushReport(), placing
        push = Push(used, settings, options)
        stop_on_signals(push.stop, push.so_far)
        return await push.run(LocalSource(out)), placing


def _without(placing: Placing, unplaced: list[Unplaced]) -> Placing:
    lacking = {each.id for each in unplaced}
    placed = tuple(row for row in placing.placed if row["conversation_id"] not in lacking)
    return replace(placing, placed=placed, unplaced=(*placing.unplaced, *unplaced))


def _adopted(placing: Placing, report: PushReport) -> tuple[str, ...]:
    """Return the ids that the push has brought to Insights, or found there."""
    failed = {failure.conversation_id for failure in report.failures}
    ids = (row["conversation_id"] for row in placing.placed)
    return () if report.is_interrupted else tuple(id_ for id_ in ids if id_ not in failed)


def _add(report: PushReport, pulled: BatchReport) -> None:
    """Add what was landed to the report; a conversation whose state wasn't is a failure."""
    report.effects.update(Counter(pulled.effects))
    report.fail(pulled.failures)
    report.is_interrupted = report.is_interrupted or pulled.is_interrupted


_LINES = 50


def _show(result: MigrateResult, report: PushReport, *, is_dry_run: bool) -> None:
    show_faults(result.faults)
    for duplicate in result.duplicates[:_LINES]:
        say(f"duplicate: {duplicate.table}: {printable(duplicate.id)}: {duplicate.rows} rows")
    for each in result.unplaced[:_LINES]:
        say(f"no place: {each.table}: {printable(each.id)}: {printable(each.reason)} ({each.hint})")
    more = len(result.duplicates[_LINES:]) + len(result.unplaced[_LINES:])
    if more:
        say(f"… and {more} more; --json lists all")
    show_failures(report)
    typer.echo(
        f"{counted(result.registry_rows, 'row')} of conversation_registry, "
        f"{result.enrichment_rows} of ci_enrichment: "
        f"{counted(len(result.duplicates), 'duplicate')}, {len(result.unplaced)} without a place"
    )
    if is_dry_run:
        typer.echo("a dry run: nothing was changed")
    show_result(report)
