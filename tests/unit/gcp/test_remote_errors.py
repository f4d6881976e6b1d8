from __future__ import annotations

import concurrent.futures
from typing import Any

import grpc
import pytest
import requests
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.cloud.storage.exceptions import DataCorruption
from google.rpc import error_details_pb2

from ingest.errors import IngestError, RemoteError, SettingsError
from ingest.flows.attempts import TRANSIENT
from ingest.gcp.remote_errors import translated

HTTP_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
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


def raised(error: BaseException) -> IngestError:
    with pytest.raises(IngestError) as caught, translated("GCS"):
        raise error
    return caught.value


def code_of(error: BaseException) -> str:
    found = raised(error)
    assert isinstance(found, RemoteError)
    return found.code


@pytest.mark.parametrize(("status", "code"), sorted(HTTP_CODES.items()))
def test_an_http_status_becomes_a_grpc_status(status: int, code: str) -> None:
    error = api.from_http_status(status, "why")

    found = raised(error)

    assert code_of(error) == code
    assert found.message == f"GCS: {code}: why"
    assert found.__cause__ is error


@pytest.mark.parametrize("status", [s for s in grpc.StatusCode if s is not grpc.StatusCode.OK])
def test_a_grpc_status_keeps_its_name(status: grpc.StatusCode) -> None:
    assert code_of(api.from_grpc_status(status, "why")) == status.name


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (requests.exceptions.ConnectionError("x"), "UNAVAILABLE"),
        (requests.exceptions.ChunkedEncodingError("x"), "UNAVAILABLE"),
        (requests.exceptions.JSONDecodeError("x", "", 0), "UNAVAILABLE"),
        (ConnectionResetError("x"), "UNAVAILABLE"),
        (auth.TransportError("x"), "UNAVAILABLE"),
        (requests.exceptions.ReadTimeout("x"), "DEADLINE_EXCEEDED"),
        (requests.exceptions.ConnectTimeout("x"), "DEADLINE_EXCEEDED"),
        (TimeoutError("x"), "DEADLINE_EXCEEDED"),
        (concurrent.futures.TimeoutError("x"), "DEADLINE_EXCEEDED"),
        (api.RetryError("x", None), "DEADLINE_EXCEEDED"),
        (DataCorruption(None, "x"), "DATA_LOSS"),
        (auth.RefreshError("x"), "UNAUTHENTICATED"),
    ],
)
def test_errors_of_the_transport_become_a_status(error: BaseException, code: str) -> None:
    assert code_of(error) == code
    assert (code in TRANSIENT) is (code != "UNAUTHENTICATED")


def test_missing_credentials_are_a_matter_of_settings() -> None:
    found = raised(auth.DefaultCredentialsError("x"))

    assert isinstance(found, SettingsError)
    assert found.hint == "run `gcloud auth application-default login`"


def test_the_wait_that_the_service_asks_for_is_kept() -> None:
    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromMilliseconds(2_500)
    error: Any = api.ResourceExhausted("slow down", details=[info])

    found = raised(error)

    assert isinstance(found, RemoteError)
    assert (found.code, found.retry_after_sec) == ("RESOURCE_EXHAUSTED", 2.5)


def test_an_error_of_ours_and_a_bug_pass_through() -> None:
    ours = RemoteError("no", code="DATA_LOSS")
    with pytest.raises(RemoteError) as caught, translated("GCS"):
        raise ours
    with pytest.raises(ZeroDivisionError), translated("GCS"):
        _ = 1 / 0
    assert caught.value is ours
