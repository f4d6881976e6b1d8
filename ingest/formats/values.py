"""The verbs of a mapping, compiled into functions that are applied to each utterance."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ingest.domain.conversation import Speaker
from ingest.errors import InputError
from ingest.formats.mapping import Condition, Scalar, Value, ValueType
from ingest.formats.paths import MappingError, Path, compile_path
from ingest.formats.times import (
    TimeError,
    is_zone,
    moment,
    number,
    per_second,
    seconds_of,
    since_epoch,
    type_name,
)


@dataclass(slots=True)
class Scope:
    """What lies around a record: its file's name, its row of the context table, look-up tables."""

    file: Mapping[str, str]
    context: Mapping[str, Any]
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    first_turns: dict[Speaker, Any] = field(default_factory=dict)
    record: Any = None
    zone: str | None = None
    warnings: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """How often each (rule, place in the mapping, message) came; no message holds a value."""
    roles: Callable[[Any], Any] | None = None
    known_speakers: dict[Any, Speaker] = field(default_factory=dict)
    """By the value that says who speaks, as far as they were met."""
    has_row: bool = False
    """Whether the context table has a row for the record."""

    def warn(self, rule: str, place: str, message: str) -> None:
        """Count a warning."""
        self.warnings[rule, place, message] += 1


Getter = Callable[[Any, Scope], Any]
"""Gives the value from an utterance or record and what lies around it; None for none."""
Test = Callable[[Any], bool]
_RULES = {"pattern", "look_up", "map", "otherwise", "unit", "time", "epoch_above", "type"}


class Compiler:
    """Compiles the values of one mapping and remembers every path of it."""

    def __init__(self, tables: Sequence[str], groups: Sequence[str]) -> None:
        self._tables = frozenset(tables)
        self._groups = frozenset(groups)
        self.paths: list[Path] = []
        self.scope = "record"
        """What the next paths are applied to: a record, an utterance (`turn`), or the `first`.
        What is only tested for `presence` isn't read."""
        self.columns: set[str] = set()
        """Columns of the context table that are read."""
        self.optional: set[int] = set()
        """Ids of paths whose line says `required: false`."""

    def path(self, expression: str, place: str, *, is_optional: bool = False) -> Path:
        """Return the compiled expression."""
        path = compile_path(expression, place)
        path.scope = self.scope
        self.paths.append(path)
        if is_optional:
            self.optional.add(id(path))
        return path

    def value(
        self, value: Value, place: str, form: str = "", *, is_optional: bool = False
    ) -> Getter:
        """Return the value's function; `form` is what the field needs when no verb says it:
        `length` is seconds, `moment` a time, `offset` either, `zone` a zone, of which the bare
        name is the zone itself."""
        is_optional = is_optional or value.required is False
        scope = self.scope
        self.scope = "first" if value.of_first is not None else scope
        get = self._source(value, place, form, is_optional)
        self.scope = scope
        for step in self._steps(value, place, form):
            get = _then(get, step)
        if value.of_first is not None:
            get = _in_first_turn(get, value.of_first)
        return _required(get, place) if value.required else get

    def _source(self, value: Value, place: str, form: str, is_optional: bool) -> Getter:
        if value.path is not None and form == "zone" and is_zone(value.path):
            named = value.path
            return lambda item, scope: named
        if value.path is not None:
            return _from_path(self.path(value.path, place, is_optional=is_optional))
        if value.first is not None:
            inner = "" if _RULES & {name for name in _RULES if _is_set(value, name)} else form
            return _first(
                [
                    self.value(
                        each,
                        f"{place}.first.{index}",
                        inner,
                        # Where an earlier one always has a value, later ones aren't looked at.
                        is_optional=is_optional or index > 0,
                    )
                    for index, each in enumerate(value.first)
                ]
            )
        if value.const is not None:
            constant = value.const
            return lambda item, scope: constant
        if value.context is not None:
            column = value.context
            self.columns.add(column)
            return lambda item, scope: scope.context.get(column)
        group = value.file or ""
        self.check_group(group, place)
        return lambda item, scope: scope.file.get(group)

    def check_group(self, group: str, place: str) -> None:
        """Raise InputError when neither the file's name nor its pattern has the group."""
        if group not in self._groups:
            raise InputError(
                f"{place}: the `file` pattern has no group {group}",
                f"use one of {', '.join(sorted(self._groups))}",
            )

    def _steps(self, value: Value, place: str, form: str) -> Iterator[Callable[[Any, Scope], Any]]:
        if value.pattern is not None:
            yield _pattern(value.pattern, place)
        if value.look_up is not None:
            if value.look_up not in self._tables:
                raise InputError(
                    f"{place}: there's no table {value.look_up}", "declare it under tables"
                )
            yield _look_up(value.look_up)
        if value.map is not None:
            yield _map(value.map, value.otherwise, place)
        elif value.otherwise is not None:
            raise InputError(f"{place}: otherwise needs a map", "add `map: {their: our}`")
        if value.time is not None:
            yield _moment(value.time, self._zone(value, place), value.ambiguous, place)
        elif value.epoch_above is not None and value.unit in (None, "duration"):
            raise InputError(f"{place}: epoch_above needs a unit of numbers", "say unit: ms")
        elif value.unit is not None or (form in ("length", "offset") and value.first is None):
            yield _length(value.unit or "s", value.epoch_above, place)
        elif form == "moment" and value.first is None:
            yield _moment("iso", self._zone(value, place), value.ambiguous, place)
        if value.type is not None:
            yield _typed(value.type, place)

    def _zone(self, value: Value, place: str) -> Getter:
        if value.zone is None:
            return lambda item, scope: scope.zone
        # A zone is a fact of the record, whatever the moment is one of.
        scope, self.scope = self.scope, "record"
        get = self.value(value.zone, f"{place}.zone", "zone")
        self.scope = scope
        return lambda item, scope: get(scope.record, scope)

    def condition(self, condition: Condition, place: str) -> Test:
        """Return whether a record or utterance is as the condition says."""
        path = self.path(condition.path, place, is_optional=True)
        if {condition.any_of, condition.not_in, condition.pattern} == {None}:
            path.scope = "presence"
        find = path.find
        tests: list[Test] = []
        if condition.is_ == "absent":
            tests.append(lambda value: value in (None, "", [], {}))
        elif condition.is_ == "present" or condition.any_of is condition.not_in is None:
            tests.append(lambda value: value not in (None, "", [], {}))
        if condition.any_of is not None:
            wanted = frozenset(map(as_key, condition.any_of))
            tests.append(lambda value: as_key(value) in wanted)
        if condition.not_in is not None:
            unwanted = frozenset(map(as_key, condition.not_in))
            tests.append(lambda value: as_key(value) not in unwanted)
        if condition.pattern is not None:
            matches = regex(condition.pattern, place).fullmatch
            tests.append(lambda value: isinstance(value, str) and matches(value) is not None)
        if len(tests) == 1:
            (test,) = tests
            return lambda item: test(find(item))
        return lambda item: all(test(value) for value in (find(item),) for test in tests)


def _is_set(value: Value, name: str) -> bool:
    return getattr(value, name) is not None


def _then(get: Getter, step: Callable[[Any, Scope], Any]) -> Getter:
    def then(item: Any, scope: Scope) -> Any:
        value = get(item, scope)
        return None if value is None else step(value, scope)

    return then


def _from_path(path: Path) -> Getter:
    find = path.find

    def get(item: Any, scope: Scope) -> Any:
        value = find(item)
        if value is None or value == "":
            return None
        if not path.is_matched:
            path.is_matched = True
        return value

    return get


def _first(getters: Sequence[Getter]) -> Getter:
    def first(item: Any, scope: Scope) -> Any:
        for get in getters:
            value = get(item, scope)
            if value is not None:
                return value
        return None

    return first


def _in_first_turn(get: Getter, speaker: Speaker) -> Getter:
    def of_first(item: Any, scope: Scope) -> Any:
        found = scope.first_turns.get(speaker)
        return None if found is None else get(found, scope)

    return of_first


def _required(get: Getter, place: str) -> Getter:
    def required(item: Any, scope: Scope) -> Any:
        value = get(item, scope)
        if value is None:
            raise MappingError(
                place,
                "a required value is missing",
                f"see {place} in the mapping: is its path right?",
            )
        return value

    return required


def regex(pattern: str, place: str) -> re.Pattern[str]:
    """Return the compiled pattern, or raise InputError."""
    try:
        return re.compile(pattern)
    except re.error as error:
        raise InputError(f"{place}: no regular expression: {error}", "see Python's re") from error


def _pattern(pattern: str, place: str) -> Callable[[Any, Scope], Any]:
    search = regex(pattern, place).search

    def find(value: Any, scope: Scope) -> Any:
        found = search(value if isinstance(value, str) else as_key(value))
        if found is None:
            return None
        return found[1] if found.re.groups else found[0]

    return find


def as_key(value: Any) -> str:
    """Return a value as text, for a comparison: 1.0 is 1, and true is `true`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def as_text(value: Any, place: str) -> str:
    """Return the value as text; raise MappingError for an object or a list."""
    if isinstance(value, (dict, list)):
        raise MappingError(
            place,
            f"an {type_name(value)} stands where a text belongs",
            f"let {place} name what is below it; parts are joined by join(' ', parts)",
        )
    return as_key(value)


def _look_up(table: str) -> Callable[[Any, Scope], Any]:
    return lambda value, scope: scope.tables[table].get(
        value if type(value) is str else as_key(value)
    )


def mapped(entries: Mapping[Any, Any]) -> Callable[[Any], Any]:
    """Return what looks a value up: as it is written, then without regard to upper case."""
    exact = {as_key(key): value for key, value in entries.items()}
    folded = {key.casefold(): value for key, value in exact.items()}

    def find(value: Any) -> Any:
        if type(value) is str and value in exact:
            return exact[value]
        key = as_key(value)
        return exact[key] if key in exact else folded.get(key.casefold())

    return find


def _map(
    entries: Mapping[Scalar, Any], otherwise: Scalar | None, place: str
) -> Callable[[Any, Scope], Any]:
    find = mapped(entries)

    def get(value: Any, scope: Scope) -> Any:
        found = find(value)
        if found is None and otherwise is not None:
            scope.warn("unmapped_value", place, f"the map lacks a value; taken as {otherwise}")
            return otherwise
        if found is None and not isinstance(value, (dict, list)):
            scope.warn("unmapped_value", place, "the map lacks a value; it stays as it is")
            return value
        return found

    return get


def _moment(
    form: str, zone: Getter, ambiguous: str | None, place: str
) -> Callable[[Any, Scope], dt.datetime]:
    def get(value: Any, scope: Scope) -> dt.datetime:
        try:
            return moment(value, form, zone(None, scope), ambiguous)
        except TimeError as error:
            raise MappingError(place, error.reason, error.hint) from None

    return get


def _length(
    unit: str, epoch_above: float | None, place: str
) -> Callable[[Any, Scope], float | dt.datetime]:
    seconds = seconds_of(unit)
    divisor = per_second(unit) if epoch_above is not None else 1

    def get(value: Any, scope: Scope) -> float | dt.datetime:
        try:
            if epoch_above is not None and (count := number(value)) > epoch_above:
                return since_epoch(count, divisor)
            return seconds(value)
        except TimeError as error:
            raise MappingError(place, error.reason, error.hint) from None

    return get


def _typed(type_: ValueType, place: str) -> Callable[[Any, Scope], Any]:
    read = _READ[type_]

    def get(value: Any, scope: Scope) -> Any:
        try:
            return read(value)
        except (TypeError, ValueError, OverflowError, TimeError):
            message = f"a {type_name(value)} is no {type_.value}; it stays as it is"
            scope.warn("wrong_custom_type", place, message)
            return value

    return get


def _integer(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d{1,18}", value.strip()):
        return int(value)
    found = number(value)
    if not found.is_integer() or abs(found) >= 2**53:
        raise ValueError
    return int(found)


def _boolean(value: Any) -> bool:
    found = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(
        as_key(value).strip().casefold()
    )
    if found is None:
        raise ValueError
    return found


def _string(value: Any) -> str:
    if isinstance(value, (dict, list)):
        raise TypeError
    return as_key(value)


_READ: Mapping[ValueType, Callable[[Any], Any]] = {
    ValueType.STRING: _string,
    ValueType.INTEGER: _integer,
    ValueType.NUMBER: number,
    ValueType.BOOLEAN: _boolean,
    ValueType.TIMESTAMP: lambda value: moment(value, "iso", None, None).isoformat(),
    ValueType.DATE: lambda value: dt.date.fromisoformat(value).isoformat(),
}
