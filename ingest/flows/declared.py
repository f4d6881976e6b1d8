"""Reads what the user declares: word seeds and the custom fields of dbt_project.yml."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import yaml

from ingest.domain.conversation import Medium
from ingest.domain.declarations import (
    CUSTOM_FIELDS_VAR,
    FIELD_NAME,
    MEDIA_SEED,
    WORD_SEEDS,
    CustomField,
    Declarations,
    FieldType,
)
from ingest.domain.insights_format import PIPELINE_LABELS
from ingest.errors import SettingsError

_KEYS = {"name", "data_type", "description", "personal", "label", "customer"}


def read_declarations(seeds_dir: Path, project_file: Path) -> Declarations:
    """Return what is declared; a file that isn't there declares nothing.

    Raises SettingsError where a file can't be used.
    """
    words = {
        name: frozenset(
            filter(None, (row[name] for row in _rows(seeds_dir / f"{seed}.csv", {name})))
        )
        for name, seed in WORD_SEEDS.items()
    }
    media = _media(seeds_dir / f"{MEDIA_SEED}.csv")
    fields = {each.name: each for each in _custom_fields(project_file)}
    if not media:
        return Declarations(words, custom_fields=fields)
    return Declarations(words, media, fields)


def read_own_words(seeds_dir: Path) -> tuple[str, ...]:
    """Return firms, products and places of `not_personal.txt`, a line each; # begins a comment.

    Raises SettingsError where the file can't be read.
    """
    path = seeds_dir / "not_personal.txt"
    if not path.exists():
        return ()
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"can't read {path}", "save it as text in UTF-8") from error
    return tuple(word for line in lines if (word := line.partition("#")[0].strip()))


def _rows(path: Path, columns: set[str]) -> list[dict[str, str]]:
    if not path.exists():
        return []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"can't read {path}", "save it as CSV in UTF-8") from error
    missing = columns - set(reader.fieldnames or ())
    if missing:
        raise SettingsError(f"{path} has no column {', '.join(sorted(missing))}", "add it")
    return rows


def _media(path: Path) -> dict[str, Medium | None]:
    media: dict[str, Medium | None] = {}
    for row in _rows(path, {"medium", "insights_medium"}):
        if not row["medium"]:
            continue
        taken_as = row["insights_medium"] or ""
        try:
            media[row["medium"]] = Medium(taken_as) if taken_as else None
        except ValueError as error:
            raise SettingsError(
                f"{path}: Insights has no medium {taken_as!r}",
                f"write {' or '.join(Medium)}, or leave it empty: then it isn't sent",
            ) from error
    return media


def _custom_fields(path: Path) -> list[CustomField]:
    if not path.exists():
        return []
    try:
        project = yaml.safe_load(path.read_text(encoding="utf-8"))
        declared = _variables(project or {}).get(CUSTOM_FIELDS_VAR) or []
    except (
        OSError,
        UnicodeDecodeError,
        yaml.YAMLError,
        AttributeError,
        TypeError,
        ValueError,
    ) as error:
        raise SettingsError(f"can't read {path}", "dbt parse says where") from error
    if not isinstance(declared, list):
        raise SettingsError(f"{path}: {CUSTOM_FIELDS_VAR} is no list", "write one field an entry")
    fields = [_custom_field(each, f"{path}: {CUSTOM_FIELDS_VAR}") for each in declared]
    names = [each.name for each in fields]
    if twice := {name for name in names if names.count(name) > 1}:
        raise SettingsError(f"{path}: declared twice: {', '.join(sorted(twice))}", "keep one")
    return fields


def _variables(project: dict[str, Any]) -> dict[str, Any]:
    """Return the vars of the project; those under its name win, as dbt has it."""
    variables = project.get("vars") or {}
    own = variables.get(project.get("name"))
    return {**variables, **own} if isinstance(own, dict) else dict(variables)


def _custom_field(each: Any, place: str) -> CustomField:
    if not isinstance(each, dict) or not {"name", "data_type", "description"} <= each.keys():
        raise SettingsError(f"{place}: a field lacks name, data_type or description", "give all")
    name = str(each["name"])
    if unknown := each.keys() - _KEYS:
        raise SettingsError(
            f"{place}: {name} has unknown {', '.join(sorted(map(str, unknown)))}", "drop it"
        )
    if not FIELD_NAME.fullmatch(name):
        raise SettingsError(f"{place}: {name!r} is no column's name", "use a-z, 0-9 and _")
    if each["data_type"] not in list(FieldType):
        raise SettingsError(
            f"{place}: {name} has no type that is known", f"use one of {', '.join(FieldType)}"
        )
    is_personal, is_label = bool(each.get("personal")), bool(each.get("label"))
    if is_label and (is_personal or name in PIPELINE_LABELS):
        reason = "is personal" if is_personal else "is a label that the pipeline sets itself"
        raise SettingsError(f"{place}: {name} {reason}", "leave out label: true")
    return CustomField(
        name,
        FieldType(each["data_type"]),
        str(each["description"]),
        is_personal,
        is_label,
        bool(each.get("customer")),
    )
