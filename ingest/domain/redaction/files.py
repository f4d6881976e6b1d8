"""The two files of a conversation without its people: what all places but the originals' may hold.

Of both files only declared fields are kept, since nothing is known of others. Words of the business
(queue, team, outcome, ...), times and the agent's id stay; names, notes, labels, custom fields and
what was said go through one redactor, so that a detail has one placeholder in all of them.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ingest.domain.conversation import Metadata, Turn, canonical_json
from ingest.domain.declarations import CustomField, FieldType
from ingest.domain.redaction.redactor import VERSION, Redactor, kind_of_field
from ingest.domain.redaction.turn import Kind, Vocabulary

LANGUAGE = "en"
"""The one language whose talk the rules can judge."""
_PSEUDONYM_DIGITS = 16
_LEAST_LEARNT = 4
"""Shorter values of fields, such as initials, are no sign of a person in the talk."""
_NAME_PART = re.compile(r"[^\W\d_]{3,}")
_TYPES_WITHOUT_WORDS = frozenset(FieldType) - {FieldType.STRING}
Json = dict[str, Any]


@dataclass(frozen=True)
class FilesToRedact:
    """Both files of a conversation as JSON, and what decides about custom fields.

    `key` makes pseudonyms: equal values of all conversations get equal ones, which nobody without
    the key can guess from the value.
    """

    metadata: Mapping[str, Any]
    transcription: Mapping[str, Any]
    custom_fields: Mapping[str, CustomField]
    key: bytes


def pseudonym(key: bytes, value: str) -> str:
    """Return what stands for a value in all conversations: `p-` and 16 hex digits."""
    digest = hmac.new(key, value.encode(), hashlib.sha256).hexdigest()
    return f"p-{digest[:_PSEUDONYM_DIGITS]}"


def unknown_languages(files: FilesToRedact) -> tuple[str, ...]:
    """Return the languages of the talk that the rules can't judge."""
    turns = (turn.get("language_code") for turn in files.transcription["turns"])
    spoken = {files.metadata["language_code"], *(code for code in turns if code)}
    return tuple(sorted(code for code in spoken if code.lower().split("-")[0] != LANGUAGE))


def redacted_files(files: FilesToRedact, vocabulary: Vocabulary) -> tuple[bytes, bytes]:
    """Return metadata.json and transcription.json without personal details, canonical."""
    turns = files.transcription["turns"]
    known = [(Kind.NAME, files.metadata["agent_name"]), *_known(files)]
    redactor = Redactor([turn["text"] for turn in turns], known, vocabulary)
    transcription = {
        "schema_version": files.transcription["schema_version"],
        "conversation_id": files.transcription["conversation_id"],
        "redactor": VERSION,
        "turns": list(_turns(turns, redactor)),
    }
    return canonical_json(_metadata(files, redactor)), canonical_json(transcription)


def _known(files: FilesToRedact) -> Iterator[tuple[Kind, str]]:
    """Yield what fields of the metadata say of people, to be found in the talk."""
    custom = files.metadata.get("custom") or {}
    labels = files.metadata.get("labels") or {}
    for name, value in (*labels.items(), *custom.items()):
        declared = files.custom_fields.get(name)
        kind = kind_of_field(name)
        is_personal = kind is not None or (declared is not None and declared.is_personal)
        text = str(value) if isinstance(value, str | int) else ""
        if is_personal and len(text) >= _LEAST_LEARNT and not isinstance(value, bool):
            yield kind or (Kind.NUMBER if text.isdecimal() else Kind.REFERENCE), text


def _turns(turns: list[Json], redactor: Redactor) -> Iterator[Json]:
    participants: dict[str, str] = {}
    for place, turn in enumerate(turns):
        kept = {n: turn[n] for n in Turn.model_fields if n != "source" and turn.get(n) is not None}
        kept["text"] = redactor.redacted_turn(place)
        if name := kept.get("participant_id"):
            kept["participant_id"] = participants.setdefault(name, f"p{len(participants) + 1}")
        yield kept


def _metadata(files: FilesToRedact, redactor: Redactor) -> Json:
    held = files.metadata
    kept = {name: held[name] for name in Metadata.model_fields if held.get(name) is not None}
    kept["redactor"] = VERSION
    kept["agent_id"] = _agent_id(files)
    kept["agent_name"] = kept["agent_id"]
    if notes := kept.get("agent_notes"):
        kept["agent_notes"] = redactor.redacted(notes)
    if labels := kept.get("labels"):
        kept["labels"] = redactor.redacted_fields(labels)
    if source := kept.pop("source", None):
        kept["source"] = {"format": source.get("format"), "redacted": True}
    if custom := kept.get("custom"):
        kept["custom"] = {
            redactor.redacted(name): _custom(value, name, files, redactor)
            for name, value in custom.items()
        }
    return kept


def _agent_id(files: FilesToRedact) -> str:
    """Return the agent's id, or a pseudonym where it says who that is."""
    agent_id: str = files.metadata["agent_id"]
    parts = _NAME_PART.findall(files.metadata["agent_name"])
    says_who = "@" in agent_id or any(part.lower() in agent_id.lower() for part in parts)
    return pseudonym(files.key, agent_id) if says_who else agent_id


def _custom(value: Any, name: str, files: FilesToRedact, redactor: Redactor) -> Any:
    declared = files.custom_fields.get(name)
    if declared is not None and declared.is_personal:
        is_text = declared.data_type is FieldType.STRING and isinstance(value, str | int)
        return pseudonym(files.key, str(value)) if is_text else None
    if declared is not None and declared.data_type in _TYPES_WITHOUT_WORDS:
        return (
            value if isinstance(value, int | float) or redactor.redacted(value) == value else None
        )
    return _without_people(value, name, redactor)


def _without_people(value: Any, name: str, redactor: Redactor) -> Any:
    """Return a JSON value of any shape with placeholders; names of fields are looked at too."""
    if isinstance(value, dict):
        return {redactor.redacted(n): _without_people(v, n, redactor) for n, v in value.items()}
    if isinstance(value, list):
        return [_without_people(each, name, redactor) for each in value]
    if value is None or isinstance(value, bool):
        return value
    shown = redactor.redacted_fields({name: str(value)}).popitem()[1]
    return value if shown == str(value) else shown
