"""A row of Insights' own BigQuery export, as the conversation that it was made of.

The export has the facts of the API's JSON in other names and units, and not all of them. What is
made here has the API's form, so that whatever reads a fetched conversation reads it too.
"""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ingest.errors import InputError

COLUMNS = (
    "conversationName",
    "audioFileUri",
    "agentId",
    "startTimestampUtc",
    "startTimestamp",
    "loadTimestampUtc",
    "analysisTimestampUtc",
    "conversationUpdateTimestampUtc",
    "conversationUpdateTime",
    "conversationExpiryTime",
    "durationNanos",
    "clientSentimentScore",
    "clientSentimentMagnitude",
    "turnCount",
    "languageCode",
    "medium",
    "entities",
    "labels",
    "sentences",
    "latestSummary",
    "agents",
    "obfuscatedUserId",
)
"""What is read of the export; versions differ, and a column that isn't there is null."""
REQUIRED = ("conversationName", "loadTimestampUtc", "sentences")
EXPORTED_ANALYSIS = "export-"
"""Begins the last part of an analysis's name: the export has its time, and not its id, so that the
conversation's id and the second stand for it."""
_SECOND = 1_000_000_000
_CUSTOMER = "END_USER"
Row = Mapping[str, Any]


def updated_at(row: Row) -> dt.datetime:
    """Return when the conversation changed last, as far as the row tells."""
    exact: dt.datetime | None = row.get("conversationUpdateTime")
    if exact is not None:
        return exact
    seconds = row.get("conversationUpdateTimestampUtc") or max(
        row["loadTimestampUtc"], row.get("analysisTimestampUtc") or 0
    )
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def analysis_name(row: Row) -> str | None:
    """Return the name of the row's analysis, made of its time; None without one."""
    name, seconds = row["conversationName"], row.get("analysisTimestampUtc")
    if not seconds:
        return None
    return f"{name}/analyses/{EXPORTED_ANALYSIS}{name.rpartition('/')[2]}-{seconds}"


def conversation_of(row: Row) -> dict[str, Any]:
    """Return the conversation as REST JSON in the FULL view; raise InputError for a row of none."""
    if lacking := [name for name in REQUIRED if row.get(name) is None]:
        raise InputError(
            f"a row of the export has no {', '.join(lacking)}", "name a table that Insights wrote"
        )
    sentences: Sequence[Row] = row["sentences"]
    agents = row.get("agents") or ()
    expires = row.get("conversationExpiryTime")
    made = {
        "name": row["conversationName"],
        "createTime": _moment(row["loadTimestampUtc"] * _SECOND),
        "updateTime": _text(updated_at(row)),
        "startTime": _start(row),
        "expireTime": _text(expires) if expires else None,
        "duration": _length(row.get("durationNanos")),
        "agentId": row.get("agentId") or (agents[0]["agentId"] if agents else None),
        "obfuscatedUserId": row.get("obfuscatedUserId"),
        "languageCode": row.get("languageCode"),
        "medium": row.get("medium"),
        "turnCount": row.get("turnCount"),
        "labels": {label["key"]: label["value"] for label in row.get("labels") or ()},
        "qualityMetadata": {"agentInfo": [_agent(agent) for agent in agents]} if agents else None,
        "dataSource": {"gcsSource": {"audioUri": row["audioFileUri"]}}
        if row.get("audioFileUri")
        else None,
        "transcript": {"transcriptSegments": [_segment(each) for each in sentences]},
        "latestAnalysis": _analysis(row, sentences),
        "latestSummary": _summary(row.get("latestSummary")),
    }
    return _without_none(made)


def _without_none(values: Row) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _single(value: float | None) -> float:
    """Return the shortest number that is the same in single precision, 0 for none.

    Insights' scores have that precision; the API's JSON writes 0.3 where a DOUBLE of the export
    has 0.30000001192092896.
    """
    if not value:
        return 0.0
    wanted = struct.pack("f", value)
    shorter = (float(f"{value:.{digits}g}") for digits in range(6, 10))
    return next((each for each in shorter if struct.pack("f", each) == wanted), value)


def _start(row: Row) -> str | None:
    if (exact := row.get("startTimestamp")) is not None:
        return _text(exact)
    seconds = row.get("startTimestampUtc")
    return _moment(seconds * _SECOND) if seconds is not None else None


def _text(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def _moment(nanos: int) -> str:
    seconds, rest = divmod(nanos, _SECOND)
    text = dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest:09}".rstrip("0").rstrip(".") + "Z"


def _length(nanos: int | None) -> str | None:
    if nanos is None:
        return None
    seconds, rest = divmod(nanos, _SECOND)
    return f"{seconds}.{rest:09}".rstrip("0").rstrip(".") + "s"


def _agent(agent: Row) -> dict[str, Any]:
    team = agent.get("agentTeam")
    return _without_none(
        {
            "agentId": agent["agentId"],
            "displayName": agent.get("agentDisplayName"),
            "teams": [team] if team else None,
        }
    )


def _segment(sentence: Row) -> dict[str, Any]:
    text = sentence.get("sentence") or ""
    nanos = sentence.get("createTimeNanos")
    return _without_none(
        {
            "text": text,
            "messageTime": _moment(nanos) if nanos is not None else None,
            "languageCode": sentence.get("languageCode"),
            "channelTag": sentence.get("speakerTag"),
            "segmentParticipant": _without_none(
                {
                    "role": sentence.get("participantRole"),
                    "userId": sentence.get("participantId"),
                }
            ),
            # The export lists words apart from their sentences; Insights splits text at spaces.
            "words": [{"word": word} for word in text.split()],
        }
    )


def _analysis(row: Row, sentences: Sequence[Row]) -> dict[str, Any] | None:
    name = analysis_name(row)
    if name is None:
        return None
    parent = name.partition("/conversations/")[0]
    found = {
        "annotations": list(_annotations(sentences, parent)),
        "intents": {
            hit["intentId"]: {"id": hit["intentId"], "displayName": hit["displayName"]}
            for sentence in sentences
            for hit in sentence.get("intentMatchData") or ()
        },
        "entities": {
            str(number): _entity(each) for number, each in enumerate(row.get("entities") or ())
        },
        "sentiments": _overall(row, sentences),
    }
    return {
        "name": name,
        "createTime": _moment(row["analysisTimestampUtc"] * _SECOND),
        "analysisResult": {"callAnalysisMetadata": found},
    }


def _overall(row: Row, sentences: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the customer's sentiment; without a sentence of the customer there is none."""
    channels = [each.get("speakerTag") or 0 for each in sentences if _is_customer(each)]
    if not channels or row.get("clientSentimentScore") is None:
        return []
    data = {
        "score": _single(row["clientSentimentScore"]),
        "magnitude": _single(row.get("clientSentimentMagnitude")),
    }
    return [{"channelTag": min(channels), "sentimentData": data}]


def _is_customer(sentence: Row) -> bool:
    return sentence.get("participantRole") == _CUSTOMER


def _annotations(sentences: Sequence[Row], parent: str) -> Iterator[dict[str, Any]]:
    for index, sentence in enumerate(sentences):
        boundary = {"transcriptIndex": index}
        place = {
            "channelTag": sentence.get("speakerTag") or 0,
            "annotationStartBoundary": boundary,
            "annotationEndBoundary": boundary,
        }
        # Insights judges the customer alone; of others the export says 0.
        if _is_customer(sentence) and sentence.get("sentimentScore") is not None:
            data = {
                "score": _single(sentence["sentimentScore"]),
                "magnitude": _single(sentence.get("sentimentMagnitude")),
            }
            yield place | {"sentimentData": data}
        for hit in sentence.get("intentMatchData") or ():
            yield place | {"intentMatchData": {"intentUniqueId": hit["intentId"]}}
        for hit in sentence.get("phraseMatchData") or ():
            matcher = f"{parent}/phraseMatchers/{hit['phraseMatcherId']}@{hit['revisionId']}"
            match = {"phraseMatcher": matcher, "displayName": hit.get("displayName")}
            yield place | {"phraseMatchData": _without_none(match)}


def _entity(entity: Row) -> dict[str, Any]:
    return {
        "displayName": entity["name"],
        "type": entity["type"],
        "salience": _single(entity.get("salience")),
        "sentiment": {
            "score": _single(entity.get("sentimentScore")),
            "magnitude": _single(entity.get("sentimentMagnitude")),
        },
    }


def _summary(summary: Row | None) -> dict[str, Any] | None:
    if not summary or summary.get("text") is None:
        return None
    return _without_none(
        {
            "text": summary["text"],
            "textSections": {each["key"]: each["value"] for each in summary["textSections"]},
            "confidence": _single(summary.get("confidence")),
            "answerRecord": summary.get("answerRecord"),
            "conversationModel": summary.get("conversationModel"),
        }
    )
