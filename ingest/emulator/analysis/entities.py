"""Entities by fixed rules: who, where, when, how much, and each place they are mentioned.

The real service uses a language model; ours is only shaped like it: types, salience, PROPER and
COMMON mentions, keys "0", "1", … in order of first mention. The rules are an assumption.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ingest.emulator.analysis.turns import Span, Turn, chars

PROPER = 1
COMMON = 2

_MONTH = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December)"
)
_DAY = r"(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)"
_ORDINAL = r"\d{1,2}(?:st|nd|rd|th)"
_WITH_DIGITS = re.compile(
    r"(?P<PRICE>(?:A?\$\s?\d[\d,]*(?:\.\d{1,2})?|\b\d[\d,]*(?:\.\d{1,2})?\s(?:dollars|bucks|cents)\b))"
    rf"|(?P<DATE>\b(?:{_ORDINAL}|\d{{1,2}})(?: of)? {_MONTH}(?:,? \d{{4}})?\b"
    rf"|\b{_MONTH} (?:the )?(?:{_ORDINAL}|\d{{1,2}})\b(?:,? \d{{4}}\b)?"
    r"|\b\d{1,2}/\d{1,2}/(?:\d{4}|\d{2})\b|\b\d{4}-\d{2}-\d{2}\b"
    rf"|\b(?:the )?{_ORDINAL}\b)"
    r"|(?P<ADDRESS>\b(?:[Uu]nit )?\d{1,5}[A-Za-z]?(?:/\d{1,4})? (?:[A-Z][a-z]+ ){1,3}"
    r"(?:Street|St|Road|Rd|Avenue|Ave|Lane|Drive|Dr|Court|Ct|Crescent|Place|Pl|Parade|Terrace|Way"
    r"|Highway|Boulevard|Close)\b(?:, [A-Z][a-z]+(?: [A-Z][a-z]+)?)?(?:,? [A-Z]{2,3})?(?:,? \d{4})?)"
    r"|(?P<PHONE_NUMBER>(?:\+61 ?|\b0)[2-578](?:[ -]?\d){8}\b|\b1[38]00(?:[ -]?\d){6}\b)"
    r"|(?P<NUMBER>\b\d[\d,]*(?:\.\d+)?\b)"
)
_WITH_CAPITALS = re.compile(
    r"(?P<titled>\b(?P<title>Mr|Mrs|Ms|Miss|Dr)\.? (?P<surname>[A-Z][a-z]+(?:[-'’][A-Z][a-z]+)?))"
    r"|(?P<PERSON>\b(?:[Mm]y name(?:'s|’s| is)|[Tt]his is|[Ss]peaking (?:with|to)|[Nn]ame is)"
    r" (?P<name>[A-Z][a-z]+(?: [A-Z][a-z]+(?:[-'’][A-Z][a-z]+)?)?))"
    r"|(?P<ORGANIZATION>\b(?:[A-Z][A-Za-z&]+ ){1,3}"
    r"(?:Bank|Finance|Financial|Collections|Loans|Credit|Group|Insurance|Energy|Telecom|Services"
    r"|Authority|Limited|Ltd)\b|\b(?:AFCA|ASIC|Centrelink|Medicare|Visa|Mastercard|PayPal)\b)"
    r"|(?P<LOCATION>\b(?:Sydney|Melbourne|Brisbane|Perth|Adelaide|Hobart|Darwin|Canberra|Newcastle"
    r"|Geelong|Cairns|Townsville|Wollongong|Ballarat|Bendigo|Parramatta|Australia|Queensland"
    r"|Victoria|Tasmania|New South Wales|Western Australia|South Australia)\b)"
    rf"|(?P<DATE>\b(?:next |last |this )?{_DAY}\b|\b{_MONTH}\b(?! [A-Z]))"
)
_TYPES = {
    "PERSON": 1, "LOCATION": 2, "ORGANIZATION": 3, "PHONE_NUMBER": 9, "ADDRESS": 10, "DATE": 11,
    "NUMBER": 12, "PRICE": 13,
}  # fmt: skip
_DIGIT = re.compile(r"\d")
_INNER_CAPITAL = re.compile(r"[A-Z][a-z]|[A-Z]{3}")


@dataclass(frozen=True, slots=True)
class Mention:
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
    """Return the entities in the order of their first mention; both speakers' turns count."""
    found: dict[tuple[str, int], FoundEntity] = {}
    for turn in turns:
        for name, kind, start, end, mention in _mentions(turn.text):
            key = (name.casefold(), kind)
            entity = found.setdefault(key, FoundEntity(name, kind))
            entity.mentions.append(Mention(chars(turn, start, end), mention))
    return list(found.values())


def salience(entities: Sequence[FoundEntity]) -> list[float]:
    """Return each entity's share of all mentions; the shares add up to 1."""
    total = sum(len(entity.mentions) for entity in entities)
    return [len(entity.mentions) / total for entity in entities]


def _mentions(text: str) -> Iterator[tuple[str, int, int, int, int]]:
    """Yield name, entity type, first and last character, and mention type."""
    taken: list[tuple[int, int]] = []
    if _DIGIT.search(text):
        for match in _WITH_DIGITS.finditer(text):
            taken.append(match.span())
            yield match.group(), _TYPES[str(match.lastgroup)], *match.span(), PROPER
    if not _INNER_CAPITAL.search(text):
        return
    for match in _WITH_CAPITALS.finditer(text):
        if any(match.start() < end and start < match.end() for start, end in taken):
            continue
        if match["titled"]:
            yield match["surname"], _TYPES["PERSON"], *match.span("surname"), PROPER
            yield match["surname"], _TYPES["PERSON"], *match.span("title"), COMMON
        elif match["PERSON"]:
            yield match["name"], _TYPES["PERSON"], *match.span("name"), PROPER
        else:
            kind = next(name for name in ("ORGANIZATION", "LOCATION", "DATE") if match[name])
            yield match.group(), _TYPES[kind], *match.span(), PROPER
