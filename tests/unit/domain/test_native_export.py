"""A row of Insights' own export becomes the conversation that it was made of."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from google.cloud import contact_center_insights_v1 as insights
from google.protobuf.json_format import MessageToDict, ParseDict
from hypothesis import given
from hypothesis import strategies as st

from ingest.domain.native_export import (
    COLUMNS,
    REQUIRED,
    analysis_name,
    conversation_of,
    updated_at,
)
from ingest.emulator.export import EXPORT_VERSIONS, export_columns, export_row, in_columns
from ingest.errors import InputError
from ingest.gcp.insights_messages import conversation_json

NAME = "projects/123456789012/locations/us-central1/conversations/call-0001"
MATCHER = "projects/123456789012/locations/us-central1/phraseMatchers/77@5"
PAYLOAD: dict[str, Any] = {
    "name": NAME,
    "createTime": "2026-01-05T08:00:00Z",
    "updateTime": "2026-01-05T08:01:02.345678Z",
    "startTime": "2026-01-04T23:00:00Z",
    "expireTime": "2027-01-05T08:00:00Z",
    "duration": "12.500s",
    "agentId": "AGT-7",
    "obfuscatedUserId": "u-1",
    "languageCode": "en-AU",
    "medium": "PHONE_CALL",
    "turnCount": 2,
    "labels": {"queue": "blue", "transcript_sha256": "a" * 64},
    "qualityMetadata": {
        "agentInfo": [{"agentId": "AGT-7", "displayName": "Robin Vale", "teams": ["Red"]}]
    },
    "transcript": {
        "transcriptSegments": [
            {
                "text": "Hello there.",
                "messageTime": "2026-01-04T23:00:00Z",
                "languageCode": "en-AU",
                "channelTag": 2,
                "segmentParticipant": {"role": "HUMAN_AGENT", "userId": "2"},
                "words": [{"word": "Hello"}, {"word": "there."}],
            },
            {
                "text": "I lost my job.",
                "messageTime": "2026-01-04T23:00:12.500Z",
                "languageCode": "en-AU",
                "channelTag": 1,
                "segmentParticipant": {"role": "END_USER", "userId": "1"},
                "sentiment": {"score": -0.5, "magnitude": 1.0},
                "words": [{"word": "I"}, {"word": "lost"}, {"word": "my"}, {"word": "job."}],
            },
        ]
    },
    "latestAnalysis": {
        "name": f"{NAME}/analyses/998",
        "createTime": "2026-01-05T08:01:01Z",
        "analysisResult": {
            "callAnalysisMetadata": {
                "annotations": [
                    {
                        "channelTag": 1,
                        "annotationStartBoundary": {"transcriptIndex": 1},
                        "annotationEndBoundary": {"transcriptIndex": 1},
                        "sentimentData": {"score": -0.5, "magnitude": 1.0},
                    },
                    {
                        "channelTag": 1,
                        "annotationStartBoundary": {"transcriptIndex": 1},
                        "annotationEndBoundary": {"transcriptIndex": 1},
                        "intentMatchData": {"intentUniqueId": "i-1"},
                    },
                    {
                        "channelTag": 1,
                        "annotationStartBoundary": {"transcriptIndex": 1},
                        "annotationEndBoundary": {"transcriptIndex": 1},
                        "phraseMatchData": {"phraseMatcher": MATCHER, "displayName": "hardship"},
                    },
                ],
                "intents": {"i-1": {"id": "i-1", "displayName": "Hardship"}},
                "entities": {
                    "0": {
                        "displayName": "job",
                        "type": "OTHER",
                        "salience": 1.0,
                        "sentiment": {"score": -0.5, "magnitude": 1.0},
                    }
                },
                "sentiments": [
                    {"channelTag": 1, "sentimentData": {"score": -0.5, "magnitude": 1.0}}
                ],
            }
        },
    },
    "latestSummary": {
        "text": "Lost the job.",
        "textSections": {"situation": "Lost the job.", "resolution": "N"},
        "confidence": 0.5,
        "conversationModel": "m",
    },
}


def exported(payload: dict[str, Any], version: int) -> dict[str, Any]:
    """Return the row that the emulator writes of a conversation, with BigQuery's types."""
    message = insights.Conversation.pb(insights.Conversation())
    ParseDict(payload, message)
    row = in_columns(export_row(message, 0), export_columns(version))
    for name, value in row.items():
        if name in ("startTimestamp", "conversationExpiryTime", "conversationUpdateTime") and value:
            row[name] = dt.datetime.fromisoformat(value)
    return row


def normal(payload: dict[str, Any]) -> dict[str, Any]:
    """Return the payload as the API's own client writes it."""
    message = insights.Conversation.pb(insights.Conversation())
    return conversation_json(ParseDict(payload, message))


def test_the_newest_export_tells_all_but_the_id_of_the_analysis_and_the_spot_in_the_turn() -> None:
    analysis = {**PAYLOAD["latestAnalysis"], "name": f"{NAME}/analyses/export-call-0001-1767600061"}
    segments = [dict(each) for each in PAYLOAD["transcript"]["transcriptSegments"]]
    segments[1].pop("sentiment")
    expected = {
        **PAYLOAD,
        "latestAnalysis": analysis,
        "transcript": {"transcriptSegments": segments},
    }

    made = conversation_of(exported(PAYLOAD, EXPORT_VERSIONS[-1]))

    assert normal(made) == normal(expected)


def test_the_first_export_knows_seconds_and_one_agent() -> None:
    row = exported(PAYLOAD, EXPORT_VERSIONS[0])

    made = conversation_of(row)

    assert {name: made.get(name) for name in ("startTime", "updateTime", "agentId")} == {
        "startTime": "2026-01-04T23:00:00Z",
        "updateTime": "2026-01-05T08:01:01Z",
        "agentId": "AGT-7",
    }
    assert [name for name in PAYLOAD if name not in made] == [
        "expireTime",
        "obfuscatedUserId",
        "qualityMetadata",
    ]


def test_a_conversation_without_analysis_and_customer_has_neither() -> None:
    payload = {key: value for key, value in PAYLOAD.items() if not key.startswith("latest")}
    agent_only = payload["transcript"]["transcriptSegments"][:1]
    row = exported({**payload, "transcript": {"transcriptSegments": agent_only}}, 3)
    analysed = exported({**PAYLOAD, "transcript": {"transcriptSegments": agent_only}}, 3)

    assert (analysis_name(row), conversation_of(row).get("latestAnalysis")) == (None, None)
    found = conversation_of(analysed)["latestAnalysis"]["analysisResult"]["callAnalysisMetadata"]
    assert (found["sentiments"], found["annotations"]) == ([], [])


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_scores_are_written_as_the_api_writes_them(score: float) -> None:
    entity = {"name": "job", "type": "OTHER", "salience": score}

    made = conversation_of({**exported(PAYLOAD, 3), "entities": [entity]})

    found = made["latestAnalysis"]["analysisResult"]["callAnalysisMetadata"]
    message = insights.Entity.pb(insights.Entity(salience=score))
    written = MessageToDict(message).get("salience", 0.0)
    assert found["entities"]["0"]["salience"] == written


@pytest.mark.parametrize("name", ["conversationName", "loadTimestampUtc"])
def test_a_row_that_no_export_has_is_refused_without_its_content(name: str) -> None:
    row = {**exported(PAYLOAD, 3), name: None}

    with pytest.raises(InputError) as caught:
        conversation_of(row)

    assert caught.value.message == f"a row of the export has no {name}"


@given(st.dictionaries(st.sampled_from(COLUMNS), st.none()), st.sampled_from(EXPORT_VERSIONS))
def test_whatever_a_version_lacks_a_row_is_a_conversation_or_refused(
    nulls: dict[str, None], version: int
) -> None:
    row = exported(PAYLOAD, version) | nulls
    if lacking := [name for name in REQUIRED if row[name] is None]:
        with pytest.raises(InputError, match=f"has no {', '.join(lacking)}"):
            conversation_of(row)
        return
    assert normal(conversation_of(row))["name"] == NAME
    assert updated_at(row) >= dt.datetime(2026, 1, 5, 8, tzinfo=dt.UTC)
