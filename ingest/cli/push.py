"""`ingest push`."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ingest.cli._console import counted
from ingest.cli._context import (
    Running,
    new_run_id,
    open_services,
    other_bucket,
    run,
    say,
    say_target,
    stop_on_signals,
)
from ingest.cli._options import (
    AsJson,
    Concurrency,
    DryRun,
    LogFormatOption,
    ShardOption,
    WaitOption,
)
from ingest.cli._output import (
    BatchResult,
    batch_result,
    print_json,
    show_failures,
    show_faults,
    show_result,
)
from ingest.cli._progress import progress_for_people
from ingest.cli.convert import SourceMapping, converted, counts_of, say_converted
from ingest.domain.conversation import Shard, parse_shard
from ingest.domain.converted import Converted
from ingest.domain.faults import Fault
from ingest.domain.outcome import ItemState, Step
from ingest.enums import Foreign, LogFormat, Mode
from ingest.errors import ExitCode, InputError
from ingest.flows.attempts import Attempts
from ingest.flows.conversation_run import PushReport
from ingest.flows.declared import read_declarations
from ingest.flows.dry_run import without_effects
from ingest.flows.push import Push, PushOptions
from ingest.flows.services import Progress, Services
from ingest.flows.source import BucketSource, LocalSource, Source, parse_gs_uri
from ingest.settings import Settings, cloud_run_shard, load_settings


class Stage(StrEnum):
    """The steps that a push may end with."""

    UPLOAD = "upload"
    SUBMIT = "submit"
    ANALYSE = "analyse"
    LAND = "land"


def push(
    source: Annotated[
        str,
        typer.Argument(
            help="A date folder, a folder of date folders, or gs://bucket/prefix; with a mapping "
            "also files, or a folder of files, of another system."
        ),
    ],
    mapping: SourceMapping = None,
    until: Annotated[Stage, typer.Option(help="Last stage.")] = Stage.LAND,
    mode: Annotated[
        Mode, typer.Option(help="How analyses are asked for; auto: in bulk from 1,000 on.")
    ] = Mode.AUTO,
    summarize: Annotated[
        bool,
        typer.Option("--summarize", help="Ask Insights for summaries too (billed separately)."),
    ] = False,
    adopt: Annotated[
        bool,
        typer.Option(
            "--adopt",
            help="Keep a conversation of the same id that others made in Insights, "
            "if its words are the same: only our labels are added.",
        ),
    ] = False,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Delete a conversation of the same id that others made in Insights, "
            "once all its analyses are landed.",
        ),
    ] = False,
    allow_return: Annotated[
        bool,
        typer.Option(
            "--allow-return",
            help="Go back where a file is an earlier version of what is there: "
            "an older folder, pushed again after its correction.",
        ),
    ] = False,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Warnings keep a conversation out, as errors do."),
    ] = False,
    shard: ShardOption = None,
    wait: WaitOption = False,
    concurrency: Concurrency = None,
    log_format: LogFormatOption = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Validate, upload, submit to Insights, analyse, and land the raw JSON in BigQuery.

    Pushing again does only what is still missing. A conversation of the same id that others made
    in Insights is left alone, unless --adopt or --replace is given. One whose files are an earlier
    version of what is there is left out (outdated, exit code 1), unless --allow-return is given.
    A source with a mapping is converted first; its own files stay as they are.

    One push at a time has a date folder, or a shard of it; another one ends at once and names it,
    or waits (--wait).

    Example: ingest push seeds/conversations/2025-12-28
    """

    code = execute(
        source,
        mapping,
        until=Step(until),
        mode=mode,
        summarize=summarize,
        foreign=_foreign(adopt=adopt, replace=replace),
        allow_return=allow_return,
        strict=strict,
        shard=shard,
        wait=wait,
        concurrency=concurrency,
        log_format=log_format,
        dry_run=dry_run,
        as_json=as_json,
    )
    raise typer.Exit(int(code))


def _foreign(*, adopt: bool, replace: bool) -> Foreign:
    if adopt and replace:
        raise InputError("--adopt and --replace exclude each other", "give one of them")
    if replace:
        return Foreign.REPLACE
    return Foreign.ADOPT if adopt else Foreign.REFUSE


@dataclass(frozen=True)
class PushResult(BatchResult):
    """What became of a push; `planned` counts what a dry run would do, None when it was done;
    `converted` accounts for a source that a mapping converts."""

    planned: Mapping[str, int] | None
    faults: tuple[Fault, ...]
    converted: Converted | None


def execute(
    source: str,
    mapping: Path | None,
    *,
    until: Step,
    mode: Mode,
    summarize: bool,
    foreign: Foreign,
    allow_return: bool,
    strict: bool,
    shard: str | None,
    wait: bool,
    concurrency: int | None,
    log_format: LogFormat | None,
    dry_run: bool,
    as_json: bool,
) -> ExitCode:
    """Push, print the report, return the exit code."""
    if not source:
        raise InputError("the source is empty", "name a folder, or gs://bucket/prefix")
    settings = load_settings(concurrency=concurrency, log_format=log_format)
    say_target(settings, is_dry_run=dry_run)
    part = parse_shard(shard) if shard else Shard(*cloud_run_shard())
    declared = read_declarations(settings.seeds_dir, settings.dbt_project_file)
    options = PushOptions(
        new_run_id(),
        until,
        mode,
        part,
        summarize,
        foreign,
        allow_return,
        wait,
        replace(declared, is_strict=strict),
    )
    with _readable(source, mapping, strict=strict) as (found, made):
        report, planned = PushReport(), None
        if made is not None and not as_json:
            say_converted(made)
            say(counts_of(made))
        if made is None or made.written:
            with progress_for_people() as progress:
                report, planned = run(_push(settings, found, progress, options, dry_run))
    code = report.exit_code
    if code is ExitCode.OK and made is not None and made.refused:
        code = ExitCode.SOME_FAILED
    if as_json:
        print_json(_result(report, planned, made, code))
    else:
        _print(report, planned)
    return code


@contextlib.contextmanager
def _readable(
    source: str, mapping: Path | None, *, strict: bool
) -> Iterator[tuple[LocalSource | str, Converted | None]]:
    """Yield what is pushed, and what a mapping made of it if one did."""
    if source.startswith("gs://"):
        if mapping is not None:
            raise InputError(
                "--mapping reads files of this machine, and SOURCE is a bucket",
                "copy the files here, or push what `ingest data convert` makes of them",
            )
        yield source, None
        return
    with converted(Path(source), mapping, strict=strict) as (folder, made):
        yield (LocalSource(folder) if made is None or made.written else source), made


async def _push(
    settings: Settings,
    source: LocalSource | str,
    progress: Progress,
    options: PushOptions,
    dry_run: bool,
) -> tuple[PushReport, Counter[str] | None]:
    async with (
        open_services(settings, progress, options.shard, Running("push", options.run_id)) as real,
        _opened(source, real, settings) as found,
    ):
        used, planned = without_effects(real) if dry_run else (real, None)
        push = Push(used, settings, options)
        stop_on_signals(push.stop, push.so_far)
        return await push.run(found), planned


@contextlib.asynccontextmanager
async def _opened(
    source: LocalSource | str, real: Services, settings: Settings
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
    if outdated := report.states[ItemState.OUTDATED]:
        say(
            f"{counted(outdated, 'conversation')} would go back to an earlier version and "
            f"{'was' if outdated == 1 else 'were'} left out: with --allow-return they go back, and "
            "those with other words are analysed again, which is billed"
        )
    if planned is None:
        show_result(report)
        return
    typer.echo(f"would do: {_planned_text(report, planned)}")


def _planned_text(report: PushReport, planned: Mapping[str, int]) -> str:
    """Return what a dry run would do, and what would be left undone."""
    steps = ", ".join(f"{name}: {count}" for name, count in sorted(planned.items()))
    if report.exit_code is ExitCode.OK:
        return steps or "nothing, everything is in place"
    undone = (state for state in ItemState if state not in (ItemState.DONE, ItemState.UNCHANGED))
    left = [f"{report.states[state]} {state.value}" for state in undone if report.states[state]]
    return "; ".join([steps or "nothing", *([f"left: {', '.join(left)}"] if left else [])])


def _result(
    report: PushReport, planned: Counter[str] | None, made: Converted | None, code: ExitCode
) -> PushResult:
    return PushResult(
        **{**vars(batch_result(report)), "exit_code": code},
        planned=None if planned is None else dict(sorted(planned.items())),
        faults=tuple(report.faults),
        converted=made,
    )
