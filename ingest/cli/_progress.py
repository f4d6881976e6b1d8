"""Progress for people: bars on a terminal, plain lines elsewhere; all on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ingest.cli._console import wrapped
from ingest.cli._context import say
from ingest.domain.quota import QuotaUse
from ingest.flows.watch import duration

if TYPE_CHECKING:
    from rich.console import Group
    from rich.progress import TaskID

_LINE_EVERY_SEC = 10.0


_WIDTH = 80


class Lines:
    """A line every ten seconds: what is done, and what the run waits for."""

    def __init__(self) -> None:
        self._totals: dict[str, int | None] = {}
        self._done: dict[str, int] = {}
        self._began_at = self._said_at = time.monotonic()
        self._quota: Mapping[str, QuotaUse] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._done:
            self._say()

    def stage(self, name: str, total: int | None) -> None:
        """Learn the stage's total."""
        self._totals[name] = total

    def advance(self, name: str) -> None:
        """Count one."""
        self._done[name] = self._done.get(name, 0) + 1
        if time.monotonic() - self._said_at >= _LINE_EVERY_SEC:
            self._say()

    def quota(self, use: Mapping[str, QuotaUse]) -> None:
        """Keep it for the next line."""
        self._quota = use

    def note(self, message: str) -> None:
        """Print the message."""
        say(message)

    def now(self, sentences: tuple[str, ...]) -> None:
        """Leave out what changes many times a second."""

    def tick(self, sentences: tuple[str, ...]) -> None:
        """Print what is done, unless it was just said, and what the run waits for."""
        if time.monotonic() - self._said_at >= _LINE_EVERY_SEC / 2:
            self._say()
        for sentence in sentences:
            for line in wrapped(sentence, _WIDTH - 2, "  "):
                say(f"  {line}")

    def _say(self) -> None:
        self._said_at = time.monotonic()
        parts = []
        for name in dict.fromkeys([*self._totals, *self._done]):
            done, total = self._done.get(name, 0), self._totals.get(name)
            parts.append(f"{name} {done}" + (f"/{total}" if total is not None else ""))
        parts.append(duration(self._said_at - self._began_at))
        for line in (", ".join(parts), quota_text(self._quota)):
            for part in wrapped(line, _WIDTH, "  ") if line else ():
                say(part)


class Bars:
    """One bar a stage."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._console = Console(stderr=True)
        self._quota = ""
        self._sentences: tuple[str, ...] = ()
        self._progress = Progress(
            TextColumn("{task.description:<9}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("eta"),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._live = Live(self._shown(), console=self._console, refresh_per_second=4)
        self._tasks: dict[str, TaskID] = {}

    def _shown(self) -> Group:
        """Return the bars, and a line below for each thing that the run waits for."""
        from rich.console import Group
        from rich.text import Text

        lines = [line for line in (self._quota, *self._sentences) if line]
        return Group(
            self._progress,
            *(Text(line, overflow="ellipsis", no_wrap=True, style="dim") for line in lines),
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._sentences = ()
        self._live.update(self._shown())
        self._live.stop()

    def stage(self, name: str, total: int | None) -> None:
        """Show a bar, or give it its total."""
        if name in self._tasks:
            self._progress.update(self._tasks[name], total=total)
        else:
            self._tasks[name] = self._progress.add_task(name, total=total)

    def advance(self, name: str) -> None:
        """Count one."""
        self._progress.advance(self._tasks[name])

    def quota(self, use: Mapping[str, QuotaUse]) -> None:
        """Show it below the bars."""
        self._quota = quota_text(use)
        self._live.update(self._shown())

    def now(self, sentences: tuple[str, ...]) -> None:
        """Show what goes on below the bars."""
        self._sentences = sentences
        self._live.update(self._shown())

    def tick(self, sentences: tuple[str, ...]) -> None:
        """Show what the run waits for below the bars."""
        self.now(sentences)

    def note(self, message: str) -> None:
        """Print the message above the bars."""
        self._console.print(message, markup=False, highlight=False)


def quota_text(use: Mapping[str, QuotaUse]) -> str:
    """Return the quotas in use, for example `creates 40 % of 300/min`."""
    parts = [
        f"{name} {100 * one.used / one.limit:.0f} % of {one.limit}/min"
        for name, one in use.items()
        if one.used
    ]
    return ", ".join(parts)


def progress_for_people() -> Bars | Lines:
    """Return bars on a terminal, lines elsewhere."""
    return Bars() if sys.stderr.isatty() else Lines()
