"""The shape of a mapping file: which fields of a foreign transcript become which of ours.

Where to look is said in JMESPath, the rest by a closed set of verbs: a mapping is data, never a
program. The published JSON Schema (`ingest/schemas/mapping.schema.json`) is made from these models.
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic_core import CoreSchema

from ingest.domain.conversation import LabelKey, Metadata, Speaker

JmesPath = Annotated[str, Field(min_length=1)]
Scalar = str | int | float | bool
Unit = Literal["s", "ms", "us", "ns", "ticks", "duration"]
EPOCHS = {"epoch_s": 1, "epoch_ms": 1_000, "epoch_us": 1_000_000}
SKIP = "skip"


def _or_one(schema: dict[str, Any]) -> None:
    """Let the JSON Schema of a list take one of its items, too."""
    listed = dict(schema)
    schema.clear()
    schema["anyOf"] = [listed["items"], listed]


def _turns_or_extends(schema: dict[str, Any]) -> None:
    schema["required"] = ["mapping"]
    schema["anyOf"] = [{"required": ["turns"]}, {"required": ["extends"]}]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _OrPath(_Strict):
    """A text alone stands for its `path`."""

    @model_validator(mode="before")
    @classmethod
    def _text_is_a_path(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        described = "A JMESPath expression, short for {path: …}."
        return {"anyOf": [{"type": "string", "description": described}, handler(core_schema)]}


class ValueType(StrEnum):
    """What a custom field holds; times are RFC 3339 with an offset."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    DATE = "date"


class Value(_OrPath):
    """Where a value comes from (one of the first five), and what is done to it, in this order."""

    path: JmesPath | None = Field(default=None, description="JMESPath expression.")
    first: tuple[Value, ...] | None = Field(
        default=None, min_length=1, description="The first of these that gives a value."
    )
    const: Scalar | None = Field(default=None, description="This value.")
    file: str | None = Field(
        default=None,
        description="Group of the `file` pattern; or name, stem, path or folder of the file.",
    )
    context: str | None = Field(default=None, description="Column of the context table.")
    of_first: Speaker | None = Field(
        default=None, description="Look in the first turn of this speaker, not in the whole record."
    )
    pattern: str | None = Field(
        default=None, description="Regular expression; its first group, or all of it, is the value."
    )
    look_up: str | None = Field(default=None, description="Table of `tables` to look up in.")
    map: dict[Scalar, Any] | None = Field(
        default=None, description="Their values and ours; upper and lower case count as equal."
    )
    otherwise: Scalar | None = Field(
        default=None, description="What a value outside `map` becomes, with a warning."
    )
    unit: Unit | None = Field(
        default=None,
        description="Unit of a length of time; ticks are 100 ns, duration is 1.2s, PT1.2S or "
        "00:00:01.2.",
    )
    time: str | None = Field(
        default=None,
        description="The value is a moment: iso, epoch_s, epoch_ms, epoch_us, or a format such as "
        "%d/%m/%Y %H:%M.",
    )
    zone: Value | None = Field(
        default=None,
        description="IANA zone of a moment without one: Australia/Sydney, or where it stands.",
    )
    ambiguous: Literal["first", "second"] | None = Field(
        default=None,
        description="Which of two equal wall times is meant when clocks go back; else refused.",
    )
    epoch_above: float | None = Field(
        default=None, description="Numbers above this are moments since 1970, counted in `unit`."
    )
    type: ValueType | None = Field(default=None, description="What a custom field must hold.")
    required: bool | None = Field(
        default=None,
        description="true: refuse a call without it; false: no warning if no file has it.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        named = [
            name
            for name in ("path", "first", "const", "file", "context")
            if getattr(self, name) is not None
        ]
        if len(named) != 1:
            raise ValueError(
                f"one of path, first, const, file, context is needed, not {len(named)}"
            )
        return self


class Condition(_OrPath):
    """Holds when the value of `path` is as all the other verbs say; a path alone: it is present."""

    path: JmesPath
    is_: Literal["present", "absent"] | None = Field(default=None, alias="is")
    any_of: tuple[Scalar, ...] | None = None
    not_in: tuple[Scalar, ...] | None = None
    pattern: str | None = Field(default=None, description="Regular expression for the whole text.")


class File(_Strict):
    """A condition on the file's name: the group of the `file` pattern has matched."""

    file: str


class Step(_Strict):
    """One level of nested lists; deeper levels see its element as `as`, its place as `as`_index."""

    each: JmesPath
    as_: str = Field(alias="as", pattern=r"^[a-z][a-z0-9_]*$")


class SpeakerValue(Value):
    """Who speaks a turn. `otherwise: skip` leaves the turn out, with a warning."""

    roles: Value | None = Field(
        default=None, description="Wins over `map`: an object, or text such as A=AGENT B=CUSTOMER."
    )
    swap: Value | None = Field(
        default=None, description="True for calls whose channels are exchanged."
    )


class Turns(_Strict):
    """The utterances; paths are relative to one of them."""

    from_: JmesPath | tuple[Step, ...] = Field(alias="from", description="The list of utterances.")
    parse: Literal["json"] | None = Field(
        default=None, description="`from` gives a text that holds JSON."
    )
    split: str | None = Field(
        default=None,
        description="`from` gives a text; each line that fits this regular expression is an "
        "utterance of its named groups, other lines go on with the one before.",
    )
    group_runs_by: Value | None = Field(
        default=None,
        description="Elements (words) in a row with the same value become one utterance: "
        "{first, last, items}.",
    )
    keep: tuple[Condition, ...] = Field(
        default=(), description="Which elements are utterances.", json_schema_extra=_or_one
    )
    speaker: SpeakerValue
    participant_id: Value | None = None
    start: Value | None = Field(default=None, description="Length since the start, or a moment.")
    end: Value | None = None
    length: Value | None = Field(default=None, description="Instead of `end`.")
    text: Value
    confidence: Value | None = None
    language_code: Value | None = None
    ignore: tuple[JmesPath, ...] = Field(default=(), description="Never kept or listed.")

    @model_validator(mode="before")
    @classmethod
    def _one_condition(cls, value: Any) -> Any:
        return _as_list(value, "keep")


class Table(_Strict):
    """Key and value of each element of a list, for `look_up`."""

    from_: JmesPath = Field(alias="from")
    key: JmesPath
    value: JmesPath


class Context(_Strict):
    """A table of call facts, one row a conversation (CSV, JSON or JSON Lines)."""

    file: str | None = Field(
        default=None, description="Relative to the mapping; --context wins over it."
    )
    key: Value
    column: str = Field(description="The column that holds the key.")


class Legs(StrEnum):
    """What becomes of several records that are one conversation."""

    REFUSE = "refuse"
    APPEND = "append"
    """By the clock; each needs the moment of its start."""
    OVERLAY = "overlay"
    """All count from the same moment, for example one file a channel."""


FIELDS = tuple(
    name
    for name in Metadata.model_fields
    if name not in ("schema_version", "conversation_id", "labels", "source", "custom")
)
"""Fields of metadata.json that a mapping may fill."""
OWN_FIELDS = ("source_id", "time_zone")


class MappingFile(_Strict):
    """One format, or one owner's data."""

    model_config = ConfigDict(json_schema_extra=_turns_or_extends)

    mapping: Literal[1] = Field(description="Version of this shape.")
    name: str = Field(default="mapping", pattern=r"^[a-z0-9][a-z0-9-]*$")
    extends: str | None = Field(
        default=None,
        description="Bundled format that this one changes: keys replace its keys, sections of "
        "names and `turns` are merged.",
    )
    about: str = Field(default="", description="What it reads, and where the format is described.")
    reads: Literal["json", "jsonl", "csv", "vtt", "srt", "folder"] = Field(
        default="json", description="folder: a folder's JSON files are one record, by their stems."
    )
    encoding: str = Field(default="utf-8", description="Of csv, vtt and srt.")
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    file: str | None = Field(
        default=None, description="Regular expression for the file's name; its groups are values."
    )
    when: tuple[Condition, ...] = Field(
        default=(),
        description="Records for which these don't hold are left out, and named.",
        json_schema_extra=_or_one,
    )
    each: JmesPath | None = Field(
        default=None, description="Several conversations in one file: where they are."
    )
    group: str | None = Field(
        default=None,
        description="Rows (csv, jsonl) with the same value here are one record {call, rows}: "
        "`call` has the columns that are the same on all.",
    )
    context: Context | None = None
    tables: dict[str, Table] = Field(default_factory=dict)
    redacted: Condition | File | None = Field(
        default=None, description="Whether the record is redacted; a redacted one always wins."
    )
    conversation: dict[str, Value] = Field(
        default_factory=dict, description="source_id, time_zone, and fields of metadata.json."
    )
    labels: dict[LabelKey, Value] = Field(default_factory=dict)
    labels_from: JmesPath | None = Field(
        default=None, description="An object whose texts and numbers become labels."
    )
    custom: dict[str, Value] = Field(
        default_factory=dict, description="Own fields of the calls, with their `type`."
    )
    expected: dict[Literal["scenario", "flags", "next_actions"], Value] = Field(
        default_factory=dict, description="What test data says is true of it, for expected.json."
    )
    turns: tuple[Turns, ...] = Field(
        min_length=1,
        description="One, or several of which the first that finds a list counts.",
        json_schema_extra=_or_one,
    )
    legs: Legs = Legs.REFUSE
    leftovers: Literal["keep", "drop"] = Field(
        default="keep", description="Whether what the mapping doesn't read goes to `source`."
    )
    ignore: tuple[JmesPath, ...] = Field(default=(), description="Never kept or listed.")
    defaults: dict[str, Any] = Field(
        default_factory=dict, description="Fields of metadata.json for calls that lack them."
    )
    max_hours: float = Field(default=24, gt=0, description="A longer call is refused.")

    @model_validator(mode="before")
    @classmethod
    def _lists(cls, value: Any) -> Any:
        return _as_list(_as_list(value, "when"), "turns")

    @model_validator(mode="after")
    def _known_fields(self) -> Self:
        for name in self.conversation:
            _known(name, (*OWN_FIELDS, *FIELDS), "conversation")
        check_fields(self.defaults, "defaults")
        try:
            csv.reader((), delimiter=self.delimiter)
        except (TypeError, ValueError):
            raise ValueError("delimiter: no character that parts cells") from None
        if self.group and self.reads not in ("csv", "jsonl"):
            raise ValueError("group is for csv and jsonl")
        return self


def check_fields(defaults: Mapping[str, Any], place: str) -> None:
    """Raise ValueError for a key that is no field of metadata.json, or what JSON can't hold."""
    for name in defaults:
        _known(name, (*FIELDS, "labels", "custom"), place)
    for name in ("labels", "custom"):
        if not isinstance(defaults.get(name) or {}, dict):
            raise ValueError(f"{place}: {name} are no names with values")
    try:
        orjson.dumps(defaults)
    except orjson.JSONEncodeError:
        raise ValueError(f"{place}: a value or a name below it is none of JSON") from None


def _known(name: str, names: tuple[str, ...], place: str) -> None:
    if name not in names:
        name = str(name)
        near = difflib.get_close_matches(name, names, n=1)
        guess = f"; did you mean {near[0]}?" if near else "; own fields belong under custom"
        raise ValueError(f"{place}: unknown field {name}{guess}")


def _as_list(value: Any, key: str) -> Any:
    if isinstance(value, dict) and isinstance(value.get(key), (dict, str)):
        return {**value, key: [value[key]]}
    return value
