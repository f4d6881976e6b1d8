"""Runs `ingest data convert`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
import yaml

from ingest.cli._context import say
from ingest.cli._reading import print_json
from ingest.datagen.adapters.readers import READERS, convert_file
from ingest.datagen.delivery import to_json
from ingest.errors import ExitCode, InputError


@dataclass(frozen=True)
class Unconverted:
    """A file that could not be converted, why, and what to do."""

    file: str
    message: str
    hint: str


@dataclass(frozen=True)
class Converted:
    """Folders that were written, and files that could not be converted."""

    written: tuple[str, ...]
    failed: tuple[Unconverted, ...]


def execute(
    sources: list[Path], format_name: str, out: Path, defaults: Path | None, *, as_json: bool
) -> ExitCode:
    """Convert each file; one that can't be converted doesn't stop the others."""
    if format_name not in READERS:
        raise InputError(f"unknown format {format_name!r}", f"use one of {', '.join(READERS)}")
    context = _read_defaults(defaults)
    written: list[str] = []
    failed: list[Unconverted] = []
    for source in sources:
        try:
            written.append(_convert(source, format_name, out, context))
        except InputError as error:
            failed.append(Unconverted(str(source), error.message, error.hint))
    if as_json:
        print_json(Converted(tuple(written), tuple(failed)))
    else:
        for folder in written:
            typer.echo(folder)
    for fault in failed:
        say(f"error: {fault.file}: {fault.message}\nhint:  {fault.hint}")
    return ExitCode.SOME_FAILED if failed else ExitCode.OK


def _convert(source: Path, format_name: str, out: Path, context: dict[str, Any]) -> str:
    try:
        content = source.read_bytes()
    except OSError as error:
        raise InputError(
            f"can't be read: {error.strerror}", "check name and permissions"
        ) from error
    metadata, transcription = convert_file(format_name, content, source.stem, context)
    folder = out / metadata.started_at.date().isoformat() / metadata.conversation_id
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for kind, model in (("metadata", metadata), ("transcription", transcription)):
            path = folder / f"{kind}.json"
            path.write_bytes(to_json(model.model_dump(mode="json", exclude_none=True)))
    except OSError as error:
        raise InputError(
            f"can't write {folder}: {error.strerror}", "choose another --out"
        ) from error
    return str(folder)


def _read_defaults(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"can't read the defaults {path}", str(error)) from error
    if not isinstance(fields, dict):
        raise InputError(f"the defaults {path} are no mapping", "write one field a line")
    return fields
