"""Times of foreign transcripts: lengths in any unit, and moments with their zones."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ingest.formats.mapping import EPOCHS

_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000, "ticks": 10_000_000}
_ISO_DURATION = re.compile(
    r"P(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?"
    r"(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)
_CLOCK = re.compile(r"(?:(?P<hours>\d+):)?(?P<minutes>\d{1,2}):(?P<seconds>\d{1,2}(?:[.,]\d+)?)")
_SECONDS = re.compile(r"(?P<seconds>\d+(?:\.\d+)?)s")
_PARTS = {"days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}


class TimeError(Exception):
    """The value is no such time; holds reason and cure, never the value."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


def type_name(value: Any) -> str:
    """Return what JSON calls the value's type."""
    if value is None:
        return "null"
    names = {bool: "boolean", int: "number", float: "number", str: "string", dict: "object"}
    return names.get(type(value), "array" if isinstance(value, list) else type(value).__name__)


def seconds_of(unit: str) -> Callable[[Any], float]:
    """Return what turns a value in the unit into seconds, to the millisecond; raises TimeError."""
    if unit == "duration":
        return _duration
    per_second = _PER_SECOND[unit]

    def seconds(value: Any) -> float:
        return round(number(value) / per_second, 3)

    return seconds


def number(value: Any) -> float:
    """Return a finite number that is given as one or as text; raise TimeError."""
    if type(value) is int:
        return value
    if type(value) is bool:
        raise _no_number(value)
    try:
        found = float(value)
    except (TypeError, ValueError) as error:
        raise _no_number(value) from error.with_traceback(None)
    if not math.isfinite(found):
        raise _no_number(value)
    return found


def _no_number(value: Any) -> TimeError:
    return TimeError(
        f"a time is no number but a {type_name(value)}",
        "name its shape: unit: duration, or time: iso or a format",
    )


def _duration(value: Any) -> float:
    text = value if isinstance(value, str) else ""
    found = (
        _SECONDS.fullmatch(text) or _CLOCK.fullmatch(text) or _ISO_DURATION.fullmatch(text or "?")
    )
    if found is None:
        raise TimeError(
            f"a time is no duration but another {type_name(value)}",
            "a duration is 1.2s, PT1.2S or 00:00:01.2; numbers have unit: s, ms, us, ns or ticks",
        )
    parts = found.groupdict()
    total = sum(
        float((parts.get(name) or "0").replace(",", ".")) * size for name, size in _PARTS.items()
    )
    return round(total, 3)


def since_epoch(value: Any, per_second: float) -> dt.datetime:
    """Return the UTC moment of a count since 1970; raise TimeError."""
    try:
        return dt.datetime.fromtimestamp(number(value) / per_second, dt.UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise TimeError("a moment lies beyond the year 9999", "check its unit") from error


def per_second(unit: str) -> int:
    """Return how many of the unit are a second."""
    return _PER_SECOND[unit]


def moment(value: Any, form: str, zone: str | None, ambiguous: str | None) -> dt.datetime:
    """Return the moment that the value names, with its offset; raise TimeError.

    `form` is iso, one of EPOCHS, or a format of strptime. A wall time needs a zone, and is refused
    when the clocks show it twice or never, unless `ambiguous` says which of two is meant.
    """
    if form in EPOCHS:
        return since_epoch(value, EPOCHS[form])
    if isinstance(value, dt.datetime):
        found = value
    else:
        try:
            if form == "iso":
                found = dt.datetime.fromisoformat(value)
            else:
                found = dt.datetime.strptime(value, form)  # noqa: DTZ007 - a zone is added below
        except (TypeError, ValueError) as error:
            raise TimeError(
                f"a {type_name(value)} is no time of the form {form}",
                "name its form: iso, epoch_s, epoch_ms, epoch_us, or a format such as "
                "%d/%m/%Y %H:%M",
            ) from error.with_traceback(None)
    if found.tzinfo is not None:
        return found
    if zone is None:
        raise TimeError(
            "a moment has no zone",
            "add `zone: Australia/Sydney` to it, or conversation.time_zone",
        )
    return _in_zone(found, named_zone(zone), ambiguous)


def named_zone(name: Any) -> ZoneInfo:
    """Return the zone; raise TimeError when there's none of the name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
        raise TimeError(
            "a zone isn't one that IANA names", "write it like Australia/Sydney"
        ) from error.with_traceback(None)


def is_zone(name: str) -> bool:
    """Return whether IANA names the zone so."""
    try:
        named_zone(name)
    except TimeError:
        return False
    return True


def _in_zone(wall: dt.datetime, zone: ZoneInfo, ambiguous: str | None) -> dt.datetime:
    first, second = (wall.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return _with_offset(first)
    if in_offset(in_offset(first, dt.UTC), zone).replace(tzinfo=None) != wall:
        raise TimeError("a wall time was skipped when the clocks went forward", "check its zone")
    if ambiguous is None:
        raise TimeError(
            "a wall time came twice when the clocks went back",
            "add `ambiguous: first` (or second) to it, or give times with an offset",
        )
    return _with_offset(first if ambiguous == "first" else second)


def _with_offset(found: dt.datetime) -> dt.datetime:
    """Return the moment with a plain offset in place of a zone."""
    return found.replace(tzinfo=dt.timezone(found.utcoffset() or dt.timedelta()))


def in_zone(found: dt.datetime, zone: str) -> dt.datetime:
    """Return the same moment with the offset of the named zone; raise TimeError."""
    return _with_offset(in_offset(found, named_zone(zone)))


def in_offset(found: dt.datetime, zone: dt.tzinfo | None) -> dt.datetime:
    """Return the same moment in the zone; raise TimeError at the ends of the calendar."""
    try:
        return found.astimezone(zone)
    except OverflowError as error:
        raise TimeError("a moment lies outside the years 1 to 9999", "check its unit") from error
