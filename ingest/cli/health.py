"""`ingest health`."""

from __future__ import annotations

import json
import random
from functools import partial

import typer

from ingest.cli._context import SystemClock, check, run, say_target
from ingest.cli._options import AsJson
from ingest.domain.raw_records import PIPELINE_EVENTS
from ingest.errors import ExitCode
from ingest.flows.attempts import Attempts
from ingest.flows.health import Health, read_health
from ingest.settings import Settings, load_settings


def health(as_json: AsJson = False) -> None:
    """Tell how many conversations wait or failed, since when, and when anything last landed.

    Also days of the bucket that no run has touched, what the last day's analyses cost at least, and
    how full Insights is. With --json one line, which a Cloud Run job logs and the alerts compare.

    Example: ingest health --json
    """

    raise typer.Exit(int(show(as_json=as_json)))


_MISSING = {"quarantined": "the marts were never built", "landed_age_hours": "nothing landed"}


def show(*, as_json: bool) -> ExitCode:
    """Print the health; judging it is the alerts' task, so the exit code is 0."""
    settings = load_settings()
    say_target(settings)
    found = run(_read(settings))
    if as_json:
        typer.echo(json.dumps(found.log_line()))
        return ExitCode.OK
    for name, value in found.log_line().items():
        if name != "event":
            typer.echo(f"{name:<18} {_MISSING[name] if value is None else value}")
    return ExitCode.OK


async def _read(settings: Settings) -> Health:
    from ingest.gcp.bigquery import BigQueryRawSink
    from ingest.gcp.storage import GcsObjectStore

    clock = SystemClock()
    attempts = Attempts(clock, settings.step_budget_sec, random.Random())
    sink, store = BigQueryRawSink(settings), GcsObjectStore(settings)
    try:
        await check(partial(sink.check, (PIPELINE_EVENTS,)), f"dataset {settings.raw_dataset}")
        return await read_health(sink, store, attempts, clock, len(settings.places))
    finally:
        sink.close()
        store.close()
