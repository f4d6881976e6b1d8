"""Details that have a form: dates of birth, email addresses, spellings, numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest.domain.redaction.numbers import (
    DIGITS,
    NUMBER_WORDS,
    NumberRun,
    is_business_number,
    is_medicare_number,
    is_tax_file_number,
    number_runs,
    passes_luhn,
    words_of,
)
from ingest.domain.redaction.turn import MONTHS, ORDINALS, Kind, Span, Turn

_SHORT_MONTHS = ["jan", "feb", "mar", "apr", "jun", "jul", "aug", "sept?", "oct", "nov", "dec"]
_UNIT = r"(?:one|two|three|four|five|six|seven|eight|nine)"
_TENS = r"(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)"
_ORDINAL = rf"(?:(?:twenty|thirty)[- ](?:{'|'.join(ORDINALS[:9])})|{'|'.join(reversed(ORDINALS))})"
_DAY = rf"(?:\d{{1,2}}(?:st|nd|rd|th)?|{_ORDINAL})"
_MONTH = rf"(?:{'|'.join((*MONTHS, *_SHORT_MONTHS))})"
_SAID_DAY = (
    rf"(?:oh {_UNIT}|(?:twenty|thirty)[- ]{_UNIT}|\w+teen|ten|eleven|twelve|twenty|thirty|{_UNIT})"
)
_YEAR = (
    rf"(?:(?:19|20)\d\d|'?\d\d(?!\d)|nineteen[- ](?:oh[- ]{_UNIT}|{_TENS}(?:[- ]{_UNIT})?|\w+teen|"
    rf"ten|eleven|twelve)|two thousand(?: and (?:{_UNIT}|\w+teen|ten|eleven|twelve))?|"
    rf"twenty[- ](?:oh[- ]{_UNIT}|ten|eleven|twelve|\w+teen|twenty(?:[- ]{_UNIT})?)|"
    rf"{_TENS}(?:[- ]{_UNIT})?|oh[- ]{_UNIT})"
)
_BREAK = r"[\s.,\u2026\u2014\u2013-]"
_PAUSE = rf"(?:{_BREAK}+(?:um|uh|er|ah|of|the|in|sorry|no|and)(?={_BREAK}))*{_BREAK}+"
_DATE = re.compile(
    rf"(?<!\w)(?:(?:(?:the )?{_DAY}{_PAUSE}){{0,2}}(?:the )?{_DAY}{_PAUSE}(?:{_MONTH}|{_ORDINAL})"
    rf"(?:{_PAUSE}(?P<year>{_YEAR}))?"
    rf"|{_MONTH}{_PAUSE}(?:{_DAY}|{_SAID_DAY}(?=,? (?:nineteen|two thousand)))"
    rf"(?:{_PAUSE}(?P<american>{_YEAR}))?"
    r"|\d{1,2}([ /.-])\d{1,2}\3(?P<typed>\d{4}|\d\d)|(?P<iso>\d{4})-\d\d-\d\d)(?!\w)",
    re.IGNORECASE,
)
_DATE_SIGN = re.compile(rf"\d|\b(?:{_MONTH}|{_ORDINAL})\b", re.IGNORECASE)
"""Without a digit, a month or an ordinal there is no date."""
_SAID_DATE = re.compile(
    rf"(?<!\w)(?:(?:the )?(?:{_ORDINAL}|{_SAID_DAY}|\d{{1,2}}){_PAUSE}"
    rf"(?:{_MONTH}|{_ORDINAL}|{_SAID_DAY}|\d{{1,2}})(?:{_PAUSE}{_YEAR})?"
    rf"|{_MONTH}{_PAUSE}{_YEAR}|{_YEAR}{_PAUSE}(?:the )?{_DAY}{_PAUSE}{_MONTH})(?!\w)",
    re.IGNORECASE,
)
"""A date in words that hardly make one by themselves: the answer to the question for a birthday."""
_LAST_BIRTH_YEAR = 2012
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_JOINT = r"(?:\.|\s+(?:dot|underscore|dash|hyphen|plus)\s+)"
_SAID_EMAIL = re.compile(
    rf"(?<![\w'])[\w'-]+(?:{_JOINT}[\w'-]+)*\s+at\s+[\w-]+(?:{_JOINT}\w+)+", re.IGNORECASE
)
_LOCAL_PART = re.compile(rf"(?<![\w'])[\w'-]+(?:{_JOINT}[\w'-]+)+ $", re.IGNORECASE)
_QUOTED_LOGIN = re.compile(
    r"\b(?:e-?mails?|user\s?name|login)\b[^.?!\"\u201c]{0,40}[\"\u201c]([\w.+-]{4,})[\"\u201d]",
    re.IGNORECASE,
)
_LETTER = r"[A-Za-z](?![\w'\u2019])(?:\s+(?:for|as in)\s+\w+)?"
_SPELT = re.compile(
    rf"(?<![\w'\u2019]){_LETTER}(?:[\s,.\u2026-]+(?:(?:and|then|um|uh|double)\s+)*{_LETTER}){{1,}}"
)
_LETTER_FOR = re.compile(r"\b[A-Za-z]\s+(?:for|as in)\s")
_ACRONYMS = frozenset(
    [
        "bsb",
        "bpay",
        "tfn",
        "abn",
        "acn",
        "sms",
        "gps",
        "atm",
        "pin",
        "nbn",
        "ato",
        "abc",
        "sbs",
        "rsl",
        "tab",
        "usb",
        "dvd",
        "tv",
        "ok",
        "id",
        "hr",
        "it",
        "ndis",
        "afca",
    ]
)
_NUMBERS_ASKED = frozenset(
    ["phone", "card", "code", "bank", "document", "reference", "account", "ending"]
)
_KIND_ASKED = {
    "phone": Kind.PHONE,
    "card": Kind.CARD,
    "code": Kind.CARD,
    "bank": Kind.BANK_ACCOUNT,
    "document": Kind.DOCUMENT,
    "reference": Kind.REFERENCE,
    "account": Kind.ACCOUNT,
}
_PAYMENT_ASKED = frozenset(["bank", "card", "account", "reference"])
_HOTLINE = re.compile(r"1[38]00\d{6}|13\d{4}")
"""Numbers that anybody may ring in Australia."""
_LETTER_GAPS = (" ", "-", "", ", ")


def emails(turn: Turn) -> Iterator[Span]:
    text = turn.text
    if "@" in text:
        for match in _EMAIL.finditer(text):
            yield Span(Kind.EMAIL, *match.span())
    lower = text.lower()
    if " at " in lower and (" dot " in lower or "." in text):
        for match in _SAID_EMAIL.finditer(text):
            if "." in match.group().rstrip(".") or " dot " in match.group().lower():
                yield Span(Kind.EMAIL, _email_start(turn, match.start()), match.end())
    if '"' in text or "\u201c" in text:
        for match in _QUOTED_LOGIN.finditer(text):
            yield Span(Kind.EMAIL, *match.span(1))


def _email_start(turn: Turn, start: int) -> int:
    """A local part may be said in several words: numbers, letters, and after the question any."""
    place = next((p for p, word in enumerate(turn.words) if word.start == start), 0)
    taken = 0
    while place > 0 and turn.words[place].gap in (" ", "-") and taken < 6:
        word = turn.words[place - 1].lower
        is_part = word in DIGITS or word in NUMBER_WORDS or len(word) == 1 or word in (
            "dot", "underscore", "dash", "double"
        )  # fmt: skip
        if not is_part:
            break
        place, taken = place - 1, taken + 1
    begin = turn.words[place].start
    before = _LOCAL_PART.search(turn.text, max(0, begin - 60), begin) if taken else None
    return before.start() if before else begin


def birth_dates(turn: Turn) -> Iterator[Span]:
    is_asked = "birth" in turn.expected
    for match in _DATE.finditer(turn.text) if _DATE_SIGN.search(turn.text) else ():
        year = _year(
            next((match[name] for name in ("year", "american", "typed", "iso") if match[name]), "")
        )
        if year is not None and year > _LAST_BIRTH_YEAR:
            continue
        if year is not None or is_asked or "birth" in turn.asked_before(match.start()):
            is_asked = is_asked and year is None
            yield Span(Kind.BIRTH_DATE, *match.span())
    is_answer = is_asked or ("birth" in turn.asks and bool(turn.runs))
    if not is_answer:
        return
    for match in _SAID_DATE.finditer(turn.text):
        is_first = turn.text.count(" ", 0, match.start()) < 3
        if (is_asked and is_first) or "birth" in turn.asked_before(match.start()):
            yield Span(Kind.BIRTH_DATE, *match.span())
            return
    said = re.search(rf"(?<!\w){_YEAR}(?!\w)", turn.text, re.IGNORECASE)
    year = _year(said.group()) if said else None
    if said and len(turn.words) <= 6 and year is not None and year <= _LAST_BIRTH_YEAR:
        yield Span(Kind.BIRTH_DATE, *said.span())


def _year(text: str) -> int | None:
    """Return the year that a text says; two digits beyond 30 are of the last century."""
    if not text:
        return None
    digits = "".join(run.digits for run in number_runs(words_of(text)))
    lower = text.lower()
    if lower.startswith("two thousand"):
        return 2000 + int(digits[1:] or 0)
    value = int(digits or 0)
    if value < 100:
        return value + (1900 if value > 30 else 2000)
    return value


def is_whole_date(turn: Turn, span: Span) -> bool:
    return (
        span.kind is Kind.BIRTH_DATE
        and span.end - span.start > 8
        and (turn.text[span.start : span.end].count(" ") > 1 or turn.text[span.start].isdecimal())
    )


def spellings(turn: Turn) -> Iterator[Span]:
    for match in _SPELT.finditer(turn.text):
        text = match.group()
        start = match.start()
        letters = "".join(word.lower for word in words_of(text) if len(word.text) == 1)
        if text[0] in "aI" and text[1:2] in (" ", ".", ",", "\u2026"):
            start += words_of(text)[1].start
            letters = letters[1:]
        if letters in _ACRONYMS or set(letters) <= {"a", "i"}:
            continue
        is_spelling = bool(turn.expected & {"spell", "name"} or turn.asks & {"spell"})
        if len(letters) < 3 and len(_LETTER_FOR.findall(text)) < 2:
            continue
        kind = Kind.NAME if is_spelling or len(letters) > 3 else Kind.REFERENCE
        yield Span(kind, start, match.end())


def personal_numbers(turn: Turn) -> Iterator[tuple[Span, str]]:
    for run in turn.runs:
        span = _with_letters(turn, run)
        if any(held.start <= span.start and span.end <= held.end for held in turn.spans):
            continue
        if turn.is_amount(run):
            continue
        here = turn.asked_before(span.start)
        if _is_personal(turn, run, here):
            yield Span(_kind(turn, run.digits, here), span.start, span.end), run.digits


def _is_personal(turn: Turn, run: NumberRun, here: list[str]) -> bool:
    count = len(run.digits)
    is_asked = bool(turn.expected & _NUMBERS_ASKED) or bool(set(here) & _NUMBERS_ASKED)
    words = run.last - run.first + 1
    if not run.is_by_digit:
        return is_asked and count >= 7 and words >= 4
    if count >= 6:
        is_payment = not _PAYMENT_ASKED.isdisjoint((*turn.expected, *here))
        is_open_to_all = _HOTLINE.fullmatch(run.digits) and (run.is_typed or count > 6)
        return is_payment or not is_open_to_all
    if "ending" in here[-2:] and count >= 3:
        return True
    is_lettered = _with_letters(turn, run).start < turn.words[run.first].start
    if count >= 4:
        if run.is_typed and words == 1:
            is_year = run.digits[:2] in ("19", "20")
            return is_lettered or (is_asked and not is_year and "ending" in turn.expected)
        return not run.is_typed or is_asked or words > 2
    is_whole = run.first <= 1 and run.last >= len(turn.words) - 2
    is_code = "code" in turn.expected or "code" in here
    return count == 3 and (is_code or (words >= 2 and is_asked and is_whole))


def _kind(turn: Turn, digits: str, here: list[str]) -> Kind:
    if passes_luhn(digits):
        return Kind.CARD
    named = [name for name in here if name in _KIND_ASKED]
    if named:
        return _KIND_ASKED[named[-1]]
    if len(digits) == 10 and digits[0] == "0":
        return Kind.PHONE
    if is_tax_file_number(digits) or is_medicare_number(digits) or is_business_number(digits):
        return Kind.DOCUMENT
    asked = [name for name in _KIND_ASKED if name in turn.expected]
    return _KIND_ASKED[asked[0]] if asked else Kind.NUMBER


def _with_letters(turn: Turn, run: NumberRun) -> Span:
    """A number with the letters that it begins with, `TU-4471` or `BSB oh oh seven`."""
    first = run.first
    while first > 0:
        word = turn.words[first - 1]
        if (
            turn.words[first].gap not in _LETTER_GAPS
            or not word.text.isupper()
            or len(word.text) > 3
        ):
            break
        if word.text == "I":
            break
        first -= 1
    return Span(Kind.NUMBER, turn.words[first].start, turn.words[run.last].end)
