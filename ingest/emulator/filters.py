"""Filters of list, export and bulk requests: their grammar, the fields they know, and their SQL.

The documents show terms joined by a space, AND, OR and a minus sign, and values in double quotes
even for numbers and times; the rest of the grammar is AIP-160's. Where the documents show only
quoted values, an unquoted one is refused.

Fields of conversations: the rows of the filtering page that could be read, and `language_code`
(assumed). Of operations and feedback labels: those that are documented. Anything else is refused.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Protocol

import grpc
import orjson
from lark import Lark, Token, Transformer, UnexpectedInput
from lark.exceptions import VisitError

from ingest.emulator import protos
from ingest.emulator.errors import ApiError, invalid

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


_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)s")
"""As many digits as the longest Duration has."""
_NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,6})?")
_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"
    r"(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_CONVERSATION_NAME = re.compile(r"projects/[^/]+/locations/([a-z0-9-]+)/conversations/([a-z0-9-]+)")
_ORDERED = {"=": "=", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_MENTIONED = "instr(c.agents, ?) > 0"
"""A quick look into the JSON text; opening every conversation's JSON takes ten times longer."""
_EQUAL = {"=": "=", ":": "=", "!=": "!="}


def _compare(sql: str, comparator: str, allowed: dict[str, str], value: object) -> Condition:
    operator = allowed.get(comparator)
    if operator is None:
        raise ValueError(f"takes {' '.join(allowed)}, not {comparator}")
    return Condition(f"{sql} {operator} ?", (value,))


def _micros(text: str) -> int:
    """Return the microseconds of an RFC 3339 time; without an offset it is refused."""
    moment = None
    if _RFC_3339.fullmatch(text):
        with suppress(ValueError):
            moment = dt.datetime.fromisoformat(text.upper())
    if moment is None:
        raise ValueError(f"takes a time like 2025-12-28T09:30:00Z, not {text!r}")
    delta = moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return delta // dt.timedelta(microseconds=1)


def _time(column: str, absent: int | None = None) -> FieldRule:
    def rule(key: str, comparator: str, value: str) -> Condition:
        condition = _compare(column, comparator, _ORDERED, _micros(value))
        if absent is None:
            return condition
        return Condition(f"{column} != {absent} and {condition.sql}", condition.parameters)

    return rule


def _text(column: str) -> FieldRule:
    def rule(key: str, comparator: str, value: str) -> Condition:
        if comparator == ":" and value == "*":
            return Condition(f"{column} != ''")
        return _compare(column, comparator, _EQUAL, value)

    return rule


def _number(column: str, absent: int | None = None) -> FieldRule:
    def rule(key: str, comparator: str, value: str) -> Condition:
        if not _NUMBER.fullmatch(value):
            raise ValueError(f"takes a number, not {value!r}")
        condition = _compare(column, comparator, _ORDERED, float(value))
        if absent is None:
            return condition
        return Condition(f"{column} != {absent} and {condition.sql}", condition.parameters)

    return rule


def _duration(key: str, comparator: str, value: str) -> Condition:
    found = _DURATION.fullmatch(value)
    if not found:
        raise ValueError(f'takes a duration like "20s", not {value!r}')
    return _compare("c.duration_us", comparator, _ORDERED, round(float(found[1]) * 1_000_000))


def _medium(key: str, comparator: str, value: str) -> Condition:
    if value not in protos.Medium.__members__:
        raise ValueError(f"takes PHONE_CALL or CHAT, not {value!r}")
    return _compare("c.medium", comparator, _EQUAL, int(protos.Medium[value]))


def _analysed(key: str, comparator: str, value: str) -> Condition:
    if (comparator, value) != (":", "*"):
        raise ValueError('takes only :"*", which means that there is one')
    return Condition("c.latest_us > 0")


def _has_label(key: str, comparator: str, value: str) -> Condition:
    if comparator != ":":
        raise ValueError('takes :"key"; write labels.key="value" for a value')
    if value == "*":
        return Condition("exists (select 1 from labels l where l.seq = c.seq)")
    return Condition("c.seq in (select l.seq from labels l where l.key = ?)", (value,))


def _label(key: str, comparator: str, value: str) -> Condition:
    if comparator not in _EQUAL:
        raise ValueError(f"takes {' '.join(_EQUAL)}, not {comparator}")
    if comparator == ":" and value == "*":
        return _has_label("", ":", key)
    found = "c.seq in (select l.seq from labels l where l.key = ? and l.value = ?)"
    return Condition(f"not {found}" if comparator == "!=" else found, (key, value))


def _agent(path: str) -> FieldRule:
    def rule(key: str, comparator: str, value: str) -> Condition:
        if comparator not in _EQUAL:
            raise ValueError(f"takes {' '.join(_EQUAL)}, not {comparator}")
        source = f"json_each(c.agents) a, json_each(a.value, '$.{path}') v"
        if path != "teams":
            source = f"json_each(c.agents) a, json_each(json_array(a.value ->> '$.{path}')) v"
        if comparator == ":" and value == "*":
            return Condition(f"exists (select 1 from {source} where v.value not in ('', 0))")
        if path == "agent_type":
            found = f"exists (select 1 from {source} where v.value = ?)"
            parameters: tuple[object, ...] = (_agent_type(value),)
        else:
            found = f"({_MENTIONED} and exists (select 1 from {source} where v.value = ?))"
            parameters = (orjson.dumps(value).decode(), value)
        return Condition(f"not {found}" if comparator == "!=" else found, parameters)

    return rule


def _agent_type(value: str) -> int:
    info = protos.Conversation.DESCRIPTOR.fields_by_name["quality_metadata"].message_type
    agent = info.fields_by_name["agent_info"].message_type
    types = agent.fields_by_name["agent_type"].enum_type.values_by_name
    if value not in types:
        raise ValueError(f"takes one of {', '.join(types)}, not {value!r}")
    return int(types[value].number)


def _matcher(key: str, comparator: str, value: str) -> Condition:
    if comparator not in _EQUAL:
        raise ValueError(f"takes {' '.join(_EQUAL)}, not {comparator}")
    matched = "exists (select 1 from json_each(c.phrase_matchers) m where m.key = ?)"
    found = f"(instr(c.phrase_matchers, ?) > 0 and {matched})"
    matcher_id = value.rpartition("/")[2].partition("@")[0]
    parameters = (orjson.dumps(matcher_id).decode(), matcher_id)
    return Condition(f"not {found}" if comparator == "!=" else found, parameters)


def _name(key: str, comparator: str, value: str) -> Condition:
    """The project isn't compared: a name may have its id or its number."""
    found = _CONVERSATION_NAME.fullmatch(value)
    if not found:
        raise ValueError(f"takes projects/…/locations/…/conversations/…, not {value!r}")
    if comparator not in _EQUAL:
        raise ValueError(f"takes {' '.join(_EQUAL)}, not {comparator}")
    place = "exists (select 1 from parents p where p.parent_id = c.parent_id and p.parent like ?)"
    sql = f"(c.conversation_id = ? and {place})"
    condition = (found[2], f"projects/%/locations/{found[1]}")
    return Condition(f"not {sql}" if comparator == "!=" else sql, condition)


def _nothing(key: str, comparator: str, value: str) -> Condition:
    """No conversation here comes from Dialogflow."""
    return Condition("1" if comparator == "!=" else "0")


def _done(key: str, comparator: str, value: str) -> Condition:
    if value not in ("true", "false"):
        raise ValueError(f'takes "true" or "false", not {value!r}')
    return _compare("is_done", comparator, _EQUAL, int(value == "true"))


def _status(key: str, comparator: str, value: str) -> Condition:
    if value not in _STATUS_NUMBERS:
        raise ValueError(f"takes a status code by name or number, not {value!r}")
    condition = _compare("status_code", comparator, _EQUAL, _STATUS_NUMBERS[value])
    return Condition(f"is_done and {condition.sql}", condition.parameters)


_STATUS_NUMBERS = {
    name: int(code.value[0]) for code in grpc.StatusCode for name in (code.name, str(code.value[0]))
}
_AGENT_INFO = "quality_metadata.agent_info"

CONVERSATION_FIELDS = Vocabulary(
    {
        "name": _name,
        "agent_id": _text("c.agent_id"),
        "agent_team": _agent("teams"),
        f"{_AGENT_INFO}.agent_id": _agent("agent_id"),
        f"{_AGENT_INFO}.agent_type": _agent("agent_type"),
        f"{_AGENT_INFO}.display_name": _agent("display_name"),
        f"{_AGENT_INFO}.teams": _agent("teams"),
        "latest_analysis": _analysed,
        "latest_analysis.create_time": _time("c.latest_us", absent=0),
        "latest_analysis.analysis_result.call_analysis_metadata.phrase_matchers.id": _matcher,
        "create_time": _time("c.create_us"),
        "start_time": _time("c.start_us", absent=0),
        "update_time": _time("c.update_us"),
        "medium": _medium,
        "language_code": _text("c.language_code"),
        "labels": _has_label,
        "quality_metadata.customer_satisfaction_rating": _number("c.csat", absent=0),
        "duration": _duration,
        "turn_count": _number("c.turn_count"),
        "data_source.dialogflow_source.dialogflow_conversation": _nothing,
        "dialogflow_conversation_profile_id": _nothing,
    },
    {"labels.": _label},
)


def _bound(column: str, operator: str) -> FieldRule:
    """A time that `min_…` or `max_…` names, both inclusive (assumed)."""

    def rule(key: str, comparator: str, value: str) -> Condition:
        if comparator not in ("=", ":"):
            raise ValueError(f"takes =, not {comparator}")
        return Condition(f"{column} {operator} ?", (_micros(value),))

    return rule


def _label_type(key: str, comparator: str, value: str) -> Condition:
    if value not in ("QUALITY_AI", "TOPIC_MODELING"):
        raise ValueError(f"takes QUALITY_AI or TOPIC_MODELING, not {value!r}")
    return _compare("f.type", comparator, _EQUAL, value)


LABEL_FIELDS = Vocabulary(
    {
        "issue_model_id": _text("f.model_id"),
        "qa_question_id": _text("f.question_id"),
        "qa_scorecard_id": _text("f.scorecard_id"),
        "min_create_time": _bound("f.create_us", ">="),
        "max_create_time": _bound("f.create_us", "<="),
        "min_update_time": _bound("f.update_us", ">="),
        "max_update_time": _bound("f.update_us", "<="),
        "feedback_label_type": _label_type,
    },
    {},
)

OPERATION_FIELDS = Vocabulary(
    {
        "metadata.create_time": _time("create_us"),
        "metadata.conversation_id": _text("conversation_id"),
        "metadata.operation_type": _text("kind"),
        "done": _done,
        "status_code": _status,
    },
    {},
)
