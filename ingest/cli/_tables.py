"""Tables that fit the terminal: what is too wide is shortened or wrapped, in a pipe nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import typer

from ingest.cli._terminal import aligned, safe, terminal_width, width_of

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
