"""`ingest data …`: dev conversations with their truth, and what a data set is like."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import orjson
import typer

from ingest.cli._console import aligned
from ingest.cli._context import landing_of, new_run_id, open_services, run, say, say_target
from ingest.cli._measures import (
    parsed_file,
    run_coaching_report,
    run_redaction_report,
    walk_set,
)
from ingest.cli._options import AsJson
from ingest.cli._output import print_json
from ingest.cli.convert import (
    SourceMapping,
    convert,
    converted,
    counts_of,
    map_,
    readable,
    say_converted,
)
from ingest.datagen.dataset_check import ConversationFiles, check_files, truth_row
from ingest.datagen.dirty import parse_dirty
from ingest.datagen.figures import DataSetFigures, Tally
from ingest.datagen.generate import DataSetRequest, DataSetSummary, Share
from ingest.datagen.generate import generate as write_data_set
from ingest.datagen.profile import load_profile
from ingest.domain.conversation import FileKind, Metadata, Transcription
from ingest.domain.converted import Converted
from ingest.domain.declarations import Declarations
from ingest.domain.faults import Fault, Severity, has_errors
from ingest.domain.raw_records import CONVERSATION_TRUTHS
from ingest.enums import Redaction
from ingest.errors import ExitCode, InputError, RemoteError
from ingest.flows.declared import read_declarations
from ingest.flows.selection import delivered_twice
from ingest.flows.services import Silent
from ingest.formats.detecting import cure_of_folder
from ingest.settings import load_declared_places, load_settings

app = typer.Typer(
    no_args_is_help=True,
    help="Dev data: generate, validate, report on, convert and land conversations.",
)

Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="A date folder, or a folder of date folders.")
]
Seeds = Annotated[
    Path, typer.Option("--seeds", help="Folder of phrase_matchers.csv and the other seeds.")
]


@app.command()
def generate(
    out: Annotated[Path, typer.Option("--out", help="Folder that gets the date folders.")],
    count: Annotated[int, typer.Option("--count", min=1, help="How many conversations.")] = 100,
    seed: Annotated[int, typer.Option("--seed", help="Equal seeds give equal bytes.")] = 1,
    date: Annotated[
        dt.datetime,
        typer.Option("--date", formats=["%Y-%m-%d"], help="First day of the conversations."),
    ] = dt.datetime(2026, 1, 5),  # noqa: DTZ001 - a date; typer has no type for one
    days: Annotated[int, typer.Option("--days", min=1, max=3660, help="Days from --date on.")] = 1,
    profile: Annotated[
        Path | None, typer.Option("--profile", help="YAML of distributions; see profile.yaml.")
    ] = None,
    dirty: Annotated[
        str, typer.Option("--dirty", help="Faults by share: late_metadata=2%,edited=1%,…")
    ] = "",
    first: Annotated[
        int, typer.Option("--first", min=0, help="Number of the first one, to make a set in parts.")
    ] = 0,
    seeds: Seeds = Path("seeds"),
    as_json: AsJson = False,
) -> None:
    """Write conversations that read like calls, each with its truth beside it.

    Example: ingest data generate --count 200 --seed 7 --date 2026-01-05 --out .local/data
    """
    from ingest.datagen.generate import DataSetRequest

    request = DataSetRequest(count, seed, date.date(), days, out, first)
    raise typer.Exit(int(generate_set(request, profile, dirty, seeds, as_json=as_json)))


@app.command()
def validate(
    folder: Folder,
    mapping: SourceMapping = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    as_json: AsJson = False,
) -> None:
    """Report every fault of every file: rule, place, what is wrong, what to do.

    With a mapping, of what it makes of the files; a file that it refuses counts as an error.

    Example: ingest data validate seeds/conversations --strict
    """

    raise typer.Exit(int(run_validate(folder, mapping, strict=strict, as_json=as_json)))


@app.command()
def report(
    folder: Folder,
    mapping: SourceMapping = None,
    against: Annotated[
        Path | None, typer.Option("--against", help="A second data set, shown side by side.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a page with plots to this file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure how real a data set looks: turns, words, repetition, disfluency, mood.

    Example: ingest data report .local/data --against seeds/conversations --html report.html
    """

    raise typer.Exit(int(run_report(folder, mapping, against, html, as_json=as_json)))


@app.command("redaction-report")
def redaction_report(folder: Folder, seeds: Seeds = Path("seeds"), as_json: AsJson = False) -> None:
    """Measure by type of detail what redaction finds of the personal data planted in a data set.

    The truth is `pii_spans` of each expected.json; a conversation without one doesn't count.

    Example: ingest data redaction-report seeds/conversations
    """

    raise typer.Exit(int(run_redaction_report(folder, seeds, as_json=as_json)))


@app.command("coaching-report")
def coaching_report(folder: Folder, seeds: Seeds = Path("seeds"), as_json: AsJson = False) -> None:
    """Measure by check how well the coaching marts judge a data set whose truth is known.

    The truth follows from each expected.json; what was said in words that no matcher knows counts
    by ear alone. A second table counts the faults and the exemplary behaviour that the generator
    planted; of the customer's mood nothing else is known. Push the data set and run `dbt build`
    first.

    Example: ingest data coaching-report seeds/conversations
    """

    raise typer.Exit(int(run_coaching_report(folder, seeds, as_json=as_json)))


app.command()(convert)
app.command("map")(map_)


@app.command("land-truth")
def land_truth(folder: Folder, mapping: SourceMapping = None, as_json: AsJson = False) -> None:
    """Land every expected.json in the raw table conversation_truths.

    Example: ingest data land-truth seeds/conversations
    """

    raise typer.Exit(int(run_land_truth(folder, mapping, as_json=as_json)))


_FAULT_LINES = 200
_MOST_NAME = 16
"""Characters of a data set's name in a table of two that fits a terminal."""
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
    """How many conversations were looked at, and every fault of theirs; `converted` accounts for
    a source that a mapping converts."""

    conversations: int
    errors: int
    warnings: int
    faults: tuple[Fault, ...]
    converted: Converted | None


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
        summary = write_data_set(request, wanted, seeds, faults, _say_progress)
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


def run_validate(folder: Path, mapping: Path | None, *, strict: bool, as_json: bool) -> ExitCode:
    """Print all faults; fail when one counts, or when a mapping refused a file."""
    declared = read_declarations(*load_declared_places())
    with converted(folder, mapping, strict=strict) as (source, made):
        has_some = made is None or made.written
        count, faults, cure = run(_all_faults(source, declared)) if has_some else (0, [], "")
    is_faulty = has_errors(faults, strict=strict) or (made is not None and made.refused)
    code = ExitCode.SOME_FAILED if is_faulty else ExitCode.OK
    by_severity = Counter(fault.severity for fault in faults)
    found = ValidatedSet(
        count, by_severity[Severity.ERROR], by_severity[Severity.WARNING], tuple(faults), made
    )
    if as_json:
        print_json(found)
        return code
    if made is not None:
        say_converted(made)
        say(counts_of(made))
    for fault in faults[:_FAULT_LINES]:
        typer.echo(f"{fault.severity}: {fault.file}{fault.pointer and '#' + fault.pointer}")
        typer.echo(f"  {fault.rule}: {fault.message}\n  hint: {fault.hint}")
    if len(faults) > _FAULT_LINES:
        say(f"{len(faults) - _FAULT_LINES} more faults; --json shows all")
    if cure:
        say(f"hint: {cure}")
    for rule, number in Counter(fault.rule for fault in faults).most_common():
        typer.echo(f"{number:>8,}  {rule}")
    typer.echo(
        f"{found.conversations:,} conversations, {found.errors:,} errors, "
        f"{found.warnings:,} warnings"
    )
    return code


async def _all_faults(folder: Path, declared: Declarations) -> tuple[int, list[Fault], str]:
    """Return how many conversations there are, their faults, and what reads the first faulty one
    if it's of another format."""
    faults: list[Fault] = []
    count, cure = 0, ""
    first_dates: dict[str, dt.date] = {}
    async for found in walk_set(folder):
        if isinstance(found, Fault):
            faults.append(found)
            continue
        count += 1
        own = check_files(found, declared)
        faults.extend(own)
        if not cure and has_errors(own):
            cure = cure_of_folder({kind.value: each for kind, each in found.contents.items()})
        id_, date = found.conversation_id, found.batch_date
        if (first := first_dates.setdefault(id_, date)) != date:
            faults.append(delivered_twice(id_, date, first))
    return count, faults, cure


def run_land_truth(folder: Path, mapping: Path | None, *, as_json: bool) -> ExitCode:
    """Land the truths; exit 4 when a batch could not be landed.

    Raises InputError where redaction is on: truths tell places in talks that aren't redacted.
    """
    settings = load_settings()
    if settings.redaction is not Redaction.OFF:
        raise InputError(
            "ground truth tells of talks that aren't redacted, and redaction is on",
            "land it on dev data alone, with INGEST_REDACTION=off",
        )
    say_target(settings)
    lost: list[RemoteError] = []

    async def work(source: Path) -> int:
        landed = 0
        async with open_services(settings, Silent()) as real:
            await real.sink.query(_ANSWERS.format(real.sink.table(CONVERSATION_TRUTHS)), {})
            _, landing = landing_of(real, settings, new_run_id())
            async for found in walk_set(source):
                row = None if isinstance(found, Fault) else truth_row(found)
                if row is not None:
                    landing.add([row], lambda: None, lost.append)
                if landing.is_full:
                    landed += sum((await landing.flush()).values())
            return landed + sum((await landing.flush()).values())

    with readable(folder, mapping) as (source, code):
        landed = run(work(source))
    if as_json:
        print_json(LandedTruths("conversation_truths", landed, len(lost)))
    else:
        typer.echo(f"{landed:,} truths landed in {settings.raw_dataset}.{CONVERSATION_TRUTHS}")
    if lost:
        say(f"{len(lost)} truths not landed: {lost[0].message}")
        return ExitCode.REMOTE
    return code


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


def run_report(
    folder: Path, mapping: Path | None, against: Path | None, html: Path | None, *, as_json: bool
) -> ExitCode:
    """Measure one or two data sets; print the figures and write the page if asked."""
    sets, code = [], ExitCode.OK
    for each, by in (
        [(folder, mapping)] if against is None else [(folder, mapping), (against, None)]
    ):
        with readable(each, by) as (source, refused):
            sets.append(run(_measure(source, str(each))))
        code = refused or code
    if html is not None:
        from ingest.datagen.figures import figures_page

        html.write_text(figures_page(sets), encoding="utf-8")
        say(f"page written to {html}")
    if as_json:
        print_json(sets)
        return code
    columns = [dict(figures.table()) for figures in sets]
    names = dict.fromkeys(name for column in columns for name in column)
    header = ("", *(_end_of(figures.name) for figures in sets))
    rows = [(name, *(column.get(name, "-") for column in columns)) for name in names]
    typer.echo(aligned(header, rows, f" {'r' * len(sets)}"))
    return code


def _end_of(name: str) -> str:
    """Return the end of a long name, which tells sets apart."""
    return name if len(name) <= _MOST_NAME else f"…{name[1 - _MOST_NAME :]}"


async def _measure(folder: Path, name: str) -> DataSetFigures:
    tally = Tally(name)
    unread = 0
    async for found in walk_set(folder):
        talk = parsed_file(found, FileKind.TRANSCRIPTION)
        if isinstance(found, ConversationFiles) and isinstance(talk, Transcription):
            metadata = parsed_file(found, FileKind.METADATA)
            is_metadata = isinstance(metadata, Metadata)
            tally.add(metadata if is_metadata else None, talk, _arc(found.truth))  # type: ignore[arg-type]
        else:
            unread += 1
    if not tally.conversations:
        raise InputError(f"{name} has no readable conversation", "run `ingest data validate`")
    if unread:
        say(f"{unread:,} entries of {name} have no readable transcript and don't count")
    return tally.figures()


def _arc(truth: bytes | None) -> str | None:
    if truth is None:
        return None
    try:
        arc = orjson.loads(truth)["sentiment_arc"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return arc if isinstance(arc, str) else None
