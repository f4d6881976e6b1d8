"""Phrase matchers as code: definitions from the seeds, and what makes CI equal to them.

`phrase_matchers.csv` has one row a matcher, `phrase_matcher_rules.csv` one row a phrase. A matcher
in CI is ours when its `version_tag` starts with our marker; only those are ever touched.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from ingest.domain.fingerprint import json_sha256
from ingest.domain.matcher_definition import (
    MatcherDefinition,
    MatchType,
    PhraseRule,
    Role,
    RuleGroup,
)
from ingest.domain.matcher_diff import FieldChange, RuleChange, field_changes, rule_changes
from ingest.errors import InputError

OWNERSHIP_MARKER = "conversation-coach"
_TAG_HASH_DIGITS = 16
_MATCHER_COLUMNS = ("display_name", "type", "role_match", "is_active")
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


class ChangeKind(StrEnum):
    """What apply does to one matcher."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    KEEP = "keep"


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
    """A matcher of ours as CI holds it."""

    name: str
    version_tag: str
    definition: MatcherDefinition


def parse_definitions(matchers_csv: str, rules_csv: str) -> tuple[MatcherDefinition, ...]:
    """Return the matchers that the two CSV texts define; raise InputError for a bad row."""
    rules = _rows("phrase_matcher_rules.csv", rules_csv, _RULE_COLUMNS)
    definitions: list[MatcherDefinition] = []
    for row in _rows("phrase_matchers.csv", matchers_csv, _MATCHER_COLUMNS):
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
    """Return the hash of all that CI keeps of a definition (it keeps no group names)."""
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
    return f"{OWNERSHIP_MARKER}:{content_sha256(definition)[:_TAG_HASH_DIGITS]}"


def is_ours(tag: str) -> bool:
    """Return whether a matcher with this version tag belongs to this project."""
    return tag.startswith(f"{OWNERSHIP_MARKER}:")


def plan(
    definitions: Sequence[MatcherDefinition], live: Iterable[LiveMatcher]
) -> tuple[MatcherChange, ...]:
    """Return what makes CI equal to the definitions, in a stable order.

    Where CI holds several matchers of ours with one display name (a create whose answer was lost
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
                            negated=_flag(rule["is_negated"]),
                            case_sensitive=_flag(rule["is_case_sensitive"]),
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
            active=_flag(row["is_active"]),
        )
    except (KeyError, ValueError) as error:
        raise InputError(
            f"phrase matcher {row.get('display_name')!r}: unusable row ({error})",
            "compare with the header and values of the other rows",
        ) from error


def _rows(file: str, text: str, columns: Sequence[str]) -> list[dict[str, str]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    absent = [name for name in columns if name not in (reader.fieldnames or ())]
    if absent:
        raise InputError(f"{file} lacks the columns {', '.join(absent)}", "restore its header")
    rows: list[dict[str, str]] = []
    for row in reader:
        if None in row or None in row.values():
            raise InputError(
                f"{file}, line {reader.line_num}: not as many values as columns",
                "put text with commas in double quotes",
            )
        rows.append(row)
    return rows


def _check_group(rules: Sequence[dict[str, str]]) -> None:
    if len({(rule["group_name"], rule["group_type"]) for rule in rules}) > 1:
        raise ValueError(f"group {rules[0]['group_number']} has two names or types")
    if len({rule["rule_number"] for rule in rules}) < len(rules):
        raise ValueError(f"group {rules[0]['group_number']} has a rule_number twice")
    if any(not rule["query"].strip() for rule in rules):
        raise ValueError(f"group {rules[0]['group_number']} has an empty query")


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"{text!r} is neither true nor false")
    return text == "true"
