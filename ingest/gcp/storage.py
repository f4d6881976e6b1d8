"""The bucket, through google-cloud-storage and a pool of threads."""

from __future__ import annotations

import asyncio
import base64
import functools
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import google_crc32c
from google.api_core.exceptions import NotFound
from google.auth.credentials import AnonymousCredentials, Credentials
from google.cloud import storage

from ingest.errors import InputError, RemoteError
from ingest.gcp.credentials import client_options, default_credentials, is_emulator
from ingest.gcp.errors import is_page, odd_answer, reading
from ingest.ports.inspect import ObjectGeneration
from ingest.ports.move import Page, StoredObject
from ingest.settings import Settings

_SERVICE = "GCS"
_CHECK_TIMEOUT_SEC = 8.0
"""Shorter than what a person waits for; a thread that hangs longer would hold up the end."""
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", re.ASCII)
"""https://cloud.google.com/storage/docs/buckets#naming; the client checks the ends alone."""


def storage_credentials(settings: Settings) -> Credentials:
    """Return Application Default Credentials, or anonymous ones for the emulator."""
    if is_emulator(settings.gcs_endpoint):
        return AnonymousCredentials()
    return default_credentials(_SERVICE, storage.Client.SCOPE)


def storage_client(settings: Settings, credentials: Credentials | None = None) -> storage.Client:
    """Return a client of the project, or of the emulator."""
    endpoint = settings.gcs_endpoint
    return storage.Client(
        project=settings.project_id,
        credentials=credentials or storage_credentials(settings),
        client_options=client_options(settings, endpoint),
    )


def pages_of(client: storage.Client, bucket: str, **options: Any) -> Iterator[Any]:
    """Yield the pages of a listing; raise RemoteError for one that isn't Cloud Storage's."""
    for page in client.list_blobs(bucket, **options).pages:
        if page.raw_page.get("kind") != "storage#objects":
            raise odd_answer(_SERVICE)
        yield page


class GcsObjectStore:
    """One bucket of Google Cloud Storage or of its emulator."""

    list_page_size = 1000

    def __init__(self, settings: Settings, credentials: Credentials | None = None) -> None:
        """Raise InputError for what can't be a bucket's name; nothing is called yet."""
        if not _BUCKET_NAME.fullmatch(settings.bucket):
            raise InputError(
                f"{settings.bucket!r} can't be the name of a bucket",
                "3 to 222 lower-case letters, digits, `-`, `_` and `.`, at both ends no sign",
            )
        self._settings = settings
        self._limits: dict[str, Any] = {"timeout": settings.rpc_timeout_sec, "retry": None}
        self._executor = ThreadPoolExecutor(settings.upload_threads, "gcs")
        self._credentials = credentials or storage_credentials(settings)
        self._of_thread = threading.local()
        self._clients: list[storage.Client] = []

    @property
    def bucket(self) -> str:
        """Name of the bucket."""
        return self._settings.bucket

    def close(self) -> None:
        """End the threads and connections."""
        self._executor.shutdown(wait=True, cancel_futures=True)
        for client in self._clients:
            client.close()

    def _client(self) -> storage.Client:
        """Return the client of this thread.

        Each thread has its own, since a client keeps ten connections and no more. All have the
        same credentials, so a token is fetched once.
        """
        if not hasattr(self._of_thread, "client"):
            self._of_thread.client = storage_client(self._settings, self._credentials)
            self._clients.append(self._of_thread.client)
        client: storage.Client = self._of_thread.client
        return client

    def _blob(self, name: str, generation: int | None = None) -> storage.Blob:
        return self._client().bucket(self.bucket).blob(name, generation=generation)

    async def check(self) -> None:
        """Raise RemoteError unless the bucket answers."""
        await self._call(self._check)

    def _check(self) -> None:
        timeout = min(self._settings.rpc_timeout_sec, _CHECK_TIMEOUT_SEC)
        next(self._pages(page_size=1, timeout=timeout), None)

    async def put(
        self,
        name: str,
        content: bytes,
        *,
        content_type: str,
        content_sha256: str,
        if_generation_match: int,
    ) -> StoredObject:
        """Write the object if its generation still is the one given, and check its CRC32C."""
        stored: StoredObject = await self._call(
            self._put, name, content, content_type, content_sha256, if_generation_match
        )
        sent = base64.b64encode(google_crc32c.Checksum(content).digest()).decode()
        if stored.crc32c != sent:
            raise RemoteError(
                f"GCS: {name} has CRC32C {stored.crc32c}, sent was {sent}",
                "run the same command again",
                code="DATA_LOSS",
            )
        return stored

    def _put(
        self, name: str, content: bytes, content_type: str, sha256: str, generation: int
    ) -> StoredObject:
        blob = self._blob(name)
        blob.metadata = {"content_sha256": sha256}
        blob.upload_from_string(
            content,
            content_type=content_type,
            if_generation_match=generation,
            checksum="crc32c",
            **self._limits,
        )
        return _stored(blob)

    async def stat(self, name: str) -> StoredObject | None:
        """Return the live object, or None."""
        return await self._call(self._stat, name)

    def _stat(self, name: str) -> StoredObject | None:
        blob = self._blob(name)
        try:
            blob.reload(**self._limits)
        except NotFound as error:
            if is_page(error):
                raise
            return None
        return _stored(blob)

    async def read(self, name: str) -> bytes:
        """Return the live object's bytes."""
        content: bytes = await self._call(self._read, name)
        return content

    def _read(self, name: str) -> bytes:
        blob = self._blob(name)
        content: bytes = blob.download_as_bytes(**self._limits)
        if blob.generation is None:
            raise odd_answer(_SERVICE, "what came back isn't an object of the bucket")
        return content

    async def list(
        self, prefix: str, start: str = "", end: str = "", page_token: str = ""
    ) -> Page[StoredObject]:
        """Return a page of the live objects under the prefix with start <= name < end, by name."""
        return await self._call(self._list, prefix, start, end, page_token)

    def _list(self, prefix: str, start: str, end: str, page_token: str) -> Page[StoredObject]:
        for page in self._pages(
            prefix=prefix,
            start_offset=start or None,
            end_offset=end or None,
            page_size=self.list_page_size,
            page_token=page_token or None,
        ):
            token = page.raw_page.get("nextPageToken", "")
            return Page([_stored(blob) for blob in page], token)
        return Page([])

    async def generations(self, prefix: str) -> Sequence[ObjectGeneration]:
        """Return every generation under the prefix, live and noncurrent, by name and age."""
        return await self._call(self._generations, prefix)

    def _generations(self, prefix: str) -> Sequence[ObjectGeneration]:
        found = [
            ObjectGeneration(_stored(blob), blob.updated, not blob.time_deleted)
            for page in self._pages(prefix=prefix, versions=True)
            for blob in page
        ]
        return sorted(found, key=lambda held: (held.stored.name, held.stored.generation))

    async def delete(self, name: str, generation: int) -> None:
        """Delete that generation for good (versioning keeps no copy); no error when it's gone."""
        await self._call(self._delete, name, generation)

    def _delete(self, name: str, generation: int) -> None:
        try:
            self._blob(name, generation).delete(**self._limits)
        except NotFound as error:
            if is_page(error):
                raise

    async def folders(self, prefix: str, *, with_old: bool = False) -> Sequence[str]:
        """Return the names that follow the prefix up to a slash, slash included."""
        return await self._call(self._folders, prefix, with_old)

    def _folders(self, prefix: str, with_old: bool) -> Sequence[str]:
        found: set[str] = set()
        for page in self._pages(prefix=prefix, delimiter="/", versions=with_old or None):
            found.update(page.raw_page.get("prefixes", ()))
        return sorted(name.removeprefix(prefix) for name in found)

    async def count_generations(self, prefix: str) -> int:
        """Return how many generations, live and old, lie under the prefix."""
        return len(await self.generations(prefix))

    async def delete_all_generations(self, prefix: str) -> int:
        """Delete every generation of every object under the prefix; return how many."""
        return await self._call(self._delete_all_generations, prefix)

    def _delete_all_generations(self, prefix: str) -> int:
        held = self._generations(prefix)
        for one in held:
            self._delete(one.stored.name, one.stored.generation)
        return len(held)

    def _pages(self, **options: Any) -> Iterator[Any]:
        return pages_of(self._client(), self.bucket, **{**self._limits, **options})

    async def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        bound = functools.partial(_reading, function, *arguments)
        return await asyncio.get_running_loop().run_in_executor(self._executor, bound)


def _reading(function: Callable[..., Any], *arguments: Any) -> Any:
    with reading(_SERVICE):
        return function(*arguments)


def _stored(blob: storage.Blob) -> StoredObject:
    if blob.generation is None:
        raise odd_answer(_SERVICE)
    return StoredObject(
        name=blob.name,
        generation=int(blob.generation),
        crc32c=blob.crc32c or "",
        size_bytes=int(blob.size or 0),
        content_sha256=(blob.metadata or {}).get("content_sha256"),
        updated_at=blob.updated,
    )
