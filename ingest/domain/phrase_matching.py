"""When does a phrase matcher hit a segment, and where?

CI says only *that* a matcher hit a segment, never which phrase did. This module holds the one
rule by which the CI emulator, the sidecar's matcher tests, the data generator and the expected
labels of dev data agree on it.

Documented by the client (PhraseMatcher, 1.29.0): matcher and group types ALL_OF and ANY_OF,
`negated` judged per transcript segment, `role_match`, `case_sensitive`. Assumed, since no source
says it: a phrase is found as whole words; runs of white space are equal; typographic apostrophes
equal the plain one; a letter, digit or combining mark that adjoins, directly or behind an
apostrophe, makes a longer word (so "you" is not in "you're").

Positions are Unicode code points of the segment's text, start inclusive, end exclusive.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from ingest.errors import InputError

_APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019\u201b\u02bc\u00b4\u0060\u2032\uff07", "'"))
_WORD = r"[^\W_\u0300-\u036f]|[\u0300-\u036f]"
_BEFORE = rf"(?<!{_WORD})(?<!(?:{_WORD})')"
_AFTER = rf"(?!'?(?:{_WORD}))"


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


_ROLE_OF_SPEAKER = {
    "AGENT": Role.HUMAN_AGENT,
    "AUTOMATED_AGENT": Role.AUTOMATED_AGENT,
    "CUSTOMER": Role.END_USER,
    "END_USER": Role.END_USER,
}


@dataclass(frozen=True, slots=True)
class PhraseRule:
    """One phrase; `negated` means it must be missing from the segment."""

    query: str
    negated: bool = False
    case_sensitive: bool = False


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


@dataclass(frozen=True, slots=True)
class PhraseHit:
    """One occurrence of one phrase; `group_number` and `rule_number` count from 1."""

    group_name: str
    group_number: int
    rule_number: int
    query: str
    start_char: int
    end_char: int


@dataclass(frozen=True, slots=True)
class SegmentText:
    """A segment's text made ready for many phrases; build it with `prepare`."""

    plain: str
    """The text with plain apostrophes, as long as the original."""
    folded: str | None
    """Lower case with single blanks; None when the text has letters outside ASCII."""
    collapsed: str | None
    """Like `folded`, with the case kept."""


def role_of_speaker(speaker: str) -> Role:
    """Return the role that CI gives to a speaker of our files or of a CI transcript file."""
    try:
        return _ROLE_OF_SPEAKER[speaker]
    except KeyError:
        known = ", ".join(_ROLE_OF_SPEAKER)
        raise InputError(f"unknown speaker {speaker!r}", f"use one of {known}") from None


def role_matches(role_match: Role, role: Role) -> bool:
    """Return whether a matcher that listens to `role_match` hears a segment spoken by `role`."""
    if role_match is Role.ROLE_UNSPECIFIED:
        return True
    if role_match is Role.ANY_AGENT:
        return role in (Role.HUMAN_AGENT, Role.AUTOMATED_AGENT)
    return role_match is role


def prepare(text: str) -> SegmentText:
    """Return `text` ready for matching; worth it when several matchers read one text."""
    plain = text.translate(_APOSTROPHES) if not text.isascii() else text.replace("`", "'")
    if not plain.isascii():
        return SegmentText(plain, None, None)
    collapsed = " ".join(plain.split())
    return SegmentText(plain, collapsed.lower(), collapsed)


class CompiledMatcher:
    """A matcher ready to judge segments; immutable, so threads may share it."""

    __slots__ = ("_all_of", "_groups", "definition")

    def __init__(self, definition: MatcherDefinition) -> None:
        self.definition = definition
        self._all_of = definition.type is MatchType.ALL_OF
        self._groups = tuple(
            _CompiledGroup(group, number) for number, group in enumerate(definition.groups, start=1)
        )

    def matches(self, text: str | SegmentText, role: Role) -> bool:
        """Return whether the segment is hit; `active` is not looked at."""
        if not self._groups or not role_matches(self.definition.role_match, role):
            return False
        segment = prepare(text) if isinstance(text, str) else text
        judged = (group.holds(segment) for group in self._groups)
        return all(judged) if self._all_of else any(judged)

    def find(self, text: str | SegmentText, role: Role) -> tuple[PhraseHit, ...] | None:
        """Return where the groups that hold are found, by position, or None when not hit.

        A hit by negated rules alone has no place: the tuple is empty. Occurrences of one phrase
        don't overlap; those of different phrases may.
        """
        segment = prepare(text) if isinstance(text, str) else text
        if not self.matches(segment, role):
            return None
        hits = [
            hit for group in self._groups if group.holds(segment) for hit in group.hits(segment)
        ]
        hits.sort(key=lambda hit: (hit.start_char, hit.end_char, hit.group_number, hit.rule_number))
        return tuple(hits)


def compile_matcher(definition: MatcherDefinition) -> CompiledMatcher:
    """Return the matcher ready for use; raise InputError for a phrase without any character."""
    return CompiledMatcher(definition)


def compile_matchers(definitions: Iterable[MatcherDefinition]) -> tuple[CompiledMatcher, ...]:
    """Return all matchers ready for use, in the order given."""
    return tuple(CompiledMatcher(definition) for definition in definitions)


class _CompiledRule:
    __slots__ = ("_needle", "_pattern", "rule")

    def __init__(self, rule: PhraseRule) -> None:
        words = rule.query.translate(_APOSTROPHES).split()
        if not words:
            raise InputError("a phrase has no characters", "give every rule a query")
        flags = 0 if rule.case_sensitive else re.IGNORECASE
        body = r"\s+".join(re.escape(word) for word in words)
        self.rule = rule
        self._pattern = re.compile(f"{_BEFORE}{body}{_AFTER}", flags)
        needle = " ".join(words)
        self._needle = needle if rule.case_sensitive else needle.lower()

    def occurs(self, segment: SegmentText) -> bool:
        return self._may_occur(segment) and self._pattern.search(segment.plain) is not None

    def spans(self, segment: SegmentText) -> list[tuple[int, int]]:
        if not self._may_occur(segment):
            return []
        return [found.span() for found in self._pattern.finditer(segment.plain)]

    def _may_occur(self, segment: SegmentText) -> bool:
        """Return False only when the phrase surely isn't there; a substring test costs 20 times
        less than the pattern, and in ASCII text lower case and the pattern's folding agree."""
        haystack = segment.collapsed if self.rule.case_sensitive else segment.folded
        return haystack is None or not self._needle.isascii() or self._needle in haystack


class _CompiledGroup:
    __slots__ = ("_all_of", "_group", "_number", "_rules")

    def __init__(self, group: RuleGroup, number: int) -> None:
        self._group = group
        self._number = number
        self._all_of = group.type is MatchType.ALL_OF
        self._rules = tuple(_CompiledRule(rule) for rule in group.rules)

    def holds(self, segment: SegmentText) -> bool:
        if not self._rules:
            return False
        judged = (rule.occurs(segment) is not rule.rule.negated for rule in self._rules)
        return all(judged) if self._all_of else any(judged)

    def hits(self, segment: SegmentText) -> Iterable[PhraseHit]:
        for number, compiled in enumerate(self._rules, start=1):
            if compiled.rule.negated:
                continue
            for start, end in compiled.spans(segment):
                yield PhraseHit(
                    self._group.name, self._number, number, compiled.rule.query, start, end
                )
