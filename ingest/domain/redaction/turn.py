"""A turn as rules read it: words, numbers, the questions that it puts, and what was found in it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from importlib import resources

from ingest.domain.redaction.numbers import NumberRun, Word, number_runs, words_of

MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
ORDINALS = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
    "twentieth",
    "thirtieth",
]
NAMES_OF_MONTHS = frozenset(["jan", "april", "june", "august"])
"""They are names as well."""
_SHORT = 6
LEARNT_DIGITS = 6
"""A number with so many digits is known again by its end."""
_UNITS_OF_MEASURE = frozenset(
    [
        "dollars",
        "dollar",
        "bucks",
        "cents",
        "cent",
        "percent",
        "per",
        "grand",
        "k",
        "days",
        "day",
        "weeks",
        "week",
        "fortnights",
        "months",
        "month",
        "years",
        "year",
        "hours",
        "hour",
        "minutes",
        "minute",
        "mins",
        "o'clock",
        "am",
        "pm",
        "a.m",
        "p.m",
        "times",
        "people",
        "metres",
        "kilometres",
        "kms",
        "km",
        "litres",
        "degrees",
        "payments",
        "instalments",
    ]
)
FIRM_WORDS = frozenset(
    [
        "finance",
        "recoveries",
        "energy",
        "bank",
        "post",
        "pty",
        "ltd",
        "insurance",
        "telecom",
        "credit",
        "legal",
        "lawyers",
        "solicitors",
        "college",
        "school",
        "hospital",
        "council",
        "court",
        "tribunal",
        "ombudsman",
        "services",
        "group",
        "collections",
        "gas",
        "water",
        "airport",
        "station",
        "university",
        "club",
        "hotel",
        "mobile",
        "helpline",
        "line",
        "eve",
        "bridge",
        "springs",
        "beach",
        "bay",
        "hills",
        "heights",
        "creek",
        "valley",
        "park",
        "island",
        "point",
        "river",
        "ridge",
        "vale",
        "way",
    ]
)
UNIT_WORDS = frozenset(
    ["unit", "flat", "lot", "apartment", "villa", "shop", "suite", "level", "number", "no"]
)
SENTENCE_ENDS = re.compile(r"[.!?:;\u2026\u2014\"\u201c\n\u2013(]")
_ASKS = re.compile(
    # Anchored, since most of the time goes into places where no word begins.
    r"\b(?:(?P<birth>date of birth|birth ?date|(?<!my )birthday|\bd\.?o\.?b\b|\bborn\b)"
    r"|(?P<address>(?<!mail )\baddress|where ?abouts"
    r"|where (?:do|are|should) (?:you|we) (?:live|living|post|send)"
    r"|(?:what|which|home|the) street\b"
    r"|post it|post to|suburb|\btown\b|postcode)"
    r"|(?P<email>e-?mail|where should i send|username|log ?in)"
    r"|(?P<phone>phone|mobile|landline|\b(?:best|good|contact|other) number"
    r"|number (?:to reach|for you|we(?:'ve| have) got)|reach you|call you|ring you)"
    r"|(?P<spell>\bspell|spelt)"
    r"|(?P<name>\bname\b|who(?:'ve| have| am| do) i\b|who(?:'s| is) (?:this|that|calling|speaking)"
    r"|speaking with)"
    r"|(?P<card>\bcard\b|keypad)|(?P<code>cvv|security code|\bthe back\b|expir)"
    r"|(?P<bank>\bb-?s-?b\b|bank account|direct debit|account (?:will|it|for it|to debit))"
    r"|(?P<document>licen[cs]e|passport|medicare|tax file|\btfn\b|\bcrn\b|concession)"
    r"|(?P<reference>receipt|confirmation|complaint number|dispute number|case number|ticket"
    r"|reference)"
    r"|(?P<account>account|loan number|customer number|letter|\bnumber\b|digits)"
    r"|(?P<ending>\bending\b|\bends? (?:in|with)\b|\bends\b|\blast (?:two|three|four|few)\b))",
    re.IGNORECASE,
)
_ASK_WORDS = frozenset(
    [
        "birth",
        "birthdate",
        "birthday",
        "dob",
        "d",
        "born",
        "address",
        "where",
        "whereabouts",
        "abouts",
        "street",
        "post",
        "suburb",
        "town",
        "postcode",
        "email",
        "mail",
        "e",
        "username",
        "login",
        "log",
        "phone",
        "mobile",
        "landline",
        "number",
        "reach",
        "call",
        "ring",
        "spell",
        "spelt",
        "name",
        "who",
        "speaking",
        "card",
        "keypad",
        "cvv",
        "security",
        "back",
        "bsb",
        "b",
        "bank",
        "direct",
        "account",
        "licence",
        "license",
        "passport",
        "medicare",
        "tax",
        "tfn",
        "crn",
        "concession",
        "receipt",
        "confirmation",
        "complaint",
        "dispute",
        "case",
        "ticket",
        "reference",
        "loan",
        "customer",
        "letter",
        "digits",
        "ending",
        "end",
        "ends",
        "last",
        "expiry",
        "expires",
        "expiration",
        "expire",
        "emails",
        "numbers",
        "accounts",
        "cards",
        "names",
        "addresses",
        "references",
        "letters",
    ]
)
"""Words without which none of these questions is put: most turns have none of them."""


class Kind(StrEnum):
    """What a detail is; the word of its placeholder."""

    NAME = "NAME"
    BIRTH_DATE = "BIRTH_DATE"
    ADDRESS = "ADDRESS"
    EMAIL = "EMAIL"
    PHONE = "PHONE"
    ACCOUNT = "ACCOUNT"
    BANK_ACCOUNT = "BANK_ACCOUNT"
    CARD = "CARD"
    DOCUMENT = "DOCUMENT"
    REFERENCE = "REFERENCE"
    NUMBER = "NUMBER"


@dataclass(frozen=True, slots=True)
class Span:
    """Where a personal detail stands; code points, end exclusive."""

    kind: Kind
    start: int
    end: int


@dataclass(frozen=True)
class Vocabulary:
    """Words in lower case that begin with a capital without being somebody's name."""

    basic: frozenset[str]
    """Words of every talk: no name unless somebody is introduced by it (`my son Will`)."""
    common: frozenset[str]
    """Words of a dictionary, these too: no name at the beginning of a sentence."""
    never: frozenset[str]
    """Days, months, places, firms and products: they are no name anywhere."""

    def with_own(self, words: Iterable[str]) -> Vocabulary:
        """Return the vocabulary with the user's own firms, products and places."""
        own = {part for word in words for part in word.lower().replace("\u2019", "'").split()}
        return Vocabulary(self.basic, self.common, self.never | own)


@cache
def built_in() -> Vocabulary:
    """Return the words that the package knows, from the lists beside this module."""
    folder = resources.files("ingest.domain.redaction")
    basic = frozenset(folder.joinpath("basic_words.txt").read_text(encoding="utf-8").split())
    common = folder.joinpath("common_words.txt").read_text(encoding="utf-8").split()
    never = folder.joinpath("no_names.txt").read_text(encoding="utf-8").split()
    return Vocabulary(
        basic, basic | frozenset(common), frozenset((*never, *MONTHS)) - NAMES_OF_MONTHS
    )


class Turn:
    """One text with its words, numbers, questions, and what has been found in it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words = words_of(text)
        self.runs = [self._without_amount(run) for run in number_runs(self.words)]
        is_asking = not _ASK_WORDS.isdisjoint({word.bare for word in self.words})
        self.asks = (
            frozenset(match.lastgroup or "" for match in _ASKS.finditer(text))
            if is_asking
            else frozenset()
        )
        if len(self.words) <= _SHORT and any(word.lower == "nineteen" for word in self.words):
            # A year of the last century, by itself: people speak of a birthday.
            self.asks |= {"birth"}
        self.expected: frozenset[str] = frozenset()
        self.just_asked: frozenset[str] = frozenset()
        self.spans: list[Span] = []

    def _without_amount(self, run: NumberRun) -> NumberRun:
        """Leave out a quantity that follows a number: `seven eight three, twelve times`."""
        following = self.words[run.last + 1 : run.last + 2]
        if not following or following[0].lower not in _UNITS_OF_MEASURE:
            return run
        cuts = [p for p in range(run.first + 1, run.last + 1) if "," in self.words[p].gap]
        if not cuts:
            return run
        before = list(number_runs(self.words[run.first : cuts[-1]]))
        if len(before) != 1 or len(before[0].digits) < LEARNT_DIGITS:
            return run
        return replace(before[0], first=run.first, last=cuts[-1] - 1)

    def is_taken(self, word: Word) -> bool:
        """Whether a word lies in what has been found."""
        return any(span.start < word.end and word.start < span.end for span in self.spans)

    def begins_sentence(self, place: int) -> bool:
        """Whether the word is the first of a sentence, where any word has a capital."""
        return place == 0 or bool(SENTENCE_ENDS.search(self.words[place].gap))

    def before(self, place: int) -> tuple[str, int]:
        """Return the word before a place in lower case, and where it begins."""
        word = self.words[place - 1] if place else None
        return (word.lower, word.start) if word else ("", 0)

    def span(self, kind: Kind, run: NumberRun) -> Span:
        """Return the place of a run of words."""
        return Span(kind, self.words[run.first].start, self.words[run.last].end)

    def is_amount(self, run: NumberRun) -> bool:
        """Whether a number counts money, time or things."""
        first, last = self.words[run.first], self.words[run.last]
        if (
            first.gap.endswith(("$", "\u20ac", "\u00a3"))
            or self.text[last.end : last.end + 1] == "%"
        ):
            return True
        if run.last + 1 < len(self.words) and self.words[run.last + 1].lower in _UNITS_OF_MEASURE:
            return True
        gaps = [self.words[place].gap for place in range(run.first + 1, run.last + 1)]
        return bool(gaps) and run.is_typed and all(gap in (",", ".") for gap in gaps)

    def asked_before(self, start: int) -> list[str]:
        """Return what the words before a place in this turn ask for or name, nearest last."""
        since = max(0, start - 60)
        return [match.lastgroup or "" for match in _ASKS.finditer(self.text, since, start)]


def is_capitalised(text: str) -> bool:
    return text[0].isupper() and not text[1:2].isupper()


def same(kind: Kind, text: str) -> str:
    """Return what equal details have in common: digits of numbers, words of the rest."""
    words = words_of(text)
    if kind in (Kind.NAME, Kind.ADDRESS, Kind.EMAIL, Kind.BIRTH_DATE):
        return " ".join(text.lower().replace("\u2019", "'").split()).strip(" .,")
    digits = "".join(run.digits for run in number_runs(words))
    return digits or text.lower()
