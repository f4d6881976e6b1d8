"""`ingest data …`: dev conversations with their truth, and what a data set is like."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

from ingest.cli._options import AsJson

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
    from ingest.cli import _data_run
    from ingest.datagen.generate import DataSetRequest

    request = DataSetRequest(count, seed, date.date(), days, out, first)
    raise typer.Exit(int(_data_run.generate_set(request, profile, dirty, seeds, as_json=as_json)))


@app.command()
def validate(
    folder: Folder,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    as_json: AsJson = False,
) -> None:
    """Report every fault of every file: rule, place, what is wrong, what to do.

    Example: ingest data validate seeds/conversations --strict
    """
    from ingest.cli import _data_run

    raise typer.Exit(int(_data_run.validate(folder, strict=strict, as_json=as_json)))


@app.command()
def report(
    folder: Folder,
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
    from ingest.cli._data_report_run import execute

    raise typer.Exit(int(execute(folder, against, html, as_json=as_json)))


@app.command()
def convert(
    sources: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Transcripts in the foreign format.")
    ],
    from_: Annotated[
        str, typer.Option("--from", help="contact-lens, genesys, twilio or google-ci.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder that gets the date folders.")],
    defaults: Annotated[
        Path | None,
        typer.Option("--defaults", help="YAML of metadata fields that the format lacks."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Turn transcripts of another system into conversation folders.

    Example: ingest data convert tests/fixtures/foreign_transcripts/twilio.json --from twilio
    --defaults tests/fixtures/foreign_transcripts/context.yaml --out .local/converted
    """
    from ingest.cli._data_convert_run import execute

    raise typer.Exit(int(execute(sources, from_, out, defaults, as_json=as_json)))


@app.command("land-truth")
def land_truth(folder: Folder, as_json: AsJson = False) -> None:
    """Land every expected.json in the raw table conversation_truths.

    Example: ingest data land-truth seeds/conversations
    """
    from ingest.cli import _data_run

    raise typer.Exit(int(_data_run.land_truth(folder, as_json=as_json)))
