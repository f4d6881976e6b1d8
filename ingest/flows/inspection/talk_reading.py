"""Finds the talk of a conversation: the newest that landed, else the file on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from ingest.domain.matcher_definition import MatcherDefinition
from ingest.errors import InputError
from ingest.flows.inspection.talk import (
    Talk,
    hits_by_turn,
    matcher_of_payload,
    talk_of_file,
    talk_of_state,
)
from ingest.flows.inspection.trace import Hop, Trace
from ingest.warehouse import ANY_PARTITION, Warehouse


def read_talk(warehouse: Warehouse, conversation_id: str) -> Talk:
    """Return the newest landed talk; raise InputError when no transcript of it has landed."""
    found = landed_talk(warehouse, conversation_id)
    if found is None:
        raise InputError(
            f"no transcript of {conversation_id} has landed",
            f"see what is known of it with `ingest why {conversation_id}`",
        )
    return found


def known_talk(warehouse: Warehouse, trace: Trace) -> Talk | None:
    """Return the newest landed talk, else that of sound files on this machine, else None."""
    if Hop.RAW.value not in trace.problems and (trace.files or trace.states):
        landed = landed_talk(warehouse, trace.conversation_id)
        if landed is not None:
            return landed
    if trace.faults:
        return None
    files = {file.kind: orjson.loads(Path(file.path).read_bytes()) for file in trace.source}
    if "transcription" not in files:
        return None
    return talk_of_file(trace.conversation_id, files["transcription"], files.get("metadata"))


def landed_talk(warehouse: Warehouse, conversation_id: str) -> Talk | None:
    """Return the newest landed talk, or None when no transcript of it has landed."""
    parameters = {"conversation_id": conversation_id}
    where = f"where {ANY_PARTITION} and conversation_id = @conversation_id"
    states = warehouse.query(
        f"select payload from {warehouse.raw('ci_conversations')} {where} "
        "order by ci_updated_at desc, _landed_at desc limit 1",
        parameters,
    ).rows
    if states:
        payload = states[0]["payload"]
        return talk_of_state(conversation_id, payload, read_matchers(warehouse, payload))
    rows = warehouse.query(
        f"select kind, payload from {warehouse.raw('conversation_files')} {where} "
        "order by generation",
        parameters,
    ).rows
    files = {row["kind"]: row["payload"] for row in rows}
    if "transcription" not in files:
        return None
    return talk_of_file(conversation_id, files["transcription"], files.get("metadata"))


def read_matchers(warehouse: Warehouse, payload: Mapping[str, Any]) -> dict[str, MatcherDefinition]:
    """Return the definitions that an analysis used, by `matcher_id@revision_id`."""
    annotations = (
        ((payload.get("latestAnalysis") or {}).get("analysisResult") or {})
        .get("callAnalysisMetadata", {})
        .get("annotations", ())
    )
    keys = sorted({key for hits in hits_by_turn(annotations).values() for key in hits})
    if not keys:
        return {}
    rows = warehouse.query(
        "select concat(matcher_id, '@', revision_id) as key, any_value(payload) as payload "
        f"from {warehouse.raw('phrase_matchers')} "
        f"where {ANY_PARTITION} and concat(matcher_id, '@', revision_id) in unnest(@keys) "
        "group by 1",
        {"keys": keys},
    ).rows
    return {row["key"]: matcher_of_payload(row["payload"]) for row in rows}
