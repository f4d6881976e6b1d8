"""Ids made from text, so that making them again gives the same."""

from __future__ import annotations

import hashlib


def uuid_of(text: str) -> str:
    """Return the UUID (version 8, RFC 9562) that is made from the SHA-256 of the text."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    variant = "89ab"[int(digest[16], 16) % 4]
    return f"{digest[:8]}-{digest[8:12]}-8{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"
