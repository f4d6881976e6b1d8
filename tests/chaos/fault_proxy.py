"""An HTTP proxy of ours between the sidecar and an emulator, that refuses, drops and forgets.

Before the effect: 503, or the connection is closed. After it: the request is forwarded, and the
answer is dropped. What happens is drawn from a seed.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
    b'Content-Length: 50\r\n\r\n{"error": {"code": 503, "message": "fault proxy"}}'
)
_HEADERS_END = b"\r\n\r\n"


class FaultProxy:
    """Listens on a free port of 127.0.0.1; use it in a `with` block."""

    def __init__(self, upstream: str, rate: float, seed: int) -> None:
        self.rate = rate
        self.faults: Counter[str] = Counter()
        self.request_count = 0
        self._upstream = urlsplit(upstream).netloc
        self._rng = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        started = asyncio.run_coroutine_threadsafe(self._start(), self._loop)
        self._server = started.result(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def endpoint(self) -> str:
        """The address that the sidecar is given."""
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _start(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**26)

    async def _stop(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _message(reader)) is not None:
                answer = await self._answer(request)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, request: bytes) -> bytes | None:
        self.request_count += 1
        fault = self._draw()
        self.faults[fault or "none"] += 1
        if fault == "refused":
            return _REFUSAL
        if fault == "dropped":
            return None
        answer = await self._forward(request)
        return None if fault == "answer lost" else answer

    def _draw(self) -> str | None:
        if self._rng.random() >= self.rate:
            return None
        return self._rng.choice(["refused", "dropped", "answer lost", "answer lost"])

    async def _forward(self, request: bytes) -> bytes | None:
        host, _, port = self._upstream.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=2**26)
        try:
            writer.write(request)
            await writer.drain()
            return await _message(reader, is_head=request.startswith(b"HEAD "))
        finally:
            writer.close()


async def _message(reader: asyncio.StreamReader, *, is_head: bool = False) -> bytes | None:
    """Return one HTTP/1.1 message, or None when the other side has nothing more to say."""
    try:
        head = await reader.readuntil(_HEADERS_END)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    headers = _headers(head)
    if is_head or head.startswith((b"HTTP/1.1 204", b"HTTP/1.1 304")):
        return head
    if "chunked" in headers.get("transfer-encoding", ""):
        return head + await _chunks(reader)
    if "content-length" in headers:
        return head + await reader.readexactly(int(headers["content-length"]))
    return head + await reader.read() if head.startswith(b"HTTP/") else head


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        parts += [line, await reader.readexactly(size + 2)]
        if size == 0:
            return b"".join(parts)


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines if line)
    return {name.strip().lower(): value.strip().lower() for name, _, value in pairs}
