"""What goes over the wire for a small object, and what each kind of answer becomes."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import google_crc32c
import pytest

from ingest.errors import RemoteError
from ingest.gcp.storage import GcsObjectStore
from ingest.ports.move import StoredObject
from tests.fakes.world import fake_settings

CONTENT = '{"text": "--Grüße\\r\\n--"}'.encode()
CRC32C = base64.b64encode(google_crc32c.Checksum(CONTENT).digest()).decode()
STORED = StoredObject("a/b c.json", 7, CRC32C, len(CONTENT), "ab" * 32)


@dataclass
class Uploads:
    """A server of uploads; `statuses` are answered in turn, then 200."""

    statuses: list[int] = field(default_factory=list)
    requests: list[tuple[dict[str, list[str]], dict[str, Any], str, bytes]] = field(
        default_factory=list
    )
    crc32c: str = CRC32C
    hangs: bool = False
    port: int = 0


def handler(uploads: Uploads) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kind = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
            first, second = message_from_bytes(kind + body).get_payload()
            resource = json.loads(first.get_payload(decode=True))
            content = second.get_payload(decode=True)
            query = parse_qs(urlsplit(self.path).query)
            uploads.requests.append((query, resource, second.get_content_type(), content))
            if uploads.hangs:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            status = uploads.statuses.pop(0) if uploads.statuses else 200
            told = {**resource, "generation": "7", "size": str(len(content))}
            told |= {"crc32c": uploads.crc32c, "bucket": "bucket-1"}
            answer = told if status == 200 else {"error": {"message": "because"}}
            written = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(written)))
            self.end_headers()
            self.wfile.write(written)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler


@pytest.fixture
def uploads() -> Iterator[Uploads]:
    state = Uploads()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(state))
    server.daemon_threads = True
    state.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


def put(uploads: Uploads) -> StoredObject:
    endpoint = f"http://127.0.0.1:{uploads.port}"
    store = GcsObjectStore(fake_settings(gcs_endpoint=endpoint, bucket="bucket-1"))
    try:
        return asyncio.run(
            store.put(
                STORED.name,
                CONTENT,
                content_type="application/json",
                content_sha256="ab" * 32,
                if_generation_match=5,
            )
        )
    finally:
        store.close()


def test_an_object_goes_in_one_request_with_its_precondition_and_checksum(
    uploads: Uploads,
) -> None:
    assert put(uploads) == STORED
    resource = {
        "name": "a/b c.json",
        "contentType": "application/json",
        "metadata": {"content_sha256": "ab" * 32},
        "crc32c": CRC32C,
    }
    query = {"uploadType": ["multipart"], "ifGenerationMatch": ["5"]}
    assert uploads.requests == [(query, resource, "application/json", CONTENT)]


@pytest.mark.parametrize(
    ("status", "told"),
    [
        # What is wrong with a request may quote it, so only the status is told.
        (412, "FAILED_PRECONDITION"),
        (403, "PERMISSION_DENIED: because"),
        (429, "RESOURCE_EXHAUSTED: because"),
        (503, "UNAVAILABLE: because"),
    ],
)
def test_a_refusal_is_told_by_its_status_and_not_repeated(
    uploads: Uploads, status: int, told: str
) -> None:
    uploads.statuses = [status]

    with pytest.raises(RemoteError) as caught:
        put(uploads)

    assert caught.value.message == f"GCS: {told}"
    assert (caught.value.code, len(uploads.requests)) == (told.partition(":")[0], 1)


def test_a_lost_connection_is_unavailable(uploads: Uploads) -> None:
    uploads.hangs = True

    with pytest.raises(RemoteError) as caught:
        put(uploads)

    assert caught.value.code == "UNAVAILABLE"


def test_a_checksum_that_differs_is_data_loss(uploads: Uploads) -> None:
    uploads.crc32c = "AAAAAA=="

    with pytest.raises(RemoteError) as caught:
        put(uploads)

    assert caught.value.code == "DATA_LOSS"


def test_refused_credentials_are_left_to_the_client_that_can_refresh_them(
    uploads: Uploads,
) -> None:
    uploads.statuses = [401]

    assert put(uploads) == STORED
    assert [content for _, _, _, content in uploads.requests] == [CONTENT, CONTENT]
