"""Faults on purpose: what real deliveries look like on a bad day.

Each fault changes the files of one conversation and writes into its truth what the pipeline must
do: `pipeline.outcome` (analysed, rejected, waiting_for_metadata, waiting_for_transcript) and, where
`ingest data validate` must say something, `pipeline.faults` with rule, file and pointer.

Two faults come in two deliveries: the second lies under `late/<date>/` and is pushed after the
first. The truth of the first delivery says in `pipeline.then` what the second one leads to.
"""

from __future__ import annotations

import copy
import datetime as dt
import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from ingest.datagen.maker import MadeConversation, Maker, conversation_id_of
from ingest.domain.validation import MAX_FILE_BYTES
from ingest.errors import InputError


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


LATE_FOLDER = "late"

_LONG_TALK_ROUNDS = 300


class DirtyMode(StrEnum):
    """Kinds of faults."""

    LATE_METADATA = "late_metadata"
    MISSING_FILE = "missing_file"
    EDITED = "edited"
    DUPLICATE_ID = "duplicate_id"
    BAD_ENUM = "bad_enum"
    EMPTY_TURN = "empty_turn"
    HUGE = "huge"
    UNICODE = "unicode"
    CLOCK_SKEW = "clock_skew"
    TRUNCATED_JSON = "truncated_json"


def parse_dirty(text: str) -> dict[DirtyMode, float]:
    """Return the share of each mode in `late_metadata=2%,edited=0.01`; raise InputError."""
    shares: dict[DirtyMode, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, amount = part.partition("=")
        try:
            mode = DirtyMode(name.strip())
            number = float(amount.strip().removesuffix("%"))
        except ValueError as error:
            raise InputError(
                f"{part!r} is no fault with a share",
                f"write for example edited=1%; faults are {', '.join(DirtyMode)}",
            ) from error
        share = number / 100 if amount.strip().endswith("%") else number
        if not 0 <= share <= 1:
            raise InputError(f"the share of {mode} isn't between 0 and 1", "write 1% or 0.01")
        shares[mode] = share
    if sum(shares.values()) > 1:
        raise InputError("the shares of all faults are over 100 %", "lower them")
    return shares


class Spoiler:
    """Decides which conversation gets which fault, and makes the fault."""

    def __init__(self, maker: Maker, shares: dict[DirtyMode, float]) -> None:
        self._maker = maker
        self._shares = shares

    def mode_of(self, index: int) -> DirtyMode | None:
        """Return the fault of conversation `index`, if any; depends on seed and index alone."""
        roll = random.Random(f"{self._maker.seed}:{index}:dirty").random()
        for mode, share in self._shares.items():
            roll -= share
            if roll < 0:
                return mode
        return None

    def deliver(self, made: MadeConversation, index: int, mode: DirtyMode) -> Delivery:
        """Return the conversation's files with the fault."""
        rng = random.Random(f"{self._maker.seed}:{index}:{mode}")
        made.expected["flags"] = [*made.expected["flags"], f"dirty_{mode}"]
        if mode is DirtyMode.DUPLICATE_ID:
            return self._duplicate_id(made, index)
        if mode is DirtyMode.UNICODE:
            return self._unicode(made, rng)
        return _FAULTS[mode](made, rng)

    def _duplicate_id(self, made: MadeConversation, index: int) -> Delivery:
        """A folder copied from another conversation, whose files still carry that one's id."""
        other = conversation_id_of(self._maker.seed, index - 1 if index else 1)
        made.metadata["conversation_id"] = other
        made.transcription["conversation_id"] = other
        return _rejected(
            made,
            ("id_differs_from_folder", "metadata.json", "/conversation_id"),
            ("id_differs_from_folder", "transcription.json", "/conversation_id"),
        )

    def _unicode(self, made: MadeConversation, rng: random.Random) -> Delivery:
        """Typographic apostrophes, and accents, emoji, scripts and joiners at the ends of turns.

        Every change keeps the places of what was there, so the truth stays true.
        """
        for turn in made.transcription["turns"]:
            text = turn["text"].replace("'", "\u2019")
            if rng.random() < 0.35:
                text = f"{text} {_STRANGE[int(rng.random() * len(_STRANGE))]}"
            turn["text"] = text
        return clean_delivery(made)


_STRANGE = (
    "\U0001f44d\U0001f3fd",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "cafe\u0301",
    "\u05e9\u05dc\u05d5\u05dd",
    "\u8c22\u8c22",
    "\u0643\u064a\u0641 \u0627\u0644\u062d\u0627\u0644",
    "\u00a0\u2014",
    "na\u00efve\u2026",
    "\U0001d4e2",
    "\ufb01ne",
)


def _with_outcome(made: MadeConversation, outcome: str, **more: Any) -> None:
    made.expected["pipeline"] = {"outcome": outcome, **more}


def _faults(*faults: tuple[str, str, str]) -> list[dict[str, str]]:
    return [{"rule": rule, "file": file, "pointer": pointer} for rule, file, pointer in faults]


def _rejected(made: MadeConversation, *faults: tuple[str, str, str]) -> Delivery:
    _with_outcome(made, "rejected", faults=_faults(*faults))
    return clean_delivery(made)


def _late_metadata(made: MadeConversation, _: random.Random) -> Delivery:
    _with_outcome(
        made,
        "waiting_for_metadata",
        faults=_faults(("file_missing", "metadata.json", "")),
        then={"outcome": "analysed", "delivery": LATE_FOLDER, "version_count": 1},
    )
    delivery = clean_delivery(made)
    delivery.late_files["metadata.json"] = delivery.files.pop("metadata.json")
    return delivery


def _missing_file(made: MadeConversation, rng: random.Random) -> Delivery:
    name, outcome = (
        ("metadata.json", "waiting_for_metadata")
        if rng.random() < 0.5
        else ("transcription.json", "waiting_for_transcript")
    )
    _with_outcome(made, outcome, faults=_faults(("file_missing", name, "")))
    delivery = clean_delivery(made)
    del delivery.files[name]
    return delivery


def _edited(made: MadeConversation, rng: random.Random) -> Delivery:
    """The second delivery corrects the context or adds a last turn."""
    then = {"outcome": "analysed", "delivery": LATE_FOLDER, "version_count": 2}
    if rng.random() < 0.5:
        changed = {**made.metadata, "agent_notes": "corrected after review"}
        name, then["changed"] = "metadata.json", "metadata"
    else:
        changed = copy.deepcopy(made.transcription)
        last = changed["turns"][-1]
        changed["turns"].append(
            {
                **last,
                "turn_index": last["turn_index"] + 1,
                "start_offset_sec": last["start_offset_sec"],
                "text": "Okay.",
            }
        )
        name, then["changed"] = "transcription.json", "transcription"
    _with_outcome(made, "analysed", then=then)
    delivery = clean_delivery(made)
    delivery.late_files[name] = to_json(changed)
    return delivery


def _bad_enum(made: MadeConversation, rng: random.Random) -> Delivery:
    roll = int(rng.random() * 3)
    if roll == 2:
        at = int(rng.random() * len(made.transcription["turns"]))
        made.transcription["turns"][at]["speaker"] = "OPERATOR"
        return _rejected(made, ("unknown_value", "transcription.json", f"/turns/{at}/speaker"))
    key = ("medium", "direction")[roll]
    made.metadata[key] = made.metadata[key].lower()
    return _rejected(made, ("unknown_value", "metadata.json", f"/{key}"))


def _empty_turn(made: MadeConversation, rng: random.Random) -> Delivery:
    at = int(rng.random() * len(made.transcription["turns"]))
    made.transcription["turns"][at]["text"] = "" if rng.random() < 0.5 else "   "
    return _rejected(made, ("empty_text", "transcription.json", f"/turns/{at}/text"))


def _huge(made: MadeConversation, rng: random.Random) -> Delivery:
    """One in four is over the size limit; the others go on for over five hundred turns."""
    turns = made.transcription["turns"]
    if rng.random() < 0.25:
        size = len(to_json(turns))
        made.transcription["turns"] = turns * (MAX_FILE_BYTES // size + 1)
        return _rejected(made, ("file_too_large", "transcription.json", ""))
    end = float(made.metadata["duration_sec"])
    step, index = 0.0, len(turns)
    has_ends = "end_offset_sec" in turns[0]
    for _ in range(_LONG_TALK_ROUNDS):
        for text in ("Hang on, it's still loading.", "Yep, no rush at my end."):
            step += 2.0
            turns.append(
                {
                    "turn_index": index,
                    "speaker": "AUTOMATED_AGENT" if text.startswith("Hang") else "CUSTOMER",
                    "start_offset_sec": end + step,
                    **({"end_offset_sec": end + step + 1.5} if has_ends else {}),
                    "text": text,
                }
            )
            index += 1
    _extend(made, step + 5.0)
    return clean_delivery(made)


def _extend(made: MadeConversation, seconds: float) -> None:
    ended_at = dt.datetime.fromisoformat(made.metadata["ended_at"]) + dt.timedelta(seconds=seconds)
    made.metadata["ended_at"] = ended_at.isoformat()
    made.metadata["duration_sec"] += seconds


def _clock_skew(made: MadeConversation, rng: random.Random) -> Delivery:
    """The clocks of telephony and recorder disagree, in one of five ways."""
    metadata, turns = made.metadata, made.transcription["turns"]
    started_at = dt.datetime.fromisoformat(metadata["started_at"])
    roll = int(rng.random() * (5 if len(turns) > 1 else 4))
    if roll == 0:
        metadata["duration_sec"] += 90.0
        return _rejected(made, ("duration_differs", "metadata.json", "/duration_sec"))
    if roll == 1:
        metadata["ended_at"] = (started_at - dt.timedelta(minutes=7)).isoformat()
        return _rejected(made, ("ends_before_start", "metadata.json", "/ended_at"))
    if roll == 2:
        for key in ("started_at", "ended_at"):
            later = dt.datetime.fromisoformat(metadata[key]) + dt.timedelta(days=2)
            metadata[key] = later.isoformat()
        return _rejected(made, ("folder_date_before_call", "metadata.json", "/started_at"))
    last = len(turns) - 1
    for turn in turns:
        turn.pop("end_offset_sec", None)
    if roll == 3:
        turns[last]["start_offset_sec"] = metadata["duration_sec"] + 61.5
        pointer = f"/turns/{last}/start_offset_sec"
        return _rejected(made, ("offset_after_end", "transcription.json", pointer))
    turns[last - 1]["start_offset_sec"] = turns[last]["start_offset_sec"] + 0.5
    pointer = f"/turns/{last}/start_offset_sec"
    return _rejected(made, ("offset_decreases", "transcription.json", pointer))


def _truncated_json(made: MadeConversation, rng: random.Random) -> Delivery:
    delivery = _rejected(made, ("not_json", "transcription.json", ""))
    text = delivery.files["transcription.json"].decode()
    kept = text[: len(text) // 4 + int(rng.random() * (len(text) // 2))]
    delivery.files["transcription.json"] = kept.encode()
    return delivery


_FAULTS: dict[DirtyMode, Callable[[MadeConversation, random.Random], Delivery]] = {
    DirtyMode.LATE_METADATA: _late_metadata,
    DirtyMode.MISSING_FILE: _missing_file,
    DirtyMode.EDITED: _edited,
    DirtyMode.BAD_ENUM: _bad_enum,
    DirtyMode.EMPTY_TURN: _empty_turn,
    DirtyMode.HUGE: _huge,
    DirtyMode.CLOCK_SKEW: _clock_skew,
    DirtyMode.TRUNCATED_JSON: _truncated_json,
}
