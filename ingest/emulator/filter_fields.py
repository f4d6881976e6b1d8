"""The fields that filters know, and their SQL.

Conversations: the rows of the filtering page that could be read, and `language_code` (assumed).
Operations: the rows of the same page. Anything else is refused.
"""

from __future__ import annotations

import datetime as dt
import re
from contextlib import suppress

import grpc
import orjson

from ingest.emulator import protos
from ingest.emulator.filters import Condition, FieldRule, Vocabulary

_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)s")
"""As many digits as the longest Duration has."""
_NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,6})?")
_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"
    r"(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
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
