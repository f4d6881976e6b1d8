"""One conversation as one row of the native export.

Columns: `export_schema.json`, version 3 exactly and those later ones that can be filled. Times come
in the export's own units: epoch seconds, nanoseconds and timestamps.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from ingest.emulator import protos

_TRANSCRIPT_SPEAKERS = {1: "AGENT", 2: "AUTOMATED_AGENT", 3: "CUSTOMER"}
_CUSTOMER_CHANNEL = 1
_AGENT_CHANNEL = 2


def export_row(conversation: protos.Pb, exported_us: int) -> dict[str, Any]:
    """Return the row of a FULL conversation; absent values are None or empty lists."""
    analysis = conversation.latest_analysis
    result = analysis.analysis_result.call_analysis_metadata
    loaded = dt.datetime.fromtimestamp(conversation.create_time.seconds, dt.UTC)
    overall = {each.channel_tag: each.sentiment_data for each in result.sentiments}
    return {
        "conversationName": conversation.name,
        "audioFileUri": conversation.data_source.gcs_source.audio_uri or None,
        "agentId": conversation.agent_id or None,
        "startTimestampUtc": conversation.start_time.seconds or None,
        "startTimestamp": _time(conversation, "start_time"),
        "loadTimestampUtc": conversation.create_time.seconds,
        "analysisTimestampUtc": analysis.create_time.seconds or None,
        "conversationUpdateTimestampUtc": conversation.update_time.seconds,
        "year": loaded.year,
        "month": loaded.month,
        "day": loaded.day,
        "durationNanos": conversation.duration.ToNanoseconds(),
        "agentSentimentScore": _score(overall, _AGENT_CHANNEL, "score"),
        "agentSentimentMagnitude": _score(overall, _AGENT_CHANNEL, "magnitude"),
        "clientSentimentScore": _score(overall, _CUSTOMER_CHANNEL, "score"),
        "clientSentimentMagnitude": _score(overall, _CUSTOMER_CHANNEL, "magnitude"),
        "transcript": _transcript_text(conversation),
        "turnCount": conversation.turn_count,
        "languageCode": conversation.language_code or None,
        "medium": _enum(conversation, "medium"),
        "issues": [],
        "entities": _entities(result),
        "labels": [{"key": k, "value": v} for k, v in sorted(conversation.labels.items())],
        "words": _words(conversation),
        "sentences": _sentences(conversation, result),
        "latestSummary": _summary(conversation),
        "agents": [
            {
                "agentId": agent.agent_id,
                "agentDisplayName": agent.display_name or None,
                "agentTeam": next(iter(agent.teams), agent.team) or None,
            }
            for agent in conversation.quality_metadata.agent_info
        ],
        "conversationExpiryTime": _time(conversation, "expire_time"),
        "conversationUpdateTime": _time(conversation, "update_time"),
        "conversationExportTime": protos.timestamp(exported_us).ToJsonString(),
        "obfuscatedUserId": conversation.obfuscated_user_id or None,
    }


def _time(message: protos.Pb, field: str) -> str | None:
    return getattr(message, field).ToJsonString() if message.HasField(field) else None


def _enum(message: protos.Pb, field: str) -> str:
    values = message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number
    return str(values[getattr(message, field)].name)


def _score(overall: dict[int, protos.Pb], channel: int, part: str) -> float:
    return float(getattr(overall[channel], part)) if channel in overall else 0.0


def _transcript_text(conversation: protos.Pb) -> str:
    """Speaker and text, a line each (the real format is not known: assumed)."""
    return "\n".join(
        f"{_TRANSCRIPT_SPEAKERS.get(segment.segment_participant.role, '')}: {segment.text}"
        for segment in conversation.transcript.transcript_segments
    )


def _entities(result: protos.Pb) -> list[dict[str, Any]]:
    channels: dict[str, int] = {}
    for annotation in result.annotations:
        if annotation.HasField("entity_mention_data"):
            channels.setdefault(
                annotation.entity_mention_data.entity_unique_id, annotation.channel_tag
            )
    return [
        {
            "name": entity.display_name,
            "type": _enum(entity, "type_"),
            "sentimentScore": entity.sentiment.score,
            "sentimentMagnitude": entity.sentiment.magnitude,
            "salience": entity.salience,
            "speakerTag": channels.get(key),
        }
        for key, entity in sorted(result.entities.items(), key=lambda item: int(item[0]))
    ]


def _words(conversation: protos.Pb) -> list[dict[str, Any]]:
    return [
        {
            "word": word.word,
            "speakerTag": segment.channel_tag,
            "languageCode": segment.language_code,
        }
        for segment in conversation.transcript.transcript_segments
        for word in segment.words
    ]


def _sentences(conversation: protos.Pb, result: protos.Pb) -> list[dict[str, Any]]:
    rows = []
    for index, segment in enumerate(conversation.transcript.transcript_segments):
        highlights = [
            annotation
            for annotation in result.annotations
            if annotation.annotation_start_boundary.transcript_index == index
        ]
        intents = [
            {
                "intentId": a.intent_match_data.intent_unique_id,
                "displayName": result.intents[a.intent_match_data.intent_unique_id].display_name,
            }
            for a in highlights
            if a.HasField("intent_match_data")
        ]
        phrases = [
            _phrase(a.phrase_match_data) for a in highlights if a.HasField("phrase_match_data")
        ]
        rows.append(
            {
                "sentence": segment.text,
                "sentimentScore": segment.sentiment.score,
                "sentimentMagnitude": segment.sentiment.magnitude,
                "speakerTag": segment.channel_tag,
                "languageCode": segment.language_code,
                "createTimeNanos": segment.message_time.ToNanoseconds(),
                "participantId": segment.segment_participant.user_id,
                "participantRole": _enum(segment.segment_participant, "role"),
                "annotations": [],
                "intentMatchData": intents,
                "phraseMatchData": phrases,
                "highlightData": [_highlight(each) for each in (*intents, *phrases)],
                "dialogflowIntentMatchData": [],
            }
        )
    return rows


def _phrase(data: protos.Pb) -> dict[str, str]:
    matcher, _, revision = data.phrase_matcher.rpartition("/")[2].partition("@")
    return {
        "phraseMatcherId": matcher,
        "revisionId": revision,
        "displayName": data.display_name,
    }


def _highlight(match: dict[str, str]) -> dict[str, str]:
    """Smart and custom highlights in one list; the names of their types are assumed."""
    custom = "phraseMatcherId" in match
    return {
        "highlighterName": match["phraseMatcherId" if custom else "intentId"],
        "displayName": match["displayName"],
        "type": "PHRASE_MATCHER" if custom else "INTENT",
    }


def _summary(conversation: protos.Pb) -> dict[str, Any] | None:
    if not conversation.HasField("latest_summary"):
        return None
    summary = conversation.latest_summary
    return {
        "text": summary.text,
        "textSections": [
            {"key": key, "value": value} for key, value in sorted(summary.text_sections.items())
        ],
        "confidence": summary.confidence,
        "metadata": [],
        "answerRecord": summary.answer_record or None,
        "conversationModel": summary.conversation_model or None,
    }
