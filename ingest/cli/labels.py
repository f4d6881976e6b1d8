"""`ingest labels …`: what people say of conversations, to Insights and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from ingest.cli._as_code import alone
from ingest.cli._context import landing_of, new_run_id, run, say, say_target
from ingest.cli._options import AsJson
from ingest.cli._output import print_json, printable
from ingest.domain.as_code import csv_text
from ingest.domain.labels import (
    LABEL_COLUMNS,
    SHEET_COLUMNS,
    label_cells,
    parse_labels,
    truth_rules,
)
from ingest.domain.outcome import Failure
from ingest.errors import ExitCode, InputError
from ingest.flows import labels as flow
from ingest.flows.scorecards import held_scorecards
from ingest.settings import Settings, load_settings

app = typer.Typer(
    no_args_is_help=True, help="People's answers and topics: import from a CSV, export to one."
)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV as `ingest labels export` writes it.")],
    as_json: AsJson = False,
) -> None:
    """Label conversations in Insights by a CSV, and land all labels; rows not filled in are left.

    Example: ingest labels import tests/fixtures/labels.csv
    """

    raise typer.Exit(int(_import(file, as_json=as_json)))


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="CSV file to write.")],
    template: Annotated[
        str | None,
        typer.Option(help="Write a sheet for people: each question of this scorecard."),
    ] = None,
    where: Annotated[
        str, typer.Option(help="With --template: Insights filter of conversations.")
    ] = "",
    count: Annotated[
        int, typer.Option(min=1, help="With --template: conversations, at most.")
    ] = 50,
    truth: Annotated[
        Path | None,
        typer.Option(help="With --template: fill it in from expected.json of this folder."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the labels that Insights holds to a CSV and land them, or write a sheet to fill in.

    Example: ingest labels export --out .local/labels.csv
    """

    if template is None and (where or truth):
        raise InputError("--where and --truth are for a sheet", "add --template SCORECARD")
    if template is None:
        _export(out, as_json=as_json)
    else:
        _template(out, template, where, count, truth, as_json=as_json)


@dataclass(frozen=True)
class ImportedLabels:
    """What became of the rows of a CSV, and how many labels were landed."""

    created: int
    changed: int
    kept: int
    failed: int
    not_filled_in: int
    landed: int
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class ExportedLabels:
    """How many rows were written to which file, and how many labels were landed."""

    file: str
    row_count: int
    landed: int


def _import(file: Path, *, as_json: bool) -> ExitCode:
    settings = load_settings()
    say_target(settings)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {file}: {error}", "give a CSV in UTF-8") from error

    async def work() -> ImportedLabels:
        run_id = new_run_id()
        async with alone(settings, "labels", run_id) as real:
            attempts, landing = landing_of(real, settings, run_id)
            held = await held_scorecards(real.quality, attempts)
            wanted, empty = parse_labels(file.name, text, held)
            real.progress.stage("label", len(wanted))
            done = await flow.import_labels(
                real.quality,
                attempts,
                wanted,
                settings.concurrency,
                run_id,
                lambda: real.progress.advance("label"),
            )
            _, landed = await flow.land_labels(real.quality, real.sink, attempts, landing)
            created, changed, kept, failed = (
                done.states[state] for state in (flow.CREATED, flow.CHANGED, flow.KEPT, flow.FAILED)
            )
            return ImportedLabels(
                created, changed, kept, failed, empty, landed, tuple(done.failures)
            )

    result = run(work())
    if as_json:
        print_json(result)
    else:
        typer.echo(
            f"{result.created} labels created, {result.changed} changed, {result.kept} kept, "
            f"{result.failed} failed, {result.not_filled_in} not filled in; {result.landed} landed"
        )
        for failure in result.failures:
            say(f"failed: {failure.conversation_id}: {failure.code} {failure.message}")
    return ExitCode.SOME_FAILED if result.failed else ExitCode.OK


def _export(out: Path, *, as_json: bool) -> None:
    settings = load_settings()
    say_target(settings)

    async def work() -> tuple[list[tuple[str, ...]], int]:
        run_id = new_run_id()
        async with alone(settings, "labels", run_id) as real:
            attempts, landing = landing_of(real, settings, run_id)
            held, landed = await flow.land_labels(real.quality, real.sink, attempts, landing)
            return label_cells(held), landed

    rows, landed = run(work())
    _write(out, LABEL_COLUMNS, rows, landed, as_json=as_json)


def _template(
    out: Path, template: str, where: str, count: int, truth: Path | None, *, as_json: bool
) -> None:
    settings = load_settings()
    say_target(settings)

    async def work() -> list[tuple[str, ...]]:
        run_id = new_run_id()
        async with alone(settings, "labels", run_id) as real:
            attempts, _ = landing_of(real, settings, run_id)
            card = await flow.scorecard_to_label(real.quality, attempts, template)
            if truth is not None:
                return flow.truth_sheet(_truths(truth), card, _rules(settings))
            return await flow.sheet(real.insights, attempts, card, where, count)

    _write(out, SHEET_COLUMNS, run(work()), 0, as_json=as_json)


def _rules(settings: Settings) -> dict[tuple[str, str], str]:
    file = settings.seeds_dir / "scorecard_questions.csv"
    try:
        return truth_rules(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"no {file}", "set INGEST_SEEDS_DIR") from error


def _truths(folder: Path) -> list[tuple[str, Mapping[str, Any]]]:
    found = []
    for file in sorted(folder.rglob("expected.json")):
        try:
            truth = orjson.loads(file.read_bytes())
        except orjson.JSONDecodeError as error:
            raise InputError(f"{file} is no truth file", "run `ingest data validate`") from error
        found.append((file.parent.name, truth))
    if not found:
        raise InputError(f"{folder} has no expected.json", "name a folder of dev data")
    return found


def _write(
    out: Path, columns: Sequence[str], rows: Sequence[Sequence[str]], landed: int, *, as_json: bool
) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(csv_text(columns, rows), encoding="utf-8")
    if as_json:
        print_json(ExportedLabels(str(out), len(rows), landed))
    else:
        typer.echo(f"{len(rows)} rows written to {printable(str(out))}; {landed} labels landed")
