"""Runs `ingest data generate`, `validate` and `land-truth`, and shows what came of it."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import typer

from ingest.cli._context import landing_of, new_run_id, outside, run, say, say_target
from ingest.cli._reading import print_json
from ingest.datagen.dataset_check import TRUTH_FILE, ConversationFiles, check_files
from ingest.datagen.dirty import parse_dirty
from ingest.datagen.generate import DataSetRequest, DataSetSummary, Share, generate
from ingest.datagen.profile import load_profile
from ingest.datagen.truth_rows import truth_row
from ingest.domain.fault import Fault, Severity
from ingest.domain.raw_records import CONVERSATION_TRUTHS
from ingest.domain.validation import has_errors
from ingest.errors import ExitCode, InputError, RemoteError
from ingest.flows.progress import Silent
from ingest.flows.source import LocalConversation, LocalSource
from ingest.settings import load_settings

_FAULT_LINES = 200
_ANSWERS = "select count(*) as row_count from {} where _landed_at > current_timestamp()"
"""Asked before anything is read, so that a missing table is found first."""


@dataclass(frozen=True)
class GeneratedSet:
    """What was written, and how it compares with what was asked."""

    conversations: int
    turns: int
    bytes: int
    dates: tuple[dt.date, ...]
    dirty: Mapping[str, int]
    shares: tuple[Share, ...]


@dataclass(frozen=True)
class ValidatedSet:
    """How many conversations were looked at, and every fault of theirs."""

    conversations: int
    errors: int
    warnings: int
    faults: tuple[Fault, ...]


@dataclass(frozen=True)
class LandedTruths:
    """How many rows landed in which raw table, and how many didn't."""

    table: Literal["conversation_truths"]
    landed: int
    lost: int


def generate_set(
    request: DataSetRequest, profile: Path | None, dirty: str, seeds: Path, *, as_json: bool
) -> ExitCode:
    """Write the data set and print what was asked against what came out."""
    if not (seeds / "phrase_matchers.csv").is_file():
        raise InputError(
            f"{seeds} has no phrase_matchers.csv", "name the folder of the seeds with --seeds"
        )
    wanted = load_profile(profile)
    faults = parse_dirty(dirty)
    try:
        summary = generate(request, wanted, seeds, faults, _say_progress)
    except OSError as error:
        raise InputError(
            f"can't write to {request.out}: {error.strerror}", "choose another --out"
        ) from error
    if as_json:
        print_json(
            GeneratedSet(
                summary.conversations,
                summary.turns,
                summary.bytes_written,
                summary.dates,
                summary.dirty,
                summary.shares,
            )
        )
    else:
        _print_summary(summary, request.out)
    return ExitCode.OK


def validate(folder: Path, *, strict: bool, as_json: bool) -> ExitCode:
    """Print all faults; fail when one counts."""
    count, faults = run(_all_faults(folder))
    code = ExitCode.SOME_FAILED if has_errors(faults, strict=strict) else ExitCode.OK
    by_severity = Counter(fault.severity for fault in faults)
    found = ValidatedSet(
        count, by_severity[Severity.ERROR], by_severity[Severity.WARNING], tuple(faults)
    )
    if as_json:
        print_json(found)
        return code
    for fault in faults[:_FAULT_LINES]:
        typer.echo(f"{fault.severity}: {fault.file}{fault.pointer and '#' + fault.pointer}")
        typer.echo(f"  {fault.rule}: {fault.message}\n  hint: {fault.hint}")
    if len(faults) > _FAULT_LINES:
        say(f"{len(faults) - _FAULT_LINES} more faults; --json shows all")
    for rule, number in Counter(fault.rule for fault in faults).most_common():
        typer.echo(f"{number:>8,}  {rule}")
    typer.echo(
        f"{found.conversations:,} conversations, {found.errors:,} errors, "
        f"{found.warnings:,} warnings"
    )
    return code


async def _all_faults(folder: Path) -> tuple[int, list[Fault]]:
    faults: list[Fault] = []
    count = 0
    async for found in walk_set(folder):
        if isinstance(found, Fault):
            faults.append(found)
        else:
            count += 1
            faults.extend(check_files(found))
    return count, faults


def land_truth(folder: Path, *, as_json: bool) -> ExitCode:
    """Land the truths; exit 4 when a batch could not be landed."""
    settings = load_settings()
    say_target(settings)
    lost: list[RemoteError] = []

    async def work() -> int:
        landed = 0
        async with outside(settings, Silent()) as real:
            await real.sink.query(_ANSWERS.format(real.sink.table(CONVERSATION_TRUTHS)), {})
            _, landing = landing_of(real, settings, new_run_id())
            async for found in walk_set(folder):
                row = None if isinstance(found, Fault) else truth_row(found)
                if row is not None:
                    landing.add([row], lambda: None, lost.append)
                if landing.is_full:
                    landed += sum((await landing.flush()).values())
            return landed + sum((await landing.flush()).values())

    landed = run(work())
    if as_json:
        print_json(LandedTruths("conversation_truths", landed, len(lost)))
    else:
        typer.echo(f"{landed:,} truths landed in {settings.raw_dataset}.{CONVERSATION_TRUTHS}")
    if lost:
        say(f"{len(lost)} truths not landed: {lost[0].message}")
        return ExitCode.REMOTE
    return ExitCode.OK


async def walk_set(folder: Path) -> AsyncIterator[ConversationFiles | Fault]:
    """Yield every conversation of the data set in the order of date and id."""
    async for found in LocalSource(folder).walk():
        if isinstance(found, LocalConversation):
            contents, faults = await found.read()
            yield ConversationFiles(
                found.batch_date,
                found.conversation_id,
                contents,
                _read_truth(found.folder / TRUTH_FILE),
                tuple(faults),
            )
        elif isinstance(found, Fault):
            yield found


def _read_truth(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _say_progress(done: int) -> None:
    if done % 10_000 == 0:
        say(f"{done:,} conversations")


def _print_summary(summary: DataSetSummary, out: Path) -> None:
    typer.echo(f"{'share':<34}{'asked':>9}{'achieved':>10}  of")
    for share in summary.shares:
        typer.echo(f"{share.name:<34}{share.asked:>9.2%}{share.achieved:>10.2%}  {share.of}")
    typer.echo(
        f"{summary.conversations:,} conversations, {summary.turns:,} turns, "
        f"{summary.bytes_written / 1e6:,.1f} MB in {out}, {len(summary.dates)} dates"
    )
