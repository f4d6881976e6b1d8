"""The files of a conversation as they are handed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from ingest.datagen.maker import MadeConversation


@dataclass(slots=True)
class Delivery:
    """The files of one conversation, name to content, in the first and in the late folder."""

    files: dict[str, bytes]
    late_files: dict[str, bytes]


def to_json(value: Any) -> bytes:
    """Return the file content that users would write: indented, with a last line end."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def clean_delivery(made: MadeConversation) -> Delivery:
    """Return the three files as they should be."""
    return Delivery(
        {
            "metadata.json": to_json(made.metadata),
            "transcription.json": to_json(made.transcription),
            "expected.json": to_json(made.expected),
        },
        {},
    )
