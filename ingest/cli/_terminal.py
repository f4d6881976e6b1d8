"""Text for a terminal: safe, aligned, dated in words a person reads."""

from __future__ import annotations

import datetime as dt
import shutil
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any

import typer

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
