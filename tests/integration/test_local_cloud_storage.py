"""Cloud Storage of the local stack keeps what its official client relies on."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import requests
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.cloud.storage.exceptions import InvalidResponse

from ingest.local.layout import Layout, Service
from ingest.local.status import answers

pytestmark = pytest.mark.stack

CALL: dict[str, Any] = {"timeout": 10, "retry": None}
STARTS_SEC = 30


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the address of the emulator alone."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        ports = [str(probe.getsockname()[1]) for probe in probes]
    root = tmp_path_factory.mktemp("gcs")
    command = [sys.executable, "-m", "ingest.local.gcs_front", *ports, str(root)]
    process = subprocess.Popen(command)
    try:
        layout, deadline = Layout(root, int(ports[0])), time.monotonic() + STARTS_SEC
        while not answers(layout, Service.GCS):
            assert time.monotonic() < deadline
            assert process.poll() is None
        yield f"http://127.0.0.1:{ports[0]}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[storage.Client]:
    made = storage.Client(
        project="p", credentials=AnonymousCredentials(), client_options={"api_endpoint": address}
    )
    yield made
    made.close()


@pytest.fixture
def bucket(client: storage.Client) -> storage.Bucket:
    return client.create_bucket(f"bucket-{uuid.uuid4().hex[:8]}", location="us-central1", **CALL)


def put(bucket: storage.Bucket, name: str, content: bytes = b"one") -> storage.Blob:
    blob = bucket.blob(name)
    blob.upload_from_string(content, **CALL)
    return blob


def contents(bucket: storage.Bucket) -> dict[str, bytes]:
    found = bucket.client.list_blobs(bucket, **CALL)
    return {blob.name: blob.download_as_bytes(**CALL) for blob in found}


NAMES = ["a.json", "2026-01-05/a b/metadata.json", "ü/ü%2F.json", "x+y&z=1?#.json"]


@pytest.mark.parametrize("name", NAMES)
def test_objects_go_through_as_they_are(bucket: storage.Bucket, name: str) -> None:
    content = bytes(range(256)) * 40_000

    blob = put(bucket, name, content)
    part = blob.download_as_bytes(start=255, end=256, **CALL)

    assert contents(bucket) == {name: content}
    assert part == b"\xff\x00"
    with pytest.raises(exceptions.NotFound):
        bucket.blob("none").download_as_bytes(**CALL)


@pytest.mark.parametrize("name", NAMES)
def test_deleting_an_old_generation_leaves_the_live_object(
    bucket: storage.Bucket, name: str
) -> None:
    old = put(bucket, name)
    live = put(bucket, name, b"two")

    with pytest.raises(exceptions.NotFound):
        bucket.blob(name, generation=old.generation).delete(**CALL)
    kept = contents(bucket)
    bucket.blob(name, generation=live.generation).delete(**CALL)

    assert kept == {name: b"two"}
    assert contents(bucket) == {}


@pytest.mark.parametrize(
    ("condition", "is_met"),
    [
        ({"if_generation_match": 0}, True),
        ({"if_generation_match": -1}, False),
        ({"if_generation_not_match": -1}, True),
        ({"if_generation_not_match": 0}, False),
        ({"if_metageneration_match": 99}, False),
        ({"if_metageneration_not_match": 99}, True),
    ],
    ids=str,
)
def test_a_delete_heeds_its_preconditions(
    bucket: storage.Bucket, condition: dict[str, int], is_met: bool
) -> None:
    """Numbers of generations are counted from the live one."""
    blob = put(bucket, "a.json")
    given = {
        key: value if "meta" in key else blob.generation + value for key, value in condition.items()
    }

    if is_met:
        blob.delete(**given, **CALL)
    else:
        with pytest.raises(exceptions.PreconditionFailed):
            blob.delete(**given, **CALL)

    assert contents(bucket) == ({} if is_met else {"a.json": b"one"})


COPIES: dict[str, Callable[[storage.Bucket, storage.Blob, dict[str, int]], Any]] = {
    "copy": lambda bucket, blob, more: bucket.copy_blob(blob, bucket, "b.json", **more, **CALL),
    "move": lambda bucket, blob, more: bucket.move_blob(blob, "b.json", **more, **CALL),
    "rewrite": lambda bucket, blob, more: bucket.blob("b.json").rewrite(blob, **more, **CALL),
}


@pytest.mark.parametrize(
    "refused",
    [{"if_generation_match": 0}, {"if_generation_match": 7}, {"if_source_generation_match": 7}],
    ids=str,
)
@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_a_copy_heeds_the_preconditions_of_both_ends(
    bucket: storage.Bucket, copy: Callable[..., Any], refused: dict[str, int]
) -> None:
    source, held = put(bucket, "a.json"), put(bucket, "b.json", b"two")

    with pytest.raises(exceptions.PreconditionFailed):
        copy(bucket, source, refused)
    kept = contents(bucket)
    met = {
        "if_generation_match": held.generation,
        "if_source_generation_match": source.generation,
    }
    copy(bucket, source, met)

    is_moved = copy is COPIES["move"]
    assert kept == {"a.json": b"one", "b.json": b"two"}
    assert contents(bucket) == ({} if is_moved else {"a.json": b"one"}) | {"b.json": b"one"}


def test_a_move_takes_an_object_to_another_name_with_its_metadata(bucket: storage.Bucket) -> None:
    blob = bucket.blob("in/a b.json")
    blob.metadata = {"content_sha256": "ab"}
    blob.upload_from_string(b"{}", content_type="application/json", **CALL)

    moved = bucket.move_blob(blob, "out/ü.json", **CALL)

    found = bucket.get_blob("out/ü.json", **CALL)
    assert contents(bucket) == {"out/ü.json": b"{}"}
    assert (moved.name, moved.generation) == (found.name, found.generation)
    assert (found.metadata, found.content_type) == ({"content_sha256": "ab"}, "application/json")
    with pytest.raises(exceptions.NotFound):
        bucket.move_blob(blob, "again.json", **CALL)


@pytest.mark.parametrize("name", ["a.json", "in/a b.json"])
def test_what_is_moved_onto_itself_stays(bucket: storage.Bucket, name: str) -> None:
    moved = bucket.move_blob(put(bucket, name), name, **CALL)

    assert (moved.name, contents(bucket)) == (name, {name: b"one"})


def test_a_compose_heeds_generations_and_preconditions_of_its_sources(
    bucket: storage.Bucket,
) -> None:
    first, second = put(bucket, "in/1"), put(bucket, "2", b"two")
    gone, whole = bucket.blob("in/1", generation=7), bucket.blob("3")

    with pytest.raises(exceptions.NotFound):
        whole.compose([gone, second], **CALL)
    with pytest.raises(exceptions.PreconditionFailed):
        whole.compose([first, second], if_source_generation_match=[None, 7], **CALL)
    kept = contents(bucket)
    met = [first.generation, second.generation]
    whole.compose([first, second], if_source_generation_match=met, **CALL)

    assert kept == {"in/1": b"one", "2": b"two"}
    assert contents(bucket) == {**kept, "3": b"onetwo"}


@pytest.mark.parametrize("name", ["a/b c.json", "a%2Fb%20c.json"])
def test_a_delete_heeds_its_generation_however_the_name_is_quoted(
    bucket: storage.Bucket, address: str, name: str
) -> None:
    held = put(bucket, "a/b c.json")
    url = f"{address}/storage/v1/b/{bucket.name}/o/{name}"

    refused = requests.delete(url, params={"generation": "4"}, timeout=10)
    kept = contents(bucket)
    done = requests.delete(url, params={"generation": str(held.generation)}, timeout=10)

    assert (refused.status_code, kept) == (404, {"a/b c.json": b"one"})
    assert (done.status_code, contents(bucket)) == (204, {})


UNREADABLE = {
    "upload of a list": ("upload", b"[]"),
    "upload of a number for a name": ("upload", b'{"name":5}'),
    "upload of no JSON": ("upload", b"{"),
    "compose of a list": ("compose", b"[]"),
    "compose of a text for a source": ("compose", b'{"sourceObjects":["a"]}'),
    "compose of a number for sources": ("compose", b'{"sourceObjects":5}'),
    "compose of a list for preconditions": (
        "compose",
        b'{"sourceObjects":[{"name":"a","objectPreconditions":[1]}]}',
    ),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_body_that_cannot_be_read_is_answered_with_400(
    bucket: storage.Bucket, address: str, name: str
) -> None:
    kind, body = UNREADABLE[name]
    upload = f"/upload/storage/v1/b/{bucket.name}/o?uploadType=resumable"
    compose = f"/storage/v1/b/{bucket.name}/o/whole/compose"
    url = address + (upload if kind == "upload" else compose)

    answer = requests.post(url, data=body, timeout=10)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 400)
    assert contents(bucket) == {}


def test_a_compose_heeds_its_precondition(bucket: storage.Bucket) -> None:
    parts = [put(bucket, "1"), put(bucket, "2", b"two")]
    whole = put(bucket, "3", b"three")

    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob("3").compose(parts, if_generation_match=0, **CALL)
    kept = contents(bucket)
    bucket.blob("3").compose(parts, if_generation_match=whole.generation, **CALL)

    assert kept["3"] == b"three"
    assert contents(bucket)["3"] == b"onetwo"


def test_a_batch_does_each_of_its_parts_by_the_same_rules(bucket: storage.Bucket) -> None:
    blobs = [put(bucket, f"{number}/a b.json") for number in range(4)]

    with bucket.client.batch(raise_exception=False):
        blobs[0].delete()
        blobs[1].delete(if_generation_match=7)
        bucket.blob("none").delete()
        bucket.blob(blobs[2].name, generation=7).delete()
        blobs[3].metadata = {"kind": "call"}
        blobs[3].patch()

    assert sorted(contents(bucket)) == [blob.name for blob in blobs[1:]]
    assert bucket.get_blob(blobs[3].name, **CALL).metadata == {"kind": "call"}


def test_a_resumable_upload_does_not_overwrite_what_it_must_not(bucket: storage.Bucket) -> None:
    put(bucket, "a.json")
    blob = bucket.blob("a.json", chunk_size=1 << 18)

    refused = pytest.raises(InvalidResponse)
    with refused, blob.open("wb", if_generation_match=0, **CALL) as file:
        file.write(b"x" * (1 << 19))
    kept = contents(bucket)
    with blob.open("wb", **CALL) as file:
        file.write(b"x" * (1 << 19))

    assert kept == {"a.json": b"one"}
    assert contents(bucket) == {"a.json": b"x" * (1 << 19)}


def test_a_bucket_says_that_it_has_no_folders_of_its_own(
    bucket: storage.Bucket, address: str
) -> None:
    base = f"{address}/storage/v1/b/{bucket.name}"

    layout = requests.get(f"{base}/storageLayout", timeout=10).json()
    folders = requests.get(f"{base}/managedFolders", timeout=10).json()
    missing = requests.get(f"{address}/storage/v1/b/none/storageLayout", timeout=10)

    assert (layout["kind"], layout["hierarchicalNamespace"]) == (
        "storage#storageLayout",
        {"enabled": False},
    )
    assert folders == {"kind": "storage#managedFolders"}
    assert missing.status_code == 404


def test_a_prefix_is_removed_whole_as_gcloud_does(
    bucket: storage.Bucket, client: storage.Client
) -> None:
    """It lists all generations and deletes each by its number."""
    for number in range(12):
        put(bucket, f"2026-01-05/{number}/metadata.json")
        put(bucket, f"2026-01-05/{number}/metadata.json", b"two")
    put(bucket, "2026-01-06/1/metadata.json")

    for blob in client.list_blobs(bucket, prefix="2026-01-05/", versions=True, **CALL):
        blob.delete(if_generation_match=blob.generation, **CALL)

    assert list(contents(bucket)) == ["2026-01-06/1/metadata.json"]
