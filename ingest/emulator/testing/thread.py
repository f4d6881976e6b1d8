"""The emulator on an event loop of its own, in a thread of the test's process."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import Self

from ingest.emulator.options import EmulatorOptions
from ingest.emulator.server import HOST, Emulator

_START_SEC = 30.0


class EmulatorThread:
    """A running emulator; use it in a `with` block."""

    def __init__(self, options: EmulatorOptions) -> None:
        self._options = options
        self._started: Future[int] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self.address = ""

    def __enter__(self) -> Self:
        self._thread.start()
        self.address = f"{HOST}:{self._started.result(_START_SEC)}"
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._stopped is not None:
            self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(_START_SEC)

    async def _serve(self) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        try:
            emulator = Emulator(self._options)
            await emulator.start()
        except Exception as error:  # noqa: BLE001 (told to the thread that waits)
            self._started.set_exception(error)
            return
        self._started.set_result(emulator.port)
        await self._stopped.wait()
        await emulator.stop()
