"""`ingest status`."""

from __future__ import annotations

import datetime as dt
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated

import typer

from ingest.cli._console import (
    age,
    ago,
    aligned,
    counted,
    moment_text,
    safe,
    terminal_width,
    wrapped,
)
from ingest.cli._options import AsJson, DateOption
from ingest.cli._output import now, opened, parsed_date, print_json, with_runs_in_bucket
from ingest.errors import ExitCode, InputError
from ingest.flows.lease import RunRecord, RunState
from ingest.flows.status import DateFunnel, PipelineStatus, RunSummary, read_status
from ingest.settings import Settings

Watch = Annotated[
    bool, typer.Option("--watch", help="Show it anew every 5 seconds, until nothing runs.")
]


def status(date: DateOption = None, as_json: AsJson = False, watch: Watch = False) -> None:
    """Show how far every conversation has come, by date.

    Counts are evidence: files, Insights' states and events in raw tables. `ingest why` explains one
    conversation. Exits with 4 where the bucket, which knows what runs now, can't be read.

    Example: ingest status --watch
    """
    if watch and as_json:
        raise InputError("--watch is for people", "leave out --json, or --watch")
    raise typer.Exit(int(show(date, as_json=as_json, is_watched=watch)))


WATCH_SEC = 5.0

_STAGES = "rrrrrrrrr"
_INDENT = " " * 10
_LEAST_WIDTH = 40
_BROKEN_RUNS = 3
_NOTHING = "nothing (of this date) has landed: run `ingest push seeds/conversations/2025-12-28`"


def show(date: str | None, *, as_json: bool, is_watched: bool = False) -> ExitCode:
    """Print the status of the pipeline, watched until nothing runs; return the exit code."""
    batch_date = parsed_date(date)
    settings, warehouse = opened()

    def look() -> tuple[PipelineStatus, ExitCode]:
        found, in_bucket, code = with_runs_in_bucket(
            settings, lambda: read_status(warehouse, now(), quotas_of(settings), batch_date)
        )
        return replace(found, in_bucket=in_bucket), code

    if is_watched:
        with _screen() as print_anew:
            return watched(look, lambda found: print_anew(status_text(found, settings)), time.sleep)
    found, code = look()
    if as_json:
        print_json(found)
    else:
        typer.echo(status_text(found, settings))
    return code


def watched(
    look: Callable[[], tuple[PipelineStatus, ExitCode]],
    show_one: Callable[[PipelineStatus], None],
    sleep: Callable[[float], None],
) -> ExitCode:
    """Show what each look finds, until one finds no run that goes on; return its exit code."""
    while True:
        found, code = look()
        show_one(found)
        if not any(run.state is RunState.RUNNING for run in found.in_bucket or ()):
            return code
        sleep(WATCH_SEC)


@contextmanager
def _screen() -> Iterator[Callable[[str], None]]:
    """Yield what prints over its last print on a terminal, and below it elsewhere."""
    if not sys.stdout.isatty():
        yield lambda text: typer.echo(f"{text}\n")
        return
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False, vertical_overflow="crop") as live:
        yield lambda text: live.update(Text(text), refresh=True)


def quotas_of(settings: Settings) -> dict[str, int]:
    """Return calls a minute by step, in all regions."""
    return {
        "submit": settings.quota_creates_per_min * len(settings.places),
        "analyse": settings.quota_analyses_per_min * len(settings.places),
    }


def status_text(found: PipelineStatus, settings: Settings) -> str:
    """Return the status as lines."""
    where = "local stack" if settings.is_local else settings.location
    lines = [f"{settings.project_id} ({where}) at {moment_text(found.taken_at)}", ""]
    if not found.dates:
        lines.append(_NOTHING)
    else:
        lines += [_funnel(found), ""]
    width = max(_LEAST_WIDTH, terminal_width())
    for name, line in _facts(found):
        first, *others = wrapped(line, width - len(_INDENT), "  ")
        lines += [f"{name:<9} {first}", *(f"{_INDENT}{other}" for other in others)]
    return "\n".join(lines)


def _funnel(found: PipelineStatus) -> str:
    header = (
        "DATE", "FILES", "COMPLETE", "INSIGHTS", "ANALYSED", "MARTS", "WAIT", "FAILED",
        "LATEST",
    )  # fmt: skip
    return aligned(
        header, [_funnel_row(date, found.taken_at) for date in found.dates], f" {_STAGES}"
    )


def _funnel_row(date: DateFunnel, now: dt.datetime) -> tuple[str, ...]:
    return (
        date_text(date.batch_date),
        str(date.received),
        str(date.complete),
        str(date.submitted),
        str(date.analysed),
        "-" if date.in_registry is None else str(date.in_registry),
        str(date.waiting or "-"),
        str(date.failed or "-"),
        ago(date.newest_at, now),
    )


def date_text(date: dt.date | None) -> str:
    """Return a date as it is written everywhere, or that there is none."""
    return "no date" if date is None else date.isoformat()


def _facts(found: PipelineStatus) -> list[tuple[str, str]]:
    now = found.taken_at
    facts: list[tuple[str, str]] = []
    facts += _titled(
        "backlog",
        [
            f"{item.count} {item.status} of {date_text(item.batch_date)}, "
            f"the oldest for {age((now - item.oldest_at).total_seconds())}"
            for item in found.backlog
        ]
        or ["nothing is open"],
    )
    facts += _titled(
        "failures",
        [
            f"{item.count} at {item.step}: {safe(item.error_code)}, "
            f"the first {ago(item.oldest_at, now)}"
            for item in found.failures
        ]
        or ["no conversation's latest step failed"],
    )
    facts += _titled(
        "quota",
        [
            ", ".join(
                f"{item.name} {item.used} of {item.limit} in a minute" for item in found.quotas
            )
        ],
    )
    facts += _titled("now", _in_bucket(found.in_bucket or (), now))
    facts += _titled("runs", [_run(run, now) for run in found.runs] or ["none yet"])
    if found.forgotten:
        facts.append(("forgotten", f"{counted(found.forgotten, 'conversation')} erased on request"))
    if found.quarantined:
        aside = f"{counted(found.quarantined, 'conversation')} set aside"
        facts.append(("marts", f"{aside}: see quarantined_conversations"))
    if any(date.batch_date and (date.in_registry or 0) < date.received for date in found.dates):
        facts.append(("marts", "the registry is behind the raw tables: run `dbt build`"))
    if found.forgotten_in_marts:
        held = counted(found.forgotten_in_marts, "erased conversation")
        facts.append(("marts", f"the registry still holds {held}: run `dbt build`"))
    return facts


def _run(run: RunSummary, now: dt.datetime) -> str:
    took_sec = (run.ended_at - run.started_at).total_seconds()
    return (
        f"{safe(run.run_id)} {counted(run.conversation_count, 'conversation')}, "
        f"{run.failed_count} failed, {age(took_sec)}, {ago(run.ended_at, now)}"
    )


def _in_bucket(runs: Sequence[RunRecord], now: dt.datetime) -> list[str]:
    """Return a line for each run that goes on, and for the newest of those that broke off."""
    broken = [run for run in runs if run.state is not RunState.RUNNING]
    older = len(broken) - _BROKEN_RUNS
    shown = [run for run in runs if run not in broken[:-_BROKEN_RUNS]]
    more = [f"{counted(older, 'older run')} broke off: see `ingest runs`"] if older > 0 else []
    return [*(_record(run, now) for run in shown), *more]


def _record(run: RunRecord, now: dt.datetime) -> str:
    seen = f", seen {ago(run.seen_at, now)}" if run.seen_at else ""
    told = f": {safe(run.progress)}" if run.progress else ""
    return f"{run.state.value}: {safe(run.sentence)}{seen}{told}"


def _titled(title: str, lines: list[str]) -> list[tuple[str, str]]:
    return [(title if place == 0 else "", line) for place, line in enumerate(lines)]
