"""The rows that the sidecar lands, as the raw tables' schemas declare them.

`_run_id` and `_landed_at` are added when a batch is written (`ingest.flows.landing`).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from ingest.domain.conversation import (
    CONVERSATION_ID_PATTERN,
    FileKind,
    canonical_json,
    sha256_hex,
)
from ingest.domain.faults import Fault, Severity
from ingest.domain.outcome import Outcome, Step

CONVERSATION_FILES = "conversation_files"
CI_CONVERSATIONS = "ci_conversations"
PIPELINE_EVENTS = "pipeline_events"
PHRASE_MATCHERS = "phrase_matchers"
CONVERSATION_TRUTHS = "conversation_truths"
"""What dev data says is true of itself; only `ingest data land-truth` fills it."""
FEEDBACK_LABELS = "feedback_labels"
"""What people labelled in Insights; only `ingest labels` fills it."""
OPTIONAL_TABLES = (CONVERSATION_TRUTHS, FEEDBACK_LABELS)
"""A project without truths or labels needs no table for them."""
ORIGIN_MARK = "from "
"""Begins the reason of an upload whose file came from a bucket, before its URI."""
NOT_FOR_INSIGHTS = "medium_not_for_insights"
"""Reason of a skipped submit: the medium isn't sent to Insights, so the version is done here."""
REFUSED_PREFIX = "refused-"
"""Begins the id of a refused folder whose name is no conversation id."""
MAX_MESSAGE_CHARS = 500
FIRST_DAY = "2000-01-01"
"""Before any row: raw tables demand a filter on their partitions, and this one admits them all."""
ANY_PARTITION = f"_landed_at >= timestamp('{FIRST_DAY}')"
KEPT_HERE_SQL = (
    f"step = '{Step.SUBMIT}' and outcome = '{Outcome.SKIPPED}' and reason = '{NOT_FOR_INSIGHTS}'"
)
"""Of an event. A version is kept here while this is the latest that was said of its submission."""
RAW_TABLES = (CONVERSATION_FILES, CI_CONVERSATIONS, PIPELINE_EVENTS, PHRASE_MATCHERS)


@dataclass(frozen=True)
class RawRow:
    """One row for one raw table."""

    table: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class StepEvent:
    """The outcome of one step on one conversation."""

    conversation_id: str
    batch_date: dt.date | None
    step: Step
    outcome: Outcome
    started_at: dt.datetime
    ended_at: dt.datetime
    attempt: int = 1
    reason: str | None = None
    metadata_sha256: str | None = None
    transcript_sha256: str | None = None
    resource_name: str | None = None
    error_code: str | None = None
    error_message: str | None = None


def file_row(
    *,
    conversation_id: str,
    batch_date: dt.date,
    kind: FileKind,
    uri: str,
    generation: int,
    crc32c: str,
    size_bytes: int,
    content_sha256: str,
    payload: Mapping[str, Any],
) -> RawRow:
    """Return the row of one file version."""
    return RawRow(
        CONVERSATION_FILES,
        {
            "conversation_id": conversation_id,
            "batch_date": batch_date.isoformat(),
            "kind": kind.value,
            "uri": uri,
            "generation": generation,
            "crc32c": crc32c,
            "size_bytes": size_bytes,
            "content_sha256": content_sha256,
            "schema_version": payload.get("schema_version"),
            "payload": payload,
        },
    )


def ci_conversation_row(
    *,
    conversation_id: str,
    ci_name: str,
    analysis_name: str | None,
    annotator_profile_sha256: str | None,
    labels: Mapping[str, str],
    payload: Mapping[str, Any],
    updated_at: dt.datetime,
) -> RawRow:
    """Return the row of one fetched state of an Insights conversation."""
    written = canonical_json(payload)
    return RawRow(
        CI_CONVERSATIONS,
        {
            "conversation_id": conversation_id,
            "ci_name": ci_name,
            "analysis_name": analysis_name,
            "annotator_profile_sha256": annotator_profile_sha256,
            "metadata_sha256": labels.get("metadata_sha256"),
            "transcript_sha256": labels.get("transcript_sha256"),
            # The payload is most of a row, and is written once only: what is hashed is landed.
            "payload": orjson.Fragment(written),
            "payload_sha256": hashlib.sha256(written).hexdigest(),
            "ci_updated_at": timestamp(updated_at),
        },
    )


def event_rows(events: Iterable[StepEvent], run_id: str) -> list[RawRow]:
    """Return the rows of the outcomes of several steps."""
    return [event_row(event, run_id) for event in events]


def event_row(event: StepEvent, run_id: str) -> RawRow:
    """Return the row of one step's outcome; its id is made from all that tells events apart."""
    identity = "\n".join(
        (
            run_id,
            event.conversation_id,
            event.step,
            event.outcome,
            event.resource_name or "",
            timestamp(event.started_at),
        )
    )
    return RawRow(
        PIPELINE_EVENTS,
        {
            "conversation_id": event.conversation_id,
            "event_id": hashlib.sha256(identity.encode()).hexdigest(),
            "batch_date": event.batch_date.isoformat() if event.batch_date else None,
            "step": event.step.value,
            "outcome": event.outcome.value,
            "reason": event.reason,
            "metadata_sha256": event.metadata_sha256,
            "transcript_sha256": event.transcript_sha256,
            "resource_name": event.resource_name,
            "error_code": event.error_code,
            "error_message": (event.error_message or "")[:MAX_MESSAGE_CHARS] or None,
            "attempt": event.attempt,
            "started_at": timestamp(event.started_at),
            "ended_at": timestamp(event.ended_at),
        },
    )


def refused_id(folder_name: str) -> str:
    """Return the id under which a refused folder is counted: its name where that is an id.

    Any other name may be a person's, so events hold a hash of it.
    """
    if CONVERSATION_ID_PATTERN.fullmatch(folder_name):
        return folder_name
    return f"{REFUSED_PREFIX}{sha256_hex(folder_name.encode(errors='replace'))[:16]}"


def refusal(
    folder_name: str, batch_date: dt.date, faults: Sequence[Fault], moment: dt.datetime
) -> StepEvent:
    """Return the event of a conversation that its faults keep out: rules and places, no content."""
    errors = [fault for fault in faults if fault.severity is Severity.ERROR]
    places = dict.fromkeys(_refused_place(fault, folder_name) for fault in errors)
    return StepEvent(
        conversation_id=refused_id(folder_name),
        batch_date=batch_date,
        step=Step.VALIDATE,
        outcome=Outcome.FAILED,
        started_at=moment,
        ended_at=moment,
        error_code=errors[0].rule,
        error_message="; ".join(places),
    )


def no_longer_refused(conversation_id: str, batch_date: dt.date, moment: dt.datetime) -> StepEvent:
    """Return the event of a refused folder that its date folder no longer holds."""
    return StepEvent(
        conversation_id=conversation_id,
        batch_date=batch_date,
        step=Step.VALIDATE,
        outcome=Outcome.SKIPPED,
        started_at=moment,
        ended_at=moment,
        reason="no_longer_delivered",
    )


def _refused_place(fault: Fault, folder_name: str) -> str:
    file = fault.file.rsplit("/", 1)[-1]
    place = "folder" if file == folder_name else file
    return f"{fault.rule} at {place}{'#' + fault.pointer if fault.pointer else ''}"


def matcher_row(
    *,
    matcher_id: str,
    revision_id: str,
    display_name: str,
    content_sha256: str,
    payload: Mapping[str, Any],
    revised_at: dt.datetime,
) -> RawRow:
    """Return the row of one applied revision of a phrase matcher."""
    return RawRow(
        PHRASE_MATCHERS,
        {
            "matcher_id": matcher_id,
            "revision_id": revision_id,
            "display_name": display_name,
            "content_sha256": content_sha256,
            "payload": payload,
            "revised_at": timestamp(revised_at),
        },
    )


def label_row(
    conversation_id: str, label_name: str, payload: Mapping[str, Any], *, is_deleted: bool = False
) -> RawRow:
    """Return the row of one fetched state of a feedback label."""
    return RawRow(
        FEEDBACK_LABELS,
        {
            "conversation_id": conversation_id,
            "label_name": label_name,
            "payload": payload,
            "payload_sha256": hashlib.sha256(canonical_json(payload)).hexdigest(),
            "is_deleted": is_deleted,
        },
    )


def timestamp(moment: dt.datetime) -> str:
    """Return a time as BigQuery's JSON load reads it: RFC 3339, UTC, microseconds."""
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
