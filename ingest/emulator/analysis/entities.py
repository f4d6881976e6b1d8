"""Entities by fixed rules: who, where, when, how much, and each place they are mentioned.

The real service uses a language model; ours is only shaped like it: types, salience, PROPER and
COMMON mentions, both speakers' turns. The rules are an assumption. Only words that begin with a
capital, a digit or a currency sign are looked at, so ordinary speech costs next to nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ingest.emulator.analysis import cues
from ingest.emulator.analysis.turns import NAME_START, Span, Turn, chars

PROPER = 1
COMMON = 2

PERSON, LOCATION, ORGANIZATION = 1, 2, 3
PHONE_NUMBER, ADDRESS, DATE, NUMBER, PRICE = 9, 10, 11, 12, 13
"""Numbers of Entity.Type."""

_MONTH = f"(?:{'|'.join(cues.MONTHS)})"
_YEAR = r"(?:,? \d{4}\b(?!-))?"
_STREET = f"(?:{'|'.join(cues.STREETS)})"
_WITH_DIGITS = re.compile(
    r"(?P<PRICE>A?\$ ?\d[\d,]*(?:\.\d{1,2})?\b|\d[\d,]*(?:\.\d{1,2})? (?:dollars|bucks|cents)\b)"
    r"|(?P<DATE>\d{4}-\d{2}-\d{2}\b|\d{1,2}/\d{1,2}/(?:\d{4}|\d{2})\b"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?(?: of)? {_MONTH}\b{_YEAR}|\d{{1,2}}(?:st|nd|rd|th)\b(?! floor))"
    r"|(?P<PHONE_NUMBER>(?:\+61 ?|0)[2-578](?:[ -]?\d){8}\b|1[38]00(?:[ -]?\d){6}\b)"
    rf"|(?P<ADDRESS>(?:\d{{1,4}}/)?\d{{1,5}}[A-Za-z]? (?:[A-Z][a-z]+ ){{1,3}}?{_STREET}\b"
    r"(?:, [A-Z][a-z]+(?: [A-Z][a-z]+)?)?(?:,? [A-Z]{2,3}\b)?(?:,? \d{4}\b)?)"
    r"|(?P<NUMBER>\d[\d,]*(?:\.\d+)?\b)"
)
_TYPES = {
    "PRICE": PRICE, "DATE": DATE, "PHONE_NUMBER": PHONE_NUMBER, "ADDRESS": ADDRESS,
    "NUMBER": NUMBER,
}  # fmt: skip
_NAME = r"[A-Z][a-z]+(?:['\u2019-][A-Z][a-z]+)?"
_TITLED = re.compile(rf"(?P<title>Mr|Mrs|Ms|Miss|Dr)\.? (?P<name>{_NAME}(?: {_NAME})?)")
_RUN = re.compile(rf"{_NAME}(?: (?:& )?{_NAME}){{0,3}}")
_PERSON = re.compile(rf"{_NAME}(?: {_NAME})?")
_MONTH_DAY = re.compile(rf"{_MONTH} (?:the )?\d{{1,2}}(?:st|nd|rd|th)?\b{_YEAR}")
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


def find_entities(turns: Sequence[Turn]) -> list[FoundEntity]:
    """Return the entities in the order of their first mention.

    A person's name counts wherever it comes up again after it was introduced.
    """
    found: dict[tuple[str, int], FoundEntity] = {}
    people: set[str] = set()
    for turn in turns:
        for each in mentions(turn, people):
            key = (each.name.casefold(), each.type)
            entity = found.get(key)
            if entity is None:
                entity = found[key] = FoundEntity(each.name, each.type)
            entity.mentions.append(Mention(chars(turn, each.start, each.end), each.mention))
    return list(found.values())


def salience(entities: Sequence[FoundEntity]) -> list[float]:
    """Return each entity's share of all mentions; the shares add up to 1."""
    total = sum(len(entity.mentions) for entity in entities)
    return [len(entity.mentions) / total for entity in entities]


def mentions(turn: Turn, people: set[str]) -> Iterator[_Found]:
    """Yield the mentions in a turn from left to right; `people` grows by the names met."""
    if not any(token.may_name for token in turn.tokens):
        return
    text, end = turn.text, 0
    for candidate in NAME_START.finditer(text):
        word, start = candidate.group(), candidate.start()
        if word in cues.NO_NAMES or start < end:
            continue
        if word[-1].isalpha():
            named = list(_with_capital(text, start, word, people))
        else:
            named = _with_digits(text, start)
        for found in named:
            end = max(end, found.end)
            yield found


def _with_digits(text: str, start: int) -> list[_Found]:
    match = _WITH_DIGITS.match(text, start)
    if match is None:
        return []
    return [_Found(match.group(), _TYPES[str(match.lastgroup)], *match.span())]


def _with_capital(text: str, start: int, first: str, people: set[str]) -> Iterator[_Found]:
    """Yield what a capitalised word begins; most begin a sentence and nothing else."""
    if first in cues.TITLES:
        yield from _titled(text, start, people)
    elif first in cues.DAYS:
        yield _Found(first, DATE, start, start + len(first))
    elif first in cues.MONTHS:
        match = _MONTH_DAY.match(text, start)
        if match is not None:
            yield _Found(match.group(), DATE, *match.span())
        elif first not in cues.AMBIGUOUS_MONTHS:
            yield _Found(first, DATE, start, start + len(first))
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
