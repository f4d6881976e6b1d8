"""Mapping files: read, merged with what they extend, and told what is wrong, with its line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import orjson
import yaml
from pydantic import ValidationError

from ingest.errors import InputError
from ingest.formats.mapping import (
    Condition,
    Context,
    MappingFile,
    SpeakerValue,
    Step,
    Table,
    Turns,
)


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
        lines = {} if node is None else dict(_lines(node, ()))
    except yaml.MarkedYAMLError as error:
        at = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{name}{at}: no YAML: {error.problem}", "see the line named") from error
    except yaml.YAMLError as error:
        raise InputError(f"{name}: no YAML: a control character", "remove it") from error
    except RecursionError as error:
        raise InputError(
            f"{name}: it holds itself, or is nested too deep", "see & and *"
        ) from error
    if not isinstance(fields, dict) or node is None:
        raise InputError(f"{name} is no mapping", "begin with `mapping: 1`")
    return fields, lines


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
