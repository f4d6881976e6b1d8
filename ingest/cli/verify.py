"""`ingest verify`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ingest.cli._console import counted
from ingest.cli._context import landing_of, new_run_id, open_services, run, say, say_target
from ingest.cli._options import AsJson
from ingest.cli._output import print_json
from ingest.cli.convert import SourceMapping, readable
from ingest.errors import ExitCode, InputError
from ingest.flows.declared import read_declarations
from ingest.flows.redaction import RedactedSource, Redaction
from ingest.flows.services import Silent
from ingest.flows.source import LocalSource, Source
from ingest.flows.verify import PLACES, DateCheck, Mismatch, Verify
from ingest.settings import Settings, load_settings


def verify(
    source: Annotated[
        str | None, typer.Argument(help="Compare with these files too: a (date) folder.")
    ] = None,
    mapping: SourceMapping = None,
    date: Annotated[
        dt.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only this date folder.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare files, bucket, Insights, raw tables and marts by content hash, date by date.

    Exits with 1 when anything differs or nothing was there to compare, so it serves as a nightly
    check. Without a source, dates are those that bucket, raw tables or marts know.

    Example: ingest verify seeds/conversations/2025-12-28
    """

    only = date.date() if date else None
    raise typer.Exit(int(execute(source, mapping, only, as_json=as_json)))


_LINES = 50


@dataclass(frozen=True)
class CheckedDate:
    """Conversations of a date by place, and every difference; one of a whole place has no id."""

    date: dt.date | None
    """None: conversations without a date, which others made and a pull found."""
    counts: Mapping[str, int]
    mismatches: tuple[Mismatch, ...]
    still_in_insights: tuple[str, ...] = ()
    """Conversations whose medium isn't sent to Insights, which holds an earlier state of them."""


def execute(
    source: str | None, mapping: Path | None, date: dt.date | None, *, as_json: bool
) -> ExitCode:
    """Verify, print the checks, return the exit code."""
    if mapping and not source:
        raise InputError("--mapping is for SOURCE", "name the files that it converts")
    settings = load_settings()
    say_target(settings)
    code = ExitCode.OK
    if source:
        with readable(Path(source), mapping) as (folder, code):
            checks = run(_verify(settings, LocalSource(folder), date))
    else:
        checks = run(_verify(settings, None, date))
    if as_json:
        print_json([_checked(check) for check in checks])
    else:
        _print(checks)
    if not _compared(checks):
        say("error: nothing was compared: no place holds anything")
        say("hint:  name another date, or see `ingest doctor` for bucket and datasets")
    return exit_code(checks) or code


def exit_code(checks: Sequence[DateCheck]) -> ExitCode:
    """Return success only when something was compared and nothing differs."""
    is_equal = not any(check.mismatches for check in checks)
    return ExitCode.OK if is_equal and _compared(checks) else ExitCode.SOME_FAILED


def _compared(checks: Sequence[DateCheck]) -> list[DateCheck]:
    return [check for check in checks if check.mismatches or not check.is_empty]


async def _verify(
    settings: Settings, files: LocalSource | None, only: dt.date | None
) -> list[DateCheck]:
    async with open_services(settings, Silent()) as real:
        attempts, _ = landing_of(real, settings, new_run_id())
        flow = Verify(real, attempts)
        source: Source | None = files
        if files is not None and real.redacting is not None:
            declared = read_declarations(settings.seeds_dir, settings.dbt_project_file)
            redaction = Redaction(real.store, attempts, real.redacting, declared, keeps=False)
            source = RedactedSource(files, redaction)
        if only is not None:
            dates = [only]
        elif files is not None:
            dates = [date for date, _ in files.dates()]
        else:
            dates = await flow.dates()
        checks = [await flow.check(date, source) for date in dates]
        if only is None and files is None and not (found := await flow.check_found()).is_empty:
            checks.append(found)
        return checks


def _print(checks: Sequence[DateCheck]) -> None:
    places = [place for place in PLACES if any(place in check.counts for check in checks)]
    typer.echo("  ".join(["date      ", *(f"{place:>9}" for place in places), "result"]))
    for check in checks:
        counts = [f"{check.counts[place]:>9}" for place in places]
        result = f"{len(check.mismatches)} differ" if check.mismatches else "equal"
        typer.echo("  ".join([f"{check.date or 'no date':<10}", *counts, result]))
        for mismatch in check.mismatches[:_LINES]:
            say(f"differs: {mismatch.conversation_id} {mismatch.place}: {mismatch.problem}")
        if len(check.mismatches) > _LINES:
            say(f"… and {len(check.mismatches) - _LINES} more; --json lists all")
        if check.still_in_insights:
            say(still_text(check.still_in_insights))


def still_text(ids: Sequence[str]) -> str:
    """Return the line on conversations that Insights holds though their medium isn't sent there."""
    more = "" if len(ids) == 1 else "; --json lists all"
    return (
        f"note: Insights still holds {counted(len(ids), 'conversation')} whose medium isn't sent "
        f"there; leave it, or erase it everywhere: ingest forget {ids[0]}{more}"
    )


def _checked(check: DateCheck) -> CheckedDate:
    counts = {place: check.counts[place] for place in PLACES if place in check.counts}
    return CheckedDate(check.date, counts, tuple(check.mismatches), tuple(check.still_in_insights))
