"""One-request uploads of small objects, on the connections of a storage client's session.

Two thirds of what google-cloud-storage spends on an upload of some KB goes into making the
request: a source has two such files a conversation, so the client, not the network, would set the
pace. The request is Cloud Storage's documented multipart upload. Connections, proxies and
certificates are those of the session; credentials are those of the client.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from google.api_core import exceptions as api
from google.auth.transport.requests import Request
from requests import PreparedRequest, Session
from requests.adapters import HTTPAdapter

_OK, _UNAUTHORIZED = 200, 401


class RefusedCredentialsError(Exception):
    """The token ran out; the client's own way refreshes it."""


@dataclass(frozen=True)
class Target:
    """Where requests to one URL go: a pool of urllib3's connections, and what the request names."""

    pool: Any
    path: str


class DirectAdapter(HTTPAdapter):
    """A session's connections, for requests that need nothing else of a session."""

    def target(self, session: Session, url: str) -> Target:
        """Return the target of a URL, through the session's proxy where it has one."""
        request = PreparedRequest()
        request.url = url
        pool = self.get_connection_with_tls_context(
            request, session.verify, proxies=session.proxies, cert=session.cert
        )
        return Target(pool, self.request_url(request, session.proxies))


class SmallUploads:
    """Uploads into one bucket; safe for threads."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._credentials = client._credentials
        session: Session = client._http
        self._request = Request(session)
        host = client._connection.get_api_base_url_for_mtls()
        path = f"/upload/storage/v1/b/{quote(bucket, safe='')}/o?uploadType=multipart"
        self._url = f"{host}{path}&ifGenerationMatch="
        adapter: Any = session.get_adapter(self._url)
        self._target: Target = adapter.target(session, self._url)

    def put(
        self,
        name: str,
        content: bytes,
        *,
        content_type: str,
        metadata: dict[str, str],
        crc32c: str,
        generation: int,
        timeout_sec: float,
    ) -> dict[str, Any]:
        """Return the object's resource once it is written under the generation precondition.

        Raises GoogleAPICallError as the client does, RefusedCredentialsError for 401, and
        urllib3's own errors for what the transport does.
        """
        url = f"{self._url}{generation}"
        resource = {
            "name": name,
            "contentType": content_type,
            "metadata": metadata,
            "crc32c": crc32c,
        }
        boundary = uuid.uuid4().hex
        headers = {"content-type": f"multipart/related; boundary={boundary}"}
        self._credentials.before_request(self._request, "POST", url, headers)
        answer = self._target.pool.urlopen(
            "POST",
            f"{self._target.path}{generation}",
            body=_body(boundary, resource, content_type, content),
            headers=headers,
            timeout=timeout_sec,
            retries=False,
            redirect=False,
        )
        if answer.status == _UNAUTHORIZED:
            raise RefusedCredentialsError
        if answer.status != _OK:
            message, errors = _told(answer.data)
            raise api.from_http_status(answer.status, message, errors=errors, response=answer)
        stored: dict[str, Any] = json.loads(answer.data)
        return stored


def _body(boundary: str, resource: dict[str, Any], content_type: str, content: bytes) -> bytes:
    head = (
        f"--{boundary}\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n"
        f"{json.dumps(resource)}\r\n"
        f"--{boundary}\r\ncontent-type: {content_type}\r\n\r\n"
    )
    return head.encode() + content + f"\r\n--{boundary}--".encode()


def _told(answer: bytes) -> tuple[str, list[Any]]:
    try:
        error = json.loads(answer)["error"]
        return str(error["message"]), list(error.get("errors", ()))
    except (ValueError, KeyError, TypeError, AttributeError):
        return answer[:200].decode(errors="replace"), []
