"""Rows of the raw table `conversation_truths`."""

from __future__ import annotations

import orjson

from ingest.datagen.dataset_check import ConversationFiles
from ingest.domain.conversation import FileKind
from ingest.domain.fingerprint import json_sha256
from ingest.domain.raw_records import CONVERSATION_TRUTHS, RawRow
from ingest.errors import InputError


def truth_row(files: ConversationFiles) -> RawRow | None:
    """Return the row of one conversation's truth, or None when the folder has no expected.json.

    Raises InputError when the truth isn't a JSON object with a scenario.
    """
    if files.truth is None:
        return None
    place = f"{files.batch_date}/{files.conversation_id}/expected.json"
    try:
        payload = orjson.loads(files.truth)
        scenario = payload["scenario"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(f"{place} is no truth file", "run `ingest data validate`") from error
    return RawRow(
        CONVERSATION_TRUTHS,
        {
            "conversation_id": files.conversation_id,
            "batch_date": files.batch_date.isoformat(),
            "scenario": scenario,
            "content_sha256": json_sha256(payload),
            "transcript_sha256": _sha256_of(files.contents.get(FileKind.TRANSCRIPTION)),
            "schema_version": payload.get("schema_version"),
            "payload": payload,
        },
    )


def _sha256_of(content: bytes | None) -> str | None:
    if content is None:
        return None
    try:
        return json_sha256(orjson.loads(content))
    except orjson.JSONDecodeError:
        return None
