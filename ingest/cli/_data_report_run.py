"""Runs `ingest data report`."""

from __future__ import annotations

from pathlib import Path

import orjson
import typer

from ingest.cli._context import run, say
from ingest.cli._data_run import walk_set
from ingest.cli._reading import print_json
from ingest.datagen.dataset_check import ConversationFiles
from ingest.datagen.figures import DataSetFigures, Tally
from ingest.domain.conversation import FileKind, Metadata, Transcription
from ingest.domain.validation import parse_file
from ingest.errors import ExitCode, InputError


def execute(folder: Path, against: Path | None, html: Path | None, *, as_json: bool) -> ExitCode:
    """Measure one or two data sets; print the figures and write the page if asked."""
    folders = [folder] if against is None else [folder, against]
    sets = [run(_measure(each)) for each in folders]
    if html is not None:
        _write_page(sets, html)
    if as_json:
        print_json(sets)
        return ExitCode.OK
    columns = [dict(figures.table()) for figures in sets]
    names = dict.fromkeys(name for column in columns for name in column)
    typer.echo(" ".join([f"{'':<46}", *(f"{figures.name[-18:]:>18}" for figures in sets)]))
    for name in names:
        values = (f"{column.get(name, '-'):>18}" for column in columns)
        typer.echo(" ".join([f"{name:<46}", *values]))
    return ExitCode.OK


async def _measure(folder: Path) -> DataSetFigures:
    tally = Tally(str(folder))
    unread = 0
    async for found in walk_set(folder):
        talk = _parsed(found, FileKind.TRANSCRIPTION)
        if isinstance(found, ConversationFiles) and isinstance(talk, Transcription):
            metadata = _parsed(found, FileKind.METADATA)
            is_metadata = isinstance(metadata, Metadata)
            tally.add(metadata if is_metadata else None, talk, _arc(found.truth))  # type: ignore[arg-type]
        else:
            unread += 1
    if not tally.conversations:
        raise InputError(f"{folder} has no readable conversation", "run `ingest data validate`")
    if unread:
        say(f"{unread:,} entries of {folder} have no readable transcript and don't count")
    return tally.figures()


def _parsed(found: object, kind: FileKind) -> Metadata | Transcription | None:
    if not isinstance(found, ConversationFiles) or kind not in found.contents:
        return None
    return parse_file(kind, found.contents[kind], "")[0]


def _arc(truth: bytes | None) -> str | None:
    if truth is None:
        return None
    try:
        arc = orjson.loads(truth)["sentiment_arc"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return arc if isinstance(arc, str) else None


def _write_page(sets: list[DataSetFigures], html: Path) -> None:
    from ingest.datagen.figures_page import figures_page

    page = figures_page(sets)
    try:
        html.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"can't write {html}: {error.strerror}", "choose another file") from error
    say(f"page written to {html}")
