"""What validation says about a file: where, which rule, and the cure; never the text itself."""

from __future__ import annotations

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
    """Return the RFC 6901 pointer of the value that these keys lead to."""
    return "".join(f"/{str(key).replace('~', '~0').replace('/', '~1')}" for key in keys)
