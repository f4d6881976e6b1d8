"""`python -m ingest.emulator`: run until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import signal
import sys

from ingest.emulator.options import EmulatorOptions, parse_options
from ingest.emulator.server import Emulator


async def _serve(options: EmulatorOptions) -> None:
    emulator = Emulator(options)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopped.set)
    await emulator.start()
    sys.stdout.write(f"CI emulator ready on 127.0.0.1:{emulator.port}\n")
    sys.stdout.flush()
    await stopped.wait()
    await emulator.stop()


if __name__ == "__main__":
    asyncio.run(_serve(parse_options(sys.argv[1:])))
