"""Progress for people: bars on a terminal, plain lines elsewhere; all on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ingest.cli._context import say
from ingest.domain.quota import QuotaUse

if TYPE_CHECKING:
    from rich.progress import TaskID

_LINE_EVERY_SEC = 5.0


class Lines:
    """A line when a stage learns its total, and at most one every five seconds."""

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

    def _say(self) -> None:
        self._said_at = time.monotonic()
        parts = []
        for name, done in self._done.items():
            total = self._totals.get(name)
            parts.append(f"{name} {done}" + (f"/{total}" if total is not None else ""))
        seconds = max(0.001, self._said_at - self._began_at)
        fastest = max(self._done.values())
        say("  ".join([*parts, f"{fastest / seconds:.0f}/s", quota_text(self._quota)]).rstrip())


class Bars:
    """One bar a stage."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description:<9}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("eta"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[quota]}"),
            console=self._console,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def stage(self, name: str, total: int | None) -> None:
        """Show a bar, or give it its total."""
        if name in self._tasks:
            self._progress.update(self._tasks[name], total=total)
        else:
            self._tasks[name] = self._progress.add_task(name, total=total, quota="")

    def advance(self, name: str) -> None:
        """Count one."""
        self._progress.advance(self._tasks[name])

    def quota(self, use: Mapping[str, QuotaUse]) -> None:
        """Show it beside the last bar."""
        if self._tasks:
            self._progress.update(list(self._tasks.values())[-1], quota=quota_text(use))

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
