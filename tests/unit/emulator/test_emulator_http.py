"""Reading over HTTP: every way in which a server may frame its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from ingest.emulator.http_reading import BadReplyError, HttpReader

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = (
    b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\n\r\n"
)
UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\n\r\nok"
JUNK = [
    b"nonsense\r\n\r\n",
    b"HTTP/1.1 two OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"x" * 100_000 + b"\r\n\r\n",
]


def exchange(
    answers: list[bytes], use: Callable[[HttpReader], Awaitable[list[tuple[int, bytes]]]]
) -> tuple[list[tuple[int, bytes]], int]:
    """Serve one answer a request, closing after those that end so; return (result, connections)."""
    connections = 0
    left = iter(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        for answer in left:
            if not await reader.readline():
                break
            while await reader.readline() not in (b"\r\n", b""):
                pass
            writer.write(answer)
            if answer in (CLOSING, UNTIL_CLOSED, *JUNK) or not answer.startswith(b"HTTP/1.1 "):
                break
        writer.close()

    async def run() -> list[tuple[int, bytes]]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        http = HttpReader(f"http://127.0.0.1:{port}")
        try:
            return await use(http)
        finally:
            http.close()
            server.close()

    return asyncio.run(run()), connections


async def thrice(http: HttpReader) -> list[tuple[int, bytes]]:
    return [await http.get("/a?b=c") for _ in range(3)]


@pytest.mark.parametrize(
    ("answer", "status", "connections"),
    [(PLAIN, 200, 1), (CHUNKED, 404, 1), (CLOSING, 200, 3), (UNTIL_CLOSED, 200, 3)],
)
def test_an_answer_is_read_whole_and_its_connection_used_again_when_it_may_be(
    answer: bytes, status: int, connections: int
) -> None:
    assert exchange([answer] * 3, thrice) == ([(status, b"ok")] * 3, connections)


@pytest.mark.parametrize("answer", [b"nonsense\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\nContent-"])
def test_what_is_no_answer_is_said_so(answer: bytes) -> None:
    async def once(http: HttpReader) -> list[tuple[int, bytes]]:
        return [await http.get("/")]

    with pytest.raises(BadReplyError):
        exchange([answer], once)


@pytest.mark.parametrize("junk", JUNK, ids=range(len(JUNK)))
def test_junk_on_a_connection_that_is_used_again_is_said_so(junk: bytes) -> None:
    async def twice(http: HttpReader) -> list[tuple[int, bytes]]:
        return [await http.get("/") for _ in range(2)]

    with pytest.raises(BadReplyError):
        exchange([PLAIN, junk], twice)
