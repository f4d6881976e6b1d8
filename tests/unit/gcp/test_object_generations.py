"""Old generations through the real adapter: the bucket's emulator keeps none, so a service
on loopback answers as Cloud Storage documents it for a bucket with versioning."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest
from answering_server import Request, reply, serving

from ingest.gcp.storage import GcsObjectStore
from tests.fakes.world import fake_settings

BUCKET = "local-project-cc-dev"
OBJECTS = f"/storage/v1/b/{BUCKET}/o"


class VersionedBucket:
    """Lists and deletes generations; `held` is (name, generation, whether it is live)."""

    def __init__(self, *held: tuple[str, int, bool], page_size: int = 2) -> None:
        self.held = list(held)
        self._page_size = page_size

    def answer(self, request: Request) -> bytes:
        """Return what Cloud Storage answers."""
        if request.method == "GET" and request.path == OBJECTS:
            return reply(json.dumps(self._listed(request.query)).encode())
        if request.method == "DELETE":
            return reply(b"", self._deleted(unquote(request.path), request.query))
        raise AssertionError(f"{request.method} {request.target}")

    def _listed(self, query: dict[str, str]) -> dict[str, Any]:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter")
        found = [
            one
            for one in sorted(self.held)
            if one[0].startswith(prefix) and (one[2] or query.get("versions", "").lower() == "true")
        ]
        if delimiter:
            rests = [one[0].removeprefix(prefix) for one in found]
            folders = sorted({rest.split(delimiter)[0] for rest in rests if delimiter in rest})
            return {
                "kind": "storage#objects",
                "prefixes": [f"{prefix}{folder}{delimiter}" for folder in folders],
            }
        first = int(query.get("pageToken", 0))
        page = found[first : first + self._page_size]
        more = {"nextPageToken": str(first + self._page_size)}
        items = [
            {
                "name": name,
                "generation": str(generation),
                "updated": "2026-01-05T08:00:00Z",
                **({} if is_live else {"timeDeleted": "2026-01-06T08:00:00Z"}),
            }
            for name, generation, is_live in page
        ]
        return {
            "kind": "storage#objects",
            "items": items,
            **(more if len(found) > first + self._page_size else {}),
        }

    def _deleted(self, path: str, query: dict[str, str]) -> int:
        name, generation = path.removeprefix(f"{OBJECTS}/"), query.get("generation")
        for one in list(self.held):
            if one[0] != name or (str(one[1]) != generation if generation else not one[2]):
                continue
            self.held.remove(one)
            if generation is None:
                self.held.append((name, one[1], False))
            return 204
        return 404


@pytest.fixture
def bucket() -> VersionedBucket:
    return VersionedBucket(
        ("2026-01-05/gone/metadata.json", 1, False),
        ("2026-01-05/gone/metadata.json", 2, False),
        ("2026-01-05/gone/metadata.json", 3, True),
        ("2026-01-05/gone/transcription.json", 4, True),
        ("2026-01-05/kept/metadata.json", 5, False),
        ("2026-01-05/kept/metadata.json", 6, True),
        ("2026-01-07/gone/metadata.json", 7, False),
    )


@pytest.fixture
def store(bucket: VersionedBucket) -> Iterator[GcsObjectStore]:
    with serving(bucket.answer) as service:
        made = GcsObjectStore(fake_settings(gcs_endpoint=service.address, bucket=BUCKET))
        yield made
        made.close()


def test_every_generation_is_counted_and_deleted_and_no_other_conversations(
    store: GcsObjectStore, bucket: VersionedBucket
) -> None:
    before = asyncio.run(store.count_generations("2026-01-05/gone/"))
    deleted = asyncio.run(store.delete_all_generations("2026-01-05/gone/"))
    after = asyncio.run(store.count_generations("2026-01-05/gone/"))

    assert (before, deleted, after) == (4, 4, 0)
    assert bucket.held == [
        ("2026-01-05/kept/metadata.json", 5, False),
        ("2026-01-05/kept/metadata.json", 6, True),
        ("2026-01-07/gone/metadata.json", 7, False),
    ]


def test_a_folder_of_old_generations_alone_is_found_when_they_are_asked_for(
    store: GcsObjectStore,
) -> None:
    live = asyncio.run(store.folders(""))
    all_ = asyncio.run(store.folders("", with_old=True))

    assert (live, all_) == (["2026-01-05/"], ["2026-01-05/", "2026-01-07/"])
