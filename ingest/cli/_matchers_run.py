"""Runs the matcher flows and shows what they did."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import typer

from ingest.cli._context import landing_of, new_run_id, outside, run, say, say_target
from ingest.cli._matcher_trials_run import Impact, impact_of, show_impact
from ingest.cli._reading import print_json
from ingest.cli._tables import table
from ingest.domain.matcher_definition import MatcherDefinition
from ingest.domain.matcher_diff import FieldChange
from ingest.domain.matcher_trials import Difference
from ingest.domain.matchers import ChangeKind, MatcherChange, is_ours
from ingest.errors import ExitCode, InputError
from ingest.flows import matchers as flow
from ingest.flows.matcher_trials import impact
from ingest.flows.progress import Silent
from ingest.ports import CiMatcher
from ingest.settings import Settings, load_settings

_DRIFT = ExitCode.USAGE


@dataclass(frozen=True)
class PlannedChange:
    """What apply or destroy does to one matcher, or why that failed; phrases are CI's queries."""

    change: ChangeKind
    display_name: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[FieldChange, ...]
    error: str | None


@dataclass(frozen=True)
class MatcherPlan:
    """What `plan` prints; `impact` is None unless it was asked for."""

    changes: tuple[PlannedChange, ...]
    impact: Impact | None


@dataclass(frozen=True)
class HeldMatcher:
    """A phrase matcher that CI holds."""

    display_name: str
    matcher_id: str
    revision_id: str
    revised_at: dt.datetime
    is_active: bool
    is_ours: bool
    phrase_count: int


def plan(*, exit_code: bool, with_impact: bool, as_json: bool) -> ExitCode:
    """Print the plan; with `exit_code` say by 2 that CI differs."""
    settings = load_settings()
    say_target(settings)
    definitions = flow.read_definitions(settings.seeds_dir)

    async def work() -> tuple[Sequence[MatcherChange], tuple[int, list[Difference]] | None]:
        async with outside(settings, Silent()) as real:
            attempts, _ = landing_of(real, settings, new_run_id())
            changes = await flow.plan_matchers(real.insights, attempts, definitions)
            if not with_impact:
                return changes, None
            return changes, await impact(real.insights, real.sink, attempts, definitions)

    changes, found = run(work())
    if as_json:
        planned = tuple(_planned_change(change) for change in changes)
        print_json(MatcherPlan(planned, impact_of(*found) if found else None))
    else:
        _show([(change, None) for change in changes], as_json=False)
        if found:
            show_impact(*found)
    differs = any(change.kind is not ChangeKind.KEEP for change in changes)
    return _DRIFT if exit_code and differs else ExitCode.OK


def apply(*, dry_run: bool, as_json: bool) -> ExitCode:
    """Apply the definitions of the seeds, or show what that would change."""
    settings = load_settings()
    say_target(settings)
    if dry_run:
        return _planned(settings, flow.read_definitions(settings.seeds_dir), as_json=as_json)
    return _shown(run(apply_to(settings)), as_json=as_json)


async def apply_to(settings: Settings) -> tuple[flow.MatcherOutcome, ...]:
    """Make CI of these settings equal to the seeds, and land every revision."""
    definitions = flow.read_definitions(settings.seeds_dir)
    async with outside(settings, Silent()) as real:
        run_id = new_run_id()
        attempts, landing = landing_of(real, settings, run_id)
        return await flow.apply_matchers(
            real.insights, real.sink, attempts, landing, definitions, run_id
        )


def destroy(*, yes: bool, dry_run: bool, as_json: bool) -> ExitCode:
    """Delete our matchers, or show which these are."""
    if not yes and not dry_run:
        _ask()
    settings = load_settings()
    say_target(settings)
    if dry_run:
        return _planned(settings, (), as_json=as_json)

    async def work() -> tuple[flow.MatcherOutcome, ...]:
        async with outside(settings, Silent()) as real:
            run_id = new_run_id()
            attempts, _ = landing_of(real, settings, run_id)
            return await flow.delete_matchers(real.insights, attempts, run_id)

    return _shown(run(work()), as_json=as_json)


def list_all(*, as_json: bool) -> None:
    """Print every phrase matcher of the location."""
    settings = load_settings()
    say_target(settings)

    async def work() -> Sequence[CiMatcher]:
        async with outside(settings, Silent()) as real:
            attempts, _ = landing_of(real, settings, new_run_id())
            return (await attempts.run(real.insights.list_matchers)).value

    held = tuple(
        HeldMatcher(
            matcher.applied.display_name,
            matcher.applied.matcher_id,
            matcher.applied.revision_id,
            matcher.applied.revised_at,
            matcher.applied.is_active,
            is_ours(matcher.version_tag),
            sum(len(group.rules) for group in matcher.definition.groups),
        )
        for matcher in run(work())
    )
    if as_json:
        print_json(held)
        return
    cells = [
        (
            matcher.display_name,
            str(matcher.phrase_count),
            "active" if matcher.is_active else "inactive",
            "ours" if matcher.is_ours else "other",
            f"{matcher.matcher_id}@{matcher.revision_id}",
        )
        for matcher in held
    ]
    header = ("DISPLAY_NAME", "PHRASES", "STATE", "OWNER", "REVISION")
    typer.echo(table(header, cells, " r") if cells else "CI holds no phrase matchers")


def _planned(
    settings: Settings, definitions: Sequence[MatcherDefinition], *, as_json: bool
) -> ExitCode:
    async def work() -> Sequence[MatcherChange]:
        async with outside(settings, Silent()) as real:
            attempts, _ = landing_of(real, settings, new_run_id())
            return await flow.plan_matchers(real.insights, attempts, definitions)

    _show([(change, None) for change in run(work())], as_json=as_json)
    return ExitCode.OK


def _ask() -> None:
    if not sys.stdin.isatty():
        raise InputError("deleting phrase matchers wants consent", "add --yes")
    if not typer.confirm("Delete this project's phrase matchers from CI?", err=True):
        raise typer.Exit(int(ExitCode.USAGE))


def _shown(outcomes: Sequence[flow.MatcherOutcome], *, as_json: bool) -> ExitCode:
    _show([(outcome.change, outcome.error) for outcome in outcomes], as_json=as_json)
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    for outcome in failed:
        say(f"failed: {outcome.change.display_name}: {outcome.error}")
    return ExitCode.SOME_FAILED if failed else ExitCode.OK


def _show(changes: Sequence[tuple[MatcherChange, Exception | None]], *, as_json: bool) -> None:
    if as_json:
        print_json([_planned_change(*change) for change in changes])
        return
    for change, error in changes:
        typer.echo(f"{change.kind.value:<7} {change.display_name}{' (failed)' if error else ''}")
        if change.kind is ChangeKind.UPDATE:
            for rule in change.rule_changes:
                typer.echo(f"        {'+' if rule.is_added else '-'} {rule.query}")
            for field in change.field_changes:
                typer.echo(f"        ~ {field}")


def _planned_change(change: MatcherChange, error: Exception | None = None) -> PlannedChange:
    return PlannedChange(
        change.kind,
        change.display_name,
        tuple(rule.query for rule in change.rule_changes if rule.is_added),
        tuple(rule.query for rule in change.rule_changes if not rule.is_added),
        change.field_changes,
        None if error is None else str(error),
    )
