"""Object names in the bucket, and what a name says.

`<batch_date>/<conversation_id>/<kind>.json` holds the source files,
`ci-transcripts/<batch_date>/<conversation_id>/<sha256>.json` the content-addressed transcripts
that CI reads, `_landing/<table>/<sha256>.json.gz` the batches that BigQuery loads, and
`_landing_failed/` those that it refuses.
"""

from __future__ import annotations

import datetime as dt
import re

from ingest.domain.conversation import CONVERSATION_ID_PATTERN, ConversationId, FileKind
from ingest.errors import InputError

CI_TRANSCRIPTS_PREFIX = "ci-transcripts/"
LANDING_PREFIX = "_landing/"
LANDING_FAILED_PREFIX = "_landing_failed/"
PULL_WATERMARK_OBJECT = "_pull/complete_until.json"
_DATE_PATTERN = re.compile(r"\d{4}-\d{2}-\d{2}")


def parse_batch_date(name: str) -> dt.date | None:
    """Return the date that a folder's name says, or None when it names no real date."""
    if not _DATE_PATTERN.fullmatch(name):
        return None
    try:
        return dt.date.fromisoformat(name)
    except ValueError:
        return None


def checked_id(value: str) -> ConversationId:
    """Return `value` as an id that is safe in object names and SQL, or raise InputError."""
    if not CONVERSATION_ID_PATTERN.fullmatch(value):
        raise InputError(
            f"{value!r} is not a conversation id",
            "use 4 to 64 lower-case letters, digits or hyphens",
        )
    return ConversationId(value)


def source_object(batch_date: dt.date, conversation_id: ConversationId, kind: FileKind) -> str:
    """Return the object name of a source file."""
    return f"{batch_date.isoformat()}/{checked_id(conversation_id)}/{kind.value}.json"


def ci_transcript_object(
    batch_date: dt.date, conversation_id: ConversationId, content_sha256: str
) -> str:
    """Return the object name of the CI transcript with this content."""
    return (
        f"{CI_TRANSCRIPTS_PREFIX}{batch_date.isoformat()}/"
        f"{checked_id(conversation_id)}/{content_sha256}.json"
    )


def landing_object(table: str, content_sha256: str) -> str:
    """Return the object name of a batch of raw rows."""
    return f"{LANDING_PREFIX}{table}/{content_sha256}.json.gz"
