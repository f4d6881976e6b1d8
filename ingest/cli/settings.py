"""`ingest settings …`: Insights' settings as code."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from ingest.cli._context import SystemClock, run, say_target
from ingest.cli._options import AsJson
from ingest.cli._output import print_json
from ingest.domain.insights_settings import InsightsSettings, SettingChange, parse_settings
from ingest.errors import ExitCode, InputError
from ingest.flows.attempts import Attempts
from ingest.flows.settings import InsightsSettingsApi, apply_settings, plan_settings
from ingest.settings import Settings, load_settings

app = typer.Typer(no_args_is_help=True, help="Insights' settings of the location: plan, apply.")

SettingsFile = Annotated[
    str, typer.Argument(help="YAML or JSON file; - reads standard input.", metavar="FILE")
]


@app.command()
def plan(
    file: SettingsFile,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 5 when Insights differs from the file.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show which of Insights' settings differ from the file.

    Example: ingest settings plan terraform/insights_settings.yaml
    """

    raise typer.Exit(int(run_plan(file, exit_code=exit_code, as_json=as_json)))


@app.command()
def apply(file: SettingsFile, as_json: AsJson = False) -> None:
    """Make Insights' settings of the location equal to the file.

    Example: ingest settings apply terraform/insights_settings.yaml
    """

    raise typer.Exit(int(run_apply(file, as_json=as_json)))


_Work = Callable[
    [InsightsSettingsApi, Attempts, InsightsSettings], Awaitable[Sequence[SettingChange]]
]


def run_plan(file: str, *, exit_code: bool, as_json: bool) -> ExitCode:
    """Print the plan; with `exit_code` say by 5 that Insights differs."""
    changes = _run(file, plan_settings)
    _show(changes, as_json=as_json)
    return ExitCode.DRIFT if exit_code and changes else ExitCode.OK


def run_apply(file: str, *, as_json: bool) -> ExitCode:
    """Apply the file."""
    _show(_run(file, apply_settings), as_json=as_json)
    return ExitCode.OK


def _run(file: str, work: _Work) -> Sequence[SettingChange]:
    wanted = parse_settings(_text(file))
    settings = load_settings()
    say_target(settings)
    return run(_with_api(settings, wanted, work))


async def _with_api(
    settings: Settings, wanted: InsightsSettings, work: _Work
) -> Sequence[SettingChange]:
    from ingest.gcp.insights import GrpcInsightsSettings

    attempts = Attempts(SystemClock(), settings.step_budget_sec, random.Random())
    api = GrpcInsightsSettings(settings)
    try:
        return await work(api, attempts, wanted)
    finally:
        await asyncio.shield(api.close())


def _text(file: str) -> str:
    if file == "-":
        return sys.stdin.read()
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot read {file}: {error}", "give a YAML file, or - for standard input"
        ) from error


def _show(changes: Sequence[SettingChange], *, as_json: bool) -> None:
    if as_json:
        print_json(changes)
        return
    for change in changes:
        typer.echo(f"{change.field}: {_value(change.held)} -> {_value(change.wanted)}")
    if not changes:
        typer.echo("nothing to change: Insights' settings are those of the file")


def _value(value: object) -> str:
    return "not set" if value is None else json.dumps(value, sort_keys=True)
