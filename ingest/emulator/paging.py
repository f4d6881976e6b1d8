"""Page sizes and page tokens."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json

from ingest.emulator.problems import invalid

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
