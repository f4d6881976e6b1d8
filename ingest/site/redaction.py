"""Takes personal details out of what was said, by rules, for pages that may be passed on.

It leans towards taking too much: every capitalised word that isn't common is taken for a name,
every run of three spelt or written numbers for an identifier. It still misses what a person would
see, such as a name typed in lower case, so a page says that it was redacted by rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from functools import cache
from importlib import resources

_NUMBER_WORD = (
    r"(?:zero|oh|nought|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|"
    r"fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|"
    r"seventy|eighty|ninety|hundred|thousand|million|double|triple)"
)
_ORDINAL_WORD = (
    r"(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|"
    r"thirteenth|fourteenth|fifteenth|sixteenth|seventeenth|eighteenth|nineteenth|twentieth|"
    r"twenty[- ]\w+|thirtieth|thirty[- ]first)"
)
_LATE_DAY = (
    r"(?:eleventh|twelfth|thirteenth|fourteenth|fifteenth|sixteenth|seventeenth|eighteenth|"
    r"nineteenth|twentieth|"
    r"twenty[- ](?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth)|"
    r"thirtieth|thirty[- ]first)"
)
"""Ordinals that hardly count anything but days."""
_QUOTES = r"\"'\u201c\u201d\u2018\u2019"
_MONTH = (
    r"(?:january|february|march|april|may|june|july|august|september|october|november|december)"
)
_DAY = rf"(?:\d{{1,2}}(?:st|nd|rd|th)?|{_ORDINAL_WORD})"
_YEAR = rf"(?:\d{{2,4}}|(?:{_NUMBER_WORD}(?:[\s-]+(?:and[\s-]+)?{_NUMBER_WORD}){{0,3}}))"
_STREET = (
    r"(?:street|st|road|rd|avenue|ave|crescent|cres|drive|dr|court|ct|place|pl|lane|parade|"
    r"way|close|terrace|highway|boulevard|circuit|grove|esplanade|square|rise|loop)"
)
_APOSTROPHE = r"['\u2019]"
_NAME = rf"[A-Z][\w-]*(?:{_APOSTROPHE}[A-Z][\w-]+)?(?:\s+[A-Z][\w-]+){{0,3}}"
_GAP = r"(?:[\s,.\u2026\u2013\u2014/-]|\b(?:um|uh|and|dash|hyphen|slash|dot)\b)+"
_ITEM = rf"(?:(?<![\w'\u2019])[A-Za-z](?![\w'\u2019])|{_NUMBER_WORD}\b|\d+)"

_RULES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("email", re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")),
    (
        "email",
        re.compile(
            r"\b[\w'-]+(?:(?:\s+(?:dot|underscore|dash|hyphen)\s+|\.)[\w'-]+)*\s+at\s+"
            r"[\w-]+(?:(?:\s+dot\s+|\.)\w+)+",
            re.IGNORECASE,
        ),
    ),
    (
        "address",
        re.compile(
            rf"\b(?:\d+[A-Za-z]?|{_NUMBER_WORD})(?:/\d+)?,?\s+"
            rf"(?:[A-Z][\w-]+\s+){{1,3}}(?i:{_STREET})\b(?:,?\s+\d{{4}}\b)?",
        ),
    ),
    (
        "date",
        re.compile(
            rf"\b{_DAY}\s+(?:of\s+)?(?:the\s+)?(?:{_MONTH}|{_ORDINAL_WORD})(?:[\s,]+{_YEAR})?\b|"
            rf"\b{_MONTH}\s+(?:the\s+)?{_DAY}(?:[\s,]+{_YEAR})?\b|"
            r"\b\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}\b",
            re.IGNORECASE,
        ),
    ),
    (
        "date",
        re.compile(rf"\b(?:the\s+)?(?:{_LATE_DAY}|\d{{1,2}}(?:st|nd|rd|th))\b", re.IGNORECASE),
    ),
    (
        "email",
        re.compile(
            rf"\b(?:e-?mails?|user\s?name|login)\b[^.?!{_QUOTES}]{{0,40}}"
            rf"[{_QUOTES}]([\w.+-]{{4,}})[{_QUOTES}]",
            re.IGNORECASE,
        ),
    ),
    (
        "number",
        re.compile(r"\b(?:[A-Za-z]{1,3}[\s-]?)?\d(?:[\s().,/\u2013\u2014-]{0,3}\d){2,}\b|\d{3,}"),
    ),
    (
        "number",
        re.compile(rf"{_ITEM}(?:{_GAP}(?:(?:double|triple)\s+)?{_ITEM}){{2,}}", re.IGNORECASE),
    ),
    (
        "spelling",
        re.compile(
            r"\b[A-Za-z]\s+(?:for|as\s+in)\s+\w+(?:[\s,.]+[A-Za-z]\s+(?:for|as\s+in)\s+\w+)*"
        ),
    ),
    ("name", re.compile(rf"\b(?:Mr|Mrs|Ms|Miss|Dr|Mx)\.?\s+({_NAME})")),
)
_CAPITALISED = re.compile(rf"(?<![\w'\u2019])[A-Z][\w-]*(?:{_APOSTROPHE}[A-Z][\w-]+)?")
_RELATIVE = re.compile(
    r"\b(?:aunt(?:y|ie)?|uncle|nan(?:na)?|gran(?:ny)?|grand(?:ma|pa|dad)|cousin)\s+([a-z][\w-]*)",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_][\w'\u2019-]*")
_LEAST_NAME_CHARS = 3


@dataclass(frozen=True)
class Span:
    """Where a personal detail was found; code points, end exclusive."""

    kind: str
    start: int
    end: int


class Redactor:
    """Finds personal details in the turns of one conversation."""

    def __init__(self, texts: Iterable[str], known: Iterable[tuple[str, str]] = ()) -> None:
        """`known` gives details by kind and text, as metadata and Insights name them.

        A person's name is found by each of its words too. A capitalised word is taken for a name
        unless it's a common word, or begins sentences only and is said in lower case elsewhere;
        so is an uncommon word behind aunt, uncle and the like, and a turn of two or three
        uncommon words.
        """
        held = [_without_rules(text) for text in texts]
        plain = _common_words() | {
            word.replace("\u2019", "'")
            for text in held
            for word in _WORD.findall(text)
            if word[0].islower()
        }
        names = {
            match.group()
            for text in held
            for match in _CAPITALISED.finditer(text)
            if _is_name(match, plain)
        }
        names |= {
            match.group()
            for text in held
            for match in _RELATIVE.finditer(text)
            if match.group(1).lower() not in _common_words()
        }
        names |= {text.strip() for text in held if _is_bare_name(text)}
        learnt = dict.fromkeys(
            (kind, part)
            for kind, text in sorted({*known, *(("name", name) for name in names)})
            for part in _parts(kind, text)
        )
        longest_first = sorted(learnt, key=lambda detail: -len(detail[1]))
        self._kinds = [kind for kind, _ in longest_first]
        # At each place the longest that begins there; a look ahead lets them overlap.
        any_of = "|".join(f"({re.escape(text)})" for _, text in longest_first)
        pattern = rf"(?<!\w)(?=(?:{any_of})(?!\w))" if any_of else r"(?!)"
        self._known = re.compile(pattern, re.IGNORECASE)

    def spans(self, text: str) -> tuple[Span, ...]:
        """Return what is to be taken out, in order and without overlap."""
        found = [
            Span(self._kinds[match.lastindex - 1], *match.span(match.lastindex))
            for match in self._known.finditer(text)
            if match.lastindex
        ]
        found += [
            Span(kind, *match.span(match.lastindex or 0))
            for kind, pattern in _RULES
            for match in pattern.finditer(text)
        ]
        merged: list[Span] = []
        for span in sorted(found, key=lambda span: (span.start, -span.end)):
            if merged and span.start < merged[-1].end:
                last = merged[-1]
                merged[-1] = Span(last.kind, last.start, max(last.end, span.end))
            else:
                merged.append(span)
        return tuple(merged)

    def redacted(self, text: str) -> str:
        """Return the text with each detail replaced by its kind in brackets."""
        for span in reversed(self.spans(text)):
            text = f"{text[: span.start]}[{span.kind}]{text[span.end :]}"
        return text


def _parts(kind: str, text: str) -> Iterator[str]:
    """Yield what a detail is found by: itself, and each word of a name."""
    for word in [text, *text.split()] if kind == "name" else [text]:
        bare = word.strip(".,;:!?")
        if len(bare) >= _LEAST_NAME_CHARS and bare.lower() not in _common_words():
            yield bare


def _is_name(match: re.Match[str], plain: Set[str]) -> bool:
    word = match.group().lower().replace("\u2019", "'")
    if len(word) < _LEAST_NAME_CHARS or word in _common_words():
        return False
    is_within_sentence = bool(re.search(r"[a-z,]\s+$", match.string[: match.start()]))
    return is_within_sentence or word not in plain


def _is_bare_name(text: str) -> bool:
    words = text.strip(" .,!?").split()
    return len(words) in (2, 3) and all(
        _WORD.fullmatch(word) and word.lower() not in _common_words() for word in words
    )


def _without_rules(text: str) -> str:
    for _, pattern in _RULES:
        text = pattern.sub(" . ", text)
    return text


@cache
def _common_words() -> frozenset[str]:
    file = resources.files("ingest.site").joinpath("common_words.txt")
    return frozenset(file.read_text(encoding="utf-8").split())
