"""Fields that many requests share, checked: resource names, times, pages."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass

from ingest.emulator import protos
from ingest.emulator.errors import invalid, permission_denied

_PROJECT = r"[a-z0-9](?:[a-z0-9.:-]{0,61}[a-z0-9])?"
_LOCATION = re.compile(rf"projects/({_PROJECT})/locations/([a-z0-9-]+)")
_CONVERSATION_ID = re.compile(r"[a-z0-9-]{4,64}")


@dataclass(frozen=True, slots=True)
class Names:
    """The projects that this emulator knows; without a number every project is its own."""

    project_number: str | None = None
    project_id: str | None = None

    def location(self, name: str, field: str = "parent") -> str:
        """Return `projects/{number}/locations/{location}` for a parent given by id or number."""
        found = _LOCATION.fullmatch(name)
        if not found:
            raise invalid(
                f"Invalid {field} '{name}': use projects/{{project}}/locations/{{location}}."
            )
        return f"projects/{self._project(found[1])}/locations/{found[2]}"

    def child(self, name: str, collection: str, field: str = "name") -> tuple[str, str]:
        """Return the location and the id of `{location}/{collection}/{id}`."""
        parent, _, own = name.rpartition(f"/{collection}/")
        if not own or "/" in own or not _LOCATION.fullmatch(parent):
            raise invalid(
                f"Invalid {field} '{name}': use "
                f"projects/{{project}}/locations/{{location}}/{collection}/{{id}}."
            )
        return self.location(parent, field), own

    def analysis(self, name: str) -> tuple[str, str, str]:
        """Return location, conversation id and analysis id."""
        conversation, _, analysis_id = name.rpartition("/analyses/")
        if not analysis_id or "/" in analysis_id:
            raise invalid(f"Invalid name '{name}': use …/conversations/{{id}}/analyses/{{id}}.")
        parent, conversation_id = self.child(conversation, "conversations")
        return parent, conversation_id, analysis_id

    def project_of(self, name: str) -> str:
        """Return the project that a resource name counts for, "" for a malformed name."""
        parts = name.split("/")
        if len(parts) < 2 or parts[0] != "projects":
            return ""
        return self.project_number or parts[1]

    def _project(self, project: str) -> str:
        if project == self.project_number:
            return project
        if self.project_id is not None and project != self.project_id:
            raise permission_denied(f"Permission denied on resource project {project}.")
        if self.project_number is not None and project.isdigit():
            raise permission_denied(f"Permission denied on resource project {project}.")
        return self.project_number or project


def check_selector(names: Names, selector: protos.Pb) -> None:
    """Raise unless an AnnotatorSelector names phrase matchers and issue models as they are named.

    One that doesn't exist finds nothing (assumed).
    """
    for field, collection in (
        ("phrase_matchers", "phraseMatchers"),
        ("issue_models", "issueModels"),
    ):
        for name in getattr(selector, field):
            names.child(name, collection, f"annotator_selector.{field}")


def checked_conversation_id(conversation_id: str) -> str:
    """Return the id, or raise INVALID_ARGUMENT (request message: `^[a-z0-9-]{4,64}$`)."""
    if not _CONVERSATION_ID.fullmatch(conversation_id):
        raise invalid(
            f"Invalid conversation_id '{conversation_id}': it must match ^[a-z0-9-]{{4,64}}$."
        )
    return conversation_id


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


MAX_PAGE_SIZE = 100_000
"""The largest page that may be asked for (ListConversationsRequest); a reply may hold fewer."""


def page_size(requested: int, default: int, largest_reply: int) -> int:
    """Return how many items a reply holds; raise INVALID_ARGUMENT outside 0…100,000."""
    if not 0 <= requested <= MAX_PAGE_SIZE:
        raise invalid(f"Invalid page_size {requested}: use 0 to {MAX_PAGE_SIZE}.")
    return min(requested or default, largest_reply)


def encode_token(query: tuple[object, ...], position: tuple[int, ...]) -> str:
    """Return a token that leads on from `position` for this query only."""
    content = json.dumps([_fingerprint(query), *position], separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def decode_token(query: tuple[object, ...], token: str, length: int) -> tuple[int, ...] | None:
    """Return the position, or None for the first page.

    Raises INVALID_ARGUMENT for a token that is broken or belongs to another query (AIP-158).
    """
    if not token:
        return None
    try:
        padded = token + "=" * (-len(token) % 4)
        fingerprint, *position = json.loads(base64.b64decode(padded, b"-_", validate=True))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise invalid("Invalid page_token.") from None
    if fingerprint != _fingerprint(query):
        raise invalid("Invalid page_token: it belongs to a request with other parameters.")
    if len(position) != length or not all(map(_is_int64, position)):
        raise invalid("Invalid page_token.")
    return tuple(position)


def _is_int64(part: object) -> bool:
    return type(part) is int and -(2**63) <= part < 2**63


def _fingerprint(query: tuple[object, ...]) -> str:
    return hashlib.sha256(repr(query).encode()).hexdigest()[:16]
