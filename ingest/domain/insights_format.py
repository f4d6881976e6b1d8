"""Our conversation as Insights wants it: the transcript file it reads, and the labels it keeps.

Transcript format: Insights' "conversation data format" page (entries with text, role, user_id,
start_timestamp_usec).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Self

import orjson

from ingest.domain.conversation import (
    CI_TRANSCRIPTS_PREFIX,
    DeliveredFile,
    FileKind,
    Metadata,
    Speaker,
    Transcription,
    canonical_json,
    ci_transcript_object,
)
from ingest.domain.declarations import NOTHING_DECLARED, Declarations

MAX_LABELS = 100
MAX_LABEL_CHARS = 256

_ROLES = {
    Speaker.AGENT: "AGENT",
    Speaker.AUTOMATED_AGENT: "AUTOMATED_AGENT",
    Speaker.CUSTOMER: "CUSTOMER",
}
_FIRST_USER_IDS = {Speaker.CUSTOMER: 1, Speaker.AGENT: 2, Speaker.AUTOMATED_AGENT: 3}
_HELD_ROLES = {
    "AGENT": "HUMAN_AGENT",
    "AUTOMATED_AGENT": "AUTOMATED_AGENT",
    "CUSTOMER": "END_USER",
}
"""What Insights makes of the roles of a transcript file (ConversationParticipant.Role)."""
_HASH_LABEL = "transcript_sha256"
_VERSION_LABELS = ("batch_date", "metadata_sha256", _HASH_LABEL)
_CONTEXT_LABELS = (
    "schema_version",
    "direction",
    "business_line",
    "medium",
    "queue",
    "agent_team",
    "agent_site",
    "call_outcome",
    "portfolio_id",
    "campaign_id",
)
PIPELINE_LABELS = frozenset({*_CONTEXT_LABELS, *_VERSION_LABELS})
"""Labels that the pipeline sets on the Insights conversation itself; the user's own of these names
aren't used."""


@dataclass(frozen=True)
class ConversationVersion:
    """The content of one conversation: both files and the hashes that name the version."""

    conversation_id: str
    batch_date: dt.date
    metadata: Metadata
    transcription: Transcription
    metadata_sha256: str
    transcript_sha256: str

    @classmethod
    def of(
        cls, conversation_id: str, batch_date: dt.date, files: Mapping[FileKind, DeliveredFile]
    ) -> Self:
        """Return the version that both files make; raise TypeError when one is missing."""
        metadata, transcription = files.get(FileKind.METADATA), files.get(FileKind.TRANSCRIPTION)
        if (
            metadata is None
            or transcription is None
            or not isinstance(metadata.model, Metadata)
            or not isinstance(transcription.model, Transcription)
        ):
            raise TypeError("a version needs both files")
        return cls(
            conversation_id,
            batch_date,
            metadata.model,
            transcription.model,
            metadata.sha256,
            transcription.sha256,
        )


@dataclass(frozen=True)
class CiSubmission:
    """What CreateConversation gets."""

    conversation_id: str
    transcript_object: str
    transcript_content: bytes
    transcript_sha256: str
    metadata_sha256: str
    labels: dict[str, str]
    start_time: dt.datetime
    language_code: str
    medium: str
    agent_id: str
    agent_name: str
    agent_team: str
    agent_site: str


def ci_transcript(metadata: Metadata, transcription: Transcription) -> bytes:
    """Return the transcript in Insights' own format, canonical, so equal talk gives equal bytes."""
    start_usec = _epoch_usec(metadata.started_at)
    user_ids: dict[tuple[Speaker, str | None], int] = {}
    entries: list[dict[str, Any]] = []
    for turn in transcription.turns:
        who = (turn.speaker, turn.participant_id)
        if who not in user_ids:
            first = _FIRST_USER_IDS[turn.speaker]
            taken = set(user_ids.values()) | {1, 2, 3}
            is_first = all(speaker is not turn.speaker for speaker, _ in user_ids)
            user_ids[who] = first if is_first else max(taken) + 1
        entries.append(
            {
                "role": _ROLES[turn.speaker],
                "start_timestamp_usec": start_usec + round(turn.start_offset_sec * 1_000_000),
                "text": turn.text,
                "user_id": user_ids[who],
            }
        )
    return canonical_json({"entries": entries})


def ci_labels(
    version: ConversationVersion, custom: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """Return the labels of the conversation in Insights: hashes, batch, business context, and the
    `custom` ones of declared fields."""
    metadata = version.metadata
    labels = {key: text for key, text in metadata.labels.items() if key not in PIPELINE_LABELS}
    for name, text in custom.items():
        labels[name] = text[:MAX_LABEL_CHARS]
    for name in _CONTEXT_LABELS:
        value = getattr(metadata, name)
        if value is not None:
            labels[name] = str(value)[:MAX_LABEL_CHARS]
    labels["batch_date"] = version.batch_date.isoformat()
    labels["metadata_sha256"] = version.metadata_sha256
    labels["transcript_sha256"] = version.transcript_sha256
    return labels


def submission_of(
    conversation_id: str,
    batch_date: dt.date,
    files: Mapping[FileKind, DeliveredFile],
    declared: Declarations = NOTHING_DECLARED,
) -> CiSubmission:
    """Return everything that Insights gets about the version that both files make."""
    return ci_submission(ConversationVersion.of(conversation_id, batch_date, files), declared)


def ci_submission(
    version: ConversationVersion, declared: Declarations = NOTHING_DECLARED
) -> CiSubmission:
    """Return everything that Insights gets about one conversation version.

    `medium` is empty where the conversation's isn't sent to Insights.
    """
    metadata = version.metadata
    medium = declared.insights_media.get(metadata.medium)
    content = ci_transcript(metadata, version.transcription)
    return CiSubmission(
        conversation_id=version.conversation_id,
        transcript_object=ci_transcript_object(
            version.batch_date, version.conversation_id, content
        ),
        transcript_content=content,
        transcript_sha256=version.transcript_sha256,
        metadata_sha256=version.metadata_sha256,
        labels=ci_labels(version, declared.labels(metadata) if metadata.custom else {}),
        start_time=metadata.started_at.astimezone(dt.UTC),
        language_code=metadata.language_code,
        medium=medium.value if medium else "",
        agent_id=metadata.agent_id,
        agent_name=metadata.agent_name,
        agent_team=metadata.agent_team,
        agent_site=metadata.agent_site,
    )


def _epoch_usec(moment: dt.datetime) -> int:
    delta = moment.astimezone(dt.UTC) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return delta // dt.timedelta(microseconds=1)


def carries_our_label(labels: Mapping[str, str]) -> bool:
    """Return whether a conversation in Insights is ours: only ours carry a transcript's hash."""
    return _HASH_LABEL in labels


def word_difference(transcript: bytes, payload: Mapping[str, Any]) -> str | None:
    """Return where the words that Insights holds differ from a transcript file; None: nowhere.

    `payload` is the conversation's REST JSON in the FULL view. Compared are who speaks and what,
    turn by turn; white space and times don't count. The answer holds none of the words.
    """
    ours = [
        (_HELD_ROLES[entry["role"]], entry["text"].split())
        for entry in orjson.loads(transcript)["entries"]
    ]
    theirs = [
        (part.get("segmentParticipant", {}).get("role"), part.get("text", "").split())
        for part in payload.get("transcript", {}).get("transcriptSegments", ())
    ]
    for number, (own, held) in enumerate(zip(ours, theirs, strict=False)):
        if own != held:
            return f"{'who speaks' if own[1] == held[1] else 'what is said'} in turn {number}"
    if len(ours) != len(theirs):
        return f"the number of turns, {len(theirs)} there and {len(ours)} here"
    return None


class SubmitAction(StrEnum):
    """How Insights is made to hold the version."""

    ADOPT = "adopt"
    UPDATE = "update"
    LABEL = "label"
    """Others made it and it was adopted: only its labels are brought up to date."""
    RECREATE = "recreate"
    FOREIGN = "foreign"
    """Others made it, or what was adopted says other words now: nothing without being asked."""


def submit_action(
    submission: CiSubmission, held_uri: str, held_medium: str, held_labels: Mapping[str, str]
) -> SubmitAction:
    """Return what to do with a conversation that Insights already holds.

    Ours is what carries our hash label. What others made and a push adopted has it too, and keeps
    a transcript of another place than ours and labels of its own.

    Insights lets nobody change a transcript's URI, and the URI ends in the hash of the transcript:
    so another last part is another talk, and needs a new conversation under the same id; another
    folder alone (the same talk delivered again on a later date) doesn't. The medium can't be
    changed either. Everything else comes from the metadata, whose hash is among the labels.
    """
    if not carries_our_label(held_labels):
        return SubmitAction.FOREIGN
    if f"/{CI_TRANSCRIPTS_PREFIX}" not in held_uri:
        if held_labels[_HASH_LABEL] != submission.transcript_sha256:
            return SubmitAction.FOREIGN
        is_labelled = submission.labels.items() <= held_labels.items()
        return SubmitAction.ADOPT if is_labelled else SubmitAction.LABEL
    if held_medium != submission.medium:
        return SubmitAction.RECREATE
    if held_uri.rpartition("/")[2] != submission.transcript_object.rpartition("/")[2]:
        return SubmitAction.RECREATE
    if dict(held_labels) != submission.labels:
        return SubmitAction.UPDATE
    return SubmitAction.ADOPT
