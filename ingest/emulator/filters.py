"""Filters of list, export and bulk requests, parsed and made into SQL conditions.

The documents show terms joined by a space, AND, OR and a minus sign, and values in double quotes
even for numbers and times; the rest of the grammar is AIP-160's. Where the documents show only
quoted values, an unquoted one is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Protocol

from lark import Lark, Token, Transformer, UnexpectedInput
from lark.exceptions import VisitError

from ingest.emulator.problems import ApiError, invalid

MAX_CHARS = 10_000
MAX_TERMS = 200
MAX_PARENTHESES = 20
"""Limits of ours, so that no filter is too deep for the store (the documents name none)."""

_VALUE = re.compile(r'"(?:[^"\\]|\\.)*"')


@dataclass(frozen=True, slots=True)
class Condition:
    """An SQL condition with its parameters."""

    sql: str = "1"
    parameters: tuple[Any, ...] = ()


class FieldRule(Protocol):
    """How a field's comparison becomes SQL; raises ValueError saying what the field takes."""

    def __call__(self, key: str, comparator: str, value: str) -> Condition: ...


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The fields that a filter may name: exact ones, and ones with a free last part."""

    fields: Mapping[str, FieldRule]
    prefixes: Mapping[str, FieldRule]

    def rule(self, field: str) -> tuple[FieldRule, str] | None:
        """Return the rule of a field and the free part of its name."""
        if field in self.fields:
            return self.fields[field], ""
        for prefix, rule in self.prefixes.items():
            if field.startswith(prefix) and len(field) > len(prefix):
                return rule, field.removeprefix(prefix)
        return None


def compile_filter(text: str, vocabulary: Vocabulary) -> Condition:
    """Return the condition that a filter stands for; an empty filter matches everything.

    Raises INVALID_ARGUMENT with the position, counted from 1, of what can't be understood.
    """
    if len(text) > MAX_CHARS or text.count('"') > 2 * MAX_TERMS:
        raise invalid(f"Invalid filter: more than {MAX_TERMS} terms or {MAX_CHARS} characters.")
    if _VALUE.sub("", text).count("(") > MAX_PARENTHESES:
        raise invalid(f"Invalid filter: more than {MAX_PARENTHESES} parentheses.")
    for value in _VALUE.finditer(text):
        if text[value.end() : value.end() + 1].strip(" \t\f\r\n)"):
            raise invalid(f"Invalid filter at position {value.end() + 1}: terms must not touch.")
    try:
        tree = _parser().parse(text)
        condition: Condition = _ToSql(vocabulary).transform(tree)
    except UnexpectedInput as error:
        raise _misplaced(text, error) from None
    except VisitError as error:
        if isinstance(error.orig_exc, ApiError):
            raise error.orig_exc from None
        raise
    return condition


class _ToSql(Transformer[Token, Condition]):
    """Folds the tree bottom up."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        self._vocabulary = vocabulary

    def start(self, parts: list[Condition]) -> Condition:
        return parts[0] if parts else Condition()

    def all_of(self, parts: list[Condition]) -> Condition:
        return _joined(parts, " and ")

    def any_of(self, parts: list[Condition]) -> Condition:
        return _joined(parts, " or ")

    def negation(self, parts: list[Condition]) -> Condition:
        return Condition(f"not ({parts[0].sql})", parts[0].parameters)

    def restriction(self, parts: list[Token]) -> Condition:
        field, comparator, quoted = parts
        found = self._vocabulary.rule(str(field))
        if found is None:
            known = ", ".join(
                [*self._vocabulary.fields, *(f"{p}*" for p in self._vocabulary.prefixes)]
            )
            raise _at(field, f"unknown field '{field}'; known are {known}")
        rule, key = found
        try:
            return rule(key, str(comparator), _unquoted(str(quoted)))
        except ValueError as error:
            raise _at(comparator, f"'{field}' {error}") from None


def _joined(parts: list[Condition], operator: str) -> Condition:
    if len(parts) == 1:
        return parts[0]
    parameters = tuple(value for part in parts for value in part.parameters)
    return Condition(operator.join(f"({part.sql})" for part in parts), parameters)


def _unquoted(quoted: str) -> str:
    """Return the value inside the quotes; a backslash makes the next character plain."""
    plain: list[str] = []
    inside = iter(quoted[1:-1])
    for character in inside:
        plain.append(next(inside) if character == "\\" else character)
    return "".join(plain)


@lru_cache(maxsize=1)
def _parser() -> Lark:
    grammar = files("ingest.emulator").joinpath("filter.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", maybe_placeholders=False)


def _at(token: Token, reason: str) -> ApiError:
    return invalid(f"Invalid filter at position {(token.start_pos or 0) + 1}: {reason}.")


def _misplaced(text: str, error: UnexpectedInput) -> ApiError:
    position = error.pos_in_stream
    if position is None or position < 0 or position >= len(text):
        return invalid(f"Invalid filter at position {len(text) + 1}: unexpected end.")
    rest = text[position : position + 20]
    return invalid(
        f"Invalid filter at position {position + 1}: '{rest}' is not expected here; write"
        ' terms like field="value", joined by a space, AND or OR.'
    )
