"""Google's exceptions, translated once into RemoteError with a gRPC status name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import requests
import urllib3
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.resumable_media import common as media
from google.rpc import error_details_pb2

from ingest.errors import RemoteError, SettingsError
from ingest.gcp.status_codes import HINTS, HTTP_CODES


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
    if error.grpc_status_code is not None:
        code = error.grpc_status_code.name
    else:
        code = HTTP_CODES.get(error.code or 0, "UNKNOWN")
    return _error(service, code, str(error.message), _retry_after_sec(error))


def _retry_after_sec(error: api.GoogleAPICallError) -> float:
    for detail in error.details or ():
        if isinstance(detail, error_details_pb2.RetryInfo):
            return float(detail.retry_delay.seconds) + detail.retry_delay.nanos / 1e9
    return 0.0


def _error(service: str, code: str, message: str, retry_after_sec: float = 0.0) -> RemoteError:
    return RemoteError(
        f"{service}: {code}: {message}",
        HINTS.get(code, ""),
        code=code,
        retry_after_sec=retry_after_sec,
    )
