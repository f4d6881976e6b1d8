"""Durations as people write them."""

from __future__ import annotations

import re

from ingest.errors import InputError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
_UNITS = {"ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, None: 1_000_000}


def parse_duration(text: str) -> int:
    """Return the microseconds of `250ms`, `14s`, `2m`, `1h` or `1.5` (seconds)."""
    found = _DURATION.fullmatch(text.strip())
    if not found:
        raise InputError(f"{text!r} is no duration", "write for example 250ms, 14s, 2m or 1h")
    return round(float(found[1]) * _UNITS[found[2]])
