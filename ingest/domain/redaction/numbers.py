"""Numbers as they are said or written in a talk: their words, their digits, and checks of digits.

A talk says a number digit by digit (`oh four nine one`, `double five`), in groups
(`twenty twenty-three`), as a quantity (`two hundred and six`), or types it. What is said can be
taken back: `four, no, five`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

_UNITS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_TEENS = [
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
DIGITS = {"zero": "0", "oh": "0", "o": "0", "nought": "0", "naught": "0", "nil": "0"} | {
    word: str(place) for place, word in enumerate(_UNITS, 1)
}
_GROUPS = {word: str(place) for place, word in enumerate(_TEENS, 10)}
_TENS_VALUES = {word: str(10 * place) for place, word in enumerate(_TENS, 2)}
_REPEATS = {"double": 2, "triple": 3, "treble": 3}
_POWERS = frozenset(("hundred", "thousand", "million"))
NUMBER_WORDS = frozenset({*DIGITS, *_GROUPS, *_TENS_VALUES, *_POWERS}) - {"o"}
_FILLERS = frozenset(
    (
        "um",
        "uh",
        "er",
        "ah",
        "and",
        "dash",
        "hyphen",
        "slash",
        "then",
        "sort",
        "of",
        "like",
        "space",
    )
)
_CORRECTIONS = frozenset(
    ("no", "sorry", "wait", "nah", "mean", "i", "actually", "make", "that", "it")
)
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*|\d+")
_LINK = re.compile(r"[\s,.()/\u2026\u2013\u2014-]*")
_MOST_BETWEEN = 4


class Word(NamedTuple):
    """A word or a row of digits, with its place in code points.

    `bare` is in lower case without a possessive or a contracted verb; `gap` stands before the word.
    """

    text: str
    lower: str
    bare: str
    start: int
    end: int
    gap: str


@dataclass(frozen=True, slots=True)
class NumberRun:
    """Words that make one number: places of the first and last word, and its digits."""

    first: int
    last: int
    digits: str
    is_by_digit: bool
    """Said digit by digit, or typed; a quantity and a year said in two halves are not."""
    is_typed: bool


_ENDINGS = ("'s", "'d", "'ll", "'ve", "'re", "'m", "'")


def bare(word: str) -> str:
    """Return a word in lower case without its possessive or contracted verb."""
    if "'" not in word and "\u2019" not in word:
        return word
    word = word.replace("\u2019", "'")
    ending = next((ending for ending in _ENDINGS if word.endswith(ending)), "")
    return word.removesuffix(ending)


def words_of(text: str) -> list[Word]:
    """Return the words of a text."""
    found: list[Word] = []
    end = 0
    for match in _WORD.finditer(text):
        start = match.start()
        word = match.group()
        lower = word.lower()
        found.append(Word(word, lower, bare(lower), start, match.end(), text[end:start]))
        end = match.end()
    return found


def number_runs(words: Sequence[Word]) -> Iterator[NumberRun]:
    """Yield the longest runs of words that make numbers, in order."""
    place = 0
    while place < len(words):
        if not _is_number(words, place):
            place += 1
            continue
        last = place
        while (following := _next_number(words, last)) is not None:
            last = following
        yield _run(words, place, last)
        place = last + 1


def _is_number(words: Sequence[Word], place: int) -> bool:
    word = words[place].lower
    if word.isdecimal():
        return True
    if word in _REPEATS:
        return place + 1 < len(words) and words[place + 1].lower in DIGITS
    return word in NUMBER_WORDS or (word == "o" and _is_among_digits(words, place))


def _is_among_digits(words: Sequence[Word], place: int) -> bool:
    around = (*words[max(0, place - 1) : place], *words[place + 1 : place + 2])
    return any(word.lower in NUMBER_WORDS for word in around)


def _next_number(words: Sequence[Word], last: int) -> int | None:
    """Return the place of the number word that goes on with the run, None where it ends."""
    is_corrected = False
    for place in range(last + 1, min(last + 2 + _MOST_BETWEEN, len(words))):
        word = words[place]
        if not _LINK.fullmatch(word.gap) or "\n" in word.gap:
            return None
        if _is_number(words, place):
            if place == last + 1 or is_corrected:
                return place if _goes_on(words, last, place) else None
            return place if _is_joined(words, last, place) else None
        if word.lower in _CORRECTIONS:
            is_corrected = True
        elif word.lower not in _FILLERS:
            return None
    return None


def _is_joined(words: Sequence[Word], last: int, place: int) -> bool:
    """Whether fillers between two numbers join them: `and` does so within a quantity alone."""
    between = {word.lower for word in words[last + 1 : place]}
    if "and" in between:
        return words[last].lower in _POWERS
    return _says_digits(words[last]) and _says_digits(words[place])


def _goes_on(words: Sequence[Word], last: int, place: int) -> bool:
    gap = words[place].gap
    if "." in gap or "\u2026" in gap or "\u2014" in gap:
        return _says_digits(words[last]) and _says_digits(words[place])
    return True


def _says_digits(word: Word) -> bool:
    return word.lower in DIGITS or word.lower in _REPEATS or word.lower.isdecimal()


def _run(words: Sequence[Word], first: int, last: int) -> NumberRun:
    digits: list[str] = []
    said = typed = others = 0
    repeat = 1
    tens = ""
    for place in range(first, last + 1):
        word = words[place].lower
        if tens:
            is_unit = word in _UNITS and words[place].gap in (" ", "-")
            digits.append(tens[0] + DIGITS[word] if is_unit else tens)
            tens = ""
            if is_unit:
                continue
        if word in _REPEATS:
            repeat = _REPEATS[word]
        elif word in DIGITS:
            digits.append(DIGITS[word] * repeat)
            said += repeat
            repeat = 1
        elif word.isdecimal():
            digits.append(word)
            typed += len(word)
        elif word in _GROUPS:
            digits.append(_GROUPS[word])
            others += 1
        elif word in _TENS_VALUES:
            tens = _TENS_VALUES[word]
            others += 1
        elif word in _POWERS:
            others += 9
    digits += [tens] if tens else []
    is_by_digit = others < 9 and (typed > 0 or said >= 3 or said > others)
    return NumberRun(first, last, "".join(digits), is_by_digit, typed > 0)


def passes_luhn(digits: str) -> bool:
    """Whether the check digit of a card number of 13 to 19 digits is right (ISO/IEC 7812)."""
    if not 13 <= len(digits) <= 19:
        return False
    values = [int(digit) for digit in reversed(digits)]
    doubled = (sum(divmod(2 * value, 10)) for value in values[1::2])
    return (sum(values[::2]) + sum(doubled)) % 10 == 0


def _weighted(digits: str, weights: Sequence[int]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True))


def is_tax_file_number(digits: str) -> bool:
    """Whether nine digits are an Australian tax file number, by its weights modulo 11."""
    return len(digits) == 9 and _weighted(digits, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def is_business_number(digits: str) -> bool:
    """Whether eleven digits are an Australian business number, by its weights modulo 89."""
    if len(digits) != 11 or digits[0] == "0":
        return False
    reduced = str(int(digits[0]) - 1) + digits[1:]
    return _weighted(reduced, (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)) % 89 == 0


def is_medicare_number(digits: str) -> bool:
    """Whether ten or eleven digits are a Medicare card's: the ninth checks the first eight."""
    if len(digits) not in (10, 11) or digits[0] not in "23456":
        return False
    return _weighted(digits[:8], (1, 3, 7, 9, 1, 3, 7, 9)) % 10 == int(digits[8])
