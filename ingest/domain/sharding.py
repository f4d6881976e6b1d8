"""Which of n runs side by side takes a conversation."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from ingest.errors import InputError


@dataclass(frozen=True)
class Shard:
    """Part `index` (0-based) of `count`."""

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise InputError(
                f"shard {self.index}/{self.count} doesn't exist",
                "write i/n with 0 <= i < n, for example 0/4",
            )

    def takes(self, conversation_id: str) -> bool:
        """Return whether the conversation is this part's; the same on every machine."""
        digest = hashlib.sha256(conversation_id.encode()).digest()
        return int.from_bytes(digest[:8]) % self.count == self.index


def parse_shard(text: str) -> Shard:
    """Return the shard that `i/n` names."""
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or int(found[2]) == 0:
        raise InputError(f"{text!r} is no shard", "write i/n, for example 0/4")
    return Shard(int(found[1]), int(found[2]))
