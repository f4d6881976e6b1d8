"""Phrase matchers as code: definitions from the seeds, and what makes Insights equal to them.

`phrase_matchers.csv` has one row a matcher, `phrase_matcher_rules.csv` one row a phrase. A matcher
in Insights is ours when its `version_tag` starts with our marker; only those are ever touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby, zip_longest

from ingest.domain.as_code import (
    ChangeKind,
    FieldChange,
    changed_fields,
    csv_rows,
    flag,
    flag_text,
    is_ours,
    ownership_tag,
)
from ingest.domain.conversation import json_sha256
from ingest.errors import InputError


class MatchType(StrEnum):
    """How groups make a matcher and rules make a group."""

    ALL_OF = "ALL_OF"
    ANY_OF = "ANY_OF"


class Role(StrEnum):
    """Who speaks a segment, or whom a matcher listens to (ConversationParticipant.Role)."""

    ROLE_UNSPECIFIED = "ROLE_UNSPECIFIED"
    HUMAN_AGENT = "HUMAN_AGENT"
    AUTOMATED_AGENT = "AUTOMATED_AGENT"
    END_USER = "END_USER"
    ANY_AGENT = "ANY_AGENT"


@dataclass(frozen=True, slots=True)
class PhraseRule:
    """One phrase; `negated` means it must be missing from the segment."""

    query: str
    negated: bool = False
    case_sensitive: bool = False


@dataclass(frozen=True, slots=True)
class PatternRule(PhraseRule):
    """A rule whose `query` is a regular expression; Insights' REST API alone knows such."""


@dataclass(frozen=True, slots=True)
class RuleGroup:
    """Rules that hold together (ALL_OF) or one by one (ANY_OF); no rules never hold."""

    name: str
    type: MatchType
    rules: tuple[PhraseRule, ...]


@dataclass(frozen=True, slots=True)
class MatcherDefinition:
    """What a phrase matcher looks for; no groups never match."""

    display_name: str
    type: MatchType
    groups: tuple[RuleGroup, ...]
    role_match: Role = Role.ROLE_UNSPECIFIED
    active: bool = True


ABSENT = "none"


@dataclass(frozen=True)
class RuleChange:
    """One phrase that is added to or removed from a matcher."""

    is_added: bool
    group: int
    query: str


def rule_changes(
    before: MatcherDefinition | None, after: MatcherDefinition | None
) -> tuple[RuleChange, ...]:
    """Return the phrases that only one of the two has, removed ones first."""
    old, new = _phrases(before), _phrases(after)
    removed = [RuleChange(False, group, query) for group, query in old if (group, query) not in new]
    added = [RuleChange(True, group, query) for group, query in new if (group, query) not in old]
    return tuple(removed + added)


def field_changes(before: MatcherDefinition, after: MatcherDefinition) -> tuple[FieldChange, ...]:
    """Return the values that differ in what both have; with `rule_changes` all that Insights keeps.

    A group that only one of the two has differs in its type, from or to "none". Phrases of a
    group that are the same but for their order or number differ in the group's `phrases`.
    """
    changes = changed_fields(
        "",
        ("type", before.type, after.type),
        ("role_match", before.role_match, after.role_match),
        ("is_active", flag_text(before.active), flag_text(after.active)),
    )
    for number, groups in enumerate(zip_longest(before.groups, after.groups), 1):
        changes += _of_group(number, *groups)
    return tuple(changes)


def _of_group(number: int, old: RuleGroup | None, new: RuleGroup | None) -> list[FieldChange]:
    place = f"group {number}"
    changes = changed_fields(
        place, ("type", old.type if old else ABSENT, new.type if new else ABSENT)
    )
    if old is None or new is None:
        return changes
    old_names, new_names = [_name(r) for r in old.rules], [_name(r) for r in new.rules]
    if set(old_names) == set(new_names):
        changes += changed_fields(place, ("phrases", ", ".join(old_names), ", ".join(new_names)))
    changes += [
        change
        for was, now in _pairs(old, new)
        for change in changed_fields(
            f"{place}, {_name(now)}",
            ("is_case_sensitive", flag_text(was.case_sensitive), flag_text(now.case_sensitive)),
        )
    ]
    return changes


def _pairs(old: RuleGroup, new: RuleGroup) -> list[tuple[PhraseRule, PhraseRule]]:
    """Return the rules of one phrase, paired in their order where a phrase comes twice."""
    left: dict[str, list[PhraseRule]] = {}
    for rule in old.rules:
        left.setdefault(_name(rule), []).append(rule)
    return [(left[_name(rule)].pop(0), rule) for rule in new.rules if left.get(_name(rule))]


def _phrases(definition: MatcherDefinition | None) -> dict[tuple[int, str], None]:
    if definition is None:
        return {}
    return {
        (number, _name(rule)): None
        for number, group in enumerate(definition.groups, 1)
        for rule in group.rules
    }


def _name(rule: PhraseRule) -> str:
    return f"{'not ' if rule.negated else ''}{rule.query}"


MATCHER_COLUMNS = ("display_name", "type", "role_match", "is_active")
RULE_COLUMNS = (
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
class MatcherChange:
    """One matcher, what happens to it, and which phrases and fields differ."""

    kind: ChangeKind
    display_name: str
    definition: MatcherDefinition | None
    name: str | None
    rule_changes: tuple[RuleChange, ...] = ()
    field_changes: tuple[FieldChange, ...] = ()


@dataclass(frozen=True)
class LiveMatcher:
    """A matcher of ours as Insights holds it."""

    name: str
    version_tag: str
    definition: MatcherDefinition


def parse_definitions(matchers_csv: str, rules_csv: str) -> tuple[MatcherDefinition, ...]:
    """Return the matchers that the two CSV texts define; raise InputError for a bad row."""
    rules = csv_rows("phrase_matcher_rules.csv", rules_csv, RULE_COLUMNS)
    definitions: list[MatcherDefinition] = []
    for row in csv_rows("phrase_matchers.csv", matchers_csv, MATCHER_COLUMNS):
        if any(definition.display_name == row["display_name"] for definition in definitions):
            raise InputError(
                f"phrase matcher {row['display_name']!r} is defined twice",
                "the display name is its identity: give each matcher one row",
            )
        own = [rule for rule in rules if rule["display_name"] == row["display_name"]]
        if not own:
            raise InputError(
                f"phrase matcher {row['display_name']!r} has no rules",
                "add rows to phrase_matcher_rules.csv",
            )
        definitions.append(_definition(row, own))
    known = {definition.display_name for definition in definitions}
    orphans = sorted({rule["display_name"] for rule in rules} - known)
    if orphans:
        raise InputError(
            f"rules of unknown matchers: {', '.join(orphans)}", "add them to phrase_matchers.csv"
        )
    return tuple(definitions)


def content_sha256(definition: MatcherDefinition) -> str:
    """Return the hash of all that Insights keeps of a definition (it keeps no group names)."""
    return json_sha256(
        {
            "display_name": definition.display_name,
            "type": definition.type.value,
            "role_match": definition.role_match.value,
            "active": definition.active,
            "groups": [
                {
                    "type": group.type.value,
                    "rules": [
                        [rule.query, rule.negated, rule.case_sensitive] for rule in group.rules
                    ],
                }
                for group in definition.groups
            ],
        }
    )


def version_tag(definition: MatcherDefinition) -> str:
    """Return the tag that marks a matcher as ours and says which content it has."""
    return ownership_tag(content_sha256(definition))


def plan(
    definitions: Sequence[MatcherDefinition], live: Iterable[LiveMatcher]
) -> tuple[MatcherChange, ...]:
    """Return what makes Insights equal to the definitions, in a stable order.

    Where Insights has several of our matchers of one display name (a create whose answer was lost
    and that was sent again), the first by name stays and the others go.
    """
    by_name: dict[str, list[LiveMatcher]] = {}
    for matcher in sorted(live, key=lambda matcher: matcher.name):
        if is_ours(matcher.version_tag):
            by_name.setdefault(matcher.definition.display_name, []).append(matcher)
    changes = []
    for wanted in definitions:
        found = by_name.pop(wanted.display_name, [])
        changes.append(_change(wanted, found[0] if found else None))
        changes += [_deletion(matcher) for matcher in found[1:]]
    for matchers in by_name.values():
        changes += [_deletion(matcher) for matcher in matchers]
    return tuple(changes)


@dataclass(frozen=True)
class DuplicateMatcher:
    """An active matcher of others that finds what one of ours finds, or is called the same."""

    name: str
    display_name: str
    ours: str
    has_same_phrases: bool
    """Otherwise it has the same display name alone."""


def duplicates(
    definitions: Sequence[MatcherDefinition], live: Iterable[LiveMatcher]
) -> tuple[DuplicateMatcher, ...]:
    """Return the active matchers of others that duplicate ours, by name.

    An analysis that runs all active matchers finds their phrases twice.
    """
    by_content = {_phrases_sha256(own): own.display_name for own in definitions if own.active}
    own_names = {own.display_name for own in definitions}
    found = []
    for matcher in sorted(live, key=lambda matcher: matcher.name):
        held = matcher.definition
        if is_ours(matcher.version_tag) or not held.active:
            continue
        same = by_content.get(_phrases_sha256(held))
        if same is not None or held.display_name in own_names:
            found.append(
                DuplicateMatcher(
                    matcher.name, held.display_name, same or held.display_name, same is not None
                )
            )
    return tuple(found)


def _phrases_sha256(definition: MatcherDefinition) -> str:
    return content_sha256(replace(definition, display_name="", active=True))


def _change(wanted: MatcherDefinition, found: LiveMatcher | None) -> MatcherChange:
    if found is None:
        return MatcherChange(
            ChangeKind.CREATE, wanted.display_name, wanted, None, rule_changes(None, wanted)
        )
    same = content_sha256(wanted) == content_sha256(found.definition)
    return MatcherChange(
        ChangeKind.KEEP if same else ChangeKind.UPDATE,
        wanted.display_name,
        wanted,
        found.name,
        () if same else rule_changes(found.definition, wanted),
        () if same else field_changes(found.definition, wanted),
    )


def _deletion(found: LiveMatcher) -> MatcherChange:
    return MatcherChange(
        ChangeKind.DELETE,
        found.definition.display_name,
        None,
        found.name,
        rule_changes(found.definition, None),
    )


def _definition(row: dict[str, str], rules: list[dict[str, str]]) -> MatcherDefinition:
    try:
        ordered = sorted(rules, key=lambda r: (int(r["group_number"]), int(r["rule_number"])))
        groups = []
        for _, members in groupby(ordered, key=lambda rule: int(rule["group_number"])):
            own = list(members)
            _check_group(own)
            groups.append(
                RuleGroup(
                    name=own[0]["group_name"],
                    type=MatchType(own[0]["group_type"]),
                    rules=tuple(
                        PhraseRule(
                            rule["query"],
                            negated=flag(rule["is_negated"]),
                            case_sensitive=flag(rule["is_case_sensitive"]),
                        )
                        for rule in own
                    ),
                )
            )
        return MatcherDefinition(
            display_name=row["display_name"],
            type=MatchType(row["type"]),
            groups=tuple(groups),
            role_match=Role(row["role_match"]),
            active=flag(row["is_active"]),
        )
    except (KeyError, ValueError) as error:
        raise InputError(
            f"phrase matcher {row.get('display_name')!r}: unusable row ({error})",
            "compare with the header and values of the other rows",
        ) from error


def _check_group(rules: Sequence[dict[str, str]]) -> None:
    if len({(rule["group_name"], rule["group_type"]) for rule in rules}) > 1:
        raise ValueError(f"group {rules[0]['group_number']} has two names or types")
    if len({rule["rule_number"] for rule in rules}) < len(rules):
        raise ValueError(f"group {rules[0]['group_number']} has a rule_number twice")
    if any(not rule["query"].strip() for rule in rules):
        raise ValueError(f"group {rules[0]['group_number']} has an empty query")
