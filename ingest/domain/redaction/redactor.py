"""Takes personal details out of a talk: one pass over its words, by rules, without a model.

What counts as personal: names of people, dates of birth, addresses, email addresses, and numbers
that lead to a person or to their money: phones, accounts, cards, bank accounts, documents, and the
references that a firm gives to one person's payment or case, since they open that person's file.
Amounts, payment dates, times, quantities, and names of firms and places aren't: a talk without
them tells nothing any more.

Speech decides the rules. A number is said in words and taken back in the middle, a date of birth
is an answer, a name is spelt, and `two oh nine` is an amount or the end of a number by what was
said before. So each turn is read with the questions of the two turns before it, and what a talk
has shown to be personal once is personal in all of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ingest.domain.redaction.addresses import Addresses
from ingest.domain.redaction.details import (
    birth_dates,
    emails,
    is_whole_date,
    personal_numbers,
    spellings,
)
from ingest.domain.redaction.names import Names
from ingest.domain.redaction.numbers import words_of
from ingest.domain.redaction.turn import (
    LEARNT_DIGITS,
    Kind,
    Span,
    Turn,
    Vocabulary,
    built_in,
    same,
)

VERSION = "1"
"""Changes with every change of what is found: part of the version of a redacted conversation."""
_UNFINISHED = ("-", "\u2014", "\u2013", "\u2026", "...")
_LONG_WINDOW = 4
"""For so many turns a question for these may still be open: people ask back before they answer."""
_LONG_ASKED = frozenset(("birth", "address", "name"))
_LEAST_END = 3
_NUMBERS = frozenset((Kind.PHONE, Kind.ACCOUNT, Kind.BANK_ACCOUNT, Kind.CARD, Kind.NUMBER))
_LOWER_WORD = re.compile(r"(?<![\w'\u2019])[a-z][a-z'\u2019]*")
_PERSONAL_FIELDS = re.compile(
    r"(?P<EMAIL>e_?mail)|(?P<PHONE>phone|mobile|msisdn|\bani\b|caller_?id)"
    r"|(?P<BIRTH_DATE>birth|\bdob\b)|(?P<ADDRESS>address|street|postcode|suburb)"
    r"|(?P<CARD>card_?(?:number|no)|\bpan\b)|(?P<BANK_ACCOUNT>bsb|iban|bank_?account)"
    r"|(?P<DOCUMENT>passport|licen[cs]e|medicare|tfn|tax_?file)"
    r"|(?P<ACCOUNT>account_?(?:number|no|id)|customer_?(?:number|no|id|key|ref)|loan_?(?:number|id))"
    r"|(?P<NAME>(?:agent|customer|caller|first|last|full|sur|given|family|contact|debtor|patient)"
    r"_?name|^name$)",
    re.IGNORECASE,
)
"""Names of fields that say what their value is."""
_BETWEEN_BANK = re.compile(
    r"[\s,.]*(?:and\s+)?(?:the\s+)?account(?:\s+number)?(?:'s|\s+is)?,?\s*", re.IGNORECASE
)


def kind_of_field(name: str) -> Kind | None:
    """Return what a field's name says that its value is, None where it says nothing of a person."""
    match = _PERSONAL_FIELDS.search(name)
    return Kind(match.lastgroup) if match and match.lastgroup else None


class Redactor:
    """Finds personal details in the turns of one conversation, and in what is told of it."""

    def __init__(
        self,
        texts: Iterable[str],
        known: Iterable[tuple[Kind, str]] = (),
        vocabulary: Vocabulary | None = None,
    ) -> None:
        """`texts` are the turns in order; `known` are details that metadata or Insights name."""
        self._vocabulary = vocabulary or built_in()
        self._texts = list(texts)
        self._names: set[str] = set()
        self._numbers: dict[str, Kind] = {}
        self._phrases: dict[str, Kind] = {}
        self._places: dict[tuple[Kind, str], int] = {}
        for kind, text in known:
            self._learn(kind, text)
        self._lower = self._words_in_lower_case()
        self._addresses = Addresses(self._vocabulary, self._names, self._phrases)
        self._people = Names(self._vocabulary, self._lower, self._names)
        turns = [Turn(text) for text in self._texts]
        expected = [frozenset[str]()] * _LONG_WINDOW
        carried = frozenset[str]()
        for turn in turns:
            turn.just_asked = expected[-1] | carried
            long_ago = frozenset[str]().union(*expected[-_LONG_WINDOW:]) & _LONG_ASKED
            turn.expected = turn.just_asked | expected[-2] | long_ago
            expected.append(turn.asks)
            is_unfinished = len(turn.words) <= 2 or turn.text.endswith(_UNFINISHED)
            carried = turn.expected if is_unfinished else frozenset()
        answered_at = -_LONG_WINDOW
        for place, turn in enumerate(turns):
            if place - answered_at < _LONG_WINDOW and "birth" not in turn.just_asked:
                turn.expected -= {"birth"}
            self._read(turn)
            if any(is_whole_date(turn, span) for span in turn.spans):
                answered_at = place
        for turn in turns:
            self._people.learn(turn)
        self._turns = tuple(self._spans(turn) for turn in turns)

    def turn_spans(self, place: int) -> tuple[Span, ...]:
        """Return what is to be taken out of a turn, in order and without overlap."""
        return self._turns[place]

    def redacted_turn(self, place: int) -> str:
        """Return a turn with a placeholder for each detail."""
        return self._replaced(self._texts[place], self._turns[place])

    def spans(self, text: str) -> tuple[Span, ...]:
        """Return what is to be taken out of a text beside the turns, such as a summary."""
        turn = Turn(text)
        self._read(turn)
        return self._spans(turn)

    def redacted(self, text: str) -> str:
        """Return a text beside the turns with a placeholder for each detail."""
        return self._replaced(text, self.spans(text))

    def redacted_fields(self, fields: Mapping[str, str]) -> dict[str, str]:
        """Return fields such as labels with placeholders: by what a name says its value is, else
        by the value, in a name too.
        """
        found: dict[str, str] = {}
        for name, value in fields.items():
            kind = kind_of_field(name)
            shown = self.placeholder(kind, value) if kind and value else self.redacted(value)
            found[self.redacted(name)] = shown
        return found

    def placeholder(self, kind: Kind, text: str) -> str:
        """Return what stands for a detail: equal details of a conversation have equal ones."""
        key = (kind, same(kind, text))
        if key not in self._places:
            self._places[key] = 1 + sum(held is kind for held, _ in self._places)
        return f"[{kind}_{self._places[key]}]"

    def _replaced(self, text: str, spans: Sequence[Span]) -> str:
        parts: list[str] = []
        end = 0
        for span in spans:
            parts += (
                text[end : span.start],
                self.placeholder(span.kind, text[span.start : span.end]),
            )
            end = span.end
        return "".join((*parts, text[end:]))

    def _words_in_lower_case(self) -> frozenset[str]:
        return frozenset(
            word.replace("\u2019", "'")
            for text in self._texts
            for word in _LOWER_WORD.findall(text)
        )

    def _learn(self, kind: Kind, text: str) -> None:
        if kind is Kind.NAME:
            self._names |= {
                bare
                for word in words_of(text)
                if len(bare := word.bare) > 1 and bare not in self._vocabulary.common
            }
        elif kind in _NUMBERS:
            digits = "".join(character for character in text if character.isdecimal())
            if len(digits) >= LEARNT_DIGITS:
                self._numbers.setdefault(digits, kind)
        elif text.strip():
            self._phrases[same(kind, text)] = kind

    def _read(self, turn: Turn) -> None:
        """Find all but names, and remember numbers and places."""
        turn.spans += emails(turn)
        turn.spans += birth_dates(turn)
        turn.spans += self._addresses.find(turn)
        turn.spans += spellings(turn)
        for span, digits in personal_numbers(turn):
            kind = span.kind
            if len(digits) >= LEARNT_DIGITS:
                kind = self._numbers.setdefault(digits, kind)
            turn.spans.append(Span(kind, span.start, span.end))

    def _spans(self, turn: Turn) -> tuple[Span, ...]:
        spans = list(turn.spans)
        spans += self._learnt_numbers(turn)
        spans += self._learnt_phrases(turn)
        spans += self._people.spans(turn)
        return merged(turn.text, spans)

    def _learnt_numbers(self, turn: Turn) -> Iterator[Span]:
        for run in turn.runs:
            digits = run.digits
            if not run.is_by_digit or len(digits) < _LEAST_END or turn.is_amount(run):
                continue
            for held, kind in self._numbers.items():
                if held.endswith(digits) or held.startswith(digits):
                    yield turn.span(kind, run)
                    break

    def _learnt_phrases(self, turn: Turn) -> Iterator[Span]:
        lower = turn.text.lower()
        for phrase, kind in self._phrases.items():
            start = lower.find(phrase)
            while start >= 0 and len(lower) == len(turn.text):
                end = start + len(phrase)
                if (
                    not (lower[start - 1 : start] or " ").isalnum()
                    and not (lower[end:] or " ")[0].isalnum()
                ):
                    yield Span(kind, start, end)
                start = lower.find(phrase, end)


def merged(text: str, spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return spans in order without overlap; of two that overlap the first names the kind."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        last = merged[-1] if merged else None
        if last and span.start < last.end:
            merged[-1] = Span(last.kind, last.start, max(last.end, span.end))
        elif (
            last
            and last.kind is Kind.BANK_ACCOUNT
            and span.kind in (Kind.BANK_ACCOUNT, Kind.ACCOUNT)
            and _BETWEEN_BANK.fullmatch(text[last.end : span.start])
        ):
            merged[-1] = Span(last.kind, last.start, span.end)
        else:
            merged.append(span)
    return tuple(merged)
