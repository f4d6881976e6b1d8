"""`insights-emulator`, or `python -m ingest.emulator`: run until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from contextlib import closing

from ingest.errors import IngestError, missing_extra

try:
    from ingest.emulator.annotator_process import AnnotatorProcess, Annotators
    from ingest.emulator.options import EmulatorOptions, parse_options
    from ingest.emulator.server import Emulator
except ModuleNotFoundError as absent:
    if (missing := missing_extra(absent)) is None:
        raise
    sys.stderr.write(f"error: {missing.message}\nhint:  {missing.hint}\n")
    sys.exit(int(missing.exit_code))

_GC_THRESHOLD = 50_000


async def _serve(options: EmulatorOptions, annotators: Annotators) -> None:
    emulator = Emulator(options, annotators)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopped.set)
    await emulator.start()
    _spare_the_collector()
    sys.stdout.write(f"Insights emulator ready on {options.host}:{emulator.port}\n")
    sys.stdout.write(f"REST on http://{options.host}:{emulator.rest_port}\n")
    sys.stdout.flush()
    await stopped.wait()
    await emulator.stop()


def _spare_the_collector() -> None:
    """Keep the hundred thousands of objects made so far out of every garbage collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD, 50, 100)


def main(arguments: list[str]) -> int:
    """Return the exit code; an error of the user's is two lines, never a traceback."""
    try:
        options = parse_options(arguments)
        with closing(AnnotatorProcess()) as annotators:
            asyncio.run(_serve(options, annotators))
    except IngestError as error:
        sys.stderr.write(f"error: {error.message}\n")
        if error.hint:
            sys.stderr.write(f"hint:  {error.hint}\n")
        return int(error.exit_code)
    return 0


def run() -> None:
    """Run the command `insights-emulator`."""
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
