"""GET over HTTP/1.1 on the event loop, with connections that are used again.

The emulator reads one small object for every conversation; a client library with threads or its
own event machinery costs more than everything else that CreateConversation does.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

_TIMEOUT_SEC = 10.0
_MAX_HEADER_BYTES = 64 * 1024
_IDLE_CONNECTIONS = 16

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class BadReplyError(Exception):
    """The server's answer is no HTTP that is understood here."""


class HttpReader:
    """Reads from one `http://host:port`."""

    def __init__(self, endpoint: str) -> None:
        url = urlsplit(endpoint)
        self._host, self._port = url.hostname or "", url.port or 80
        self._request = f" HTTP/1.1\r\nHost: {url.netloc}\r\nAccept: */*\r\n\r\n"
        self._idle: list[Connection] = []

    async def get(self, path: str) -> tuple[int, bytes]:
        """Return status and content; raise OSError, TimeoutError or BadReplyError."""
        async with asyncio.timeout(_TIMEOUT_SEC):
            while self._idle:
                # A server may close a connection that rests; that is no failure of the request.
                try:
                    return await self._exchange(self._idle.pop(), path)
                except (OSError, asyncio.IncompleteReadError):
                    continue
            connection = await asyncio.open_connection(
                self._host, self._port, limit=_MAX_HEADER_BYTES
            )
            try:
                return await self._exchange(connection, path)
            except asyncio.IncompleteReadError as error:
                raise BadReplyError(type(error).__name__) from error

    def close(self) -> None:
        """Close the resting connections."""
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()

    async def _exchange(self, connection: Connection, path: str) -> tuple[int, bytes]:
        reader, writer = connection
        try:
            writer.write(f"GET {path}{self._request}".encode("ascii"))
            head = await reader.readuntil(b"\r\n\r\n")
            status, headers = _parse_head(head)
            content, is_whole = await _read_content(reader, headers)
        except (asyncio.LimitOverrunError, LookupError, ValueError) as error:
            writer.close()
            raise BadReplyError(type(error).__name__) from error
        except BaseException:
            writer.close()
            raise
        is_kept = is_whole and headers.get(b"connection", b"").lower() != b"close"
        if is_kept and len(self._idle) < _IDLE_CONNECTIONS:
            self._idle.append(connection)
        else:
            writer.close()
        return status, content


def _parse_head(head: bytes) -> tuple[int, dict[bytes, bytes]]:
    first, *lines = head.rstrip().split(b"\r\n")
    headers: dict[bytes, bytes] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        headers[name.strip().lower()] = value.strip()
    return int(first.split()[1]), headers


async def _read_content(
    reader: asyncio.StreamReader, headers: dict[bytes, bytes]
) -> tuple[bytes, bool]:
    """Return the content, and whether the connection may be used again."""
    if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
        return await _read_chunks(reader), True
    if b"content-length" in headers:
        return await reader.readexactly(int(headers[b"content-length"])), True
    return await reader.read(), False


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    chunks: list[bytes] = []
    while True:
        size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
        chunks.append(await reader.readexactly(size))
        await reader.readexactly(2)
        if size == 0:
            return b"".join(chunks)
