"""Content hashes: what makes a version of a file, of a conversation, of an annotator profile."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson


def canonical_json(value: Any) -> bytes:
    """Return the one UTF-8 JSON text of `value`: keys sorted, no white space, shortest numbers."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def sha256_hex(content: bytes) -> str:
    """Return the SHA-256 of `content` as 64 lower-case hex digits."""
    return hashlib.sha256(content).hexdigest()


def json_sha256(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of `value`; equal JSON gives equal hashes."""
    return sha256_hex(canonical_json(value))
