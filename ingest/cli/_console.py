"""What every command writes to a terminal: safe text, tables that fit, errors, closed streams;
and how it takes a signal."""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import io
import os
import re
import shutil
import signal
import sys
import threading
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn, TextIO

import typer
from typer.core import TyperGroup

from ingest.errors import ExitCode, IngestError, InputError, SettingsError, missing_extra

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_UNSAFE = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def safe(text: str) -> str:
    """Return the text without control and format characters, each replaced by `?`.

    Data may hold escape sequences that would move the cursor, recolour or retitle a terminal, and
    characters that reverse the order of what is read.
    """
    return "".join(
        "?" if unicodedata.category(character) in _UNSAFE else character for character in text
    )


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]], right: str = "") -> str:
    """Return a table in plain text; `right` has an `r` at the place of each right-aligned column.

    Columns are as wide as their widest cell, so nothing is cut.
    """
    lines = [tuple(header), *(tuple(safe(cell) for cell in row) for row in rows)]
    widths = [max(width_of(line[place]) for line in lines) for place in range(len(header))]
    sides = right.ljust(len(header))
    return "\n".join(
        "  ".join(
            _padded(cell, widths[place], is_right=sides[place] == "r")
            for place, cell in enumerate(line)
        ).rstrip()
        for line in lines
    )


def width_of(text: str) -> int:
    """Return how many terminal cells the text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """Return the text's words in lines of at most `width` cells, all but the first indented.

    A word that is wider than a line is broken.
    """
    lines: list[str] = []
    line = ""
    for word in text.split():
        room = width - (width_of(indent) if lines else 0)
        if line and width_of(line) + 1 + width_of(word) <= room:
            line = f"{line} {word}"
            continue
        if line:
            lines.append(line)
        line = word
        room = max(1, width - (width_of(indent) if lines else 0))
        while width_of(line) > room and len(line) > 1:
            length = _fitting(line, room)
            lines.append(line[:length])
            line = line[length:]
            room = max(1, width - width_of(indent))
    return [f"{indent if place else ''}{each}" for place, each in enumerate([*lines, line])]


def _fitting(text: str, room: int) -> int:
    """Return how many characters of it take at most `room` cells, one at least."""
    length = min(len(text), room)
    while length > 1 and width_of(text[:length]) > room:
        length -= 1
    return max(1, length)


def styled(text: str, **style: Any) -> str:
    """Return the text coloured, unless NO_COLOR is set; echo drops colours outside a terminal."""
    from ingest.settings import environment

    return text if environment().get("NO_COLOR") else typer.style(text, **style)


def terminal_width() -> int:
    """Return the cells of a line of the terminal; in a pipe or a file there is no limit."""
    return shutil.get_terminal_size().columns if is_terminal() else sys.maxsize


def is_terminal() -> bool:
    """Return whether people read the output as it comes; elsewhere nothing may be shortened."""
    return sys.stdout.isatty()


def age(seconds: float) -> str:
    """Return a length of time in the one unit that fits: `40 s`, `12 min`, `3 h`, `5 d`."""
    whole = max(0, round(seconds))
    if whole < 2 * _MINUTE:
        return f"{whole} s"
    if whole < 2 * _HOUR:
        return f"{whole // _MINUTE} min"
    if whole < 2 * _DAY:
        return f"{whole // _HOUR} h"
    return f"{whole // _DAY} d"


def ago(moment: dt.datetime, now: dt.datetime) -> str:
    """Return how long ago that was."""
    return f"{age((now - moment).total_seconds())} ago"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return `1 run`, `2 runs`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def moment_text(moment: dt.datetime | None) -> str:
    """Return a time in UTC to the second, `-` for none."""
    return "-" if moment is None else f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M:%SZ}"


def _padded(text: str, width: int, *, is_right: bool) -> str:
    padding = " " * (width - width_of(text))
    return padding + text if is_right else text + padding


_GAP = 2
_LEAST_WIDTH = 8
_BREAK = re.compile(r"(?<=[ /_])|(?<=\.)(?=[A-Za-z_*])(?!json\b)")
"""Where a cell may go on in its next line."""


@dataclass(frozen=True)
class _Column:
    """A column; `width` is that of its widest line, or less where its cells are wrapped."""

    name: str
    header: tuple[str, ...]
    cells: tuple[str, ...]
    is_right: bool
    width: int

    @property
    def least_width(self) -> int:
        """The width that it can be wrapped to without breaking a word."""
        if self.is_right:
            return self.width
        parts = (part.rstrip() for cell in self.cells for part in _BREAK.split(cell))
        return max(width_of(text) for text in (*self.header, *parts))

    def lines(self, cell: str) -> list[str]:
        """Return the cell in lines of at most its width."""
        return [cell] if width_of(cell) <= self.width else _wrapped(cell, self.width)


@dataclass(frozen=True)
class FittedTable:
    """A table as text, and the names of the columns that had no room."""

    text: str
    left_out: tuple[str, ...] = ()


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], right: str = "", indent: int = 0
) -> str:
    """Return a table that fits the terminal; says on stderr which columns had no room there.

    `right` has an `r` at the place of each right-aligned column, whose cells are never shortened.
    """
    found = fitted(header, rows, right, terminal_width() - indent)
    if found.left_out:
        names = ", ".join(name.lower() for name in found.left_out)
        typer.echo(f"no room for {names}: a wider terminal or a pipe shows all", err=True)
    return "\n".join(f"{' ' * indent}{line}" for line in found.text.split("\n"))


def fitted(
    header: Sequence[str], rows: Sequence[Sequence[str]], right: str, width: int
) -> FittedTable:
    """Return the table in lines of at most `width` cells, changed no more than it has to be.

    In this order: names of columns are written in several lines; hashes, UUIDs, times and long
    numbers of left-aligned columns are shortened; cells are wrapped; columns are left out from the
    right; and where one column is left, its words are broken.
    """
    safe_rows = [[safe(cell) for cell in row] for row in rows]
    sides = right.ljust(len(header))
    columns = [
        _measured(_Column(name, (name,), tuple(row[place] for row in safe_rows), side == "r", 0))
        for place, (name, side) in enumerate(zip(header, sides, strict=True))
    ]
    steps: list[Callable[[_Column], _Column]] = [_split_header, *map(_shortener, _SHORTER)]
    for step in steps:
        if _total(columns) <= width:
            return FittedTable(_text(columns))
        columns = [_measured(step(column)) for column in columns]
    left_out: list[str] = []
    while _total(_wrapped_to(columns, width)) > width and len(columns) > 1:
        left_out.insert(0, columns.pop().name)
    columns = _wrapped_to(columns, width)
    if _total(columns) > width:
        columns = [replace(columns[0], width=max(_LEAST_WIDTH, width))]
    return FittedTable(_text(columns), tuple(left_out))


def _measured(column: _Column) -> _Column:
    return replace(column, width=max(map(width_of, (*column.header, *column.cells))))


def _total(columns: Sequence[_Column]) -> int:
    return sum(column.width for column in columns) + _GAP * (len(columns) - 1)


def _split_header(column: _Column) -> _Column:
    return replace(column, header=tuple(re.findall(r"[^_ ]+", column.name)) or (column.name,))


def _unique_beginnings(cells: Sequence[str]) -> tuple[str, ...]:
    """Return UUIDs as their first letters, as many as tell those of the column apart."""
    whole = {cell for cell in cells if _UUID.fullmatch(cell)}
    length = _UUID_CHARS
    while len({cell[:length] for cell in whole}) < len(whole):
        length += 1
    return tuple(cell[:length] if cell in whole else _UUID.sub(r"\1…", cell) for cell in cells)


_UUID_CHARS = 8
_UUID = re.compile(r"\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_HASH = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")
_SHORT_HASH = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{4}\b…?")
_SECONDS = re.compile(r"\b(\d{4}-\d\d-\d\d \d\d:\d\d):\d\dZ")
_LONG_NUMBER = re.compile(r"\b(\d{8})\d{7,}\b")
_SHORTER: tuple[Callable[[Sequence[str]], tuple[str, ...]], ...] = (
    lambda cells: tuple(_HASH.sub(r"\1…", cell) for cell in cells),
    _unique_beginnings,
    lambda cells: tuple(_SECONDS.sub(r"\1Z", cell) for cell in cells),
    lambda cells: tuple(_LONG_NUMBER.sub(r"\1…", cell) for cell in cells),
    lambda cells: tuple(_SHORT_HASH.sub(r"\1…", cell) for cell in cells),
)


def _shortener(
    shorter: Callable[[Sequence[str]], tuple[str, ...]],
) -> Callable[[_Column], _Column]:
    return lambda column: (
        column if column.is_right else replace(column, cells=shorter(column.cells))
    )


def _wrapped_to(columns: Sequence[_Column], width: int) -> list[_Column]:
    """Return columns narrowed towards the width, the widest first, as far as words allow."""
    found = list(columns)
    while (excess := _total(found) - width) > 0:
        can_give = [column for column in found if column.width > column.least_width]
        if not can_give:
            break
        widest, *others = sorted(can_give, key=lambda column: column.width, reverse=True)
        level = min(others[0].width, widest.width - 1) if others else 0
        narrower = max(widest.least_width, widest.width - excess, level)
        found[found.index(widest)] = replace(widest, width=narrower)
    return found


def _wrapped(cell: str, width: int) -> list[str]:
    """Return the cell in lines, broken between its parts, or within one that is too wide."""
    lines = [""]
    for part in _BREAK.split(cell):
        if lines[-1] and width_of(f"{lines[-1]}{part}".rstrip()) > width:
            lines.append("")
        lines[-1] += part
        while width_of(lines[-1].rstrip()) > width:
            length = width
            while width_of(lines[-1][:length]) > width:
                length -= 1
            lines[-1:] = [lines[-1][:length], lines[-1][length:]]
    return [line.rstrip() for line in lines]


def _text(columns: Sequence[_Column]) -> str:
    if not columns:
        return ""
    height = max(len(column.header) for column in columns)
    lines = [
        [(*column.header, *[""] * height)[place] for column in columns] for place in range(height)
    ]
    for row in range(len(columns[0].cells)):
        cells = [column.lines(column.cells[row]) for column in columns]
        lines += [
            [cell[place] if place < len(cell) else "" for cell in cells]
            for place in range(max(map(len, cells)))
        ]
    right = "".join("r" if column.is_right else " " for column in columns)
    return aligned(lines[0], lines[1:], right)


class _OutputError(OSError):
    """A standard stream takes no more output; other files raise OSError."""


class _Output(io.FileIO):
    """What a standard stream writes to; after its first failure it drops all that comes."""

    problem: str | None = None

    def write(self, data: Any) -> int:
        """Write; raise _OutputError the first time that it fails."""
        if self.problem is not None:
            return len(data)
        try:
            return super().write(data)
        except OSError as error:
            self.problem = error.strerror
            raise _OutputError(error.errno, error.strerror) from error


@contextlib.contextmanager
def broken_pipe_guard() -> Iterator[None]:
    """End in exit code 1, with one line on stderr, when stdout takes no more output.

    A reader that has gone away, as `head` does, is no news to anyone: that ends without a word.
    """
    _open_what_is_closed()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _watched(sys.stdout), _watched(sys.stderr)
    try:
        try:
            yield
        finally:
            # What is still buffered would fail at exit, where nobody could tell.
            sys.stdout.flush()
    except _OutputError as error:
        if error.errno != errno.EPIPE:
            _tell(error.strerror or "no reason given")
        raise SystemExit(int(ExitCode.SOME_FAILED)) from error
    finally:
        sys.stdout, sys.stderr = before


def _open_what_is_closed() -> None:
    """Give closed streams a file, or the next file opened would take their place.

    Without stdout a command ends before it begins: its result would be lost.
    """
    # Streams are None where the descriptor was closed when Python started.
    is_closed = sys.stdout is None
    sys.stdin, sys.stdout, sys.stderr = (
        open(os.devnull, mode, encoding="utf-8") if stream is None else stream  # noqa: PTH123, SIM115 - as long as we run
        for stream, mode in ((sys.stdin, "r"), (sys.stdout, "w"), (sys.stderr, "w"))
    )
    if is_closed:
        _tell(os.strerror(errno.EBADF))
        raise SystemExit(int(ExitCode.SOME_FAILED))


def _watched(stream: TextIO) -> TextIO:
    """Return a stream that writes to the same file and says when that fails."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    output = _Output(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(output),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
    )


def _tell(problem: str) -> None:
    with contextlib.suppress(OSError):
        print(  # noqa: T201 - `say` would load what a failing command has no use for
            f"error: the output can't be written: {problem[:1].lower()}{problem[1:]}",
            file=sys.stderr,
            flush=True,
        )


_INTERRUPT_SECONDS = 9.0


@contextlib.contextmanager
def prompt_interrupts(longest_sec: float = _INTERRUPT_SECONDS) -> Iterator[None]:
    """Have SIGINT and SIGTERM interrupt the block, which ends within that time whatever it waits
    for, such as the thread of a call that gets no answer. An ignored SIGINT stays ignored."""

    def interrupt(number: int, frame: object) -> NoReturn:
        timer = threading.Timer(longest_sec, os._exit, (int(ExitCode.INTERRUPTED),))
        timer.daemon = True
        timer.start()
        raise KeyboardInterrupt

    is_ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    numbers = [signal.SIGTERM] if is_ignored else [signal.SIGTERM, signal.SIGINT]
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class ErrorGroup(TyperGroup):
    """A group whose commands may raise IngestError."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; turn an IngestError into its message, hint and exit code.

        An interrupt that no flow has taken up ends in 130, as a shell expects.
        """
        try:
            return super().invoke(ctx)
        except IngestError as error:
            raise _shown(error) from error
        except ModuleNotFoundError as error:
            if (missing := missing_extra(error)) is None:
                raise
            raise _shown(missing) from error
        except _OutputError:
            raise
        except OSError as error:
            if error.filename is None and error.errno not in _NO_ROOM:
                raise
            raise _shown(_unusable_file(error)) from error
        except RuntimeError as error:
            if _NO_THREAD not in str(error):
                raise
            raise _shown(SettingsError(*_NO_MORE_THREADS)) from error
        except KeyboardInterrupt as error:
            raise typer.Exit(int(ExitCode.INTERRUPTED)) from error


_NO_THREAD = "can't start new thread"
_NO_MORE_THREADS = (
    "this machine starts no more threads",
    "raise its limit (`ulimit -u`), or set INGEST_UPLOAD_THREADS to less",
)


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a write is refused with; the system then doesn't say of which file."""


def _unusable_file(error: OSError) -> InputError:
    reason = (error.strerror or type(error).__name__).lower()
    return InputError(
        f"{error.filename or 'a file that was to be written'}: {reason}",
        "check the path, its permissions and the space on the disk",
    )


def _shown(error: IngestError) -> typer.Exit:
    """Print the error and its hint; return the exit to raise."""
    typer.echo(f"error: {safe(error.message)}", err=True)
    if error.hint:
        typer.echo(f"hint:  {safe(error.hint)}", err=True)
    return typer.Exit(int(error.exit_code))
