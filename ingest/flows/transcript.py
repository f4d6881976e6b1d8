"""Finds the talk of a conversation: the newest that landed, else the file on this machine."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from ingest.domain.matchers import MatcherDefinition, MatchType, PhraseRule, Role, RuleGroup
from ingest.domain.phrase_matching import CompiledMatcher
from ingest.domain.raw_records import ANY_PARTITION
from ingest.errors import InputError
from ingest.flows.show import Hop, Trace
from ingest.ports.inspect import Warehouse

PERSONAL_ENTITIES = {
    "PERSON": "name",
    "ADDRESS": "address",
    "PHONE_NUMBER": "number",
    "EMAIL": "email",
}
_SPEAKERS = {"HUMAN_AGENT": "AGENT", "AUTOMATED_AGENT": "AUTOMATED_AGENT", "END_USER": "CUSTOMER"}


@dataclass(frozen=True)
class Match:
    """One phrase match; positions are code points of the turn's text, None for a bare hit."""

    phrase_matcher: str
    phrase: str | None
    start_char: int | None
    end_char: int | None


@dataclass(frozen=True)
class SpokenTurn:
    """One turn; `sentiment_score` is -1 to 1, None where Insights gave none."""

    turn_index: int
    speaker: str
    start_offset_sec: float | None
    text: str
    sentiment_score: float | None
    matches: tuple[Match, ...]


@dataclass(frozen=True)
class Talk:
    """A conversation as it was said; `analysis_name` is None when Insights hasn't analysed it."""

    conversation_id: str
    started_at: dt.datetime | None
    duration_sec: float | None
    medium: str | None
    labels: Mapping[str, str]
    agent_names: tuple[str, ...]
    personal_details: tuple[tuple[str, str], ...]
    """What metadata and Insights name as personal, by kind (name, address, number, email)."""
    analysis_name: str | None
    overall_sentiment: float | None
    turns: tuple[SpokenTurn, ...]


def talk_of_state(
    conversation_id: str,
    payload: Mapping[str, Any],
    matchers: Mapping[str, MatcherDefinition],
) -> Talk:
    """Return the talk of an Insights conversation's REST JSON.

    `matchers` holds definitions by `matcher_id@revision_id`.
    """
    started_at = _time(payload.get("startTime"))
    analysis = payload.get("latestAnalysis") or {}
    found = (analysis.get("analysisResult") or {}).get("callAnalysisMetadata") or {}
    hits = hits_by_turn(found.get("annotations", ()))
    compiled = {key: CompiledMatcher(definition) for key, definition in matchers.items()}
    scores = _scores_by_turn(found.get("annotations", ()))
    segments = (payload.get("transcript") or {}).get("transcriptSegments", ())
    turns = tuple(
        _turn(
            place,
            segment,
            started_at,
            scores.get(place, _segment_score(segment)),
            hits.get(place, {}),
            compiled,
        )
        for place, segment in enumerate(segments)
    )
    customer = [
        item["sentimentData"].get("score", 0.0)
        for item in found.get("sentiments", ())
        if item.get("channelTag") == 1
    ]
    quality = payload.get("qualityMetadata") or {}
    agent_names = tuple(
        agent["displayName"] for agent in quality.get("agentInfo", ()) if agent.get("displayName")
    )
    return Talk(
        conversation_id=conversation_id,
        started_at=started_at,
        duration_sec=_seconds(payload.get("duration")),
        medium=payload.get("medium"),
        labels=payload.get("labels", {}),
        agent_names=agent_names,
        personal_details=(
            *(("name", name) for name in agent_names),
            *_personal_entities(found.get("entities") or {}),
        ),
        analysis_name=analysis.get("name"),
        overall_sentiment=customer[0] if customer else None,
        turns=turns,
    )


def talk_of_file(
    conversation_id: str, payload: Mapping[str, Any], metadata: Mapping[str, Any] | None = None
) -> Talk:
    """Return the talk of a transcription file: what was said, and nothing that Insights adds."""
    known = metadata or {}
    turns = tuple(
        SpokenTurn(
            turn["turn_index"], turn["speaker"], turn["start_offset_sec"], turn["text"], None, ()
        )
        for turn in payload["turns"]
    )
    agent_names = (known["agent_name"],) if known.get("agent_name") else ()
    return Talk(
        conversation_id=conversation_id,
        started_at=_time(known.get("started_at")),
        duration_sec=known.get("duration_sec"),
        medium=known.get("medium"),
        labels={},
        agent_names=agent_names,
        personal_details=tuple(("name", name) for name in agent_names),
        analysis_name=None,
        overall_sentiment=None,
        turns=turns,
    )


def no_talk(conversation_id: str) -> Talk:
    """Return the talk of which nothing is known."""
    return talk_of_file(conversation_id, {"turns": ()})


def matcher_of_payload(payload: Mapping[str, Any]) -> MatcherDefinition:
    """Return the definition that a phrase matcher's REST JSON states."""
    return MatcherDefinition(
        display_name=payload["displayName"],
        type=MatchType(payload["type"]),
        role_match=Role(payload.get("roleMatch", "ROLE_UNSPECIFIED")),
        active=payload.get("active", False),
        groups=tuple(
            RuleGroup(
                name="",
                type=MatchType(group["type"]),
                rules=tuple(_rule(rule) for rule in group.get("phraseMatchRules", ())),
            )
            for group in payload.get("phraseMatchRuleGroups", ())
        ),
    )


def _rule(rule: Mapping[str, Any]) -> PhraseRule:
    exact = (rule.get("config") or {}).get("exactMatchConfig") or {}
    return PhraseRule(
        rule["query"],
        negated=rule.get("negated", False),
        case_sensitive=exact.get("caseSensitive", False),
    )


def _turn(
    place: int,
    segment: Mapping[str, Any],
    started_at: dt.datetime | None,
    score: float | None,
    hits: Mapping[str, str],
    compiled: Mapping[str, CompiledMatcher],
) -> SpokenTurn:
    role = (segment.get("segmentParticipant") or {}).get("role", "")
    said_at = _time(segment.get("messageTime"))
    text = segment.get("text", "")
    matches: list[Match] = []
    for key, display_name in hits.items():
        matcher = compiled.get(key)
        places = matcher.find(text, Role(role)) if matcher and role in _SPEAKERS else None
        matches += [
            Match(display_name, hit.query, hit.start_char, hit.end_char) for hit in places or ()
        ] or [Match(display_name, None, None, None)]
    return SpokenTurn(
        turn_index=place,
        speaker=_SPEAKERS.get(role, role or "UNKNOWN"),
        start_offset_sec=(
            (said_at - started_at).total_seconds() if said_at and started_at else None
        ),
        text=text,
        sentiment_score=score,
        matches=tuple(
            sorted(matches, key=lambda match: (match.start_char or 0, match.phrase_matcher))
        ),
    )


def _personal_entities(entities: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (PERSONAL_ENTITIES[entity["type"]], entity["displayName"])
        for entity in entities.values()
        if entity.get("type") in PERSONAL_ENTITIES and entity.get("displayName")
    ]


def hits_by_turn(annotations: Sequence[Mapping[str, Any]]) -> dict[int, dict[str, str]]:
    """Return by turn the matchers that hit it: `matcher_id@revision_id` and display name."""
    hits: dict[int, dict[str, str]] = {}
    for annotation in annotations:
        data = annotation.get("phraseMatchData")
        if data is not None:
            key = data["phraseMatcher"].rsplit("/", 1)[-1]
            hits.setdefault(_turn_of(annotation), {})[key] = data.get("displayName", key)
    return hits


def _scores_by_turn(annotations: Sequence[Mapping[str, Any]]) -> dict[int, float]:
    return {
        _turn_of(annotation): annotation["sentimentData"].get("score", 0.0)
        for annotation in annotations
        if "sentimentData" in annotation
    }


def _segment_score(segment: Mapping[str, Any]) -> float | None:
    return segment["sentiment"].get("score", 0.0) if "sentiment" in segment else None


def _turn_of(annotation: Mapping[str, Any]) -> int:
    return int((annotation.get("annotationStartBoundary") or {}).get("transcriptIndex", 0))


def _time(text: str | None) -> dt.datetime | None:
    return None if text is None else dt.datetime.fromisoformat(text)


def _seconds(text: str | None) -> float | None:
    return None if text is None else float(text.removesuffix("s"))


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
