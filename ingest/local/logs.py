"""The logs of the stack's services, as lines with the service's name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

_PAUSE_SEC = 0.25


def last_lines(log: Path, count: int) -> list[str]:
    """Return the last lines of a log, none when there is no log."""
    if count <= 0 or not log.exists():
        return []
    return log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]


def follow(
    logs: Sequence[Path], pause: Callable[[float], None] = time.sleep
) -> Iterator[tuple[Path, str]]:
    """Yield each whole line as it is appended, from now on; a log that is begun anew counts."""
    offsets = {log: log.stat().st_size if log.exists() else 0 for log in logs}
    while True:
        for log in logs:
            for line in _appended(log, offsets):
                yield log, line
        pause(_PAUSE_SEC)


def _appended(log: Path, offsets: dict[Path, int]) -> list[str]:
    if not log.exists():
        return []
    with log.open("rb") as stream:
        if log.stat().st_size < offsets[log]:
            offsets[log] = 0
        stream.seek(offsets[log])
        whole, newline, _ = stream.read().rpartition(b"\n")
    offsets[log] += len(whole) + len(newline)
    return whole.decode("utf-8", errors="replace").splitlines()
