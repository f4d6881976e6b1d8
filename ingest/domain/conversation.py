"""The two files of a conversation, as users hand them in.

A conversation is a folder `<date>/<conversation_id>/` with `metadata.json` and
`transcription.json`. These models are the single declaration of both formats: the published
JSON Schemas in `ingest/schemas/*.schema.json` are generated from them.

Unknown fields are kept (the whole payload is landed) and reported as warnings, never dropped.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Self

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from ingest.errors import InputError

SCHEMA_VERSION = "1.0"
"""Of metadata.json and expected.json."""
TRANSCRIPT_SCHEMA_VERSION = "2.0"
"""Of transcription.json: 2 came with end, confidence and language of a turn, all optional, so that
every file of version 1 says the same as before."""
CONVERSATION_ID_PATTERN = re.compile(r"[a-z0-9-]{4,64}")
"""What CreateConversation accepts as `conversation_id` (client 1.29.0, request message)."""
UUID_PATTERN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class FileKind(StrEnum):
    """The two files of a conversation; the value is the file's stem."""

    METADATA = "metadata"
    TRANSCRIPTION = "transcription"


READABLE_MAJOR_VERSIONS = {
    FileKind.METADATA: frozenset({"1"}),
    FileKind.TRANSCRIPTION: frozenset({"1", "2"}),
}
"""What stands before the first dot of a `schema_version` that this release reads."""


class Speaker(StrEnum):
    """Who says a turn; the names are the roles of Insights' transcript file."""

    AGENT = "AGENT"
    AUTOMATED_AGENT = "AUTOMATED_AGENT"
    CUSTOMER = "CUSTOMER"


class Direction(StrEnum):
    INBOUND = "INBOUND"
    OUTBOUND = "OUTBOUND"


class Medium(StrEnum):
    """What Insights takes a conversation as."""

    PHONE_CALL = "PHONE_CALL"
    CHAT = "CHAT"


Text = Annotated[str, Field(min_length=1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
LabelKey = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
CustomName = Annotated[str, Field(min_length=1, max_length=256)]
LabelValue = Annotated[str, Field(max_length=256)]
Source = dict[str, Any]


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")

    schema_version: Text = Field(description="Version of this file format, for example 1.0.")
    conversation_id: Text = Field(
        description="The folder's name: 4 to 64 of a-z, 0-9 and hyphen; normally a UUID."
    )
    redactor: Text | None = Field(
        default=None,
        description="Version of the redactor that made the file; absent from what was handed in.",
    )


class Metadata(_File):
    """`metadata.json`: the context of one conversation."""

    direction: Direction = Field(description="Who called whom, seen from the contact centre.")
    business_line: Text = Field(
        description="Business that the conversation belongs to; words in seeds/business_lines.csv."
    )
    medium: Text = Field(description="How it was held; words in seeds/media.csv.")
    language_code: Text = Field(description="BCP-47 language, for example en-AU.")
    queue: Text = Field(
        description="Queue that routed the conversation; words in seeds/queues.csv."
    )
    agent_id: Text = Field(description="The (first) human agent; the bot where no human took part.")
    agent_name: Text = Field(description="The agent's display name.")
    agent_team: Text = Field(description="The agent's team.")
    agent_site: Text = Field(description="Where the agent works.")
    portfolio_id: Text | None = Field(default=None, description="Debt portfolio (collections).")
    campaign_id: Text | None = Field(default=None, description="Campaign (loans or outreach).")
    call_outcome: Text = Field(
        description="How the conversation ended; words in seeds/call_outcomes.csv."
    )
    call_reason: Text | None = Field(
        default=None, description="Why it was held; words in seeds/call_reasons.csv."
    )
    started_at: AwareDatetime = Field(description="Start, RFC 3339 with the call's own offset.")
    ended_at: AwareDatetime = Field(description="End, RFC 3339 with the call's own offset.")
    duration_sec: Seconds = Field(description="ended_at - started_at, seconds.")
    agent_notes: str | None = Field(default=None, description="Free text that the agent left.")
    labels: dict[LabelKey, LabelValue] = Field(
        default_factory=dict, description="Further business labels; become labels in Insights."
    )
    source: Source | None = Field(
        default=None,
        description="Where a converted conversation comes from: format, files with their hashes, "
        "and what of them no field above holds.",
    )
    custom: dict[CustomName, Any] | None = Field(
        default=None,
        description="The user's own fields; those declared in dbt_project.yml have columns.",
    )


class Turn(BaseModel):
    """One utterance."""

    model_config = ConfigDict(frozen=True, extra="allow")

    turn_index: int = Field(ge=0, description="0-based position; equals the place in the list.")
    speaker: Speaker = Field(description="Who speaks.")
    participant_id: Text | None = Field(
        default=None,
        description="Tells two people of one role apart, after a transfer for example.",
    )
    start_offset_sec: Seconds = Field(description="Start of the turn, seconds after started_at.")
    end_offset_sec: Seconds | None = Field(
        default=None,
        description="End of the turn, seconds after started_at; absent where the source has none.",
    )
    text: Text = Field(description="What was said or typed.")
    confidence: Share | None = Field(
        default=None, description="How sure the recogniser is of the words, 0 to 1."
    )
    language_code: Text | None = Field(
        default=None, description="BCP-47 language of the turn, where the source states it."
    )
    source: Source | None = Field(
        default=None, description="What else a converted utterance says: words, sentiment, ids."
    )


class Transcription(_File):
    """`transcription.json`: what was said, turn by turn."""

    turns: Annotated[tuple[Turn, ...], Field(min_length=1)] = Field(
        description="All turns in the order of time."
    )


def is_redacted(metadata: Mapping[str, Any]) -> bool:
    """Return whether our redactor made it, or files that state to be redacted."""
    if metadata.get("redactor") is not None:
        return True
    source = metadata.get("source")
    return isinstance(source, dict) and source.get("redacted") is True


def canonical_json(value: Any) -> bytes:
    """Return the one UTF-8 JSON text of `value`: keys sorted, no white space, shortest numbers."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def sha256_hex(content: bytes) -> str:
    """Return the SHA-256 of `content` as 64 lower-case hex digits."""
    return hashlib.sha256(content).hexdigest()


def json_sha256(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of `value`; equal JSON gives equal hashes."""
    return sha256_hex(canonical_json(value))


@dataclass(frozen=True)
class DeliveredFile:
    """One valid file as it was handed in: bytes, JSON, model, and the hash of its canonical JSON.

    It's made once a pass (`ingest.domain.validation.check_delivery`), and is as large as the file.
    """

    kind: FileKind
    content: bytes
    payload: Mapping[str, Any]
    model: Metadata | Transcription
    sha256: str

    @classmethod
    def of(
        cls,
        kind: FileKind,
        content: bytes,
        payload: Mapping[str, Any],
        model: Metadata | Transcription,
    ) -> Self:
        """Return the file with its hash."""
        return cls(kind, content, payload, model, json_sha256(payload))


CI_TRANSCRIPTS_PREFIX = "ci-transcripts/"
ORIGINALS_PREFIX = "originals/"
"""Of files as they were handed in, where what is sent is redacted."""
LANDING_PREFIX = "_landing/"
LANDING_FAILED_PREFIX = "_landing_failed/"
RUNS_PREFIX = "_runs/"
TOPICS_PREFIX = "_topics/"
"""Of what runs: its signs of life, its leases, and which ids were forgotten meanwhile."""
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


def checked_id(value: str) -> str:
    """Return `value` as an id that is safe in object names and SQL, or raise InputError."""
    if not CONVERSATION_ID_PATTERN.fullmatch(value):
        raise InputError(
            f"{value!r} is not a conversation id",
            "use 4 to 64 lower-case letters, digits or hyphens",
        )
    return value


def source_objects(batch_date: dt.date, conversation_id: str) -> dict[FileKind, str]:
    """Return the object names of a conversation's source files."""
    return {kind: source_object(batch_date, conversation_id, kind) for kind in FileKind}


def source_object(batch_date: dt.date, conversation_id: str, kind: FileKind) -> str:
    """Return the object name of a source file."""
    return f"{batch_date.isoformat()}/{checked_id(conversation_id)}/{kind.value}.json"


def ci_transcript_object(batch_date: dt.date, conversation_id: str, content: bytes) -> str:
    """Return the object name of the Insights transcript with this content."""
    return (
        f"{CI_TRANSCRIPTS_PREFIX}{batch_date.isoformat()}/"
        f"{checked_id(conversation_id)}/{sha256_hex(content)}.json"
    )


def landing_object(table: str, content_sha256: str) -> str:
    """Return the object name of a batch of raw rows."""
    return f"{LANDING_PREFIX}{table}/{content_sha256}.json.gz"


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


@dataclass(frozen=True, order=True)
class Region:
    """A project and location of Insights, which have their own quotas."""

    project_id: str
    location: str

    @property
    def parent(self) -> str:
        """Its resource name."""
        return f"projects/{self.project_id}/locations/{self.location}"


def region_of(conversation_id: str, regions: Sequence[Region]) -> Region:
    """Return the region that a conversation goes to; the same whatever their order.

    The region of the highest hash takes it, so one that is added takes its share of all others'
    conversations, and none moves between these.
    """
    return max(regions, key=lambda region: (_rank(region, conversation_id), region))


def _rank(region: Region, conversation_id: str) -> bytes:
    return hashlib.sha256(f"{region.parent}\n{conversation_id}".encode()).digest()


def parse_shard(text: str) -> Shard:
    """Return the shard that `i/n` names."""
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or int(found[2]) == 0:
        raise InputError(f"{text!r} is no shard", "write i/n, for example 0/4")
    return Shard(int(found[1]), int(found[2]))
