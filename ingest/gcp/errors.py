"""Google's exceptions, translated once into RemoteError with a gRPC status name."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.client
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any

import requests
import urllib3
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.resumable_media import common as media
from google.rpc import error_details_pb2

from ingest.errors import IngestError, RemoteError, SettingsError

_HTTP_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION",
    416: "OUT_OF_RANGE",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_CODES_OF_REASONS = {
    "rateLimitExceeded": "RESOURCE_EXHAUSTED",
    "userRateLimitExceeded": "RESOURCE_EXHAUSTED",
    "jobRateLimitExceeded": "RESOURCE_EXHAUSTED",
    "quotaExceeded": "RESOURCE_EXHAUSTED",
    "backendError": "UNAVAILABLE",
    "jobBackendError": "UNAVAILABLE",
    "internalError": "INTERNAL",
    "jobInternalError": "INTERNAL",
}
"""Reasons that say more than the status: BigQuery reports a spent quota by 403."""
_LOGIN = "run `gcloud auth application-default login`"
_HINTS = {
    "UNAVAILABLE": "check the endpoint; on a laptop: `ingest local status`, `ingest local up`",
    "DEADLINE_EXCEEDED": "the service is slow or unreachable; run the same command again",
    "PERMISSION_DENIED": "see the role table in terraform/README.md, then `terraform apply`",
    "UNAUTHENTICATED": f"{_LOGIN}, or renew the key that GOOGLE_APPLICATION_CREDENTIALS names",
    "NOT_FOUND": "on Google Cloud `terraform apply` creates it; on a laptop `ingest local up`",
    "RESOURCE_EXHAUSTED": "quota is used up; run the same command again later",
}
_HINT_OF_ODD_ANSWERS = (
    "something answers in its place, such as a proxy or a login page: check the network, "
    "HTTPS_PROXY and the INGEST_…_ENDPOINT settings"
)
_ANOTHER_SHAPE = "the body that came back isn't JSON of this service"
_HINT_OF_TOKENS = (
    "credentials are renewed over the network: check it and HTTPS_PROXY, then run the same "
    "command again"
)
_SHOWN_IN_FULL = frozenset(
    {
        "UNAVAILABLE",
        "DEADLINE_EXCEEDED",
        "PERMISSION_DENIED",
        "UNAUTHENTICATED",
        "NOT_FOUND",
        "RESOURCE_EXHAUSTED",
        "UNIMPLEMENTED",
    }
)
_NAME = re.compile(r"[A-Za-z_][\w.\[\]]*", re.ASCII)
_LONGEST_WAIT_SEC = 86_400.0
_LONGEST_TEXT = 500
_NOT_IMPERSONATED = "Unable to acquire impersonated credentials"
_HINT_OF_OPERATORS = (
    "put your name into `operators` of terraform.tfvars, `terraform apply`, and wait some minutes"
)
_FAILED_CREDENTIALS = "Getting metadata from plugin failed with error: "
"""What gRPC says, as UNAVAILABLE, when the credentials of a channel give no token."""
_NETWORK_TROUBLE = re.compile("ConnectionPool|Connection (aborted|refused|reset)|timed out")
_FIRST_OF_TUPLE = re.compile(r"""^\((['"])(.*?)\1, .*""", re.DOTALL)
_MISREAD = (AttributeError, IndexError, KeyError, TypeError, ValueError)


@contextmanager
def translated(service: str, *, in_full: bool = False) -> Iterator[None]:
    """Raise RemoteError instead of any exception of Google's clients or their transport.

    `in_full` shows everything that the service says of a request, for a request that the reader
    of the message wrote.
    """
    try:
        yield
    except api.GoogleAPICallError as error:
        raise _from_api(service, error, in_full=in_full) from error
    except api.RetryError as error:
        raise _error(service, "DEADLINE_EXCEEDED", str(error)) from error
    except auth.GoogleAuthError as error:
        raise _from_credentials(service, error) from error
    except media.DataCorruption as error:
        raise _error(service, "DATA_LOSS", "the bytes read don't have their checksum") from error
    except (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError) as error:
        raise _error(service, "DEADLINE_EXCEEDED", "no answer in time") from error
    except requests.exceptions.InvalidJSONError as error:
        raise odd_answer(service, "a body that isn't JSON came back") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, ConnectionError) as error:
        raise _from_connection(service, error) from error


@contextmanager
def reading(service: str, *, in_full: bool = False) -> Iterator[None]:
    """Do what `translated` does, and also raise RemoteError where a client can't read an answer.

    Clients take the shape of a JSON answer for granted: one that is empty, a list, or of another
    service makes them fail anywhere. An error of our own passes through.
    """
    with translated(service, in_full=in_full):
        try:
            yield
        except _MISREAD as error:
            is_translated = isinstance(error, (requests.RequestException, auth.GoogleAuthError))
            if is_translated or not _is_raised_by_client(error):
                raise
            raise odd_answer(service) from error


def odd_answer(service: str, what: str = _ANOTHER_SHAPE) -> RemoteError:
    """Return the error of an answer that the service itself doesn't give."""
    return RemoteError(f"{service}: UNAVAILABLE: {what}", _HINT_OF_ODD_ANSWERS, code="UNAVAILABLE")


def http_code(status: int, reasons: Iterable[str] = ()) -> str:
    """Return the gRPC status name of an HTTP status with the `reason` of each of its errors."""
    for reason in reasons:
        if reason in _CODES_OF_REASONS:
            return _CODES_OF_REASONS[reason]
    return _HTTP_CODES.get(status, "UNKNOWN")


def _is_raised_by_client(error: BaseException) -> bool:
    """Return whether the innermost code that is ours or Google's is Google's."""
    owner = ""
    traceback = error.__traceback__
    while traceback is not None:
        package = str(traceback.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        owner = package if package in ("ingest", "google") else owner
        traceback = traceback.tb_next
    return owner == "google"


def _from_connection(service: str, error: Exception) -> RemoteError:
    causes = list(_causes(error))
    if any(isinstance(cause, urllib3.exceptions.IncompleteRead) for cause in causes):
        return odd_answer(service, "the answer broke off before its end")
    for cause in causes:
        # A connection closed without an answer is a BadStatusLine, too.
        is_answer = not isinstance(cause, http.client.RemoteDisconnected)
        if isinstance(cause, http.client.HTTPException) and is_answer:
            return odd_answer(service, "what came back isn't HTTP, let alone JSON")
    return _error(service, "UNAVAILABLE", f"cannot connect ({type(error).__name__})")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and those that it was raised from, the ones in its arguments included."""
    while error is not None:
        yield error
        for argument in error.args:
            if isinstance(argument, BaseException):
                yield from _causes(argument)
        error = error.__cause__ or error.__context__


def _from_credentials(service: str, error: auth.GoogleAuthError) -> IngestError:
    why = _one_line(str(error.args[0]) if error.args else "")
    if isinstance(error, auth.DefaultCredentialsError):
        return SettingsError(f"no Google credentials found: {why}", _LOGIN)
    if isinstance(error, auth.TransportError) or error.retryable:
        text = f"the credentials couldn't be renewed: {why}"
        return RemoteError(f"{service}: UNAVAILABLE: {text}", _HINT_OF_TOKENS, code="UNAVAILABLE")
    code = "PERMISSION_DENIED"
    if why.startswith(_NOT_IMPERSONATED) and any(code in str(said) for said in error.args[1:]):
        text = "these credentials may not act as the service account that they name"
        return RemoteError(f"{service}: {code}: {text}", _HINT_OF_OPERATORS, code=code)
    return _error(service, "UNAUTHENTICATED", f"the credentials ran out or were revoked: {why}")


def _from_api(service: str, error: api.GoogleAPICallError, *, in_full: bool) -> IngestError:
    message = str(error.message)
    if message.startswith(_FAILED_CREDENTIALS):
        why = _FIRST_OF_TUPLE.sub(r"\2", message.removeprefix(_FAILED_CREDENTIALS))
        is_network = _NETWORK_TROUBLE.search(why) is not None
        kind = auth.TransportError if is_network else auth.RefreshError
        return _from_credentials(service, kind(why, message))
    reasons = _reasons(error)
    if error.grpc_status_code is not None:
        code = error.grpc_status_code.name
    else:
        code = http_code(error.code or 0, reasons)
    if code == "NOT_FOUND" and is_page(error):
        # Where the service itself lacks something it says so in JSON.
        return odd_answer(service, _service_text(error))
    if in_full or code in _SHOWN_IN_FULL:
        text = f": {_service_text(error)}"
    else:
        names = _names(error, reasons)
        text = f" ({names})" if names else ""
    return RemoteError(
        f"{service}: {code}{text}",
        _HINTS.get(code, ""),
        code=code,
        retry_after_sec=retry_after_sec(error),
    )


def _said(error: api.GoogleAPICallError) -> list[Mapping[str, Any]]:
    """Return what an HTTP error's body lists; that of an upload is in the response alone."""
    listed = error.errors
    if not listed and isinstance(error.response, requests.Response):
        with contextlib.suppress(ValueError, LookupError, TypeError):
            listed = error.response.json()["error"]["errors"]
    return [item for item in listed or () if isinstance(item, dict)]


def _reasons(error: api.GoogleAPICallError) -> list[str]:
    found = [str(item.get("reason", "")) for item in _said(error)]
    return [reason for reason in [*found, error.reason or ""] if _NAME.fullmatch(reason)]


def _service_text(error: api.GoogleAPICallError) -> str:
    """Return what the service says, in one line."""
    for item in _said(error):
        if item.get("message"):
            return _one_line(str(item["message"]))
    if is_page(error):
        return f"HTTP status {error.code} with a page in place of a reason"
    return _one_line(str(error.message))


def is_page(error: api.GoogleAPICallError) -> bool:
    """Return whether an HTTP error's body is a page for people."""
    body = getattr(error.response, "text", None)
    return isinstance(body, str) and body.lstrip().startswith("<")


def _names(error: api.GoogleAPICallError, reasons: list[str]) -> str:
    """Return reasons and names of fields, all that may be kept of an error about a request.

    Its text may quote the request, and so a customer. That of an error about what exists, who
    may, and how much, names projects and resources.
    """
    fields = [
        violation.field
        for detail in error.details or ()
        if isinstance(detail, error_details_pb2.BadRequest)
        for violation in detail.field_violations
    ]
    return ", ".join([*reasons, *(field for field in fields if _NAME.fullmatch(field))])


def retry_after_sec(error: api.GoogleAPICallError) -> float:
    """Return how long the service asks to wait, by RetryInfo or Retry-After; 0 when it doesn't."""
    for detail in error.details or ():
        if isinstance(detail, error_details_pb2.RetryInfo):
            return float(detail.retry_delay.seconds) + detail.retry_delay.nanos / 1e9
    headers = getattr(error.response, "headers", None) or {}
    asked = next((text for name, text in headers.items() if name.lower() == "retry-after"), "")
    if asked.isdecimal():
        return min(float(asked), _LONGEST_WAIT_SEC)
    try:
        moment = parsedate_to_datetime(asked)
        wait = (moment - dt.datetime.now(dt.UTC)).total_seconds()
    except (TypeError, ValueError):
        return 0.0
    return max(0.0, min(wait, _LONGEST_WAIT_SEC))


def _error(service: str, code: str, message: str) -> RemoteError:
    text = f": {message}" if code in _SHOWN_IN_FULL else f" ({message})"
    return RemoteError(
        f"{service}: {code}{text if message else ''}", _HINTS.get(code, ""), code=code
    )


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_TEXT else f"{line[:_LONGEST_TEXT]}…"
