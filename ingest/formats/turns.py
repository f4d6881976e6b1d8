"""The utterances of a record, as a mapping's `turns` says them."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import orjson

from ingest.domain.conversation import Speaker
from ingest.formats.mapping import SKIP, SpeakerValue, Turns, Value
from ingest.formats.paths import EACH, SOME, Keys, MappingError, Path, Tree, unfiltered
from ingest.formats.times import TimeError, number
from ingest.formats.values import Compiler, Getter, Scope, as_key, as_text, mapped, regex

_ROLES = {role.value: role for role in Speaker}
_OTHER = {Speaker.AGENT: Speaker.CUSTOMER, Speaker.CUSTOMER: Speaker.AGENT}
_PAIR = re.compile(r"([^\s,;=:]+)\s*[=:]\s*([A-Za-z_]+)")
_SPLIT_KEYS = ("first", "last", "items")


@dataclass(slots=True)
class Utterance:
    """One utterance; times are seconds after the start, or moments."""

    item: Any
    speaker: Speaker
    start: float | dt.datetime | None
    end: float | dt.datetime | None
    length: float | None
    fields: dict[str, Any]
    """Fields of the turn besides speaker and times."""
    source: Any
    """What of it the mapping doesn't read."""


@dataclass(slots=True)
class Said:
    """All utterances of a record in its own order, and its elements that are none."""

    utterances: list[Utterance] = field(default_factory=list)
    others: list[Any] = field(default_factory=list)


class TurnReader:
    """One alternative of `turns`, compiled."""

    def __init__(self, turns: Turns, compiler: Compiler, place: str) -> None:
        self.place = place
        self._turns = turns
        compiler.scope = "from"
        self._steps = _compiled_steps(turns, compiler, place)
        compiler.scope, first = "turn", len(compiler.paths)
        self._keep = [compiler.condition(each, f"{place}.keep") for each in turns.keep]
        self._key = self._optional(compiler, turns.group_runs_by, "group_runs_by")
        self._text = compiler.value(turns.text, f"{place}.text")
        self._speaker = _Speakers(turns.speaker, compiler, f"{place}.speaker")
        self._start = self._optional(compiler, turns.start, "start", "offset")
        self._end = self._optional(compiler, turns.end, "end", "offset")
        self._length = self._optional(compiler, turns.length, "length", "length")
        self._confidence = self._optional(compiler, turns.confidence, "confidence")
        self._others = [
            (name, get)
            for name in ("participant_id", "language_code")
            if (get := self._optional(compiler, getattr(turns, name), name)) is not None
        ]
        for each in turns.ignore:
            compiler.path(each, f"{place}.ignore", is_optional=True)
        self.reads = [
            keys for path in compiler.paths[first:] if path.scope == "turn" for keys in path.reads
        ]
        """Paths that are read of an utterance."""
        compiler.scope = "record"
        self._split = None if turns.split is None else regex(turns.split, f"{place}.split")
        self._unfiltered = [unfiltered(path.expression) for path, _ in self._steps]
        self._tree = Tree()

    def _optional(
        self, compiler: Compiler, value: Value | None, name: str, form: str = ""
    ) -> Getter | None:
        return None if value is None else compiler.value(value, f"{self.place}.{name}", form)

    def finish(self, of_record: Sequence[Keys], of_first: Sequence[Keys]) -> Tree:
        """Return what is read of a record, given what the rest of the mapping reads of it and of
        the first utterances; and take what it reads of utterances."""
        ways = [_joined(way) for way in _ways(self._steps)]
        if self._split is not None or self._turns.parse is not None:
            self._tree = Tree.of(self.reads)
            return Tree.of(
                [*of_record, *(keys for path, _ in self._steps for keys in path.origins)]
            )
        outer: list[Keys] = [*of_record, *ways]
        inner = [keys[len(way) :] for way in ways for keys in of_record if keys[: len(way)] == way]
        for keys in (*self.reads, *of_first):
            step = self._step_of(keys)
            if step is not None and step < len(self._steps) - 1:
                outer.extend((*_joined(way), *keys[1:]) for way in _ways(self._steps[: step + 1]))
            else:
                inner.append(self._within(keys if step is None else keys[1:]))
        self._tree = Tree.of(inner)
        return Tree.of(outer, [way[:-1] for way in ways])

    def _step_of(self, keys: Keys) -> int | None:
        """Return which step a path begins at; None without steps."""
        for index, (_, name) in enumerate(self._steps):
            if name and keys[:1] == (name,):
                return index
        return None

    def _within(self, keys: Keys) -> Keys:
        """Return the path within an element: utterances of runs say `first`, `last` or `items`."""
        if self._key is None or keys[:1] not in [(key,) for key in _SPLIT_KEYS]:
            return keys
        return keys[2:] if keys[:2] == ("items", EACH) else keys[1:]

    def items(self, record: Any) -> list[tuple[Any, tuple[str | int, ...]]] | None:
        """Return each element with its place in the record; None when there's no such list."""
        (path, name), *deeper = self._steps
        found = path.find(record)
        if isinstance(found, str) and (self._turns.parse or self._split):
            found = self._parsed(found)
        if not isinstance(found, list):
            return None
        path.is_matched = True
        place: tuple[str | int, ...] = path.keys or (self.place,)
        if not name:
            listed = [(item, (*place, index)) for index, item in enumerate(found)]
        else:
            listed = list(_nested(found, name, deeper, {}, place))
        return listed if self._key is None else self._runs(listed)

    def skipped(self, record: Any) -> list[Any]:
        """Return the elements that filters of `from` skip."""
        if not any(self._unfiltered):
            return []
        finds = [path.find for path, _ in self._steps]
        everything = [whole or find for whole, find in zip(self._unfiltered, finds, strict=True)]
        taken = set(map(id, _elements(record, finds)))
        return [each for each in _elements(record, everything) if id(each) not in taken]

    def _parsed(self, text: str) -> Any:
        if self._split is None:
            try:
                return orjson.loads(text)
            except orjson.JSONDecodeError as error:
                raise MappingError(
                    f"{self.place}.from",
                    "the text holds no JSON",
                    "leave `parse` out, or `split` it",
                ) from error.with_traceback(None)
        items: list[dict[str, Any]] = []
        for line in text.splitlines():
            if found := self._split.fullmatch(line.strip()):
                items.append(found.groupdict())
            elif items and line.strip() and items[-1].get("text") is not None:
                items[-1]["text"] += f"\n{line.strip()}"
            elif line.strip():
                items.append({"text": line.strip()})
        return items

    def _runs(
        self, listed: list[tuple[Any, tuple[str | int, ...]]]
    ) -> list[tuple[Any, tuple[str | int, ...]]]:
        name, key = self._steps[-1][1], self._key
        around = Scope({}, {})
        runs = []
        for _, run in groupby(listed, lambda pair: key(pair[0], around) if key else None):
            elements = list(run)
            inner = [item[name] if name else item for item, _ in elements]
            made = {"first": inner[0], "last": inner[-1], "items": inner}
            runs.append(({**elements[0][0], **made} if name else made, elements[0][1]))
        return runs

    def read(self, items: Sequence[tuple[Any, tuple[str | int, ...]]], scope: Scope) -> Said:
        """Return the utterances; raises MappingError with the place of an element that can't be."""
        said = Said()
        for item, keys in items:
            if self._keep and not all(test(item) for test in self._keep):
                said.others.append(self._element(item))
                continue
            try:
                utterance = self._utterance(item, scope)
            except MappingError as fault:
                fault.keys = fault.keys or keys
                if fault.place == self._speaker.place:
                    fault.hint = self._speaker.cure((each for each, _ in items), scope)
                raise
            if utterance is None:
                said.others.append(self._element(item))
            else:
                said.utterances.append(utterance)
        if said.utterances and not scope.known_speakers:
            raise MappingError(
                self._speaker.place,
                "no utterance says who speaks in words that the mapping knows",
                self._speaker.cure((each for each, _ in items), scope),
            )
        return said

    def _utterance(self, item: Any, scope: Scope) -> Utterance | None:
        text = self._text(item, scope)
        text = "" if text is None else as_text(text, f"{self.place}.text").strip()
        if not text:
            scope.warn("no_text", f"{self.place}.text", "an utterance has no text; left out")
            return None
        speaker = self._speaker(item, scope)
        if speaker is None:
            return None
        fields: dict[str, Any] = {"text": text}
        for name, get in self._others:
            value = get(item, scope)
            if value is not None:
                fields[name] = as_text(value, f"{self.place}.{name}")
        source = self._rest(item)
        if self._confidence is not None:
            source = self._add_confidence(self._confidence(item, scope), fields, source, scope)
        return Utterance(
            item,
            speaker,
            None if self._start is None else self._start(item, scope),
            None if self._end is None else self._end(item, scope),
            None if self._length is None else self._length(item, scope),
            fields,
            source,
        )

    def _add_confidence(self, value: Any, fields: dict[str, Any], source: Any, scope: Scope) -> Any:
        """Add a confidence of 0 to 1 to the fields; return the source, with any other in it."""
        if value is None:
            return source
        try:
            share = number(value)
        except TimeError:
            share = -1.0
        if 0 <= share <= 1:
            fields["confidence"] = share
            return source
        message = "a confidence isn't between 0 and 1; kept under source"
        scope.warn("odd_confidence", f"{self.place}.confidence", message)
        return (source if isinstance(source, dict) else {}) | {"confidence": value}

    def _rest(self, item: Any) -> Any:
        if self._key is not None:
            left = [self._tree.rest(each) for each in item["items"]]
            return {"items": left} if any(part is not None for part in left) else None
        return self._tree.rest(self._element(item))

    def _element(self, item: Any) -> Any:
        """Return the element itself, without the outer ones that its paths may name."""
        if self._key is not None:
            return item["items"]
        name = self._steps[-1][1]
        return item[name] if name else item


def _compiled_steps(turns: Turns, compiler: Compiler, place: str) -> list[tuple[Path, str]]:
    if isinstance(turns.from_, str):
        return [(compiler.path(turns.from_, f"{place}.from"), "")]
    return [
        (compiler.path(step.each, f"{place}.from.{index}"), step.as_)
        for index, step in enumerate(turns.from_)
    ]


def _ways(steps: Sequence[tuple[Path, str]]) -> list[list[Keys]]:
    """Return every way through the steps, each a list of paths."""
    ways: list[list[Keys]] = [[]]
    for path, _ in steps:
        origins = [tuple(EACH if k == SOME else k for k in keys) for keys in path.origins]
        ways = [[*way, keys] for way in ways for keys in origins]
    return ways


def _elements(record: Any, finds: Iterable[Callable[[Any], Any]]) -> list[Any]:
    found = [record]
    for find in finds:
        lists = [below for each in found if isinstance(below := find(each), list)]
        found = [each for below in lists for each in below]
    return found


def _joined(way: Sequence[Keys]) -> Keys:
    return tuple(key for keys in way for key in (*keys, *([EACH] if keys[-1:] != (EACH,) else [])))


def _nested(
    found: Sequence[Any],
    name: str,
    deeper: Sequence[tuple[Path, str]],
    around: Mapping[str, Any],
    place: tuple[str | int, ...],
) -> Iterator[tuple[Any, tuple[str | int, ...]]]:
    for index, element in enumerate(found):
        item = {**around, name: element, f"{name}_index": index}
        at = (*place, index)
        if not deeper:
            yield item, at
            continue
        (path, inner), *rest = deeper
        below = path.find(element)
        if isinstance(below, list):
            path.is_matched = True
            yield from _nested(below, inner, rest, item, (*at, *(path.keys or ())))


class _Speakers:
    """Who speaks: the value, the roles of the context, the map, and what is left for the rest."""

    def __init__(self, value: SpeakerValue, compiler: Compiler, place: str) -> None:
        self.place = place
        bare = value.model_copy(update={"map": None, "otherwise": None})
        self._get = compiler.value(bare, place)
        self._find = mapped(dict(_ROLES) if value.map is None else value.map)
        self._otherwise = value.otherwise
        self._roles = None if value.roles is None else compiler.value(value.roles, f"{place}.roles")
        self._swap = None if value.swap is None else compiler.value(value.swap, f"{place}.swap")

    def __call__(self, item: Any, scope: Scope) -> Speaker | None:
        """Return the speaker, None to leave the utterance out; raise MappingError."""
        value = self._get(item, scope)
        role = scope.known_speakers.get(value) if type(value) is str else None
        if role is None:
            role = self._role(item, value, scope)
            if role is None:
                return self._unknown(value, scope)
            scope.known_speakers[as_key(value)] = role
        if self._swap is None or role is Speaker.AUTOMATED_AGENT:
            return role
        is_swapped = as_key(self._swap(item, scope)).casefold() in ("true", "1", "yes")
        return _OTHER[role] if is_swapped else role

    def _role(self, item: Any, value: Any, scope: Scope) -> Speaker | None:
        if value is None:
            return None
        if self._roles is not None and scope.roles is None:
            scope.roles = roles_of(self._roles(item, scope))
        found = scope.roles(value) if scope.roles is not None else None
        found = found or self._find(value)
        return _ROLES.get(found) if isinstance(found, str) else None

    def _unknown(self, value: Any, scope: Scope) -> Speaker | None:
        if self._otherwise == SKIP:
            scope.warn(
                "unknown_speaker", self.place, "an utterance of an unknown speaker is left out"
            )
            return None
        role = _ROLES.get(str(self._otherwise))
        if role is None and value is None:
            role = Speaker.AUTOMATED_AGENT
        if role is None:
            raise MappingError(
                self.place, "an utterance is of a speaker that the mapping doesn't know", ""
            )
        scope.warn(
            "unknown_speaker",
            self.place,
            f"an utterance of an unknown speaker counts as {role.value}",
        )
        return role

    def cure(self, items: Iterable[Any], scope: Scope) -> str:
        """Return what would say who speaks; only values that are no names are shown."""
        values = (self._get(item, scope) for item in items)
        seen = dict.fromkeys(as_key(value) for value in values if value is not None)
        shown = [value for value in seen if _PLAIN_SPEAKER.fullmatch(value)] or ["THEIRS", "OTHER"]
        pairs = list(zip(shown, ("AGENT", *["CUSTOMER"] * len(shown)), strict=False))
        return (
            f"say `--speakers '{' '.join(map('='.join, pairs))}'`, the right way round, a column "
            f"`speakers` of --context, or {self.place}.map: "
            f"{{{', '.join(map(': '.join, pairs))}}} in a mapping"
        )


_PLAIN_SPEAKER = re.compile(
    r"[A-Za-z]|\d{1,2}|(speaker|spk|channel|ch)[ _-]?[A-Za-z0-9]{1,2}", re.I
)


def roles_of(given: Any) -> Callable[[Any], Any] | None:
    """Return the map of speakers that an object, or text such as A=AGENT B=CUSTOMER, gives."""
    if isinstance(given, str):
        given = dict(_PAIR.findall(given))
    if not isinstance(given, Mapping) or not given:
        return None
    return mapped({key: str(role).upper() for key, role in given.items()})
