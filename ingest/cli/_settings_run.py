"""Runs the flows of CI's settings and shows what they did."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import typer

from ingest.cli._context import SystemClock, run, say_target
from ingest.cli._reading import print_json
from ingest.domain.insights_settings import InsightsSettings, SettingChange, parse_settings
from ingest.errors import ExitCode, InputError
from ingest.flows.attempts import Attempts
from ingest.flows.insights_settings import InsightsSettingsApi, apply_settings, plan_settings
from ingest.settings import Settings, load_settings

_Work = Callable[
    [InsightsSettingsApi, Attempts, InsightsSettings], Awaitable[Sequence[SettingChange]]
]


def plan(file: str, *, exit_code: bool, as_json: bool) -> ExitCode:
    """Print the plan; with `exit_code` say by 2 that CI differs."""
    changes = _run(file, plan_settings)
    _show(changes, as_json=as_json)
    return ExitCode.USAGE if exit_code and changes else ExitCode.OK


def apply(file: str, *, as_json: bool) -> ExitCode:
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
    from ingest.gcp.insights_settings import GrpcInsightsSettings

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
        typer.echo("nothing to change: CI's settings are those of the file")


def _value(value: object) -> str:
    return "not set" if value is None else json.dumps(value, sort_keys=True)
