"""Fields that many requests share, checked: resource names, times, pages, update masks."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

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

    def region_of(self, name: str) -> str:
        """Return the project and location that a resource name counts for, "" for a bad name."""
        parts = name.split("/")
        if len(parts) < 4 or parts[0] != "projects":
            return ""
        return f"{self.project_number or parts[1]}/{parts[3]}"

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


FIRST_MICROS, LAST_MICROS = -62_135_596_800_000_000, 253_402_300_799_999_999
"""The first microsecond of the year 1 and the last of the year 9999: the ends of a Timestamp."""
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
        raise invalid("Invalid page_token: no reply gave it.") from None
    if fingerprint != _fingerprint(query):
        raise invalid("Invalid page_token: it belongs to a request with other parameters.")
    if len(position) != length or not all(map(_is_int64, position)):
        raise invalid("Invalid page_token: no reply gave it.")
    return tuple(position)


def _is_int64(part: object) -> bool:
    return type(part) is int and -(2**63) <= part < 2**63


def _fingerprint(query: tuple[object, ...]) -> str:
    return hashlib.sha256(repr(query).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class UpdateRule:
    """What an update of a resource may change; what else it has is ignored in a mask.

    Output-only fields in a mask are ignored, as AIP-203 asks: Google's own samples send every field
    that is set. A mask that would change an immutable field is refused.
    """

    message: protos.Pb
    updatable: tuple[str, ...]
    immutable: tuple[str, ...] = ()
    aliases: Mapping[str, str] = dataclass_field(default_factory=dict)

    def paths(self, current: protos.Pb, given: protos.Pb, mask: Sequence[str]) -> list[str]:
        """Return the paths to copy from `given`; an empty mask is read as `*` (AIP-134).

        Raises INVALID_ARGUMENT for a path that the resource has not, and for an immutable field
        that would change; `*` clears none, since it names none.
        """
        named = [self.aliases.get(path, path) for path in mask if path != "*"]
        for path in named:
            if not _is_path(self.message.DESCRIPTOR, path):
                raise invalid(
                    f"Invalid update_mask path '{path}': use '*' or any of"
                    f" {', '.join(self.updatable)}."
                )
        if not mask or "*" in mask:
            for fixed in self.immutable:
                if _value(given, fixed) and _value(given, fixed) != _value(current, fixed):
                    raise invalid(f"Field {fixed} is immutable.")
            return list(self.updatable)
        found: list[str] = []
        for path in named:
            for fixed in self.immutable:
                if _overlap(path, fixed) and _value(current, fixed) != _value(given, fixed):
                    raise invalid(f"Field {fixed} is immutable.")
            inside = [each for each in self.updatable if f"{each}.".startswith(f"{path}.")]
            part = any(path.startswith(f"{each}.") for each in self.updatable)
            found += inside or ([path] if part else [])
        return list(dict.fromkeys(found))


def copy_field(target: protos.Pb, source: protos.Pb, path: str) -> None:
    """Replace one field by that of `source`, or clear it when `source` hasn't got it."""
    *parents, name = path.split(".")
    for parent in parents:
        target, source = (getattr(each, _own_name(each, parent)) for each in (target, source))
    name = _own_name(target, name)
    target.ClearField(name)
    descriptor = target.DESCRIPTOR.fields_by_name[name]
    if descriptor.is_repeated:
        getattr(target, name).MergeFrom(getattr(source, name))
    elif descriptor.has_presence and not source.HasField(name):
        return
    elif descriptor.message_type is not None:
        getattr(target, name).CopyFrom(getattr(source, name))
        getattr(target, name).SetInParent()
    else:
        setattr(target, name, getattr(source, name))


def _own_name(message: protos.Pb, name: str) -> str:
    """Return a field's name in Python, where `type` has a trailing underscore."""
    return name if name in message.DESCRIPTOR.fields_by_name else f"{name}_"


def _is_path(descriptor: Any, path: str) -> bool:
    """Return whether a message has the field; only single messages can be walked into."""
    name, _, rest = path.partition(".")
    found = descriptor.fields_by_name.get(name) or descriptor.fields_by_name.get(f"{name}_")
    if found is None or not rest:
        return found is not None
    return (
        found.message_type is not None
        and not found.is_repeated
        and _is_path(found.message_type, rest)
    )


def _overlap(path: str, other: str) -> bool:
    return f"{path}.".startswith(f"{other}.") or f"{other}.".startswith(f"{path}.")


def _value(message: protos.Pb, path: str) -> Any:
    for name in path.split("."):
        message = getattr(message, _own_name(message, name))
    return message
