"""Runs `ingest data generate`, `validate` and `land-truth`, and shows what came of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from ingest.cli._context import landing_of, new_run_id, outside, run, say, say_target
from ingest.datagen.dataset_check import TRUTH_FILE, ConversationFiles, check_files
from ingest.datagen.dirty import parse_dirty
from ingest.datagen.generate import DataSetRequest, DataSetSummary, generate
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
        typer.echo(json.dumps(_summary_dict(summary), indent=2))
    else:
        _print_summary(summary, request.out)
    return ExitCode.OK


def validate(folder: Path, *, strict: bool, as_json: bool) -> ExitCode:
    """Print all faults; fail when one counts."""
    count, faults = run(_all_faults(folder))
    code = ExitCode.SOME_FAILED if has_errors(faults, strict=strict) else ExitCode.OK
    by_severity = Counter(fault.severity for fault in faults)
    totals = {
        "conversations": count,
        "errors": by_severity[Severity.ERROR],
        "warnings": by_severity[Severity.WARNING],
    }
    if as_json:
        listed = [fault.as_dict() for fault in faults]
        typer.echo(json.dumps({**totals, "faults": listed}, indent=2, ensure_ascii=False))
        return code
    for fault in faults[:_FAULT_LINES]:
        typer.echo(f"{fault.severity}: {fault.file}{fault.pointer and '#' + fault.pointer}")
        typer.echo(f"  {fault.rule}: {fault.message}\n  hint: {fault.hint}")
    if len(faults) > _FAULT_LINES:
        say(f"{len(faults) - _FAULT_LINES} more faults; --json shows all")
    for rule, number in Counter(fault.rule for fault in faults).most_common():
        typer.echo(f"{number:>8,}  {rule}")
    typer.echo(", ".join(f"{number:,} {name}" for name, number in totals.items()))
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
        typer.echo(json.dumps({"table": CONVERSATION_TRUTHS, "landed": landed, "lost": len(lost)}))
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


def _summary_dict(summary: DataSetSummary) -> dict[str, Any]:
    return {
        "conversations": summary.conversations,
        "turns": summary.turns,
        "bytes": summary.bytes_written,
        "dates": [date.isoformat() for date in summary.dates],
        "dirty": dict(summary.dirty),
        "shares": [asdict(share) for share in summary.shares],
    }


def _print_summary(summary: DataSetSummary, out: Path) -> None:
    typer.echo(f"{'share':<34}{'asked':>9}{'achieved':>10}  of")
    for share in summary.shares:
        typer.echo(f"{share.name:<34}{share.asked:>9.2%}{share.achieved:>10.2%}  {share.of}")
    typer.echo(
        f"{summary.conversations:,} conversations, {summary.turns:,} turns, "
        f"{summary.bytes_written / 1e6:,.1f} MB in {out}, {len(summary.dates)} dates"
    )
