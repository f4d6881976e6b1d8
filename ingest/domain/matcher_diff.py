"""How two definitions of one phrase matcher differ: phrase by phrase, then field by field."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest

from ingest.domain.matcher_definition import MatcherDefinition, PhraseRule, RuleGroup

ABSENT = "none"


@dataclass(frozen=True)
class RuleChange:
    """One phrase that is added to or removed from a matcher."""

    is_added: bool
    group: int
    query: str


@dataclass(frozen=True)
class FieldChange:
    """One value that differs; `place` is empty for the matcher itself, else group and phrase."""

    place: str
    field: str
    before: str
    after: str

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        return f"{where}{self.field} {self.before} -> {self.after}"


def rule_changes(
    before: MatcherDefinition | None, after: MatcherDefinition | None
) -> tuple[RuleChange, ...]:
    """Return the phrases that only one of the two has, removed ones first."""
    old, new = _phrases(before), _phrases(after)
    removed = [RuleChange(False, group, query) for group, query in old if (group, query) not in new]
    added = [RuleChange(True, group, query) for group, query in new if (group, query) not in old]
    return tuple(removed + added)


def field_changes(before: MatcherDefinition, after: MatcherDefinition) -> tuple[FieldChange, ...]:
    """Return the values that differ in what both have; with `rule_changes` it's all that CI keeps.

    A group that only one of the two has differs in its type, from or to "none". Phrases of a
    group that are the same but for their order or number differ in the group's `phrases`.
    """
    changes = _changes(
        "",
        ("type", before.type, after.type),
        ("role_match", before.role_match, after.role_match),
        ("is_active", _flag(before.active), _flag(after.active)),
    )
    for number, groups in enumerate(zip_longest(before.groups, after.groups), 1):
        changes += _of_group(number, *groups)
    return tuple(changes)


def _of_group(number: int, old: RuleGroup | None, new: RuleGroup | None) -> list[FieldChange]:
    place = f"group {number}"
    changes = _changes(place, ("type", old.type if old else ABSENT, new.type if new else ABSENT))
    if old is None or new is None:
        return changes
    old_names, new_names = [_name(r) for r in old.rules], [_name(r) for r in new.rules]
    if set(old_names) == set(new_names):
        changes += _changes(place, ("phrases", ", ".join(old_names), ", ".join(new_names)))
    changes += [
        change
        for was, now in _pairs(old, new)
        for change in _changes(
            f"{place}, {_name(now)}",
            ("is_case_sensitive", _flag(was.case_sensitive), _flag(now.case_sensitive)),
        )
    ]
    return changes


def _pairs(old: RuleGroup, new: RuleGroup) -> list[tuple[PhraseRule, PhraseRule]]:
    """Return the rules of one phrase, paired in their order where a phrase comes twice."""
    left: dict[str, list[PhraseRule]] = {}
    for rule in old.rules:
        left.setdefault(_name(rule), []).append(rule)
    return [(left[_name(rule)].pop(0), rule) for rule in new.rules if left.get(_name(rule))]


def _changes(place: str, *fields: tuple[str, str, str]) -> list[FieldChange]:
    return [
        FieldChange(place, field, str(before), str(after))
        for field, before, after in fields
        if before != after
    ]


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


def _flag(value: bool) -> str:
    return "true" if value else "false"
