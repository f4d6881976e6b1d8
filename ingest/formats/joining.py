"""Records that are one conversation, joined by the rule that the mapping names."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from ingest.formats.engine import Draft
from ingest.formats.mapping import Legs
from ingest.formats.paths import MappingError


def joined(drafts: Sequence[Draft], legs: Legs) -> tuple[list[int], Draft]:
    """Return the order of the drafts by their first turn, and the conversation that they make.

    What several say, the first one says. Raises MappingError when `append` lacks a start.
    """
    if len(drafts) == 1:
        return [0], drafts[0]
    starts = [draft.started_at for draft in drafts]
    known = [start for start in starts if start is not None]
    if legs is Legs.APPEND and len(known) < len(drafts):
        raise MappingError(
            "legs",
            "parts of one call can't be put in order: one has no start",
            "map conversation.started_at, or say `legs: overlay` if all count from one moment",
        )
    began = min(known, default=None)
    shifts = [
        _shift(draft.started_at, began) if legs is Legs.APPEND or draft.is_by_clock else 0.0
        for draft in drafts
    ]
    order = sorted(
        range(len(drafts)),
        key=lambda index: drafts[index].turns[0]["start_offset_sec"] + shifts[index],
    )
    turns = [_shifted(turn, shifts[index]) for index in order for turn in drafts[index].turns]
    turns.sort(key=lambda turn: turn["start_offset_sec"])
    for index, turn in enumerate(turns):
        turn["turn_index"] = index
    first = drafts[order[0]]
    merged = Draft(
        source_id=first.source_id,
        started_at=began and began.astimezone((first.started_at or began).tzinfo),
        zone=first.zone,
        fields={},
        labels={},
        custom={},
        expected={},
        turns=turns,
        rest={},
        is_redacted=None if first.is_redacted is None else all(d.is_redacted for d in drafts),
    )
    for index in reversed(order):
        part = drafts[index]
        for name in ("fields", "labels", "custom", "expected", "context"):
            getattr(merged, name).update(getattr(part, name))
        merged.warnings.update(part.warnings)
    _lengthen(merged, drafts, shifts)
    return order, merged


def _shift(start: dt.datetime | None, began: dt.datetime | None) -> float:
    return 0.0 if start is None or began is None else (start - began).total_seconds()


def _shifted(turn: dict[str, Any], shift: float) -> dict[str, Any]:
    times = [name for name in ("start_offset_sec", "end_offset_sec") if name in turn]
    return turn | {name: round(turn[name] + shift, 3) for name in times}


def _lengthen(merged: Draft, drafts: Sequence[Draft], shifts: Sequence[float]) -> None:
    """Let the length reach to the end of the last part; ends of single parts say nothing now."""
    merged.fields.pop("ended_at", None)
    lengths = [
        shift + float(draft.fields["duration_sec"])
        for draft, shift in zip(drafts, shifts, strict=True)
        if "duration_sec" in draft.fields
    ]
    if lengths:
        merged.fields["duration_sec"] = max(lengths)
