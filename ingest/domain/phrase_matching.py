"""When does a phrase matcher hit a segment, and where?

Insights says only *that* a matcher hit a segment, never which phrase did. This module holds the one
rule by which Insights' emulator, the sidecar's matcher tests, the data generator and the expected
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
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ingest.domain.conversation import Transcription
from ingest.domain.matchers import (
    MatcherDefinition,
    MatchType,
    PatternRule,
    PhraseRule,
    Role,
    RuleGroup,
)
from ingest.errors import InputError

_APOSTROPHES = "\u2018\u2019\u201b\u02bc\u00b4\u0060\u2032\uff07"
_FOLDS_TO_ASCII = re.compile("[\u0130\u0131\u017f\u212a]")
"""The letters outside ASCII that a case-insensitive pattern takes for ASCII ones."""
_ASCII_WORD = re.compile(r"[a-z0-9]+(?:'[a-z0-9]+)*")
_WORD_BYTES = bytes(
    code if chr(code).isascii() and (chr(code).isalnum() or code == ord("'")) else ord(" ")
    for code in range(256)
)
_WORD = r"[^\W_\u0300-\u036f]|[\u0300-\u036f]"
_BEFORE = rf"(?<!{_WORD})(?<!(?:{_WORD})')"
_AFTER = rf"(?!'?(?:{_WORD}))"


_ROLE_OF_SPEAKER = {
    "AGENT": Role.HUMAN_AGENT,
    "AUTOMATED_AGENT": Role.AUTOMATED_AGENT,
    "CUSTOMER": Role.END_USER,
    "END_USER": Role.END_USER,
}


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
    words: frozenset[str] | None
    """The lower-case ASCII words, at least those in `CompiledMatcher.words`; None when other
    letters in the text equal ASCII ones."""


def role_of_speaker(speaker: str) -> Role:
    """Return the role that Insights gives to a speaker of our files or of its own file."""
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
    plain = _plain(text)
    if not plain.isascii() and _FOLDS_TO_ASCII.search(plain):
        return SegmentText(plain, None)
    return SegmentText(plain, _ascii_words(plain))


def words_of_token(token: str) -> tuple[str, ...] | None:
    """Return what a token without white space adds to `SegmentText.words`; None makes them None."""
    if token.isascii() and token.isalnum():
        return (token.lower(),)
    plain = _plain(token)
    if _FOLDS_TO_ASCII.search(plain):
        return None
    return tuple(_ASCII_WORD.findall(plain.lower()))


def segment_of_words(text: str, words: frozenset[str] | None) -> SegmentText:
    """Return what `prepare` returns, given the words of the text's tokens."""
    return SegmentText(_plain(text), words)


def find_in_segments(
    matchers: Sequence[CompiledMatcher], segments: Sequence[tuple[SegmentText, Role]]
) -> list[tuple[int, int, tuple[PhraseHit, ...]]]:
    """Return (matcher, segment, hits) by index for every matcher that hits a segment.

    The same as asking each matcher about each segment, and faster for a whole conversation: most
    phrases have a word that nobody says in it.
    """
    said = [segment.words for segment, _ in segments]
    spoken = None if None in said else frozenset[str]().union(*(words or () for words in said))
    found = []
    for number, matcher in enumerate(matchers):
        rules = matcher.possible(spoken)
        if not rules and matcher.needs_a_phrase:
            continue
        wanted = matcher.definition.role_match
        places = [place for place, (_, role) in enumerate(segments) if role_matches(wanted, role)]
        if matcher.needs_a_phrase:
            places = _with_words(rules, said, places)
        for place in places:
            hits = matcher.judge(segments[place][0], rules)
            if hits is not None:
                found.append((number, place, hits))
    return found


def _with_words(
    rules: tuple[_CompiledRule, ...], said: Sequence[frozenset[str] | None], places: Sequence[int]
) -> list[int]:
    """Return the places of the segments that have all words of one of the phrases, in order."""
    known = [(place, words) for place in places if (words := said[place]) is not None]
    having = {place for rule in rules for place, words in known if rule.words <= words}
    return [place for place in places if place in having or said[place] is None]


class CompiledMatcher:
    """A matcher ready to judge segments; immutable, so threads may share it."""

    __slots__ = ("_all_of", "_groups", "_rules", "definition", "needs_a_phrase")

    def __init__(self, definition: MatcherDefinition) -> None:
        self.definition = definition
        self._all_of = definition.type is MatchType.ALL_OF
        self._groups = tuple(
            _CompiledGroup(group, number) for number, group in enumerate(definition.groups, start=1)
        )
        self._rules = tuple(rule for group in self._groups for rule in group.rules)
        self.needs_a_phrase = not any(rule.negated for rule in self._rules)
        """Whether a segment without any of the phrases is surely no hit."""

    def matches(self, text: str | SegmentText, role: Role) -> bool:
        """Return whether the segment is hit; `active` is not looked at."""
        return self.find(text, role) is not None

    def find(self, text: str | SegmentText, role: Role) -> tuple[PhraseHit, ...] | None:
        """Return where the groups that hold are found, by position, or None when not hit.

        A hit by negated rules alone has no place: the tuple is empty. Occurrences of one phrase
        don't overlap; those of different phrases may.
        """
        if not role_matches(self.definition.role_match, role):
            return None
        return self.judge(prepare(text) if isinstance(text, str) else text, self._rules)

    @property
    def words(self) -> frozenset[str]:
        """The words that tell which phrases are possible."""
        return frozenset[str]().union(*(rule.words for rule in self._rules))

    def possible(self, words: frozenset[str] | None) -> tuple[_CompiledRule, ...]:
        """Return the rules whose phrases may occur where only these words are said."""
        if words is None:
            return self._rules
        return tuple(rule for rule in self._rules if rule.words <= words)

    def judge(
        self, segment: SegmentText, rules: tuple[_CompiledRule, ...]
    ) -> tuple[PhraseHit, ...] | None:
        """Return what `find` returns, whoever speaks; only `rules` are thought possible."""
        found = _occurrences(segment, rules)
        if not found and self.needs_a_phrase:
            return None
        holding = [group for group in self._groups if group.holds(found)]
        if not holding or (self._all_of and len(holding) < len(self._groups)):
            return None
        hits = [hit for group in holding for hit in group.hits(found)]
        hits.sort(key=lambda hit: (hit.start_char, hit.end_char, hit.group_number, hit.rule_number))
        return tuple(hits)


def compile_matcher(definition: MatcherDefinition) -> CompiledMatcher:
    """Return the matcher ready for use; raise InputError for a phrase without any character."""
    return CompiledMatcher(definition)


def compile_matchers(definitions: Iterable[MatcherDefinition]) -> tuple[CompiledMatcher, ...]:
    """Return all matchers ready for use, in the order given."""
    return tuple(CompiledMatcher(definition) for definition in definitions)


class _CompiledRule:
    __slots__ = ("negated", "number", "pattern", "query", "words")

    def __init__(self, rule: PhraseRule, number: int) -> None:
        self.query = rule.query
        self.negated = rule.negated
        self.number = number
        flags = 0 if rule.case_sensitive else re.IGNORECASE
        if isinstance(rule, PatternRule):
            self.pattern, self.words = re.compile(rule.query, flags), frozenset[str]()
            return
        phrase = _plain(rule.query)
        words = phrase.split()
        if not words:
            raise InputError("a phrase has no characters", "give every rule a query")
        body = r"\s+".join(re.escape(word) for word in words)
        self.pattern = re.compile(f"{_BEFORE}{body}{_AFTER}", flags)
        found = _ASCII_WORD.findall(phrase.lower()) if phrase.isascii() else ()
        self.words = frozenset[str](found)


_Occurrences = dict[_CompiledRule, list[tuple[int, int]]]


def _occurrences(segment: SegmentText, rules: tuple[_CompiledRule, ...]) -> _Occurrences:
    """Return the places of every rule's phrase that is there.

    A pattern is tried only when all words of its phrase are in the segment: a phrase is found as
    whole words, and comparing sets costs far less than trying every pattern.
    """
    words = segment.words
    found: _Occurrences = {}
    for rule in rules:
        if words is None or rule.words <= words:
            spans = [match.span() for match in rule.pattern.finditer(segment.plain) if match[0]]
            if spans:
                found[rule] = spans
    return found


def _plain(text: str) -> str:
    """Return the text with plain apostrophes; as many replacements take less time than a table."""
    if text.isascii():
        return text.replace("`", "'")
    for apostrophe in _APOSTROPHES:
        text = text.replace(apostrophe, "'")
    return text


def _ascii_words(plain: str) -> frozenset[str]:
    """Return the lower-case words of ASCII letters and digits, apostrophes inside them kept."""
    lower = plain.lower()
    if "''" in lower:
        return frozenset(_ASCII_WORD.findall(lower))
    spaced = lower.encode(errors="replace").translate(_WORD_BYTES).decode()
    if "'" not in spaced:
        return frozenset(spaced.split())
    return frozenset([word.strip("'") for word in spaced.split()])


class _CompiledGroup:
    __slots__ = ("_all_of", "_name", "_number", "rules")

    def __init__(self, group: RuleGroup, number: int) -> None:
        self._name = group.name
        self._number = number
        self._all_of = group.type is MatchType.ALL_OF
        self.rules = tuple(
            _CompiledRule(rule, place) for place, rule in enumerate(group.rules, start=1)
        )

    def holds(self, found: _Occurrences) -> bool:
        if not self.rules:
            return False
        judged = ((rule in found) is not rule.negated for rule in self.rules)
        return all(judged) if self._all_of else any(judged)

    def hits(self, found: _Occurrences) -> Iterator[PhraseHit]:
        for rule in self.rules:
            if rule.negated:
                continue
            for start, end in found.get(rule, ()):
                yield PhraseHit(self._name, self._number, rule.number, rule.query, start, end)


@dataclass(frozen=True)
class TurnMatch:
    """One matcher that hits one turn, and the phrases that it found there."""

    conversation_id: str
    matcher: str
    turn_index: int
    hits: tuple[PhraseHit, ...]


@dataclass(frozen=True)
class Difference:
    """One match that a change of the matchers would add to a conversation, or take away."""

    is_gained: bool
    match: TurnMatch
    text: str


def find_matches(
    transcription: Transcription, matchers: Sequence[CompiledMatcher]
) -> list[TurnMatch]:
    """Return every match of active matchers, by turn and then in the order of the matchers."""
    found = []
    for turn in transcription.turns:
        segment, role = prepare(turn.text), role_of_speaker(turn.speaker)
        for matcher in matchers:
            hits = matcher.find(segment, role) if matcher.definition.active else None
            if hits is not None:
                found.append(
                    TurnMatch(
                        transcription.conversation_id,
                        matcher.definition.display_name,
                        turn.turn_index,
                        hits,
                    )
                )
    return found


def differences(
    transcription: Transcription,
    before: Sequence[CompiledMatcher],
    after: Sequence[CompiledMatcher],
) -> list[Difference]:
    """Return what the change from one set of matchers to the other means for a talk."""
    old = _by_place(find_matches(transcription, before))
    new = _by_place(find_matches(transcription, after))
    texts = {turn.turn_index: turn.text for turn in transcription.turns}
    lost = [Difference(False, old[key], texts[key[1]]) for key in old if key not in new]
    gained = [Difference(True, new[key], texts[key[1]]) for key in new if key not in old]
    return lost + gained


def _by_place(matches: Iterable[TurnMatch]) -> dict[tuple[str, int], TurnMatch]:
    return {(match.matcher, match.turn_index): match for match in matches}
