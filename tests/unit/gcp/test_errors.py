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

from ingest.errors import ExitCode, IngestError, RemoteError, SettingsError
from ingest.flows.attempts import TRANSIENT
from ingest.gcp.errors import translated

INFRASTRUCTURE_CODES = {
    "UNAVAILABLE",
    "DEADLINE_EXCEEDED",
    "PERMISSION_DENIED",
    "UNAUTHENTICATED",
    "NOT_FOUND",
    "RESOURCE_EXHAUSTED",
    "UNIMPLEMENTED",
}
_A_DAY_SEC = 86_400.0
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
    assert found.message == f"GCS: {code}" + (": why" if code in INFRASTRUCTURE_CODES else "")
    assert found.__cause__ is error


def test_what_the_service_says_of_a_request_is_told_by_reason_and_field_only() -> None:
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field="conversation.labels[queue]", description="Robin Vale is bad")
    info = error_details_pb2.ErrorInfo(
        reason="LABEL_TOO_LONG", domain="ccai", metadata={"v": "Robin"}
    )
    over_grpc: Any = api.InvalidArgument("'Robin' is bad", details=[bad], error_info=info)
    over_http = api.from_http_status(
        400, "Could not parse 'Robin Vale' as date", errors=[{"reason": "invalid", "message": "R"}]
    )

    assert raised(over_grpc).message == (
        "GCS: INVALID_ARGUMENT (LABEL_TOO_LONG, conversation.labels[queue])"
    )
    assert raised(over_http).message == "GCS: INVALID_ARGUMENT (invalid)"


@pytest.mark.parametrize(
    ("status", "reason", "code"),
    [
        (403, "rateLimitExceeded", "RESOURCE_EXHAUSTED"),
        (403, "userRateLimitExceeded", "RESOURCE_EXHAUSTED"),
        (403, "quotaExceeded", "RESOURCE_EXHAUSTED"),
        (403, "accessDenied", "PERMISSION_DENIED"),
        (400, "quotaExceeded", "RESOURCE_EXHAUSTED"),
        (400, "backendError", "UNAVAILABLE"),
        (400, "jobBackendError", "UNAVAILABLE"),
        (400, "invalid", "INVALID_ARGUMENT"),
    ],
)
def test_a_reason_says_more_than_the_http_status(status: int, reason: str, code: str) -> None:
    assert code_of(api.from_http_status(status, "why", errors=[{"reason": reason}])) == code


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"Retry-After": "17"}, 17.0),
        ({"retry-after": "17"}, 17.0),
        ({"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}, _A_DAY_SEC),
        ({"Retry-After": "Fri, 01 Jan 2010 00:00:00 GMT"}, 0.0),
        ({"Retry-After": "soon"}, 0.0),
        ({}, 0.0),
    ],
)
def test_the_wait_that_an_http_header_asks_for_is_kept(
    header: dict[str, str], expected: float
) -> None:
    answer = requests.Response()
    answer.status_code = 503
    answer.headers.update(header)

    found = raised(api.from_http_status(503, "x", response=answer))

    assert isinstance(found, RemoteError)
    assert found.retry_after_sec == expected


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


@pytest.mark.parametrize(("status", "code"), sorted(HTTP_CODES.items()))
def test_a_want_of_rights_is_a_matter_of_settings(status: int, code: str) -> None:
    is_of_rights = code in ("PERMISSION_DENIED", "UNAUTHENTICATED")

    found = raised(api.from_http_status(status, "why"))

    assert found.exit_code is (ExitCode.SETTINGS if is_of_rights else ExitCode.REMOTE)


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
