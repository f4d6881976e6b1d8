"""HTTP statuses as gRPC status names, and what a user does about each."""

from __future__ import annotations

from collections.abc import Iterable

HTTP_CODES = {
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
"""Reasons that say more than the status: BigQuery tells a spent quota by 403."""
HINTS = {
    "UNAVAILABLE": "check the endpoint; on a laptop: `ingest local status`, `ingest local up`",
    "DEADLINE_EXCEEDED": "the service is slow or unreachable; run the same command again",
    "PERMISSION_DENIED": "see the role table in terraform/README.md, then `terraform apply`",
    "UNAUTHENTICATED": "run `gcloud auth application-default login`",
    "NOT_FOUND": "on Google Cloud `terraform apply` creates it; on a laptop `ingest local up`",
    "RESOURCE_EXHAUSTED": "quota is used up; run the same command again later",
}


def http_code(status: int, reasons: Iterable[str] = ()) -> str:
    """Return the gRPC status name of an HTTP status with the `reason` of each of its errors."""
    for reason in reasons:
        if reason in _CODES_OF_REASONS:
            return _CODES_OF_REASONS[reason]
    return HTTP_CODES.get(status, "UNKNOWN")
