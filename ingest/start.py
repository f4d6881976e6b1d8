"""Where `ingest` begins: a signal during its imports, most of a second, ends it without a word."""

from __future__ import annotations

import os
import signal

_INTERRUPTED = 130
"""`ExitCode.INTERRUPTED`; nothing is imported here that takes time."""


def main() -> None:
    """Run the command line, which hears signals by its own means once it is loaded."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: os._exit(_INTERRUPTED))
    from ingest.cli import main as run

    run()
