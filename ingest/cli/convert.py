"""`ingest data convert` and `ingest data map`: transcripts of other systems, by a mapping."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from ingest.cli._console import aligned, counted
from ingest.cli._context import say
from ingest.cli._options import AsJson
from ingest.cli._output import print_json, printable
from ingest.domain.converted import Converted
from ingest.errors import ExitCode, InputError

_LINES = 50

From = Annotated[
    str | None,
    typer.Option("--from", help="Format that comes with this; `ingest data map` lists them."),
]
MappingOption = Annotated[
    Path | None, typer.Option("--mapping", help="YAML file that says which field becomes which.")
]
SourceMapping = Annotated[
    Path | None,
    typer.Option(
        "--mapping",
        help="Convert SOURCE by this YAML file first; mapping.yaml in SOURCE is found by itself.",
    ),
]
Defaults = Annotated[
    Path | None,
    typer.Option("--defaults", help="YAML of metadata fields that the format lacks."),
]
Speakers = Annotated[
    str,
    typer.Option("--speakers", help="Who speaks, where the format counts: 0=AGENT 1=CUSTOMER."),
]
ContextOption = Annotated[
    Path | None,
    typer.Option(
        "--context", help="CSV or JSON of call facts, a row a conversation: direction, queue, …"
    ),
]


def convert(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SOURCE...", help="Files, or folders of them.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder that gets the date folders.")],
    from_: From = None,
    mapping: MappingOption = None,
    context: ContextOption = None,
    defaults: Defaults = None,
    speakers: Speakers = "",
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace folders that were made of other files.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Turn transcripts of another system into conversation folders.

    Without --from and --mapping, `mapping.yaml` in the SOURCE folder is used. Exits with 1 when
    anything was refused.

    Example: ingest data convert tests/fixtures/foreign_transcripts/twilio.json --from twilio
    --defaults tests/fixtures/foreign_transcripts/context.yaml --out .local/converted
    """
    from ingest.flows.convert import Job
    from ingest.flows.convert import convert as run_convert

    engine, table = engine_of(sources, from_, mapping, context)
    job = Job(sources, engine, out, read_defaults(defaults), table, speakers, is_replacing=replace)
    result = run_convert(job)
    if as_json:
        print_json(result)
    else:
        for folder in result.written[:_LINES]:
            typer.echo(folder)
        if len(result.written) > _LINES:
            typer.echo(f"… and {len(result.written) - _LINES} more; --json lists all")
        say_converted(result)
        typer.echo(counts_of(result))
    raise typer.Exit(int(ExitCode.SOME_FAILED if result.refused else ExitCode.OK))


@contextmanager
def converted(
    source: Path, mapping: Path | None, *, strict: bool = False
) -> Iterator[tuple[Path, Converted | None]]:
    """Yield the folder to read, and what its making came to; None where SOURCE itself is read.

    What is made of a SOURCE with a mapping lies in a temporary folder, for this user alone, that is
    gone after the block; in `written` its folders are named by date and id. SOURCE stays as it is.
    With `strict` a call that the mapping has a warning for is refused. Raises InputError where the
    mapping takes nothing of SOURCE, and where SOURCE has neither a mapping nor date folders.
    """
    if not has_mapping(source, mapping):
        _check_source(source)
        yield source, None
        return
    from ingest.flows.convert import Job
    from ingest.flows.convert import convert as run_convert

    engine, table = engine_of([source], None, mapping, None)
    with tempfile.TemporaryDirectory(prefix="ingest-") as name:
        out = Path(name)
        made = run_convert(Job([source], engine, out, {}, table, is_strict=strict))
        if not made.written and not made.refused:
            raise InputError(
                f"the mapping takes nothing of {source}: {counts_of(made)}",
                "ingest data convert lists what it left out; ingest data map --explain FILE why",
            )
        folders = (Path(each).relative_to(out).as_posix() for each in made.written)
        yield out, replace(made, written=tuple(folders))


@contextmanager
def readable(source: Path, mapping: Path | None) -> Iterator[tuple[Path, ExitCode]]:
    """Yield the folder to read, as `converted` does, and SOME_FAILED where a part was refused.

    Says on stderr what the mapping made. Raises InputError where it refused all of SOURCE.
    """
    with converted(source, mapping) as (folder, made):
        if made is None:
            yield folder, ExitCode.OK
            return
        say_converted(made)
        say(counts_of(made))
        if not made.written:
            raise InputError(f"the mapping refused all of {source}", "see the lines above")
        yield folder, ExitCode.SOME_FAILED if made.refused else ExitCode.OK


def has_mapping(source: Path, mapping: Path | None) -> bool:
    """Return whether a source is converted before it is read."""
    return mapping is not None or (source.exists() and _beside([source]) is not None)


def _check_source(source: Path) -> None:
    """Raise InputError for what is no source; of files of another system with their way in."""
    from ingest.flows.source import LocalSource
    from ingest.formats.detecting import cure_of_source

    try:
        LocalSource(source)
    except InputError as error:
        cure = cure_of_source(source) if source.exists() else ""
        raise InputError(error.message, cure or error.hint) from error.with_traceback(None)


def map_(
    explain: Annotated[
        Path | None,
        typer.Option("--explain", help="Show what of this file becomes what, and what is left."),
    ] = None,
    from_: From = None,
    mapping: MappingOption = None,
    context: ContextOption = None,
    speakers: Speakers = "",
    as_json: AsJson = False,
) -> None:
    """List the formats that can be read, or explain what a mapping makes of one file.

    Without --from and --mapping, every format is tried, and lines of a mapping are proposed.

    Example: ingest data map --explain tests/fixtures/foreign_transcripts/twilio.json
    """
    if explain is None:
        _list_formats(as_json=as_json)
        return
    from ingest.formats.explaining import explanation

    engine, table = None, None
    if from_ or mapping or _beside([explain]):
        engine, table = engine_of([explain], from_, mapping, context)
    told = explanation(explain, engine, table, speakers)
    if as_json:
        print_json(told)
    else:
        _show_explanation(told)


@dataclass(frozen=True)
class Format:
    """A format that comes with the package."""

    name: str
    reads: str
    about: str


def _list_formats(*, as_json: bool) -> None:
    from ingest.formats.mapping_files import bundled_names, load_bundled

    loaded = [load_bundled(name) for name in bundled_names()]
    formats = tuple(Format(each.name, each.reads, each.about) for each in loaded)
    if as_json:
        print_json(formats)
        return
    width = max(len(each.name) for each in formats)
    for each in formats:
        typer.echo(f"{each.name:<{width}}  {each.reads:<6}  {each.about}")


def _beside(sources: list[Path]) -> Path | None:
    """Return the mapping.yaml of the first source that has one."""
    for source in sources:
        found = (source if source.is_dir() else source.parent) / "mapping.yaml"
        if found.is_file():
            return found
    return None


def engine_of(
    sources: list[Path], from_: str | None, mapping: Path | None, context: Path | None
) -> tuple[Any, Any]:
    """Return the compiled mapping and the context table."""
    from ingest.formats.detecting import cure_without_mapping
    from ingest.formats.engine import Engine
    from ingest.formats.mapping_files import load_bundled, own_places, parse_mapping, read_mapping
    from ingest.formats.reading import read_context

    if from_ and mapping:
        raise InputError("--from and --mapping exclude each other", "say `extends:` in the mapping")
    path = mapping or (None if from_ else _beside(sources))
    if path is None and from_ is None:
        raise InputError("no mapping is named", cure_without_mapping(sources))
    text = "" if path is None else read_mapping(path)
    loaded = load_bundled(from_ or "") if path is None else parse_mapping(text, path.name)
    engine = Engine(loaded, own_places(text) if text else ())
    declared = loaded.context
    if context is None and declared is not None and declared.file and path is not None:
        context = path.parent / declared.file
        if mapping is None and not context.resolve().is_relative_to(path.parent.resolve()):
            raise InputError(
                f"context.file of {path} leaves its folder",
                "name the mapping with --mapping if you trust it, or the table with --context",
            )
    table = (
        None if context is None else read_context(context, declared.column if declared else None)
    )
    return engine, table


def _show_explanation(told: Any) -> None:
    of = f", the first of {told.records} records" if told.records > 1 else ""
    typer.echo(f"{told.file}{of}, read as {told.mapping or 'nothing that comes with this'}\n")
    if told.fields:
        rows = [(each.field, each.found, each.comes_from) for each in told.fields]
        typer.echo(aligned(("FIELD", "FOUND", "FROM"), rows))
    if told.leftovers:
        left = [(each.path, ", ".join(each.types)) for each in told.leftovers]
        typer.echo("\n" + aligned(("NO FIELD OF OURS HOLDS", "TYPE"), left))
    for fault in told.faults:
        say(fault)
    if told.proposal:
        lines = "\n".join(map(printable, told.proposal))
        typer.echo(f"A mapping.yaml to begin with:\n\n{lines}")


def say_converted(result: Converted) -> None:
    """Print on stderr what was joined, left out, odd or refused."""
    for joined in result.joined:
        say(f"joined: {printable(', '.join(joined.files))}")
    for left in result.left_out[:_LINES]:
        say(f"left out: {printable(left.file)}: {left.reason}")
    for warned in result.warnings:
        where = f"{warned.place}: " if warned.place else ""
        first = f" (first {printable(warned.file)})" if warned.file else ""
        say(f"warning: {where}{warned.message}: {counted(warned.count, 'time')}{first}")
    _show_leftovers(result.leftovers)
    for refused in result.refused[:_LINES]:
        place = f"{refused.file}#{refused.place}" if refused.place else refused.file
        line = f"{refused.line}: " if refused.line else ""
        hint = "\n".join(map(printable, refused.hint.split("\n")))
        say(f"error: {printable(place)}: {line}{printable(refused.message)}\nhint:  {hint}")
    if len(result.refused) > _LINES:
        say(f"… and {len(result.refused) - _LINES} more refused; --json lists all")


def counts_of(result: Converted) -> str:
    """Return the line that accounts for everything that was read."""
    return (
        f"{result.read:,} read: {len(result.written):,} written, {result.joined_records:,} joined, "
        f"{len(result.refused):,} refused, {len(result.left_out):,} left out"
    )


def _show_leftovers(leftovers: Any) -> None:
    if leftovers:
        shown = ", ".join(each.path for each in leftovers[:_LINES])
        more = f" and {len(leftovers) - _LINES} more" if len(leftovers) > _LINES else ""
        say(f"no field of ours holds {shown}{more}: kept under `source`")


def read_defaults(path: Path | None) -> dict[str, Any]:
    """Return the fields of a --defaults file; raise InputError."""
    from ingest.formats.mapping import check_fields

    if path is None:
        return {}
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"can't read the defaults {path}", str(error)) from error
    if not isinstance(fields, dict):
        raise InputError(f"the defaults {path} are no mapping", "write one field a line")
    try:
        check_fields(fields, str(path))
    except ValueError as error:
        raise InputError(str(error), "see ingest/schemas/metadata.schema.json") from error
    return fields
