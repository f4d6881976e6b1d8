"""The bucket, through google-cloud-storage and a pool of threads."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import google_crc32c
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from requests import Session

from ingest.errors import RemoteError
from ingest.gcp.remote_errors import translated
from ingest.gcp.small_uploads import DirectAdapter, RefusedCredentialsError, SmallUploads
from ingest.ports.inspect import ObjectGeneration
from ingest.ports.move import Page, StoredObject
from ingest.settings import Settings

_CHECK_TIMEOUT_SEC = 8.0
"""Shorter than what a person waits for; a thread that hangs longer would hold up the end."""
_SMALL_BYTES = 1_000_000
"""Up to here an object goes in one request; a larger one may take the client's resumable way."""


class GcsObjectStore:
    """One bucket of Google Cloud Storage or of its emulator."""

    list_page_size = 1000

    def __init__(self, settings: Settings) -> None:
        self._timeout = settings.rpc_timeout_sec
        self._executor = ThreadPoolExecutor(settings.upload_threads, "gcs")
        self._client = storage_client(settings)
        self._bucket = self._client.bucket(settings.bucket)
        self._small_uploads = SmallUploads(self._client, settings.bucket)

    @property
    def bucket(self) -> str:
        """Name of the bucket."""
        return str(self._bucket.name)

    def close(self) -> None:
        """End the threads and connections."""
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._client.close()

    async def check(self) -> None:
        """Raise RemoteError unless the bucket answers."""
        await self._call(
            self._client.list_blobs,
            self._bucket,
            max_results=1,
            timeout=min(self._timeout, _CHECK_TIMEOUT_SEC),
            retry=None,
            consume=True,
        )

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
        return await self._call(
            self._put, name, content, content_type, content_sha256, if_generation_match
        )

    def _put(
        self, name: str, content: bytes, content_type: str, sha256: str, generation: int
    ) -> StoredObject:
        sent = base64.b64encode(google_crc32c.Checksum(content).digest()).decode()
        stored = self._written(name, content, content_type, sha256, generation, sent)
        if stored.crc32c != sent:
            raise RemoteError(
                f"GCS: object {name}: the bucket holds CRC32C {stored.crc32c}, sent was {sent}",
                "run the same command again",
                code="DATA_LOSS",
            )
        return stored

    def _written(
        self,
        name: str,
        content: bytes,
        content_type: str,
        sha256: str,
        generation: int,
        crc32c: str,
    ) -> StoredObject:
        metadata = {"content_sha256": sha256}
        if len(content) <= _SMALL_BYTES:
            with contextlib.suppress(RefusedCredentialsError):
                resource = self._small_uploads.put(
                    name,
                    content,
                    content_type=content_type,
                    metadata=metadata,
                    crc32c=crc32c,
                    generation=generation,
                    timeout_sec=self._timeout,
                )
                return _of_resource(resource)
        blob = self._bucket.blob(name)
        blob.metadata = metadata
        blob.upload_from_string(
            content,
            content_type=content_type,
            if_generation_match=generation,
            timeout=self._timeout,
            retry=None,
            checksum="crc32c",
        )
        return _stored(blob)

    async def stat(self, name: str) -> StoredObject | None:
        """Return the live object, or None."""
        blob = await self._call(self._bucket.get_blob, name, timeout=self._timeout, retry=None)
        return None if blob is None else _stored(blob)

    async def read(self, name: str) -> bytes:
        """Return the live object's bytes."""
        content: bytes = await self._call(
            self._bucket.blob(name).download_as_bytes, timeout=self._timeout, retry=None
        )
        return content

    async def list(
        self, prefix: str, start: str = "", end: str = "", page_token: str = ""
    ) -> Page[StoredObject]:
        """Return a page of the live objects under the prefix with start <= name < end, by name."""
        return await self._call(self._list, prefix, start, end, page_token)

    def _list(self, prefix: str, start: str, end: str, page_token: str) -> Page[StoredObject]:
        listing = self._client.list_blobs(
            self._bucket,
            prefix=prefix,
            start_offset=start or None,
            end_offset=end or None,
            page_size=self.list_page_size,
            page_token=page_token or None,
            timeout=self._timeout,
            retry=None,
        )
        blobs = next(listing.pages, ())
        return Page([_stored(blob) for blob in blobs], listing.next_page_token or "")

    async def generations(self, prefix: str) -> Sequence[ObjectGeneration]:
        """Return every generation under the prefix, live and noncurrent, by name and age."""
        blobs = await self._call(
            self._client.list_blobs,
            self._bucket,
            prefix=prefix,
            versions=True,
            timeout=self._timeout,
            retry=None,
            consume=True,
        )
        found = [
            ObjectGeneration(_stored(blob), blob.updated, not blob.time_deleted) for blob in blobs
        ]
        return sorted(found, key=lambda held: (held.stored.name, held.stored.generation))

    async def delete(self, name: str, generation: int) -> None:
        """Delete that generation for good (versioning keeps no copy); no error when it's gone."""
        blob = self._bucket.blob(name, generation=generation)
        try:
            await self._call(blob.delete, timeout=self._timeout, retry=None)
        except RemoteError as error:
            if error.code != "NOT_FOUND":
                raise

    async def folders(self, prefix: str, *, with_old: bool = False) -> Sequence[str]:
        """Return the names that follow the prefix up to a slash, slash included."""
        return await self._call(self._folders, prefix, with_old)

    def _folders(self, prefix: str, with_old: bool) -> Sequence[str]:
        found = self._client.list_blobs(
            self._bucket,
            prefix=prefix,
            delimiter="/",
            versions=with_old or None,
            timeout=self._timeout,
            retry=None,
        )
        for _ in found.pages:
            pass
        return sorted(name.removeprefix(prefix) for name in found.prefixes)

    async def count_generations(self, prefix: str) -> int:
        """Return how many generations, live and old, lie under the prefix."""
        return len(await self.generations(prefix))

    async def delete_all_generations(self, prefix: str) -> int:
        """Delete every generation of every object under the prefix; return how many."""
        return await self._call(self._delete_all_generations, prefix)

    def _delete_all_generations(self, prefix: str) -> int:
        blobs = list(
            self._client.list_blobs(
                self._bucket, prefix=prefix, versions=True, timeout=self._timeout, retry=None
            )
        )
        for blob in blobs:
            with contextlib.suppress(NotFound):
                blob.delete(timeout=self._timeout, retry=None)
        return len(blobs)

    async def _call(
        self, function: Callable[..., Any], *arguments: Any, consume: bool = False, **named: Any
    ) -> Any:
        bound = functools.partial(_translated, function, consume, *arguments, **named)
        return await asyncio.get_running_loop().run_in_executor(self._executor, bound)


def _translated(function: Callable[..., Any], consume: bool, *arguments: Any, **named: Any) -> Any:
    with translated("GCS"):
        result = function(*arguments, **named)
        return list(result) if consume else result


def _stored(blob: Any) -> StoredObject:
    return StoredObject(
        name=blob.name,
        generation=int(blob.generation),
        crc32c=blob.crc32c or "",
        size_bytes=int(blob.size or 0),
        content_sha256=(blob.metadata or {}).get("content_sha256"),
    )


def _of_resource(resource: Mapping[str, Any]) -> StoredObject:
    return StoredObject(
        name=resource["name"],
        generation=int(resource["generation"]),
        crc32c=resource.get("crc32c", ""),
        size_bytes=int(resource["size"]),
        content_sha256=resource.get("metadata", {}).get("content_sha256"),
    )


def storage_client(settings: Settings) -> Any:
    if settings.gcs_endpoint is None:
        with translated("GCS"):
            client = storage.Client(project=settings.project_id)
    else:
        client = storage.Client(
            project=settings.project_id,
            credentials=AnonymousCredentials(),
            client_options=ClientOptions(api_endpoint=settings.gcs_endpoint),
        )
    pool = DirectAdapter(
        pool_connections=settings.upload_threads, pool_maxsize=settings.upload_threads
    )
    client._http.mount("http://", pool)
    client._http.mount("https://", pool)
    _read_environment_once(client._http, client._connection.API_BASE_URL)
    return client


def _read_environment_once(session: Session, url: str) -> None:
    """Take proxies and certificates from the environment now instead of at every request.

    Also keeps requests from looking for a `.netrc`, whose password it would send in the place of
    the token.
    """
    found = session.merge_environment_settings(url, {}, False, None, None)
    session.proxies, session.verify, session.cert = found["proxies"], found["verify"], found["cert"]
    session.trust_env = False
