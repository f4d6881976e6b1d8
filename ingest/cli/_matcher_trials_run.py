"""Shows what matchers find, and what a change of them would mean."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import typer

from ingest.cli._context import landing_of, new_run_id, outside, run, say_target
from ingest.cli._reading import print_json
from ingest.cli._report import printable, show_faults
from ingest.domain.fault import Severity
from ingest.domain.matcher_definition import MatcherDefinition
from ingest.domain.matcher_trials import Difference
from ingest.errors import ExitCode
from ingest.flows.matcher_trials import try_on_source
from ingest.flows.matchers import read_definitions
from ingest.flows.progress import Silent
from ingest.flows.source import LocalSource
from ingest.settings import load_seeds_dir, load_settings

_EXAMPLES = 3
_EXCERPT_CHARS = 100
_MATCHER_COLUMNS = ("display_name", "type", "role_match", "is_active", "description")
_RULE_COLUMNS = (
    "display_name",
    "group_number",
    "group_name",
    "group_type",
    "rule_number",
    "query",
    "is_negated",
    "is_case_sensitive",
)


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
    files: tuple[str, str]


def try_on(folder: str, *, as_json: bool) -> ExitCode:
    """Print how often each phrase of the seeds is found in a folder of transcripts."""
    definitions = read_definitions(load_seeds_dir())
    count, matches, faults = run(try_on_source(LocalSource(Path(folder)), definitions))
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
    return ExitCode.SOME_FAILED if broken else ExitCode.OK


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


def pull(folder: Path, *, as_json: bool) -> None:
    """Write CI's phrase matchers as the two seeds."""
    settings = load_settings()
    say_target(settings)

    async def work() -> list[MatcherDefinition]:
        async with outside(settings, Silent()) as real:
            attempts, _ = landing_of(real, settings, new_run_id())
            held = (await attempts.run(real.insights.list_matchers)).value
            return [matcher.definition for matcher in held]

    definitions = run(work())
    folder.mkdir(parents=True, exist_ok=True)
    matchers = folder / "phrase_matchers.csv"
    rules = folder / "phrase_matcher_rules.csv"
    matchers.write_text(_csv(_MATCHER_COLUMNS, map(_matcher_cells, definitions)), encoding="utf-8")
    cells = (row for definition in definitions for row in _rule_cells(definition))
    rules.write_text(_csv(_RULE_COLUMNS, cells), encoding="utf-8")
    if as_json:
        print_json(PulledMatchers(len(definitions), (str(matchers), str(rules))))
    else:
        typer.echo(f"{len(definitions)} phrase matchers written to {matchers} and {rules}")


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


def _csv(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()
