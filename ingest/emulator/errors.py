"""The refusals of the API. Status codes follow ci-api facts; texts are assumed unless quoted."""

from __future__ import annotations

import re
from collections.abc import Sequence

import grpc

from ingest.emulator import protos

_MOST_BYTES = 1_500
_HEAD_BYTES, _TAIL_BYTES = 1_000, 400
"""A message travels twice in a trailer, each byte as up to three, and gRPC takes 8 KB."""
_MOST_OF_DETAIL = 400
_FIELD = re.compile(r"Invalid ([a-z]\w*(?:\.\w+|\[\d+\])*)|([a-z]\w*(?:\.\w+)*) is required")


class ApiError(Exception):
    """A call that ends with a status; `details` travel as google.rpc.Status details.

    A long message keeps its beginning and its end: what is between them is a caller's own text.
    """

    def __init__(
        self, code: grpc.StatusCode, message: str, details: Sequence[protos.Pb] = ()
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = _shortened(message)
        self.details = tuple(details)

    @property
    def number(self) -> int:
        """The code's number in google.rpc.Code."""
        return int(self.code.value[0])

    def status(self) -> protos.Pb:
        """Return the google.rpc.Status of this refusal."""
        status = protos.Status(code=self.number, message=self.message)
        status.details.extend(protos.packed(detail) for detail in self.details)
        return status


def _shortened(message: str) -> str:
    encoded = message.encode(errors="replace")
    if len(encoded) <= _MOST_BYTES:
        return message
    head = encoded[:_HEAD_BYTES].decode(errors="ignore")
    tail = encoded[-_TAIL_BYTES:].decode(errors="ignore")
    return f"{head} … {tail}"


def invalid(message: str) -> ApiError:
    """Return INVALID_ARGUMENT; with google.rpc.BadRequest when the message begins with a field."""
    found = _FIELD.match(message)
    if found is None:
        return ApiError(grpc.StatusCode.INVALID_ARGUMENT, message)
    return bad_field(found[1] or found[2], message)


def bad_field(field: str, message: str) -> ApiError:
    """Return INVALID_ARGUMENT whose details name the field, and say why if that isn't long."""
    why = message if len(message.encode(errors="replace")) <= _MOST_OF_DETAIL else ""
    violation = protos.BadRequest.FieldViolation(field=field, description=why)
    details = [protos.BadRequest(field_violations=[violation])]
    return ApiError(grpc.StatusCode.INVALID_ARGUMENT, message, details)


def not_found(name: str) -> ApiError:
    """Return NOT_FOUND for a resource name."""
    return ApiError(grpc.StatusCode.NOT_FOUND, f"Resource '{name}' was not found.")


def already_exists(name: str) -> ApiError:
    """Return ALREADY_EXISTS for a resource name."""
    return ApiError(grpc.StatusCode.ALREADY_EXISTS, f"Resource '{name}' already exists.")


def failed_precondition(message: str) -> ApiError:
    """Return FAILED_PRECONDITION."""
    return ApiError(grpc.StatusCode.FAILED_PRECONDITION, message)


def permission_denied(message: str) -> ApiError:
    """Return PERMISSION_DENIED."""
    return ApiError(grpc.StatusCode.PERMISSION_DENIED, message)


def unimplemented(what: str) -> ApiError:
    """Return UNIMPLEMENTED that names what is missing."""
    message = f"{what} is not implemented by the Insights emulator."
    return ApiError(grpc.StatusCode.UNIMPLEMENTED, message)


def internal() -> ApiError:
    """Return INTERNAL."""
    return ApiError(grpc.StatusCode.INTERNAL, "Internal error.")


def unavailable(message: str) -> ApiError:
    """Return UNAVAILABLE."""
    return ApiError(grpc.StatusCode.UNAVAILABLE, message)


def exhausted(message: str, retry_after_micros: int | None = None) -> ApiError:
    """Return RESOURCE_EXHAUSTED, with RetryInfo when it is known when to come back."""
    if retry_after_micros is None:
        return ApiError(grpc.StatusCode.RESOURCE_EXHAUSTED, message)
    retry = protos.RetryInfo(retry_delay=protos.duration(retry_after_micros))
    return ApiError(grpc.StatusCode.RESOURCE_EXHAUSTED, message, [retry])
