"""Rules that need folder, metadata and transcript side by side.

The folder's date is the delivery; the call's date is `started_at` in the call's own zone. A later
folder is a late delivery and a folder named by the UTC date is common, so both only warn. A folder
dated before the call's date in every reading can't be true: that is an error.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator

from ingest.domain.conversation import (
    CONVERSATION_ID_PATTERN,
    UUID_PATTERN,
    FileKind,
    Metadata,
    Transcription,
)
from ingest.domain.fault import Fault, Severity, json_pointer
from ingest.domain.insights_format import MAX_LABEL_CHARS, MAX_LABELS, PIPELINE_LABELS

DURATION_TOLERANCE_SEC = 1.0
"""Recorders round start, end and duration on their own."""

_PHONE_KEY = re.compile(r"phone|mobile")
_PHONE = re.compile(r"\+?[0-9(][0-9() -]{4,18}[0-9]")
_EMAIL_KEY = re.compile(r"e_?mail")
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")


def check_conversation(
    folder_name: str,
    batch_date: dt.date,
    metadata: Metadata | None,
    transcription: Transcription | None,
) -> list[Fault]:
    """Return the faults that show when the files are seen with their folder and each other.

    A file that is None (missing, or unusable by `parse_file`) is not judged.
    """
    folder = f"{batch_date.isoformat()}/{folder_name}"
    faults = list(_folder_faults(folder, folder_name))
    if metadata is not None:
        path = f"{folder}/{FileKind.METADATA.value}.json"
        faults.extend(_id_faults(path, folder_name, metadata.conversation_id))
        faults.extend(_time_faults(path, batch_date, metadata))
        faults.extend(_context_faults(path, metadata))
        faults.extend(_label_faults(path, metadata))
        faults.extend(_contact_faults(path, metadata))
    if transcription is not None:
        path = f"{folder}/{FileKind.TRANSCRIPTION.value}.json"
        faults.extend(_id_faults(path, folder_name, transcription.conversation_id))
        faults.extend(_order_faults(path, transcription))
        if metadata is not None:
            faults.extend(_end_faults(path, metadata, transcription))
    return faults


def _folder_faults(folder: str, folder_name: str) -> Iterator[Fault]:
    if not CONVERSATION_ID_PATTERN.fullmatch(folder_name):
        yield Fault(
            folder,
            "",
            "bad_conversation_id",
            "the folder's name can't be a conversation id",
            "use 4 to 64 lower-case letters, digits or hyphens",
        )
    elif not UUID_PATTERN.fullmatch(folder_name):
        yield Fault(
            folder,
            "",
            "id_not_uuid",
            "the conversation id is no UUID",
            "a UUID can't clash with another system's ids",
            Severity.WARNING,
        )


def _id_faults(path: str, folder_name: str, conversation_id: str) -> Iterator[Fault]:
    if conversation_id != folder_name:
        yield Fault(
            path,
            "/conversation_id",
            "id_differs_from_folder",
            "conversation_id and the folder's name differ",
            "give folder and both files one id; a copied folder keeps the old one",
        )


def _time_faults(path: str, batch_date: dt.date, metadata: Metadata) -> Iterator[Fault]:
    lasts = (metadata.ended_at - metadata.started_at).total_seconds()
    if lasts < 0:
        yield Fault(
            path,
            "/ended_at",
            "ends_before_start",
            "ended_at is before started_at",
            "check the two clocks and offsets",
        )
    elif abs(lasts - metadata.duration_sec) > DURATION_TOLERANCE_SEC:
        yield Fault(
            path,
            "/duration_sec",
            "duration_differs",
            f"duration_sec is {metadata.duration_sec:g}, ended_at - started_at is {lasts:g}",
            "give the seconds between started_at and ended_at",
        )
    local = metadata.started_at.date()
    if batch_date == local:
        return
    if batch_date < min(local, metadata.started_at.astimezone(dt.UTC).date()):
        yield Fault(
            path,
            "/started_at",
            "folder_date_before_call",
            f"the folder's date is before the call's date, {local.isoformat()}",
            "move the folder to the call's date, or correct started_at",
        )
        return
    yield Fault(
        path,
        "/started_at",
        "folder_date_differs",
        f"the folder's date isn't the call's date, {local.isoformat()}",
        "fine for a late delivery; else name folders by the call's own time zone",
        Severity.WARNING,
    )


def _context_faults(path: str, metadata: Metadata) -> Iterator[Fault]:
    if metadata.portfolio_id is None and metadata.campaign_id is None:
        yield Fault(
            path,
            "",
            "no_portfolio_or_campaign",
            "neither portfolio_id nor campaign_id is given",
            "give the debt portfolio or the campaign, so that results can be grouped",
            Severity.WARNING,
        )


def _label_faults(path: str, metadata: Metadata) -> Iterator[Fault]:
    own = len(PIPELINE_LABELS - metadata.labels.keys()) + len(metadata.labels)
    if own > MAX_LABELS:
        yield Fault(
            path,
            "/labels",
            "too_many_labels",
            f"{len(metadata.labels)} labels and the pipeline's own are over {MAX_LABELS}",
            f"give at most {MAX_LABELS - len(PIPELINE_LABELS)} labels",
        )
    for key in sorted(metadata.labels.keys() & PIPELINE_LABELS) if metadata.labels else ():
        yield Fault(
            path,
            json_pointer("labels", key),
            "reserved_label",
            "the pipeline sets this label itself",
            "choose another name; this value isn't used",
            Severity.WARNING,
        )
    for name in ("queue", "agent_team", "agent_site", "portfolio_id", "campaign_id"):
        value = getattr(metadata, name)
        if value is not None and len(value) > MAX_LABEL_CHARS:
            yield Fault(
                path,
                f"/{name}",
                "label_too_long",
                f"the value has {len(value)} characters; as a label it holds {MAX_LABEL_CHARS}",
                "shorten it; the label in CI is cut",
                Severity.WARNING,
            )


def _contact_faults(path: str, metadata: Metadata) -> Iterator[Fault]:
    for prefix, fields in (((), metadata.model_extra), (("labels",), metadata.labels)):
        for key, value in (fields or {}).items():
            for name, shape, rule in (
                (_PHONE_KEY, _PHONE, "phone_shape"),
                (_EMAIL_KEY, _EMAIL, "email_shape"),
            ):
                if name.search(key) and isinstance(value, str) and not shape.fullmatch(value):
                    yield Fault(
                        path,
                        json_pointer(*prefix, key),
                        rule,
                        "the value doesn't have the shape that its name promises",
                        "correct the value or rename the field",
                        Severity.WARNING,
                    )


def _order_faults(path: str, transcription: Transcription) -> Iterator[Fault]:
    wrong = [i for i, turn in enumerate(transcription.turns) if turn.turn_index != i]
    if wrong:
        first = wrong[0]
        yield Fault(
            path,
            json_pointer("turns", first, "turn_index"),
            "turn_index_out_of_order",
            f"turn_index is {transcription.turns[first].turn_index} where {first} is expected; "
            f"{len(wrong)} turns are out of order",
            "number the turns 0, 1, 2, … in the order of the list",
        )
    before = 0.0
    for index, turn in enumerate(transcription.turns):
        offset = turn.start_offset_sec
        if offset < before:
            yield Fault(
                path,
                json_pointer("turns", index, "start_offset_sec"),
                "offset_decreases",
                f"the turn starts at {offset:g} s, the one before at {before:g} s",
                "sort the turns by time",
            )
        before = offset


def _end_faults(path: str, metadata: Metadata, transcription: Transcription) -> Iterator[Fault]:
    last = transcription.turns[-1].start_offset_sec
    if last > metadata.duration_sec + DURATION_TOLERANCE_SEC:
        yield Fault(
            path,
            json_pointer("turns", len(transcription.turns) - 1, "start_offset_sec"),
            "offset_after_end",
            f"the last turn starts at {last:g} s, the call lasts {metadata.duration_sec:g} s",
            "check whether offsets and duration come from the same clock",
        )
