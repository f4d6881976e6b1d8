"""`ingest matchers …`: phrase matchers as code."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from ingest.cli._as_code import ExitCodeOption, Yes, alone, ask, show_parts, write_seeds
from ingest.cli._console import table
from ingest.cli._context import (
    landing_of,
    new_run_id,
    open_services,
    run,
    say,
    say_target,
)
from ingest.cli._options import AsJson, DryRun
from ingest.cli._output import print_json, printable, show_faults
from ingest.cli.convert import SourceMapping, readable
from ingest.domain.as_code import ChangeKind, FieldChange, is_ours
from ingest.domain.faults import Severity
from ingest.domain.matchers import (
    MATCHER_COLUMNS,
    RULE_COLUMNS,
    DuplicateMatcher,
    MatcherChange,
    MatcherDefinition,
)
from ingest.domain.phrase_matching import Difference
from ingest.errors import ExitCode
from ingest.flows import matchers as flow
from ingest.flows.matchers import impact, read_definitions, try_on_source
from ingest.flows.services import Silent
from ingest.flows.source import LocalSource
from ingest.ports.move import CiMatcher
from ingest.settings import Settings, load_seeds_dir, load_settings

app = typer.Typer(no_args_is_help=True, help="Phrase matchers as code: plan, apply, list, destroy.")


@app.command()
def plan(
    exit_code: ExitCodeOption = False,
    impact: Annotated[
        bool,
        typer.Option("--impact", help="Also which landed conversations gain or lose which match."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what apply would change, rule by rule.

    Example: ingest matchers plan --impact
    """

    code = run_plan(exit_code=exit_code, with_impact=impact, as_json=as_json)
    raise typer.Exit(int(code))


@app.command()
def apply(dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Make Insights' phrase matchers equal to the seeds, and land every revision.

    Example: ingest matchers apply
    """

    raise typer.Exit(int(run_apply(dry_run=dry_run, as_json=as_json)))


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the phrase matchers that Insights holds, ours and others.

    Example: ingest matchers list
    """

    list_all(as_json=as_json)


@app.command("test")
def try_on(
    folder: Annotated[str, typer.Argument(help="A date folder or a folder of date folders.")],
    mapping: SourceMapping = None,
    as_json: AsJson = False,
) -> None:
    """Run the matchers of the seeds over transcripts, by the rule that Insights' results follow.

    Example: ingest matchers test seeds/conversations/2025-12-28
    """

    raise typer.Exit(int(run_try_on(folder, mapping, as_json=as_json)))


@app.command()
def pull(
    out: Annotated[
        Path, typer.Option(help="Folder for phrase_matchers.csv and phrase_matcher_rules.csv.")
    ],
    as_json: AsJson = False,
) -> None:
    """Write the phrase matchers that Insights holds, ours and others, as seeds.

    Example: ingest matchers pull --out .local/matchers
    """

    run_pull(out, as_json=as_json)


@app.command()
def destroy(
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Delete our phrase matchers from Insights; those of others stay.

    Example: ingest matchers destroy --yes
    """

    raise typer.Exit(int(run_destroy(yes=yes, dry_run=dry_run, as_json=as_json)))


_EXAMPLES = 3
_EXCERPT_CHARS = 100


@dataclass(frozen=True)
class FoundPhrase:
    """How often a phrase is found in all transcripts."""

    matcher: str
    group: str
    phrase: str
    occurrences: int


@dataclass(frozen=True)
class MatcherTrial:
    """What the matchers of the seeds find in a folder of transcripts."""

    transcripts: int
    turns_by_matcher: Mapping[str, int]
    phrases: tuple[FoundPhrase, ...]


@dataclass(frozen=True)
class MatchChange:
    """A turn that a change of the seeds gains or loses as a match."""

    conversation_id: str
    matcher: str
    turn_index: int
    change: Literal["gain", "lose"]


@dataclass(frozen=True)
class Impact:
    """What applying the seeds would change in the conversations that have landed."""

    conversations: int
    changes: tuple[MatchChange, ...]


@dataclass(frozen=True)
class PulledMatchers:
    """How many phrase matchers were written to which files."""

    phrase_matcher_count: int
    files: tuple[str, ...]


def run_try_on(folder: str, mapping: Path | None, *, as_json: bool) -> ExitCode:
    """Print how often each phrase of the seeds is found in a folder of transcripts."""
    definitions = read_definitions(load_seeds_dir())
    with readable(Path(folder), mapping) as (source, code):
        count, matches, faults = run(try_on_source(LocalSource(source), definitions))
    turns: Counter[str] = Counter(match.matcher for match in matches)
    phrases: Counter[tuple[str, str, str]] = Counter(
        (match.matcher, hit.group_name, hit.query) for match in matches for hit in match.hits
    )
    if as_json:
        found = tuple(FoundPhrase(*phrase, number) for phrase, number in sorted(phrases.items()))
        print_json(MatcherTrial(count, turns, found))
    else:
        typer.echo(f"{count} transcripts")
        for definition in definitions:
            name = definition.display_name
            typer.echo(f"{turns[name]:>6} turns  {name}")
            for (matcher, group, phrase), number in sorted(phrases.items()):
                if matcher == name:
                    typer.echo(f"{number:>6}        {group}: {phrase}")
    show_faults(faults)
    broken = any(fault.severity is Severity.ERROR for fault in faults)
    return ExitCode.SOME_FAILED if broken else code


def show_impact(count: int, found: Sequence[Difference]) -> None:
    """Print gained and lost matches by matcher, with examples."""
    conversations = {difference.match.conversation_id for difference in found}
    typer.echo(f"impact: {len(conversations)} of {count} landed conversations would change")
    for (matcher, is_gained), own in _grouped(found):
        verb = "gain" if is_gained else "lose"
        touched = {difference.match.conversation_id for difference in own}
        typer.echo(f"  {matcher}: {len(touched)} conversations {verb} {len(own)} turns")
        for difference in own[:_EXAMPLES]:
            excerpt = printable(difference.text)[:_EXCERPT_CHARS]
            place = f"{difference.match.conversation_id} turn {difference.match.turn_index}"
            typer.echo(f"      {place}: {excerpt}")


def impact_of(count: int, found: Sequence[Difference]) -> Impact:
    """Return the impact without any text of a talk."""
    return Impact(
        count,
        tuple(
            MatchChange(
                difference.match.conversation_id,
                difference.match.matcher,
                difference.match.turn_index,
                "gain" if difference.is_gained else "lose",
            )
            for difference in found
        ),
    )


def run_pull(folder: Path, *, as_json: bool) -> None:
    """Write Insights' phrase matchers as the two seeds."""
    settings = load_settings()
    say_target(settings)

    async def work() -> list[MatcherDefinition]:
        async with open_services(settings.at(settings.home), Silent()) as real:
            attempts, _ = landing_of(real, settings, new_run_id())
            held = (await attempts.run(real.insights.list_matchers)).value
            return [matcher.definition for matcher in held]

    definitions = run(work())
    cells = [row for definition in definitions for row in _rule_cells(definition)]
    files = write_seeds(
        folder,
        [
            (
                "phrase_matchers.csv",
                (*MATCHER_COLUMNS, "description"),
                list(map(_matcher_cells, definitions)),
            ),
            ("phrase_matcher_rules.csv", RULE_COLUMNS, cells),
        ],
    )
    if as_json:
        print_json(PulledMatchers(len(definitions), files))
    else:
        typer.echo(f"{len(definitions)} phrase matchers written to {' and '.join(files)}")


def _grouped(
    found: Sequence[Difference],
) -> Iterable[tuple[tuple[str, bool], list[Difference]]]:
    groups: dict[tuple[str, bool], list[Difference]] = {}
    for difference in found:
        groups.setdefault((difference.match.matcher, difference.is_gained), []).append(difference)
    return sorted(groups.items())


def _matcher_cells(definition: MatcherDefinition) -> tuple[str, ...]:
    active = str(definition.active).lower()
    return (definition.display_name, definition.type, definition.role_match, active, "")


def _rule_cells(definition: MatcherDefinition) -> Iterable[tuple[str, ...]]:
    for group_number, group in enumerate(definition.groups, 1):
        for rule_number, rule in enumerate(group.rules, 1):
            yield (
                definition.display_name,
                str(group_number),
                group.name,
                group.type,
                str(rule_number),
                rule.query,
                str(rule.negated).lower(),
                str(rule.case_sensitive).lower(),
            )


@dataclass(frozen=True)
class PlannedChange:
    """What apply or destroy does to one matcher, or why it failed; phrases are queries."""

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
    duplicates: tuple[DuplicateMatcher, ...]
    impact: Impact | None


@dataclass(frozen=True)
class HeldMatcher:
    """A phrase matcher that Insights holds."""

    display_name: str
    matcher_id: str
    revision_id: str
    revised_at: dt.datetime
    is_active: bool
    is_ours: bool
    phrase_count: int


def run_plan(*, exit_code: bool, with_impact: bool, as_json: bool) -> ExitCode:
    """Print the plan; with `exit_code` say by 5 that Insights differs."""
    settings = load_settings()
    say_target(settings)
    definitions = flow.read_definitions(settings.seeds_dir)

    async def work() -> tuple[
        Sequence[MatcherChange],
        tuple[DuplicateMatcher, ...],
        tuple[int, list[Difference]] | None,
    ]:
        async with open_services(settings.at(settings.home), Silent()) as real:
            attempts, _ = landing_of(real, settings, new_run_id())
            changes = await flow.plan_matchers(real.insights, attempts, definitions)
            twice = await flow.find_duplicates(real.insights, attempts, definitions)
            if not with_impact:
                return changes, twice, None
            found = await impact(real.insights, real.sink, attempts, definitions)
            return changes, twice, found

    changes, twice, found = run(work())
    if as_json:
        planned = tuple(_planned_change(change) for change in changes)
        print_json(MatcherPlan(planned, twice, impact_of(*found) if found else None))
    else:
        _show([(change, None) for change in changes], as_json=False)
        for other in twice:
            what = "the phrases" if other.has_same_phrases else "the name"
            say(
                f"note: {printable(other.display_name)} ({other.name.rsplit('/', 1)[-1]}), which "
                f"others made, is active and has {what} of {other.ours}: an analysis of all "
                "matchers finds them twice"
            )
        if found:
            show_impact(*found)
    differs = any(change.kind is not ChangeKind.KEEP for change in changes)
    return ExitCode.DRIFT if exit_code and differs else ExitCode.OK


def run_apply(*, dry_run: bool, as_json: bool) -> ExitCode:
    """Apply the definitions of the seeds, or show what that would change."""
    settings = load_settings()
    say_target(settings)
    if dry_run:
        return _planned(settings, flow.read_definitions(settings.seeds_dir), as_json=as_json)
    return _shown(run(apply_to(settings)), as_json=as_json)


async def apply_to(settings: Settings) -> tuple[flow.MatcherOutcome, ...]:
    """Make Insights of these settings equal to the seeds, and land every revision."""
    definitions = flow.read_definitions(settings.seeds_dir)
    run_id = new_run_id()
    async with alone(settings.at(settings.home), "matchers", run_id) as real:
        attempts, landing = landing_of(real, settings, run_id)
        return await flow.apply_matchers(
            real.insights, real.sink, attempts, landing, definitions, run_id
        )


def run_destroy(*, yes: bool, dry_run: bool, as_json: bool) -> ExitCode:
    """Delete our matchers, or show which these are."""
    if not yes and not dry_run:
        ask("deleting phrase matchers", "Delete this project's phrase matchers from Insights?")
    settings = load_settings()
    say_target(settings)
    if dry_run:
        return _planned(settings, (), as_json=as_json)

    async def work() -> tuple[flow.MatcherOutcome, ...]:
        run_id = new_run_id()
        async with alone(settings.at(settings.home), "matchers", run_id) as real:
            attempts, _ = landing_of(real, settings, run_id)
            return await flow.delete_matchers(real.insights, attempts, run_id)

    return _shown(run(work()), as_json=as_json)


def list_all(*, as_json: bool) -> None:
    """Print every phrase matcher of the location."""
    settings = load_settings()
    say_target(settings)

    async def work() -> Sequence[CiMatcher]:
        async with open_services(settings.at(settings.home), Silent()) as real:
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
    typer.echo(table(header, cells, " r") if cells else "Insights holds no phrase matchers")


def _planned(
    settings: Settings, definitions: Sequence[MatcherDefinition], *, as_json: bool
) -> ExitCode:
    async def work() -> Sequence[MatcherChange]:
        async with open_services(settings.at(settings.home), Silent()) as real:
            attempts, _ = landing_of(real, settings, new_run_id())
            return await flow.plan_matchers(real.insights, attempts, definitions)

    _show([(change, None) for change in run(work())], as_json=as_json)
    return ExitCode.OK


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
            planned = _planned_change(change)
            show_parts(planned.added, planned.removed, planned.changed)


def _planned_change(change: MatcherChange, error: Exception | None = None) -> PlannedChange:
    return PlannedChange(
        change.kind,
        change.display_name,
        tuple(rule.query for rule in change.rule_changes if rule.is_added),
        tuple(rule.query for rule in change.rule_changes if not rule.is_added),
        change.field_changes,
        None if error is None else str(error),
    )
