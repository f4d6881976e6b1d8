"""What commands share that make Insights equal to seeds."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from ingest.cli._context import Running, open_services
from ingest.cli._output import printable
from ingest.cli._progress import progress_for_people
from ingest.domain.as_code import FieldChange, csv_text
from ingest.errors import ExitCode, InputError
from ingest.flows.services import Services
from ingest.settings import Settings

ExitCodeOption = Annotated[
    bool, typer.Option("--exit-code", help="Exit with 5 when Insights differs from the seeds.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Don't ask.")]
type Seed = tuple[str, Sequence[str], Sequence[Sequence[str]]]
"""A CSV file: its name, its columns and its rows."""


@contextlib.asynccontextmanager
async def alone(settings: Settings, command: str, run_id: str) -> AsyncIterator[Services]:
    """Yield the outside once no other run of the command changes Insights; so it waits."""
    with progress_for_people() as progress:
        running = Running(command, run_id)
        async with (
            open_services(settings, progress, running=running) as real,
            real.lease.running(),
        ):
            await real.lease.take([command], waits=True)
            yield real


def ask(what: str, question: str) -> None:
    """Return once a person agrees; InputError where nobody can be asked."""
    if not sys.stdin.isatty():
        raise InputError(f"{what} wants consent", "add --yes")
    if not typer.confirm(question, err=True):
        raise typer.Exit(int(ExitCode.USAGE))


def show_parts(added: Sequence[str], removed: Sequence[str], fields: Sequence[FieldChange]) -> None:
    """Print what a change adds, removes and alters."""
    for part in removed:
        typer.echo(f"        - {printable(part)}")
    for part in added:
        typer.echo(f"        + {printable(part)}")
    for field in fields:
        typer.echo(f"        ~ {printable(str(field))}")


def write_seeds(folder: Path, seeds: Sequence[Seed]) -> tuple[str, ...]:
    """Write the CSV files; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, columns, rows in seeds:
        (folder / name).write_text(csv_text(columns, rows), encoding="utf-8")
    return tuple(str(folder / name) for name, _, _ in seeds)
