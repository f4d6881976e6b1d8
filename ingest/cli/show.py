"""`ingest show` and `ingest why`: one conversation, everywhere."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import shutil
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ingest.cli._console import counted, is_terminal, moment_text, safe, table
from ingest.cli._context import resolved_id, say
from ingest.cli._options import (
    AsJson,
    ConversationArgument,
    HtmlFile,
    SourceFolder,
    WithPii,
    refuse_what_a_page_ignores,
    write_html,
)
from ingest.cli._output import now, opened, print_json
from ingest.cli.convert import SourceMapping, has_mapping, readable
from ingest.enums import Redaction
from ingest.errors import ExitCode, RemoteError
from ingest.flows.show import (
    CiHop,
    EventRow,
    FileRow,
    Hop,
    MartRows,
    RegistryVersion,
    SourceFile,
    StateRow,
    Trace,
    TraceReader,
)
from ingest.flows.why import UNKNOWN, Explanation, explain
from ingest.ports.inspect import Warehouse
from ingest.settings import Settings

_SOURCE = "seeds/conversations"


class HopName(StrEnum):
    """Places that a conversation passes."""

    SOURCE = "source"
    GCS = "gcs"
    INSIGHTS = "ci"
    RAW = "raw"
    REGISTRY = "registry"
    MARTS = "marts"


def show(
    conversation_id: ConversationArgument,
    hop: Annotated[
        HopName | None,
        typer.Option("--hop", help="Only this hop; `ci` as JSON is all Insights holds."),
    ] = None,
    source: SourceFolder = _SOURCE,
    mapping: SourceMapping = None,
    html: HtmlFile = None,
    with_pii: WithPii = False,
    as_json: AsJson = False,
) -> None:
    """Show one conversation at every hop: files, bucket, Insights, raw rows, registry, marts.

    Shows no word of the talk, but for `--hop ci --json` and the page of `--html`, which is written
    to .local/site/<ID>.html unless FILE says otherwise. Rows in marts are counted by `--hop marts`,
    `--json` and `--html`, since that reads every mart. Exits with 4 where a hop could not be read.

    Example: ingest show 317675af
    """

    others = {"--hop": hop, "--json": as_json}
    refuse_what_a_page_ignores(html, with_pii=with_pii, others=others)
    if html is not None:
        code = write_page(conversation_id, Local(source, mapping), html, with_pii=with_pii)
    else:
        local = Local(source, mapping)
        code = show_places(conversation_id, hop and hop.value, local, as_json=as_json)
    raise typer.Exit(int(code))


def why(
    conversation_id: ConversationArgument,
    source: SourceFolder = _SOURCE,
    mapping: SourceMapping = None,
    as_json: AsJson = False,
) -> None:
    """Say where one conversation is, since when, what it waits for and what to run.

    Exits with 4 where a hop that decides could not be read: it is then `unknown`.

    Example: ingest why 317675af
    """

    raise typer.Exit(int(show_why(conversation_id, Local(source, mapping), as_json=as_json)))


@dataclass(frozen=True)
class ShownObject:
    """One generation of an object."""

    name: str
    generation: int
    is_live: bool
    size_bytes: int
    crc32c: str
    content_sha256: str | None
    written_at: dt.datetime


@dataclass(frozen=True)
class ShownAnalysis:
    """One analysis that Insights holds."""

    name: str
    created_at: dt.datetime
    is_latest: bool


@dataclass(frozen=True)
class ShownCi:
    """The conversation in Insights."""

    name: str
    updated_at: dt.datetime
    transcript_uri: str
    turn_count: int
    metadata_sha256: str | None
    transcript_sha256: str | None
    analyses: tuple[ShownAnalysis, ...]
    running_operation: str | None
    is_stale: bool | None


@dataclass(frozen=True)
class ShownRaw:
    """Rows of the raw tables, without payloads."""

    files: tuple[FileRow, ...]
    states: tuple[StateRow, ...]
    events: tuple[EventRow, ...]


@dataclass(frozen=True)
class Shown:
    """The conversation at every hop; `problems` says which hop could not be read."""

    conversation_id: str
    taken_at: dt.datetime
    source: tuple[SourceFile, ...]
    gcs: tuple[ShownObject, ...]
    ci: ShownCi | None
    raw: ShownRaw
    registry: tuple[RegistryVersion, ...] | None
    marts: tuple[MartRows, ...]
    problems: Mapping[str, str]


def shown(trace: Trace) -> Shown:
    """Return what is printed of a trace."""
    return Shown(
        conversation_id=trace.conversation_id,
        taken_at=trace.taken_at,
        source=trace.source,
        gcs=tuple(
            ShownObject(
                held.stored.name,
                held.stored.generation,
                held.is_live,
                held.stored.size_bytes,
                held.stored.crc32c,
                held.stored.content_sha256,
                held.written_at,
            )
            for held in trace.objects
        ),
        ci=None if trace.ci is None else _ci(trace.ci),
        raw=ShownRaw(trace.files, trace.states, trace.events),
        registry=trace.versions,
        marts=trace.marts or (),
        problems=trace.problems,
    )


def _ci(ci: CiHop) -> ShownCi:
    return ShownCi(
        name=ci.name,
        updated_at=ci.updated_at,
        transcript_uri=ci.transcript_uri,
        turn_count=ci.turn_count,
        metadata_sha256=ci.labels.get("metadata_sha256"),
        transcript_sha256=ci.labels.get("transcript_sha256"),
        analyses=tuple(
            ShownAnalysis(state.name, state.created_at, state.name == ci.latest_analysis_name)
            for state in ci.analyses
        ),
        running_operation=ci.running_operation,
        is_stale=ci.is_stale,
    )


_HASH_CHARS = 12


def show_places(given_id: str, hop: str | None, local: Local, *, as_json: bool) -> ExitCode:
    """Print the trace, or one hop of it; raise RemoteError when that one could not be read."""
    settings, warehouse = opened()
    with_marts = as_json if hop is None else hop == Hop.MARTS.value
    with read_trace(settings, warehouse, given_id, local, with_marts=with_marts) as (_, trace):
        pass
    if hop and hop in trace.problems:
        raise RemoteError(f"{hop} could not be read: {trace.problems[hop]}", "run `ingest doctor`")
    if as_json:
        print_json(_as_json(trace, hop))
    else:
        hops = [Hop(hop)] if hop else list(Hop)
        sections = [f"{name.value.upper():<9} {_section(trace, name)}" for name in hops]
        typer.echo("\n\n".join([f"{trace.conversation_id}", *sections]))
    return _told_unread(trace, hop)


def _told_unread(trace: Trace, hop: str | None = None) -> ExitCode:
    """Say which hops could not be read; what was not asked for costs no success."""
    for name, problem in trace.problems.items():
        say(f"not read: {name}: {safe(problem)}")
    return ExitCode.REMOTE if trace.problems and hop is None else ExitCode.OK


def show_why(given_id: str, local: Local, *, as_json: bool) -> ExitCode:
    """Print the explanation, the command to run alone on the last line."""
    settings, warehouse = opened()
    with read_trace(settings, warehouse, given_id, local, with_marts=False) as (_, trace):
        found = explain(trace)
    if as_json:
        print_json(found)
    else:
        typer.echo(explanation_text(found, _width()))
    return ExitCode.REMOTE if found.status == UNKNOWN else ExitCode.OK


def explanation_text(found: Explanation, width: int) -> str:
    """Return the paragraph, wrapped, and the command as it can be pasted."""
    text = safe(f"{found.conversation_id} is {found.status}. {found.paragraph}")
    told = textwrap.fill(text, width=width, break_long_words=False, break_on_hyphens=False)
    return told if found.command is None else f"{told}\nRun:\n{safe(found.command)}"


def write_page(given_id: str, local: Local, file: str, *, with_pii: bool) -> ExitCode:
    """Write the conversation's page; without a talk where none is to be had."""
    from ingest.flows.declared import read_own_words
    from ingest.flows.transcript import known_talk
    from ingest.site.pages import conversation_page

    settings, warehouse = opened()
    with read_trace(settings, warehouse, given_id, local) as (read, trace):
        talk = known_talk(warehouse, read)
    own_words = read_own_words(settings.seeds_dir)
    page = conversation_page(
        trace, talk, explain(trace), with_pii=with_pii, own_words=own_words,
        is_emulated=settings.is_local,
    )  # fmt: skip
    write_html(file, page, f"{trace.conversation_id}.html")
    return _told_unread(trace)


@dataclass(frozen=True)
class Local:
    """Where files of this machine are looked for, and the mapping that converts them first."""

    source: str
    mapping: Path | None

    @contextmanager
    def folder(self) -> Iterator[tuple[Path, tuple[str, ...]]]:
        """Yield the folder of date folders, and what a push of a converted SOURCE is given."""
        source = Path(self.source)
        if not has_mapping(source, self.mapping):
            yield source, ()
            return
        options = ("--mapping", str(self.mapping)) if self.mapping else ()
        with readable(source, self.mapping) as (folder, _):
            yield folder, (self.source, *options)


@contextmanager
def read_trace(
    settings: Settings,
    warehouse: Warehouse,
    given_id: str,
    local: Local,
    *,
    with_marts: bool = True,
) -> Iterator[tuple[Trace, Trace]]:
    """Yield the trace of a conversation, read through adapters that are closed again.

    First with files that can be read within the block, then as it is shown: what a mapping makes
    is gone after the block, so it is named by date and id alone.
    """
    from ingest.gcp.insights_regions import insights_of
    from ingest.gcp.storage import GcsObjectStore

    async def read(conversation_id: str, folder: Path) -> Trace:
        insights, store = insights_of(settings), GcsObjectStore(settings)
        try:
            redacts = settings.redaction is not Redaction.OFF
            reader = TraceReader(warehouse, store, insights, folder, redacts=redacts)
            return await reader.read(conversation_id, now(), with_marts=with_marts)
        finally:
            await insights.close()
            store.close()

    with local.folder() as (folder, pushed_by):
        conversation_id = resolved_id(settings, warehouse, given_id, str(folder))
        trace = asyncio.run(read(conversation_id, folder))
        yield trace, trace.converted(folder, pushed_by) if pushed_by else trace


def _as_json(trace: Trace, hop: str | None) -> Any:
    """Return the trace without any word of the talk, or one hop; of Insights all that it holds."""
    if hop == Hop.INSIGHTS.value:
        return None if trace.ci is None else trace.ci.payload
    whole = shown(trace)
    return whole if hop is None else getattr(whole, hop)


def _section(trace: Trace, hop: Hop) -> str:
    if hop.value in trace.problems:
        return f"could not be read: {safe(trace.problems[hop.value])}"
    return _SECTIONS[hop](trace)


def _source(trace: Trace) -> str:
    if not trace.source:
        return "no file on this machine"
    rows = [
        (
            _without_id(file.path, trace.conversation_id),
            f"{file.size_bytes:,} B",
            _short(file.content_sha256),
        )
        for file in trace.source
    ]
    return _table("source files", ("PATH", "SIZE", "CONTENT"), rows, " r")


def _gcs(trace: Trace) -> str:
    rows = [
        (
            _without_id(held.stored.name, trace.conversation_id),
            str(held.stored.generation),
            "live" if held.is_live else "noncurrent",
            f"{held.stored.size_bytes:,} B",
            _short(held.stored.content_sha256),
            moment_text(held.written_at),
        )
        for held in trace.objects
    ]
    return _table(
        "object generations",
        ("OBJECT", "GENERATION", "STATE", "SIZE", "CONTENT", "WRITTEN"),
        rows,
        " r r",
    )


def _ci_section(trace: Trace) -> str:
    ci = trace.ci
    if ci is None:
        return "Insights holds no conversation of this id"
    facts = [
        _without_id(ci.name, trace.conversation_id),
        f"{counted(ci.turn_count, 'turn')}, updated {moment_text(ci.updated_at)}",
        f"metadata {_short(ci.labels.get('metadata_sha256'))}, "
        f"transcript {_short(ci.labels.get('transcript_sha256'))}",
        f"reads {_without_id(ci.transcript_uri, trace.conversation_id)}",
    ]
    for state in ci.analyses:
        latest = "  (latest)" if state.name == ci.latest_analysis_name else ""
        stale = "  (stale)" if latest and ci.is_stale else ""
        facts.append(
            f"analysis {state.name.rsplit('/', 1)[-1]} of {moment_text(state.created_at)}"
            f"{latest}{stale}"
        )
    if ci.running_operation:
        facts.append(f"running: {ci.running_operation}")
    return "\n  ".join(safe(fact) for fact in facts)


def _run(run_id: str) -> str:
    """Return the end of a run's id, which tells it apart; its beginning is a time."""
    return run_id.rsplit("-", 1)[-1] if is_terminal() else run_id


def _raw(trace: Trace) -> str:
    files = [
        (row.kind, str(row.generation), _short(row.content_sha256), _run(row.run_id),
         moment_text(row.landed_at))
        for row in trace.files
    ]  # fmt: skip
    states = [
        ((row.analysis_name or "-").rsplit("/", 1)[-1], _short(row.metadata_sha256),
         _short(row.transcript_sha256), _run(row.run_id), moment_text(row.landed_at))
        for row in trace.states
    ]  # fmt: skip
    events = [
        (row.step, row.outcome, row.error_code or row.reason or "-", str(row.attempt),
         _run(row.run_id), moment_text(row.ended_at))
        for row in sorted(trace.events, key=lambda row: row.ended_at)
    ]  # fmt: skip
    return "\n".join(
        (
            _table("conversation_files", ("KIND", "GENERATION", "CONTENT", "RUN", "LANDED"), files),
            _table(
                "  ci_conversations",
                ("ANALYSIS", "METADATA", "TRANSCRIPT", "RUN", "LANDED"),
                states,
            ),
            _table("  pipeline_events", ("STEP", "OUTCOME", "CODE", "TRY", "RUN", "ENDED"), events),
        )
    )


def _registry(trace: Trace) -> str:
    if trace.versions is None:
        return "not built yet: run `dbt build`"
    rows = [
        (
            str(version.version_number),
            version.status,
            "current" if version.is_current else "-",
            _short(version.metadata_sha256),
            _short(version.transcript_sha256),
            moment_text(version.valid_from),
            moment_text(version.valid_to),
        )
        for version in trace.versions
    ]
    header = ("VERSION", "STATUS", "STATE", "METADATA", "TRANSCRIPT", "FROM", "TO")
    return _table("versions", header, rows, "r")


def _marts(trace: Trace) -> str:
    if trace.marts is None:
        return "not counted: add `--hop marts`"
    if not trace.marts:
        return "none built yet: run `dbt build`"
    rows = [(mart.table, str(mart.row_count)) for mart in trace.marts]
    return _table("marts", ("MART", "ROWS"), rows, " r")


_SECTIONS: dict[Hop, Callable[[Trace], str]] = {
    Hop.SOURCE: _source,
    Hop.GCS: _gcs,
    Hop.INSIGHTS: _ci_section,
    Hop.RAW: _raw,
    Hop.REGISTRY: _registry,
    Hop.MARTS: _marts,
}


def _table(
    title: str, header: tuple[str, ...], rows: Sequence[tuple[str, ...]], right: str = ""
) -> str:
    if not rows:
        return f"{title}: none"
    return f"{title}\n{table(header, rows, right, indent=2)}"


def _without_id(name: str, conversation_id: str) -> str:
    """Return a name short enough for a line: the id that heads the page, and hashes, cut."""
    if not is_terminal():
        return name
    cut = name.replace(conversation_id, "…")
    return re.sub(r"\b([0-9a-f]{12})[0-9a-f]{52}\b", r"\1…", cut)


def _short(sha256: str | None) -> str:
    if sha256 is None:
        return "-"
    return sha256[:_HASH_CHARS] if is_terminal() else sha256


def _width() -> int:
    return max(60, min(100, shutil.get_terminal_size().columns))
