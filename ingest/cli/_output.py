"""Results as JSON, CSV or text, and what became of a batch."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import dataclasses
import datetime as dt
import io
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import typer

from ingest.cli._console import (
    aligned,
    counted,
    is_terminal,
    moment_text,
    table,
    terminal_width,
    width_of,
)
from ingest.cli._context import ProcessMarks, say
from ingest.domain.faults import Fault, Severity
from ingest.domain.outcome import BatchReport, Failure, ItemState
from ingest.errors import ExitCode, InputError, RemoteError
from ingest.flows.lease import RunRecord, read_runs_in_bucket
from ingest.ports.inspect import Warehouse
from ingest.settings import Settings, load_settings


def opened() -> tuple[Settings, Warehouse]:
    """Return the effective settings and the warehouse they name; nothing is called yet."""
    from ingest.gcp.bigquery import BigQueryWarehouse

    settings = load_settings()
    return settings, BigQueryWarehouse(settings)


def now() -> dt.datetime:
    """Return the time, UTC."""
    return dt.datetime.now(dt.UTC)


type RunsInBucket = tuple[RunRecord, ...] | None


def with_runs_in_bucket[Found](
    settings: Settings, read: Callable[[], Found]
) -> tuple[Found, RunsInBucket, ExitCode]:
    """Return what `read` returns and, asked for meanwhile, runs that go on, were interrupted or
    died, and OK.

    Where the bucket can't be read it is said: None, and REMOTE, or OK for want of rights.
    """
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(_runs_in_bucket, settings)
        found = read()
        in_bucket, problem = asked.result()
    if problem is None:
        return found, in_bucket, ExitCode.OK
    told = problem.message if isinstance(problem, RemoteError) else "no answer in time"
    say(f"note: what runs now isn't known: {told}")
    is_unreachable = getattr(problem, "exit_code", ExitCode.REMOTE) is ExitCode.REMOTE
    return found, None, ExitCode.REMOTE if is_unreachable else ExitCode.OK


def _runs_in_bucket(settings: Settings) -> tuple[RunsInBucket, Exception | None]:
    from ingest.gcp.storage import GcsObjectStore

    async def read() -> tuple[RunRecord, ...]:
        async with asyncio.timeout(_BUCKET_SECONDS):
            return await read_runs_in_bucket(store, now(), ProcessMarks().is_surely_dead)

    store = GcsObjectStore(settings.model_copy(update={"rpc_timeout_sec": _BUCKET_SECONDS}))
    try:
        return asyncio.run(read()), None
    except (RemoteError, TimeoutError) as error:
        return None, error
    finally:
        store.close()


_DATE_FORMATS = (
    "%Y-%m-%d",
    "%Y%m%d",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%d %b %Y",
    "%d %B %Y",
    "%b %d %Y",
    "%B %d %Y",
)
"""What can be read in one way; 01/02/2026 can't."""


def parsed_date(text: str | None) -> dt.date | None:
    """Return a date as people write it, or raise InputError; today is that of this machine."""
    if text is None:
        return None
    days_ago = {"today": 0, "yesterday": 1}.get(text.lower())
    if days_ago is not None:
        return now().astimezone().date() - dt.timedelta(days=days_ago)
    for form in _DATE_FORMATS:
        with contextlib.suppress(ValueError):
            return dt.datetime.strptime(text.replace(",", " "), form).replace(tzinfo=dt.UTC).date()
    raise InputError(
        f"{text!r} is not a date", "write it as 2025-12-28, 28 Dec 2025, today or yesterday"
    )


def print_json(value: Any) -> None:
    """Print a result as JSON on stdout: keys as in its JSON Schema, times RFC 3339 in UTC."""
    text = json.dumps(value, default=plain, ensure_ascii=False, indent=2)
    # A file name may hold bytes that are no text.
    typer.echo(text.encode(errors="replace").decode())


def plain(value: Any) -> Any:
    """Return a value that JSON has for a dataclass or a time."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, dt.date):
        return value.isoformat()
    return str(value)


_BUCKET_SECONDS = 5.0
_LEAST_CHARS, _MOST_CHARS = 20, 60


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def print_rows(
    columns: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    format_: Format,
    most_chars: int = _MOST_CHARS,
    *,
    is_list: bool = False,
) -> None:
    """Print rows; in a terminal a table cuts cells beyond `most_chars`, elsewhere nothing is cut.

    Rows wider than the terminal are shown one under another; a list is made to fit it. What has no
    columns, such as a statement that writes, is a word on stderr.
    """
    if not columns and format_ is not Format.JSON:
        say("done: the statement gives no rows")
    elif format_ is Format.JSON:
        print_json([{name: _json_cell(value) for name, value in row.items()} for row in rows])
    elif format_ is Format.CSV:
        typer.echo(_csv(columns, rows), nl=False)
    else:
        numeric = "".join(
            "r" if rows and all(_is_number(row[name]) for row in rows) else " " for name in columns
        )
        header = [name.upper() for name in columns]
        most = most_chars if is_terminal() else sys.maxsize
        cells = [[_cut(_cell(row[name]), most) for name in columns] for row in rows]
        if is_list or not rows or _width(header, cells) <= terminal_width():
            typer.echo(table(header, cells, numeric))
        else:
            typer.echo(_one_by_one(columns, cells))


def print_records(records: Sequence[Any], record_type: type, *, as_json: bool) -> None:
    """Print dataclasses of one type."""
    columns = [field.name for field in dataclasses.fields(record_type)]
    rows = [{name: getattr(record, name) for name in columns} for record in records]
    format_ = Format.JSON if as_json else Format.TABLE
    print_rows(columns, rows, format_, sys.maxsize, is_list=True)


def _width(header: Sequence[str], cells: Sequence[Sequence[str]]) -> int:
    return max(map(width_of, aligned(header, cells).split("\n")))


def _one_by_one(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """Return rows one under another, a line a column: for rows wider than the terminal."""
    room = max(_LEAST_CHARS, terminal_width() - max(map(width_of, columns)) - 2)
    return "\n\n".join(
        aligned(
            (f"ROW {number}", ""),
            [(name, _cut(cell, room)) for name, cell in zip(columns, row, strict=True)],
        )
        for number, row in enumerate(cells, 1)
    )


def _json_cell(value: Any) -> Any:
    """Return a value that JSON has; NaN and the infinities are text, as BigQuery writes them."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, (list, tuple)):
        return [_json_cell(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _json_cell(item) for name, item in value.items()}
    return value


def _csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_csv_cell(row[name]) for name in columns] for row in rows)
    return out.getvalue()


def _csv_cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, (dict, list, bool)):
        return json.dumps(value, default=plain, ensure_ascii=False)
    if isinstance(value, (dt.date, dt.datetime)):
        return plain(value)
    # A spreadsheet takes a text that begins so for a formula, and runs it.
    is_formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{value}" if is_formula else value


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, dt.datetime):
        return moment_text(value)
    if isinstance(value, (dict, list)):
        return json.dumps(value, default=plain, ensure_ascii=False)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _cut(text: str, most_chars: int) -> str:
    return text if len(text) <= most_chars else f"{text[: most_chars - 1]}…"


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


@dataclass(frozen=True)
class BatchResult:
    """What became of a batch: conversations by state, effects by name, and every failure.

    A failed batch of rows is a failure without a conversation id.
    """

    exit_code: ExitCode
    states: Mapping[ItemState, int]
    effects: Mapping[str, int]
    failures: tuple[Failure, ...]


_FAULT_LINES = 100
_SHOWN_POINTERS = 3
_FAILURE_LINES = 50


def show_faults(faults: Sequence[Fault]) -> None:
    """Print one line a file and rule with the first places, then how often each rule is broken."""
    groups: dict[tuple[str, str, Severity], list[Fault]] = {}
    for fault in faults:
        groups.setdefault((fault.file, fault.rule, fault.severity), []).append(fault)
    for group in list(groups.values())[:_FAULT_LINES]:
        say(_fault_line(group))
    if len(groups) > _FAULT_LINES:
        say(f"… and {len(groups) - _FAULT_LINES} more; --json lists all")
    if len(groups) > 1:
        _say_rules(groups)


def _fault_line(group: Sequence[Fault]) -> str:
    first, pointers = group[0], [fault.pointer for fault in group if fault.pointer]
    place = first.file + (f"#{pointers[0]}" if len(group) == 1 and pointers else "")
    line = f"{first.severity.value}: {printable(place)}: {first.message}"
    if len(group) > 1:
        shown = ", ".join(pointers[:_SHOWN_POINTERS])
        rest = f" and {len(group) - _SHOWN_POINTERS} more" if len(group) > _SHOWN_POINTERS else ""
        line += f", {len(group)} times: {printable(shown)}{rest}"
    return f"{line} ({first.hint})"


def _say_rules(groups: Mapping[tuple[str, str, Severity], Sequence[Fault]]) -> None:
    times, files = Counter[tuple[Severity, str]](), Counter[tuple[Severity, str]]()
    for (_, rule, severity), group in groups.items():
        times[severity, rule] += len(group)
        files[severity, rule] += 1
    for (severity, rule), count in times.most_common():
        say(
            f"{severity.value}s of rule {rule}: {count} in {counted(files[severity, rule], 'file')}"
        )


def show_failures(report: BatchReport) -> None:
    """Print one line a conversation that failed."""
    for failure in report.failures[:_FAILURE_LINES]:
        say(
            f"failed: {failure.conversation_id or 'batch'}: {failure.step.value}: "
            f"{failure.code}: {printable(failure.message)}"
        )
    if len(report.failures) > _FAILURE_LINES:
        say(f"… and {len(report.failures) - _FAILURE_LINES} more; --json lists all")


def show_result(report: BatchReport) -> None:
    """Print states and effects in two lines."""
    total = sum(report.states.values())
    if report.is_interrupted:
        say("interrupted: run the same command again, it goes on from here")
    if total and report.states[ItemState.UNCHANGED] == total:
        typer.echo(f"{counted(total, 'conversation')}: nothing to do, everything is in place")
        return
    parts = [f"{report.states[state]} {state.value}" for state in ItemState if report.states[state]]
    told = counted(total, "conversation")
    typer.echo(f"{told}: {', '.join(parts)}" if parts else told)
    if report.effects:
        typer.echo(", ".join(f"{name} {count}" for name, count in sorted(report.effects.items())))


def batch_result(report: BatchReport) -> BatchResult:
    """Return the report as it is printed."""
    return BatchResult(
        exit_code=report.exit_code,
        states={state: report.states[state] for state in ItemState},
        effects=dict(sorted(report.effects.items())),
        failures=tuple(report.failures),
    )


def printable(text: str) -> str:
    """Return the text without control characters, which could steer a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)
