"""`ingest retention …`: how long each place keeps what was said."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ingest.cli._as_code import Yes, ask
from ingest.cli._console import counted
from ingest.cli._context import (
    SystemClock,
    landing_of,
    new_run_id,
    open_services,
    run,
    say,
    say_target,
)
from ingest.cli._options import SITE_DIR, AsJson
from ingest.cli._output import print_json
from ingest.cli.forget import drop_pages
from ingest.domain.raw_records import ANY_PARTITION, CI_CONVERSATIONS, PIPELINE_EVENTS
from ingest.errors import ExitCode
from ingest.flows.attempts import Attempts
from ingest.flows.health import LOOK_BACK_DAYS
from ingest.flows.retention import Filling, KeptPlace, Retention, RetentionDays, filling
from ingest.flows.services import Services, Silent
from ingest.settings import Settings, load_settings

app = typer.Typer(
    no_args_is_help=True,
    help="How long places keep what was said: plan, apply.",
)
_HELD_SQL = """
select
  count(distinct conversation_id) as held,
  count(distinct if(_landed_at >= @since, conversation_id, null)) as lately
from {states}
where {any_partition} and conversation_id not in (
  select conversation_id from {events} where {any_partition} and step = 'forget'
)
"""


@dataclass(frozen=True)
class RetentionPlan:
    """Every place, and how Insights fills."""

    places: tuple[KeptPlace, ...]
    insights: Filling

    @property
    def differs(self) -> bool:
        """Whether apply would do anything."""
        return any(place.differs for place in self.places)


@app.command()
def plan(
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 5 when something is kept too long.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show how long each place keeps conversations, what is kept longer, and how Insights fills.

    Days are settings: INGEST_RETENTION_ORIGINALS_DAYS, …_FILES_DAYS, …_INSIGHTS_DAYS, …_PAGES_DAYS.

    Example: ingest retention plan --exit-code
    """

    raise typer.Exit(int(run_plan(exit_code=exit_code, as_json=as_json)))


@app.command()
def apply(yes: Yes = False, as_json: AsJson = False) -> None:
    """Delete day folders and pages that are kept too long, and set Insights' limit of days.

    Example: ingest retention apply --yes
    """

    raise typer.Exit(int(run_apply(yes=yes, as_json=as_json)))


def run_plan(*, exit_code: bool, as_json: bool) -> ExitCode:
    """Print the plan; with `exit_code` say by 5 that something is kept too long."""
    planned = _planned(_settings())
    _show(planned, as_json=as_json)
    return ExitCode.DRIFT if exit_code and planned.differs else ExitCode.OK


def run_apply(*, yes: bool, as_json: bool) -> ExitCode:
    """Apply the plan, and show what was done."""
    settings = _settings()
    planned = _planned(settings)
    if planned.differs:
        if not yes:
            ask("deleting what is kept too long", "Delete it for good?")
        run(_apply(settings, planned.places))
        if any(place.overdue for place in planned.places if place.place == "pages"):
            drop_pages(SITE_DIR)
    _show(planned, as_json=as_json)
    return ExitCode.OK


def _settings() -> Settings:
    settings = load_settings()
    say_target(settings)
    return settings


def days_of(settings: Settings) -> RetentionDays:
    """Return the days that the settings give each place."""
    return RetentionDays(
        settings.retention_originals_days,
        settings.retention_files_days,
        settings.retention_insights_days,
        settings.retention_pages_days,
    )


def overdue_pages(site: Path, days: int | None, now: dt.datetime) -> tuple[str, ...]:
    """Return the folder of pages where these were made longer ago than that."""
    made = site / "pages.json"
    if days is None or not made.exists():
        return ()
    age = now - dt.datetime.fromtimestamp(made.stat().st_mtime, dt.UTC)
    return (site.as_posix(),) if age > dt.timedelta(days=days) else ()


def _planned(settings: Settings) -> RetentionPlan:
    places, filled = run(_plan(settings))
    days = settings.retention_pages_days
    pages = overdue_pages(SITE_DIR, days, SystemClock().now())
    return RetentionPlan((*places, KeptPlace("pages", days, None, pages)), filled)


async def _plan(settings: Settings) -> tuple[tuple[KeptPlace, ...], Filling]:
    async with open_services(settings, Silent()) as real:
        attempts, _ = landing_of(real, settings, new_run_id())
        places = await _with(settings, real, attempts, ())
        since = real.clock.now() - dt.timedelta(days=LOOK_BACK_DAYS)
        sql = _HELD_SQL.format(
            states=real.sink.table(CI_CONVERSATIONS),
            events=real.sink.table(PIPELINE_EVENTS),
            any_partition=ANY_PARTITION,
        )
        asked = await attempts.run(lambda: real.sink.query(sql, {"since": since}))
    held, lately = asked.value[0]["held"], asked.value[0]["lately"]
    return places, filling(held, lately / LOOK_BACK_DAYS, settings.retention_insights_days)


async def _apply(settings: Settings, places: Sequence[KeptPlace]) -> None:
    async with open_services(settings, Silent()) as real:
        attempts, _ = landing_of(real, settings, new_run_id())
        await _with(settings, real, attempts, [each for each in places if each.place != "pages"])


async def _with(
    settings: Settings, real: Services, attempts: Attempts, places: Sequence[KeptPlace]
) -> tuple[KeptPlace, ...]:
    """Apply these places; without any return the plan."""
    from ingest.gcp.insights import GrpcInsightsSettings

    api = GrpcInsightsSettings(settings)
    try:
        flow = Retention(real.store, api, attempts, real.clock, days_of(settings))
        if not places:
            return await flow.plan()
        await flow.apply(places, new_run_id())
        return tuple(places)
    finally:
        await asyncio.shield(api.close())


def _show(planned: RetentionPlan, *, as_json: bool) -> None:
    if as_json:
        print_json(planned)
    else:
        for place in planned.places:
            typer.echo(f"{place.place:<10} {_sentence(place)}")
    filled = planned.insights
    say(
        f"Insights is {filled.percent:.1f} % full (2,000,000 conversations a region); "
        f"{filled.per_day:,.0f} a day came lately"
        + ("" if filled.days_until_full is None else f": full in {filled.days_until_full:,} days")
    )
    if filled.is_warning:
        say("warning: Insights fills up (50,000 a day fill a region in 40 days)")
        say("hint:  set or lower INGEST_RETENTION_INSIGHTS_DAYS, or take a second region")


def _sentence(place: KeptPlace) -> str:
    wanted = "kept until erased" if place.wanted_days is None else f"{place.wanted_days} days"
    told = [wanted]
    if place.place == "insights" and place.differs:
        told.append(f"now {place.held_days or 'no limit'}; for conversations that come from now on")
    if place.overdue:
        shown = ", ".join(place.overdue[:3]) + (", …" if len(place.overdue) > 3 else "")
        told.append(f"{counted(len(place.overdue), 'folder')} kept longer: {shown}")
    return "; ".join(told)
