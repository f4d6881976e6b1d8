"""Objects over HTTP: every way in which a server may frame its answer."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from ingest.emulator.cloud_storage import GcsUri, ObjectReader
from ingest.emulator.errors import ApiError

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\n\r\n"
UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\n\r\nok"
JUNK = [
    b"",
    b"nonsense\r\n\r\n",
    b"HTTP/1.1 two OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"x" * 100_000 + b"\r\n\r\n",
]


NOT_FOUND = PLAIN.replace(b"200 OK", b"404 Not Found")
OBJECT = GcsUri("bucket", "a b.json")


def exchange(answers: list[bytes], reads: int) -> tuple[list[bytes], list[bytes], int]:
    """Read an object so often from a server that gives one answer a request, closing after those
    that end so; return (contents, request lines, connections)."""
    connections, asked = 0, []
    left = iter(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        for answer in left:
            line = await reader.readline()
            if not line:
                break
            asked.append(line)
            while await reader.readline() not in (b"\r\n", b""):
                pass
            writer.write(answer)
            if answer in (CLOSING, UNTIL_CLOSED, *JUNK) or not answer.startswith(b"HTTP/1.1 "):
                break
        writer.close()

    async def run() -> list[bytes]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        objects = ObjectReader(f"http://127.0.0.1:{port}")
        try:
            return [await objects.read(OBJECT) for _ in range(reads)]
        finally:
            objects.close()
            server.close()

    return asyncio.run(run()), asked, connections


@pytest.mark.parametrize(
    ("answer", "connections"), [(PLAIN, 1), (CHUNKED, 1), (CLOSING, 3), (UNTIL_CLOSED, 3)]
)
def test_an_answer_is_read_whole_and_its_connection_used_again_when_it_may_be(
    answer: bytes, connections: int
) -> None:
    line = b"GET /storage/v1/b/bucket/o/a%20b.json?alt=media HTTP/1.1\r\n"
    assert exchange([answer] * 3, 3) == ([b"ok"] * 3, [line] * 3, connections)


def test_a_connection_that_was_closed_while_it_rested_is_made_anew() -> None:
    contents, asked, connections = exchange([PLAIN, b"", PLAIN], 2)
    assert (contents, len(asked), connections) == ([b"ok"] * 2, 3, 2)


def test_an_answer_of_not_found_says_the_object() -> None:
    with pytest.raises(ApiError, match=r"'gs://bucket/a b\.json': it was not found"):
        exchange([NOT_FOUND], 1)


@pytest.mark.parametrize("first", [[], [PLAIN]], ids=["new", "used again"])
@pytest.mark.parametrize("junk", JUNK, ids=range(len(JUNK)))
def test_what_is_no_answer_is_said_so(first: list[bytes], junk: bytes) -> None:
    with pytest.raises(ApiError) as refusal:
        exchange([*first, junk, junk], len(first) + 1)
    assert refusal.value.code is grpc.StatusCode.UNAVAILABLE
