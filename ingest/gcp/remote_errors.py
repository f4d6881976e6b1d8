"""Google's exceptions, translated once into RemoteError with a gRPC status name."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime

import requests
import urllib3
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.resumable_media import common as media
from google.rpc import error_details_pb2

from ingest.errors import RemoteError, SettingsError
from ingest.gcp.status_codes import HINTS, http_code

_TOLD_IN_FULL = frozenset(
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


@contextmanager
def translated(service: str) -> Iterator[None]:
    """Raise RemoteError instead of any exception of Google's clients or their transport."""
    try:
        yield
    except api.GoogleAPICallError as error:
        raise _from_api(service, error) from error
    except api.RetryError as error:
        raise _error(service, "DEADLINE_EXCEEDED", str(error)) from error
    except auth.DefaultCredentialsError as error:
        raise SettingsError(
            "no Google credentials found", "run `gcloud auth application-default login`"
        ) from error
    except auth.TransportError as error:
        raise _error(service, "UNAVAILABLE", f"no credentials could be fetched: {error}") from error
    except auth.GoogleAuthError as error:
        raise _error(service, "UNAUTHENTICATED", str(error)) from error
    except media.DataCorruption as error:
        raise _error(service, "DATA_LOSS", "the bytes read don't have the checksum told") from error
    except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError) as error:
        raise _error(service, "DEADLINE_EXCEEDED", "no answer in time") from error
    except (
        requests.exceptions.RequestException,
        urllib3.exceptions.HTTPError,
        ConnectionError,
    ) as error:
        raise _error(service, "UNAVAILABLE", f"cannot connect ({type(error).__name__})") from error
    except TimeoutError as error:
        raise _error(service, "DEADLINE_EXCEEDED", "no answer in time") from error


def _from_api(service: str, error: api.GoogleAPICallError) -> RemoteError:
    reasons = _reasons(error)
    if error.grpc_status_code is not None:
        code = error.grpc_status_code.name
    else:
        code = http_code(error.code or 0, reasons)
    return _error(service, code, _text(error, code, reasons), retry_after_sec(error))


def _reasons(error: api.GoogleAPICallError) -> list[str]:
    found = [str(item.get("reason", "")) for item in error.errors or () if isinstance(item, dict)]
    return [reason for reason in [*found, error.reason or ""] if _NAME.fullmatch(reason)]


def _text(error: api.GoogleAPICallError, code: str, reasons: list[str]) -> str:
    """Return what may be kept of the error.

    The text of an error about the request may quote the request, and so a customer: of it only
    reasons and names of fields are taken. That of an error about what exists, who may, and how
    much, names projects and resources.
    """
    if code in _TOLD_IN_FULL:
        return str(error.message)
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


def _error(service: str, code: str, message: str, retry_after_sec: float = 0.0) -> RemoteError:
    text = f": {message}" if code in _TOLD_IN_FULL else f" ({message})"
    return RemoteError(
        f"{service}: {code}{text if message else ''}",
        HINTS.get(code, ""),
        code=code,
        retry_after_sec=retry_after_sec,
    )
