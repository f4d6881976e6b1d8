"""The shape of a mapping file: which fields of a foreign transcript become which of ours.

Where to look is said in JMESPath, the rest by a closed set of verbs: a mapping is data, never a
program. The published JSON Schema (`ingest/schemas/mapping.schema.json`) is made from these models.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import orjson
import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import CoreSchema

from ingest.domain.conversation import LabelKey, Metadata, Speaker
from ingest.errors import InputError

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
        default=None, description="IANA zone of a moment without one: {const: Australia/Sydney}."
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
        if self.group and self.reads not in ("csv", "jsonl"):
            raise ValueError("group is for csv and jsonl")
        return self


def check_fields(defaults: Mapping[str, Any], place: str) -> None:
    """Raise ValueError that names the first key which is no field of metadata.json."""
    for name in defaults:
        _known(name, (*FIELDS, "labels", "custom"), place)


def _known(name: str, names: tuple[str, ...], place: str) -> None:
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        guess = f"; did you mean {near[0]}?" if near else "; own fields belong under custom"
        raise ValueError(f"{place}: unknown field {name}{guess}")


def _as_list(value: Any, key: str) -> Any:
    if isinstance(value, dict) and isinstance(value.get(key), (dict, str)):
        return {**value, key: [value[key]]}
    return value


class _Loader(yaml.SafeLoader):
    """YAML 1.2's booleans alone, and no dates: `NO` and `2026-01-05` stay text."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(true|false)$"), list("tf"))

_MERGED = ("conversation", "labels", "custom", "expected", "tables", "defaults")
_FOLDER = "mappings"


def bundled_names() -> list[str]:
    """Return the names of the formats that come with the package."""
    folder = resources.files("ingest.formats") / _FOLDER
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in folder.iterdir()
        if entry.name.endswith(".yaml")
    )


def load_bundled(name: str) -> MappingFile:
    """Return a bundled format; raise InputError that lists them."""
    return parse_mapping(_bundled_text(name), f"{name}.yaml")


def _bundled_text(name: str) -> str:
    if name not in bundled_names():
        raise InputError(
            f"unknown format {name!r}", f"use one of {', '.join(bundled_names())}, or --mapping"
        )
    return (resources.files("ingest.formats") / _FOLDER / f"{name}.yaml").read_text("utf-8")


def read_mapping(path: Path) -> str:
    """Return the text of a mapping file, or raise InputError."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"can't read the mapping {path}", str(error)) from error


def parse_mapping(text: str, name: str) -> MappingFile:
    """Return the mapping that the YAML text declares; `extends` takes a bundled one as its base."""
    fields, lines = _parse_yaml(text, name)
    if (base := fields.get("extends")) is not None:
        below, _ = _parse_yaml(_bundled_text(str(base)), f"{base}.yaml")
        fields = _merged(below, fields)
    try:
        return MappingFile.model_validate(fields)
    except ValidationError as error:
        raise InputError(*_told(error, name, lines)) from error


def own_places(text: str) -> list[str]:
    """Return the places that a mapping's text itself writes, without those that it extends."""
    fields, _ = _parse_yaml(text, "")
    places: list[str] = []
    for key, value in fields.items():
        inner = isinstance(value, dict) and key in (*_MERGED, "turns")
        places += [f"{key}.{name}" for name in value] if inner else [key]
    return places


def _parse_yaml(text: str, name: str) -> tuple[dict[str, Any], dict[tuple[str, ...], int]]:
    """Return the fields, and the line of each place."""
    try:
        node = yaml.compose(text, Loader=_Loader)
        fields = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        at = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{name}{at}: no YAML: {error.problem}", "see the line named") from error
    if not isinstance(fields, dict) or node is None:
        raise InputError(f"{name} is no mapping", "begin with `mapping: 1`")
    return fields, dict(_lines(node, ()))


def _lines(node: yaml.Node, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int]]:
    yield keys, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            at = (*keys, str(key.value))
            yield from _lines(value, at)
            yield at, key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _lines(value, (*keys, str(index)))


def _merged(base: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return `fields` over `base`; of the sections that hold names, each name by itself."""
    merged = {**base, **fields}
    for key in _MERGED:
        if isinstance(base.get(key), dict) and isinstance(fields.get(key), dict):
            merged[key] = {**base[key], **fields[key]}
    ours, theirs = base.get("turns"), fields.get("turns")
    if isinstance(theirs, dict) and "from" not in theirs and ours is not None:
        parts = ours if isinstance(ours, list) else [ours]
        merged["turns"] = [{**part, **theirs} for part in parts]
    return merged


_KEYS = sorted(
    {
        field.alias or name
        for model in (MappingFile, Turns, SpeakerValue, Condition, Context, Table, Step)
        for name, field in model.model_fields.items()
    }
)


def _told(
    error: ValidationError, name: str, lines: Mapping[tuple[str, ...], int]
) -> tuple[str, str]:
    """Return message and hint about the first fault: line, place, and what is wrong."""
    fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
    keys = tuple(str(key) for key in fault["loc"])
    at: tuple[str, ...] = ()
    for key in keys:
        # A single condition or list of turns may be written without a list around it.
        at = (*at, key) if (*at, key) in lines else at
    is_extra, is_missing = (fault["type"] == each for each in ("extra_forbidden", "missing"))
    place = ".".join(at[:-1] if is_extra else (*at, keys[-1]) if is_missing else at)
    if is_extra:
        near = difflib.get_close_matches(keys[-1], _KEYS, n=1)
        reason = f"unknown key {keys[-1]}{f'; did you mean {near[0]}?' if near else ''}"
    elif is_missing:
        reason = "the key is missing"
    else:
        reason = fault["msg"].removeprefix("Value error, ")
    more = len(error.errors()) - 1
    rest = f" (and {more} more)" if more else ""
    return (
        f"{name}:{lines.get(at, 1)}: {place + ': ' if place else ''}{reason}{rest}",
        "ingest/schemas/mapping.schema.json lists every key",
    )


def schema_bytes() -> bytes:
    """Return the JSON Schema (2020-12) of a mapping file, as its file holds it."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **MappingFile.model_json_schema(by_alias=True),
        "title": "mapping.yaml",
    }
    return orjson.dumps(schema, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def schema_file() -> Path:
    """Return where the schema is published."""
    return Path(str(resources.files("ingest"))) / "schemas" / "mapping.schema.json"


if __name__ == "__main__":
    schema_file().write_bytes(schema_bytes())
