"""Times that callers give: the ranges of google.protobuf.Timestamp and Duration.

Google refuses what lies outside; a value that got in would break every later reply or export.
"""

from __future__ import annotations

from ingest.emulator import protos
from ingest.emulator.problems import invalid

LAST_MICROS = 253_402_300_799_999_999
"""The last microsecond of the year 9999, the end of a Timestamp."""
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799
_MOST_SECONDS = 315_576_000_000
_NANOS = 1_000_000_000


def check_timestamp(value: protos.Pb, field: str) -> None:
    """Raise INVALID_ARGUMENT unless the Timestamp lies in the years 1 to 9999."""
    if not (_FIRST_SECOND <= value.seconds <= _LAST_SECOND and 0 <= value.nanos < _NANOS):
        raise invalid(f"Invalid {field}: it must lie in the years 1 to 9999.")


def check_duration(value: protos.Pb, field: str) -> None:
    """Raise INVALID_ARGUMENT unless the Duration is within 10,000 years, its signs equal."""
    seconds, nanos = value.seconds, value.nanos
    if abs(seconds) > _MOST_SECONDS or abs(nanos) >= _NANOS or seconds * nanos < 0:
        raise invalid(f"Invalid {field}: it is no Duration within 10,000 years.")


def check_ttl(value: protos.Pb, now: int, field: str) -> None:
    """Raise INVALID_ARGUMENT unless a TTL from `now` (microseconds) ends by the year 9999."""
    check_duration(value, field)
    micros = protos.duration_micros(value)
    if micros < 0:
        raise invalid(f"Invalid {field}: it must not be negative.")
    if now + micros > LAST_MICROS:
        raise invalid(f"Invalid {field}: it must end by the year 9999.")
