"""Conversation folders as users hand them in, made for a test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

DATE = "2026-01-05"
LATER_DATE = "2026-01-07"


def conversation_id(number: int) -> str:
    """Return the nth id: a UUID, in the order of the numbers."""
    return str(UUID(int=number + (1 << 100)))


def metadata(id_: str, **changes: Any) -> dict[str, Any]:
    """Return a valid metadata.json."""
    return {
        "schema_version": "1.0",
        "conversation_id": id_,
        "direction": "OUTBOUND",
        "business_line": "COLLECTIONS",
        "medium": "PHONE_CALL",
        "language_code": "en-AU",
        "queue": "collections-outbound-late",
        "agent_id": "AGT-7",
        "agent_name": "Robin Vale",
        "agent_team": "Late stage",
        "agent_site": "Hobart",
        "portfolio_id": "PF-1",
        "call_outcome": "NO_AGREEMENT",
        "started_at": f"{DATE}T09:00:00+10:00",
        "ended_at": f"{DATE}T09:01:00+10:00",
        "duration_sec": 60.0,
        **changes,
    }


def transcription(id_: str, *texts: str, **changes: Any) -> dict[str, Any]:
    """Return a valid transcription.json; agent and customer take turns."""
    return {
        "schema_version": "1.0",
        "conversation_id": id_,
        "turns": [
            {
                "turn_index": index,
                "speaker": ("AGENT", "CUSTOMER")[index % 2],
                "start_offset_sec": index * 2.5,
                "text": text,
            }
            for index, text in enumerate(texts or ("Hello, Robin here.", "Hi, what is it?"))
        ],
        **changes,
    }


def write(root: Path, id_: str, date: str = DATE, **files: dict[str, Any] | bytes | None) -> Path:
    """Write `<root>/<date>/<id>/…`; a file given as None is left out, as bytes taken as it is."""
    folder = root / date / id_
    folder.mkdir(parents=True, exist_ok=True)
    made = {"metadata": metadata(id_), "transcription": transcription(id_)}
    for kind, content in {**made, **files}.items():
        if content is None:
            continue
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        (folder / f"{kind}.json").write_bytes(data)
    return folder


def write_many(root: Path, count: int, date: str = DATE) -> list[str]:
    """Write that many valid conversations; return their ids."""
    ids = [conversation_id(number) for number in range(count)]
    for id_ in ids:
        write(
            root, id_, date, transcription=transcription(id_, "Hello there.", f"It is {id_[-4:]}.")
        )
    return ids
