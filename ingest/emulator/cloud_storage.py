"""Objects read from and written to Cloud Storage, as the service agent would, over its JSON API."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import orjson
import urllib3

from ingest.emulator.errors import ApiError, invalid, permission_denied, unavailable

_URI = re.compile(r"gs://([a-z0-9][a-z0-9._-]{1,61}[a-z0-9])/(.+)", re.DOTALL)
_BUCKET_URI = re.compile(r"gs://([a-z0-9][a-z0-9._-]{1,61}[a-z0-9])(?:/(.*))?", re.DOTALL)
_OK, _FORBIDDEN, _NOT_FOUND = 200, 403, 404
_TIMEOUT_SEC = 10.0
_CONNECTIONS = 32
_RETRIES = urllib3.Retry(1, redirect=0, respect_retry_after_header=False)
"""A server may close a connection that rests; that is no failure of the request."""


@dataclass(frozen=True, slots=True)
class GcsUri:
    """A bucket and an object in it."""

    bucket: str
    name: str

    def __str__(self) -> str:
        return f"gs://{self.bucket}/{self.name}"


def parse_uri(uri: str) -> GcsUri:
    """Return bucket and object of a `gs://` URI, or raise INVALID_ARGUMENT."""
    found = _URI.fullmatch(uri)
    if not found:
        raise invalid(f"Invalid Cloud Storage URI '{uri}': use gs://bucket/object.")
    return GcsUri(found[1], found[2])


def parse_bucket_uri(uri: str) -> GcsUri:
    """Return bucket and folder of `gs://bucket[/folder]`, or raise INVALID_ARGUMENT.

    A folder ends with a slash, given or not, so that `calls` never holds what is in `calls-old`.
    """
    found = _BUCKET_URI.fullmatch(uri)
    if not found:
        raise invalid(f"Invalid Cloud Storage URI '{uri}': use gs://bucket/folder/.")
    folder = (found[2] or "").rstrip("/")
    return GcsUri(found[1], f"{folder}/" if folder else "")


class ObjectReader:
    """Reads and writes objects as the emulator's service agent."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._http = urllib3.connection_from_url(
            endpoint, maxsize=_CONNECTIONS, timeout=_TIMEOUT_SEC, retries=_RETRIES
        )

    async def read(self, uri: GcsUri) -> bytes:
        """Return the bytes of an object.

        A missing object is INVALID_ARGUMENT, a forbidden one PERMISSION_DENIED, and a storage that
        doesn't answer UNAVAILABLE (all assumed).
        """
        path = f"/storage/v1/b/{quote(uri.bucket, safe='')}/o/{quote(uri.name, safe='')}?alt=media"
        status, content = await self._get(path)
        if status == _OK:
            return content
        raise _refusal(uri, status)

    async def list(self, folder: GcsUri) -> list[str]:
        """Return the names of the objects under a folder, in the order of names."""
        names: list[str] = []
        token: str | None = ""
        while token is not None:
            query = urlencode({"prefix": folder.name, "pageToken": token})
            path = f"/storage/v1/b/{quote(folder.bucket, safe='')}/o?{query}"
            status, content = await self._get(path)
            if status != _OK:
                raise _refusal(folder, status)
            found, token = _parse_page(content)
            names.extend(found)
        return sorted(names)

    async def write(self, uri: GcsUri, content: bytes) -> None:
        """Store an object; refusals as when one is read."""
        query = urlencode({"uploadType": "media", "name": uri.name})
        path = f"/upload/storage/v1/b/{quote(uri.bucket, safe='')}/o?{query}"
        status, _ = await self._send("POST", path, content)
        if status != _OK:
            raise _refusal(uri, status)

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    async def _get(self, path: str) -> tuple[int, bytes]:
        return await self._send("GET", path)

    async def _send(self, verb: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        try:
            reply = await asyncio.to_thread(
                self._http.request, verb, path, body=body, redirect=False, decode_content=False
            )
        except urllib3.exceptions.HTTPError as error:
            raise unavailable(
                f"Cloud Storage at {self._endpoint} doesn't answer ({type(error).__name__})."
            ) from error
        return reply.status, reply.data


def _parse_page(content: bytes) -> tuple[list[str], str | None]:
    """Return the object names of a page and the token of the next one."""
    try:
        page = orjson.loads(content)
        names = [str(item["name"]) for item in page.get("items", ())]
        token = page.get("nextPageToken")
    except (orjson.JSONDecodeError, AttributeError, LookupError, TypeError) as error:
        raise unavailable("Cloud Storage's list of objects can't be read.") from error
    return names, str(token) if token else None


def _refusal(uri: GcsUri, status: int) -> ApiError:
    if status == _NOT_FOUND:
        return invalid(f"Failed to read Cloud Storage object '{uri}': it was not found.")
    if status == _FORBIDDEN:
        return permission_denied(f"IAM permission 'storage.objects.get' on '{uri}' denied.")
    return unavailable(f"Cloud Storage answered {status} for '{uri}'.")
