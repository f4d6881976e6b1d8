"""Entities by fixed rules: who, where, which organisation, what a call is about.

The real service uses a language model. Of it two analyses are public: of 39 turns it showed two
people, of 19 one thing, and never a date, a number, a price, a telephone number or an address,
though both calls are full of them. What it showed had a salience of 0.118 at least; the rest of
the shares belonged to what it didn't show. So ours weighs names and common nouns by how often they
are mentioned, and shows those that have a tenth of all mentions, one at least. Words and rules are
an assumption. Only words that begin with a capital, and a list of nouns, are looked at, so
ordinary speech costs next to nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ingest.emulator.analysis import cues
from ingest.emulator.analysis.cues import LOCATION, ORGANIZATION, PERSON
from ingest.emulator.analysis.turns import NAME_START, Span, Turn, chars

PROPER = 1
COMMON = 2

_SHOWN = 0.1
"""Least salience of an entity that is shown, besides the most salient one (assumed; the least seen
is 0.118, and both calls show something)."""
_NAME = r"[A-Z][a-z]+(?:['\u2019-][A-Z][a-z]+)?"
_TITLED = re.compile(rf"(?P<title>Mr|Mrs|Ms|Miss|Dr)\.? (?P<name>{_NAME}(?: {_NAME})?)")
_RUN = re.compile(rf"{_NAME}(?: (?:& )?{_NAME}){{0,3}}")
_PERSON = re.compile(rf"{_NAME}(?: {_NAME})?")
_PERSON_CUE = re.compile(
    r"\b(?:name(?:'s|\u2019s| is)|this is|speaking (?:with|to)|i'm|i\u2019m|i am|is that|it's"
    r"|it\u2019s|hi|hello|hey|dear|thanks|thank you|sorry|okay|alright),? $",
    re.IGNORECASE,
)
_CUE_CHARS = 16


class _Found(NamedTuple):
    """One mention in a text, by characters."""

    name: str
    type: int
    start: int
    end: int
    mention: int = PROPER


class Mention(NamedTuple):
    """One place where an entity is named."""

    span: Span
    type: int


@dataclass(slots=True)
class FoundEntity:
    """An entity of the conversation."""

    display_name: str
    type: int
    mentions: list[Mention] = field(default_factory=list)
    weight: int = 0
    """How often it is mentioned; a title is no mention apart from the name that it goes with."""


def shown_entities(turns: Sequence[Turn]) -> list[tuple[FoundEntity, float]]:
    """Return the entities that a reply shows with their salience, the most salient first."""
    found = find_entities(turns)
    total = sum(entity.weight for entity in found)
    shares = [(entity, entity.weight / total) for entity in found]
    shares.sort(key=lambda pair: pair[1], reverse=True)
    return [pair for number, pair in enumerate(shares) if not number or pair[1] >= _SHOWN]


def find_entities(turns: Sequence[Turn]) -> list[FoundEntity]:
    """Return all entities, names and nouns, in the order of their first mention.

    A person's name counts wherever it comes up again after it was introduced.
    """
    found: dict[tuple[str, int], FoundEntity] = {}
    people: set[str] = set()

    def add(name: str, kind: int, mention: Mention, weight: int) -> None:
        key = (name.casefold(), kind)
        entity = found.get(key)
        if entity is None:
            entity = found[key] = FoundEntity(name, kind)
        entity.mentions.append(mention)
        entity.weight += weight

    for turn in turns:
        named: set[int] = set()
        for each in mentions(turn, people):
            span = chars(turn, each.start, each.end)
            named.update(range(span.first_word, span.last_word + 1))
            add(each.name, each.type, Mention(span, each.mention), int(each.mention == PROPER))
        for place, token in enumerate(turn.tokens):
            if token.noun and place not in named:
                mention = Mention(Span(turn, place, place), COMMON)
                add(token.noun, cues.NOUNS[token.noun], mention, 1)
    return list(found.values())


def mentions(turn: Turn, people: set[str]) -> Iterator[_Found]:
    """Yield the mentions in a turn from left to right; `people` grows by the names met."""
    if not any(token.may_name for token in turn.tokens):
        return
    text, end = turn.text, 0
    for candidate in NAME_START.finditer(text):
        word, start = candidate.group(), candidate.start()
        if word in cues.NO_NAMES or start < end:
            continue
        for found in _with_capital(text, start, word, people):
            end = max(end, found.end)
            yield found


def _with_capital(text: str, start: int, first: str, people: set[str]) -> Iterator[_Found]:
    """Yield what a capitalised word begins; most begin a sentence and nothing else."""
    if first in cues.TITLES:
        yield from _titled(text, start, people)
    elif first in cues.ACRONYMS:
        yield _Found(first, ORGANIZATION, start, start + len(first))
    else:
        yield from _proper_name(text, start, people)


def _titled(text: str, start: int, people: set[str]) -> Iterator[_Found]:
    """One name gives two mentions of one entity: PROPER the name, COMMON the title (observed)."""
    match = _TITLED.match(text, start)
    if match is None:
        return
    people.add(match["name"])
    yield _Found(match["name"], PERSON, *match.span("title"), COMMON)
    yield _Found(match["name"], PERSON, *match.span("name"))


def _proper_name(text: str, start: int, people: set[str]) -> Iterator[_Found]:
    run = _RUN.match(text, start)
    if run is None:
        return
    name = run.group()
    for place in cues.PLACES.get(name.split()[0], ()):
        if name.startswith(place):
            yield _Found(place, LOCATION, start, start + len(place))
            return
    words = name.split()
    for count in range(len(words), 1, -1):
        if words[count - 1] in cues.ORGANIZATION_ENDS:
            name = " ".join(words[:count])
            yield _Found(name, ORGANIZATION, start, start + len(name))
            return
    person = _PERSON.match(text, start)
    if person is None:
        return
    cued = _PERSON_CUE.search(text[max(0, start - _CUE_CHARS) : start]) is not None
    if person.group() in people or (cued and words[0] not in cues.NO_NAMES):
        people.add(person.group())
        yield _Found(person.group(), PERSON, *person.span())
    elif words[0] in people:
        yield _Found(words[0], PERSON, start, start + len(words[0]))
