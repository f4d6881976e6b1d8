"""Addresses: a street with its number, unit and suburb, or the answer to the question for one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from ingest.domain.redaction.numbers import NUMBER_WORDS, Word, words_of
from ingest.domain.redaction.turn import (
    LEARNT_DIGITS,
    MONTHS,
    UNIT_WORDS,
    Kind,
    Span,
    Turn,
    Vocabulary,
    is_capitalised,
    same,
)

_STREETS = (
    "Street|St|Road|Rd|Avenue|Ave|Crescent|Cres|Drive|Dr|Court|Ct|Place|Pl|Lane|Ln|Parade|Pde|Way|"
    "Close|Cl|Terrace|Tce|Highway|Hwy|Boulevard|Blvd|Circuit|Cct|Grove|Gr|Esplanade|Square|Sq|Rise|"
    "Loop|Track|Row|Walk|Mews|Promenade|Quay|Alley|Bend|Trail|View|Vista|Heights"
)
_SAID = rf"(?:{'|'.join(sorted(NUMBER_WORDS, key=len, reverse=True))})"
_HOUSE = rf"(?:\d+[A-Za-z]?(?:/\d+[A-Za-z]?)?|(?i:{_SAID}(?:[\s-]+(?:and[\s-]+)?{_SAID})*))"
_PROPER = r"[A-Z][\w\u2019'-]*"
_STATE = r"(?:NSW|New South Wales|Vic(?:toria)?|VIC|QLD|Queensland|WA|SA|TAS|Tas(?:mania)?|ACT|NT)"
_ADDRESS = re.compile(
    rf"(?<!\w)(?:(?i:unit|flat|lot|apartment|villa|shop|suite|level)\s+{_HOUSE},?\s+(?:of\s+)?)?"
    rf"(?:(?i:(?:number|no\.?)\s+)?{_HOUSE},?\s+)?"
    rf"(?:{_PROPER}\s+){{1,3}}(?:{_STREETS})\b\.?"
    rf"(?:(?:,|\s+in)\s+{_PROPER}(?:\s+{_PROPER}){{0,2}})?(?:,?\s+{_STATE}\b)?"
    r"(?:,?\s+(?:postcode\s+)?\d{4}\b)?"
)
_STREET = re.compile(rf"\b(?:{_STREETS})\b")
"""Without it there is no address, and most turns have none."""
_WITHIN_ADDRESS = frozenset(["the", "of", "and", "in", "near", "on", "corner", "postcode"])
_BESIDE = frozenset(["past", "near", "from", "around", "outside", "to"])
_JOINS_HOUSES = frozenset(["of", "at", "to", "on", "the"])
_ADDRESS_GAP = re.compile(r"[\s,/-]+")
_DAYS = frozenset(
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
) | frozenset(MONTHS)
_ASKED_ADDRESS = re.compile(
    rf"(?<!\w){_HOUSE},?\s+(?:(?-i:{_PROPER})\s+){{1,3}}(?:{_STREETS})\b"
    rf"(?:(?:,|\s+in)\s+(?-i:{_PROPER})(?:\s+(?-i:{_PROPER})){{0,2}})?|"
    rf"(?<!\w)(?:(?:unit|flat|lot)\s+{_HOUSE},?\s+)?{_HOUSE},?\s+(?:[a-z'\u2019-]+\s+){{1,3}}"
    rf"(?:{_STREETS})\b(?:,?\s+[a-z'\u2019-]+){{0,2}}(?:,?\s+\d{{4}}\b)?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Addresses:
    """Finds addresses; `names` and `phrases` are what the conversation has shown so far."""

    _vocabulary: Vocabulary
    _names: Set[str]
    _phrases: dict[str, Kind]

    def find(self, turn: Turn) -> Iterator[Span]:
        """Yield addresses and parts of them; names of suburbs are learnt."""
        text = turn.text
        matches = _ADDRESS.finditer(text) if _STREET.search(text) else ()
        found = [self._without_ordinary_words(text, *match.span()) for match in matches]
        if "address" in turn.expected | turn.asks:
            found += [match.span() for match in _ASKED_ADDRESS.finditer(text)]
        is_open = "address" in turn.expected
        if is_open:
            found += [
                (start, end)
                for start, end in self._answered_places(turn)
                if "address" in turn.just_asked
                or any(c.isdigit() for c in text[start:end])
                or len(turn.words) < 9
            ]
        for start, end in found:
            suburb = re.search(rf",\s+({_PROPER}(?:\s+{_PROPER})+|{_PROPER})$", text[start:end])
            if suburb and suburb.group(1).lower() not in self._vocabulary.common:
                self._phrases[same(Kind.ADDRESS, suburb.group(1))] = Kind.ADDRESS
            yield Span(Kind.ADDRESS, *self._grown(turn, start, end))

    def _without_ordinary_words(self, text: str, start: int, end: int) -> tuple[int, int]:
        """An address begins with its number or name, not with the word that begins a sentence."""
        words = words_of(text[start:end])
        for word in words[:-1]:
            is_house = (
                word.lower in NUMBER_WORDS or word.lower.isdecimal() or word.lower in UNIT_WORDS
            )
            if is_house or word.lower not in self._vocabulary.common:
                return start + word.start, end
        return start, end

    def _grown(self, turn: Turn, start: int, end: int) -> tuple[int, int]:
        """An address goes on over unit, suburb and postcode on both sides of its street."""
        words = turn.words
        houses = _houses(turn)
        inside = [place for place, word in enumerate(words) if start <= word.start < end]
        if not inside:
            return start, end
        first, last = inside[0], inside[-1]
        while first > 0 and _ADDRESS_GAP.fullmatch(words[first].gap):
            word = words[first - 1]
            is_part = first - 1 in houses or word.lower in UNIT_WORDS or len(word.text) == 1
            if not is_part and not (word.lower in _JOINS_HOUSES and first - 2 in houses):
                break
            first -= 1
        place = last + 1
        while place < len(words) and self._is_of_answer(words, place, houses, True):
            if words[place].lower not in _WITHIN_ADDRESS:
                last = place
            place += 1
        return words[first].start, max(end, words[last].end)

    def _answered_places(self, turn: Turn) -> Iterator[tuple[int, int]]:
        """Places and house numbers of a turn that answers the question for an address."""
        words = turn.words
        houses = _houses(turn)
        place = 0
        while place < len(words):
            first = place
            while place < len(words) and self._is_of_answer(words, place, houses, place > first):
                place += 1
            last = place - 1
            while last >= first and words[last].lower in _WITHIN_ADDRESS:
                last -= 1
            taken = words[first : last + 1]
            before = words[first - 1].lower if first else ""
            named = [
                word
                for word in taken
                if is_capitalised(word.text)
                and word.lower not in NUMBER_WORDS
                and word.lower not in UNIT_WORDS
                and len(word.text) > 1
            ]
            is_beside = before in _BESIDE and named and named[0].bare in self._vocabulary.never
            if named and not is_beside:
                yield taken[0].start, taken[-1].end
            place += 1

    def _is_of_answer(
        self, words: Sequence[Word], place: int, houses: set[int], is_inside: bool
    ) -> bool:
        word = words[place]
        if is_inside and not _ADDRESS_GAP.fullmatch(word.gap):
            return False
        if place in houses or word.lower in UNIT_WORDS:
            return True
        if is_inside and word.lower in _WITHIN_ADDRESS:
            return True
        bare = word.bare
        return (
            is_capitalised(word.text)
            and len(bare) > 1
            and bare not in self._names
            and (bare not in self._vocabulary.common or (is_inside and word.gap == " "))
            and bare not in _DAYS
        )


def _houses(turn: Turn) -> set[int]:
    """Return the places of words that may be the number of a house or a postcode."""
    return {
        place
        for run in turn.runs
        if not turn.is_amount(run) and len(run.digits) < LEARNT_DIGITS
        for place in range(run.first, run.last + 1)
    }
