"""What goes over the wire for an object, and what each kind of answer becomes."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import Any

import google_crc32c
import pytest
from answering_server import Request, Service, reply, serving

from ingest.errors import InputError, RemoteError, SettingsError
from ingest.gcp.bigquery import BigQueryWarehouse
from ingest.gcp.storage import GcsObjectStore
from ingest.ports.move import StoredObject
from tests.fakes.world import fake_settings

CONTENT = '{"text": "--Grüße\\r\\n--"}'.encode()
CRC32C = base64.b64encode(google_crc32c.Checksum(CONTENT).digest()).decode()
STORED = StoredObject("a/b c.json", 7, CRC32C, len(CONTENT), "ab" * 32)
RESOURCE = {
    "name": "a/b c.json",
    "metadata": {"content_sha256": "ab" * 32},
    "crc32c": CRC32C,
}


@dataclass
class Uploads:
    """A bucket that takes uploads; `statuses` are answered in turn, then 200."""

    statuses: list[int] = field(default_factory=list)
    received: list[tuple[dict[str, str], dict[str, Any], str, bytes]] = field(default_factory=list)
    crc32c: str = CRC32C
    hangs_up: bool = False

    def answer(self, request: Request) -> bytes:
        """Keep the upload's parts, and answer as the service documents it."""
        kind = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
        first, second = message_from_bytes(kind + request.body).get_payload()
        resource = json.loads(first.get_payload(decode=True))
        content = second.get_payload(decode=True)
        self.received.append((request.query, resource, second.get_content_type(), content))
        if self.hangs_up:
            return b""
        status = self.statuses.pop(0) if self.statuses else 200
        told = {**resource, "generation": "7", "size": str(len(content)), "crc32c": self.crc32c}
        error = {"error": {"message": "because", "errors": [{"message": "because"}]}}
        return reply(json.dumps(told if status == 200 else error).encode(), status)


@pytest.fixture
def uploads() -> Uploads:
    return Uploads()


@pytest.fixture
def service(uploads: Uploads) -> Iterator[Service]:
    with serving(uploads.answer) as running:
        yield running


def put(endpoint: str) -> StoredObject:
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
    uploads: Uploads, service: Service
) -> None:
    assert put(service.address) == STORED
    query = {"uploadType": "multipart", "ifGenerationMatch": "5"}
    assert uploads.received == [(query, RESOURCE, "application/json", CONTENT)]


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
    uploads: Uploads, service: Service, status: int, told: str
) -> None:
    uploads.statuses = [status]

    with pytest.raises(RemoteError) as caught:
        put(service.address)

    assert caught.value.message == f"GCS: {told}"
    assert (caught.value.code, len(uploads.received)) == (told.partition(":")[0], 1)


def test_an_emulator_that_asks_for_credentials_gets_none(
    uploads: Uploads, service: Service
) -> None:
    uploads.statuses = [401]

    with pytest.raises(SettingsError) as caught:
        put(service.address)

    assert caught.value.hint == "run `gcloud auth application-default login`"


def test_a_lost_connection_is_unavailable(uploads: Uploads, service: Service) -> None:
    uploads.hangs_up = True

    with pytest.raises(RemoteError) as caught:
        put(service.address)

    assert caught.value.message == "GCS: UNAVAILABLE: cannot connect (ConnectionError)"


def test_a_checksum_that_differs_is_data_loss(uploads: Uploads, service: Service) -> None:
    uploads.crc32c = "AAAAAA=="

    with pytest.raises(RemoteError) as caught:
        put(service.address)

    assert caught.value.code == "DATA_LOSS"


@pytest.mark.parametrize("bucket", ["..", "BAD_bucket!", "a", "-ab", "ab-", "ä" * 5, "a/b"])
def test_what_can_not_be_a_bucket_is_refused_before_anything_is_sent(bucket: str) -> None:
    with pytest.raises(InputError) as caught:
        GcsObjectStore(fake_settings(gcs_endpoint="http://127.0.0.1:9", bucket=bucket))

    assert caught.value.message == f"{bucket!r} can't be the name of a bucket"


def test_uploads_and_queries_go_through_the_proxy_of_the_environment(
    uploads: Uploads, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", service.address)
    monkeypatch.setenv("no_proxy", "other.invalid")
    settings = fake_settings(bigquery_endpoint="http://bigquery.invalid")

    assert put("http://storage.invalid") == STORED
    assert service.requests[0].target.startswith("http://storage.invalid/upload/storage/v1/b/")
    with serving(lambda _: reply(b"{}")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.address)
        with pytest.raises(RemoteError):
            BigQueryWarehouse(settings).query("select 1")
    assert proxy.requests[0].target.startswith("http://bigquery.invalid/bigquery/v2/projects/")


def test_a_host_without_proxy_is_asked_directly(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:3128")
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    assert put(service.address) == STORED
    assert service.requests[0].target.startswith("/upload/storage/v1/b/bucket-1/o?")


def test_more_uploads_at_a_time_than_one_client_keeps_connections_for_make_no_noise(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    settings = fake_settings(gcs_endpoint=service.address, bucket="bucket-1", upload_threads=24)
    store = GcsObjectStore(settings)

    def upload(name: str) -> Awaitable[StoredObject]:
        return store.put(
            name,
            CONTENT,
            content_type="application/json",
            content_sha256="ab" * 32,
            if_generation_match=0,
        )

    async def many() -> list[StoredObject]:
        return await asyncio.gather(*(upload(f"{number}") for number in range(60)))

    try:
        stored = asyncio.run(many())
    finally:
        store.close()

    assert sorted(int(one.name) for one in stored) == list(range(60))
    assert caplog.messages == []
