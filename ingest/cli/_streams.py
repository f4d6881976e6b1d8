"""Standard streams that are closed, full, or no longer read: one line, no traceback."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from ingest.errors import ExitCode


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
def told_when_unwritable() -> Iterator[None]:
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
