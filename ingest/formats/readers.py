"""All foreign formats by the name that `ingest data convert --from` takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from ingest.domain.conversation import Metadata, Transcription
from ingest.errors import InputError
from ingest.formats.contact_lens import read_contact_lens
from ingest.formats.conversion import Reader, convert
from ingest.formats.genesys import read_genesys
from ingest.formats.google_ci import read_google_ci
from ingest.formats.twilio import read_twilio

READERS: dict[str, Reader] = {
    "contact-lens": read_contact_lens,
    "genesys": read_genesys,
    "twilio": read_twilio,
    "google-ci": read_google_ci,
}


def convert_file(
    format_name: str, content: bytes, name: str, defaults: Mapping[str, Any]
) -> tuple[Metadata, Transcription]:
    """Return our two files from one foreign file; raise InputError that says what is missing."""
    reader = READERS.get(format_name)
    if reader is None:
        raise InputError(f"unknown format {format_name!r}", f"use one of {', '.join(READERS)}")
    try:
        data = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise InputError(
            f"the file isn't JSON: {error.msg} at line {error.lineno}", "export it again"
        ) from error
    if not isinstance(data, dict):
        raise InputError("the file holds no JSON object", "is it really in this format?")
    try:
        foreign = reader(data, name)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"the file doesn't have the shape of {format_name}",
            "is it really in the format given with --from?",
        ) from error
    return convert(foreign, defaults)
