"""What is wrong with a delivered file, and where; none of its text is told."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """An error keeps a conversation out of the pipeline; a warning is only reported."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Fault:
    """One broken rule in one place; holds no transcript text and no personal data."""

    file: str
    """Relative path, for example `2025-12-28/<conversation_id>/metadata.json`."""
    pointer: str
    """JSON pointer (RFC 6901) of the value; empty for the whole file."""
    rule: str
    """Stable snake_case name."""
    message: str
    hint: str
    severity: Severity = Severity.ERROR


def json_pointer(*keys: str | int) -> str:
    """Return the RFC 6901 pointer of the value that these keys lead to.

    A key of the file that doesn't look like a field's name may be somebody's name or number, so it
    is shown as `HIDDEN_KEY`.
    """
    return "".join(f"/{key if isinstance(key, int) else _shown_key(key)}" for key in keys)


HIDDEN_KEY = "<key>"
_FIELD_NAME = re.compile(r"[A-Za-z_$@][A-Za-z0-9_$@.:/~-]{0,62}")
_MANY_DIGITS = re.compile(r"[0-9]{4}|@.*[.]|[0-9].*[0-9].*[0-9].*[0-9].*[0-9]")


def _shown_key(key: str) -> str:
    if not _FIELD_NAME.fullmatch(key) or _MANY_DIGITS.search(key):
        return HIDDEN_KEY
    return key.replace("~", "~0").replace("/", "~1")


def has_errors(faults: Iterable[Fault], *, strict: bool = False) -> bool:
    """Return whether the faults keep the file out; with `strict` warnings do so too."""
    return any(strict or fault.severity is Severity.ERROR for fault in faults)
