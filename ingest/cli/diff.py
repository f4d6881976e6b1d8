"""`ingest diff`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from ingest.cli._console import safe, terminal_width, width_of, wrapped
from ingest.cli._context import resolved_id
from ingest.cli._options import AsJson, ConversationArgument
from ingest.cli._output import opened, plain, print_json
from ingest.errors import ExitCode
from ingest.flows.diff import (
    AnalysisDifference,
    VersionDifference,
    chosen,
    compare_analyses,
    compare_versions,
    read_analyses,
    read_versions,
)
from ingest.ports.inspect import Warehouse


def diff(
    conversation_id: ConversationArgument,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[A B]", help="Two analysis ids, or version numbers (v1 v2)."),
    ] = None,
    versions: Annotated[
        bool, typer.Option("--versions", help="Compare the newest two versions of the files.")
    ] = False,
    text: Annotated[
        bool, typer.Option("--text", help="Show changed words too. Personal data.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare two analyses, or two versions, of one conversation.

    By default the newest two. Exits with 1 where they differ.

    Example: ingest diff 317675af --versions
    """

    code = show(conversation_id, names or [], of_versions=versions, with_text=text, as_json=as_json)
    raise typer.Exit(int(code))


_VERSION = re.compile(r"v\d+")


def show(
    given_id: str, names: Sequence[str], *, of_versions: bool, with_text: bool, as_json: bool
) -> ExitCode:
    """Print the difference; say by 1 that there is one."""
    settings, warehouse = opened()
    conversation_id = resolved_id(settings, warehouse, given_id)
    found: AnalysisDifference | VersionDifference
    if of_versions or any(_VERSION.fullmatch(name) for name in names):
        found = _of_versions(warehouse, conversation_id, names, with_text=with_text)
        text = _version_text(found)
    else:
        found = _of_analyses(warehouse, conversation_id, names)
        text = _analysis_text(found)
    if as_json:
        print_json(found)
    else:
        typer.echo(safe_lines(text))
    return ExitCode.OK if found.is_empty else ExitCode.SOME_FAILED


def safe_lines(text: str) -> str:
    """Return lines made safe one by one, and wrapped where the terminal is narrower."""
    width = terminal_width()
    lines = map(safe, text.split("\n"))
    return "\n".join(
        part
        for line in lines
        for part in ([line] if width_of(line) <= width else wrapped(line, width, "  "))
    )


def _of_versions(
    warehouse: Warehouse, conversation_id: str, names: Sequence[str], *, with_text: bool
) -> VersionDifference:
    versions = read_versions(warehouse, conversation_id)
    by_name = {f"v{version.number}": version for version in versions}
    before, after = chosen(versions, names, by_name, "version", conversation_id)
    return compare_versions(conversation_id, before, after, with_text=with_text)


def _of_analyses(
    warehouse: Warehouse, conversation_id: str, names: Sequence[str]
) -> AnalysisDifference:
    analyses = read_analyses(warehouse, conversation_id)
    by_name = {analysis.analysis_id: analysis for analysis in analyses}
    before, after = chosen(analyses, names, by_name, "analysis", conversation_id)
    return compare_analyses(warehouse, conversation_id, before, after)


def _analysis_text(found: AnalysisDifference) -> str:
    if found.before == found.after:
        return f"{found.conversation_id}: analysis {found.before} has landed, and no other before"
    lines = [f"{found.conversation_id}: analysis {found.before} against {found.after}"]
    if found.is_empty:
        return "\n".join([*lines, "both say the same"])
    before, after = found.overall_sentiment
    if before != after:
        lines.append(f"customer sentiment {_score(before)} -> {_score(after)}")
    for match in found.matches:
        phrase = f': "{match.phrase}"' if match.phrase else ""
        sign = "+" if match.is_added else "-"
        lines.append(f"{sign} turn {match.turn_index}: {match.phrase_matcher}{phrase}")
    for turn in found.sentiments:
        lines.append(
            f"~ turn {turn.turn_index}: sentiment {_score(turn.before)} -> {_score(turn.after)}"
        )
    for type_, (old, new) in found.entity_counts.items():
        lines.append(f"~ entities {type_}: {old} -> {new}")
    return "\n".join(lines)


def _version_text(found: VersionDifference) -> str:
    if found.before == found.after:
        return f"{found.conversation_id}: version {found.before} has landed, and no other before"
    lines = [f"{found.conversation_id}: version {found.before} against {found.after}"]
    if found.is_empty:
        return "\n".join([*lines, "both have the same content"])
    lines += [
        f"~ {change.field}: {_value(change.before)} -> {_value(change.after)}"
        for change in found.fields
    ]
    for turn in found.turns:
        lines.append(f"~ turn {turn.turn_index} {turn.kind}")
        lines += [f"  - {turn.before}"] if turn.before is not None else []
        lines += [f"  + {turn.after}"] if turn.after is not None else []
    return "\n".join(lines)


def _score(score: float | None) -> str:
    return "none" if score is None else f"{score:+.2f}"


def _value(value: Any) -> str:
    return json.dumps(value, default=plain, ensure_ascii=False)
