"""Raw rows made by hand, in the shape that the sidecar lands and Insights answers.

Payloads follow what was observed of GetConversation(FULL): REST JSON, zero values absent,
int64 as strings, annotations in no order, neutral sentiment as an empty message.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.domain.conversation import json_sha256
from ingest.domain.insights_format import PIPELINE_LABELS
from ingest.domain.matchers import MatcherDefinition, MatchType, PhraseRule, Role, RuleGroup
from ingest.domain.phrase_matching import compile_matcher, role_of_speaker

Row = dict[str, Any]
PARENT = "projects/123456789012/locations/us-central1"
SEEDS = Path(__file__).parents[2] / "seeds"
AUTHENTICATION = "d7d55546-53b8-41f8-af02-f3afb53084c3"
BATCH_DATE = "2025-12-28"
_CONTEXT_LABELS = (
    "schema_version",
    "direction",
    "business_line",
    "medium",
    "queue",
    "agent_team",
    "agent_site",
    "call_outcome",
    "portfolio_id",
    "campaign_id",
)


@dataclass
class RawRows:
    """The rows of the raw tables, before they are landed."""

    conversation_files: list[Row] = field(default_factory=list)
    ci_conversations: list[Row] = field(default_factory=list)
    pipeline_events: list[Row] = field(default_factory=list)
    phrase_matchers: list[Row] = field(default_factory=list)
    conversation_truths: list[Row] = field(default_factory=list)
    feedback_labels: list[Row] = field(default_factory=list)

    def tables(self) -> dict[str, list[Row]]:
        return {name: rows for name, rows in vars(self).items() if rows}

    def extend(self, other: RawRows) -> RawRows:
        for name, rows in vars(other).items():
            getattr(self, name).extend(rows)
        return self

    def landed_within(self, start: dt.datetime, end: dt.datetime) -> RawRows:
        """Return the rows landed in [start, end)."""
        return RawRows(
            **{
                name: [row for row in rows if stamp(start) <= row["_landed_at"] < stamp(end)]
                for name, rows in vars(self).items()
            }
        )


@dataclass(frozen=True)
class Talk:
    """One conversation as both files say it."""

    conversation_id: str
    metadata: Row
    transcription: Row
    batch_date: str = BATCH_DATE

    @property
    def metadata_sha256(self) -> str:
        return json_sha256(self.metadata)

    @property
    def transcript_sha256(self) -> str:
        return json_sha256(self.transcription)


def stamp(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def talk(
    conversation_id: str,
    turns: Sequence[tuple[str, str]],
    batch_date: str = BATCH_DATE,
    **context: Any,
) -> Talk:
    """Return a conversation whose turns are (speaker, text), ten seconds each."""
    started = dt.datetime.fromisoformat(f"{batch_date}T09:00:00+11:00")
    duration = 10.0 * len(turns)
    metadata = {
        "schema_version": "1.0",
        "conversation_id": conversation_id,
        "direction": "OUTBOUND",
        "business_line": "COLLECTIONS",
        "medium": "PHONE_CALL",
        "language_code": "en-AU",
        "queue": "early_arrears",
        "agent_id": "agent-07",
        "agent_name": "Priya Nair",
        "agent_team": "team_red",
        "agent_site": "Parramatta",
        "portfolio_id": "portfolio-3",
        "call_outcome": "PAYMENT_PLAN_AGREED",
        "started_at": started.isoformat(),
        "ended_at": (started + dt.timedelta(seconds=duration)).isoformat(),
        "duration_sec": duration,
        "labels": {"priority": "standard"},
    } | context
    transcription = {
        "schema_version": "1.0",
        "conversation_id": conversation_id,
        "turns": [
            {"turn_index": i, "speaker": who, "start_offset_sec": 10.0 * i, "text": text}
            for i, (who, text) in enumerate(turns)
        ],
    }
    return Talk(conversation_id, metadata, transcription, batch_date)


def file_row(spoken: Talk, kind: str, generation: int, run_id: str, landed_at: dt.datetime) -> Row:
    payload = spoken.metadata if kind == "metadata" else spoken.transcription
    name = f"{spoken.batch_date}/{spoken.conversation_id}/{kind}.json"
    return {
        "conversation_id": spoken.conversation_id,
        "batch_date": spoken.batch_date,
        "kind": kind,
        "uri": f"gs://local-project-cc-dev/{name}",
        "generation": generation,
        "crc32c": "AAAAAA==",
        "size_bytes": 1000,
        "content_sha256": json_sha256(payload),
        "schema_version": payload["schema_version"],
        "payload": payload,
        "_run_id": run_id,
        "_landed_at": stamp(landed_at),
    }


def event_row(
    spoken: Talk,
    step: str,
    outcome: str,
    run_id: str,
    ended_at: dt.datetime,
    *,
    attempt: int = 1,
    error_code: str | None = None,
    reason: str | None = None,
    resource_name: str | None = None,
    landed_at: dt.datetime | None = None,
) -> Row:
    tied = step not in ("validate", "forget")
    return {
        "conversation_id": spoken.conversation_id,
        "event_id": json_sha256([run_id, spoken.conversation_id, step, attempt]),
        "batch_date": spoken.batch_date,
        "step": step,
        "outcome": outcome,
        "reason": reason,
        "metadata_sha256": spoken.metadata_sha256 if tied else None,
        "transcript_sha256": spoken.transcript_sha256 if tied else None,
        "resource_name": resource_name,
        "error_code": error_code,
        "error_message": "the service said no" if error_code else None,
        "attempt": attempt,
        "started_at": stamp(ended_at - dt.timedelta(seconds=2)),
        "ended_at": stamp(ended_at),
        "_run_id": run_id,
        "_landed_at": stamp(landed_at or ended_at),
    }


def matcher_rows(
    revision_id: str, revised_at: dt.datetime, definitions: Iterable[MatcherDefinition]
) -> list[Row]:
    rows = []
    for number, definition in enumerate(definitions, start=1):
        payload = _matcher_payload(definition, str(1000 + number), revision_id, revised_at)
        rows.append(
            {
                "matcher_id": str(1000 + number),
                "revision_id": revision_id,
                "display_name": definition.display_name,
                "content_sha256": json_sha256(payload["phraseMatchRuleGroups"]),
                "payload": payload,
                "revised_at": stamp(revised_at),
                "_run_id": f"matchers-{revision_id}",
                "_landed_at": stamp(revised_at),
            }
        )
    return rows


def ci_row(
    spoken: Talk,
    updated_at: dt.datetime,
    run_id: str,
    *,
    analysis: Row | None = None,
    profile: str | None = None,
    landed_at: dt.datetime | None = None,
    summary: str | None = None,
) -> Row:
    name = f"{PARENT}/conversations/{spoken.conversation_id}"
    payload = _conversation_payload(spoken, name, updated_at)
    if analysis:
        payload["latestAnalysis"] = analysis
        _add_segment_sentiment(payload, analysis)
    if summary:
        payload["latestSummary"] = {
            "text": f"situation\n{summary}",
            "textSections": {"situation": summary, "resolution": "Y"},
            "confidence": 0.8,
            "conversationModel": "baseline-2",
        }
    return {
        "conversation_id": spoken.conversation_id,
        "ci_name": name,
        "analysis_name": analysis["name"] if analysis else None,
        "annotator_profile_sha256": profile if analysis else None,
        "payload": payload,
        "payload_sha256": json_sha256(payload),
        "ci_updated_at": stamp(updated_at),
        "_run_id": run_id,
        "_landed_at": stamp(landed_at or updated_at),
    }


def foreign(row: Row, uri: str, labels: Row, without: Sequence[str] = ()) -> Row:
    """Return a row of ci_row as of a conversation that another team made, without our labels."""
    payload = {key: value for key, value in row["payload"].items() if key not in without}
    payload |= {"labels": labels, "dataSource": {"gcsSource": {"transcriptUri": uri}}}
    return row | {"payload": payload, "payload_sha256": json_sha256(payload)}


def analysis_of(
    spoken: Talk,
    analysis_id: str,
    created_at: dt.datetime,
    matchers: Sequence[Row],
    sentiments: Sequence[float] = (),
) -> Row:
    """Return a latestAnalysis: customer sentiment, phrase matches, one entity, one intent."""
    turns = spoken.transcription["turns"]
    customer = [turn["turn_index"] for turn in turns if turn["speaker"] == "CUSTOMER"]
    scores = dict(zip(customer, sentiments, strict=False))
    annotations = [
        _span(turns[index], 1) | {"sentimentData": _sentiment(scores.get(index, 0.0))}
        for index in customer
    ]
    annotations += [
        _span(turns[turn], _channel(turns[turn]["speaker"]))
        | {"phraseMatchData": {"phraseMatcher": name, "displayName": display_name}}
        for name, display_name, turn in _phrase_hits(turns, matchers)
    ]
    annotations.append(_span(turns[0], 2) | {"intentMatchData": {"intentUniqueId": AUTHENTICATION}})
    annotations.append(
        _span(turns[0], 2)
        | {"entityMentionData": {"entityUniqueId": "0", "type": "PROPER", "sentiment": {}}}
    )
    used = {
        a["phraseMatchData"]["phraseMatcher"]: a["phraseMatchData"]
        for a in annotations
        if "phraseMatchData" in a
    }
    result: Row = {
        "annotations": annotations[::-1],
        "entities": {
            "0": {"displayName": "Sydney", "type": "LOCATION", "salience": 0.4, "sentiment": {}}
        },
        "intents": {AUTHENTICATION: {"id": AUTHENTICATION, "displayName": "AUTHENTICATION_INFO"}},
        "sentiments": [
            {"channelTag": 1, "sentimentData": _sentiment(scores.get(customer[-1], 0.0))}
        ]
        if customer
        else [],
    }
    if used:
        result["phraseMatchers"] = used
    return {
        "name": f"{PARENT}/conversations/{spoken.conversation_id}/analyses/{analysis_id}",
        "requestTime": stamp(created_at - dt.timedelta(seconds=15)),
        "createTime": stamp(created_at),
        "analysisResult": {"callAnalysisMetadata": {k: v for k, v in result.items() if v}},
        "annotatorSelector": {
            "runPhraseMatcherAnnotator": True,
            "runSentimentAnnotator": True,
            "runEntityAnnotator": True,
            "runIntentAnnotator": True,
            "phraseMatchers": sorted(row["payload"]["name"] for row in matchers),
        },
    }


_SCORECARD = f"{PARENT}/qaScorecards/call-quality"


def scored(analysis: Row, revision_id: str, created_at: dt.datetime) -> Row:
    """Return the analysis with a scorecard's result and two topics.

    The machine has answered three questions: yes, which a person made a no, a zero, and N/A.
    """
    revision = f"{_SCORECARD}/revisions/{revision_id}"
    yes = {"key": "yes", "strValue": "Yes", "score": 2, "potentialScore": 2, "normalizedScore": 1}
    no, na = {"key": "no", "strValue": "No", "potentialScore": 2}, {"key": "na", "naValue": True}
    none = {"potentialScore": 4}
    half = {"score": 2, "potentialScore": 4, "normalizedScore": 0.5}
    answers = [
        _answer(revision, "identity-check", no, ("SYSTEM_GENERATED", yes), ("MANUAL_EDIT", no)),
        _answer(revision, "no-threats", no, ("SYSTEM_GENERATED", no)),
        _answer(revision, "hardship-help", na, ("SYSTEM_GENERATED", na)),
    ]
    result = {
        "name": f"{PARENT}/qaScorecardResults/{revision_id}-{analysis['name'].rsplit('/', 1)[-1]}",
        "qaScorecardRevision": revision,
        "createTime": stamp(created_at),
        "qaAnswers": answers,
        "qaTagResults": [{"tag": "COMPLIANCE", **none}],
        "scoreSources": [
            {"sourceType": source, **points, "qaTagResults": [{"tag": "COMPLIANCE", **points}]}
            for source, points in (
                ("SYSTEM_GENERATED_ONLY", half),
                ("INCLUDES_MANUAL_EDITS", none),
            )
        ],
        **none,
    }
    model = f"{PARENT}/issueModels/7"
    issues = [
        {"issue": f"{model}/issues/1", "displayName": "Hardship", "score": 0.75},
        {"issue": f"{model}/issues/2", "displayName": "Payment plan"},
    ]
    found = {
        "qaScorecardResults": [result],
        "issueModelResult": {"issueModel": model, "issues": issues},
    }
    held = analysis["analysisResult"]["callAnalysisMetadata"]
    return analysis | {"analysisResult": {"callAnalysisMetadata": held | found}}


def _answer(revision: str, question_id: str, value: Row, *sources: tuple[str, Row]) -> Row:
    return {
        "qaQuestion": f"{revision}/qaQuestions/{question_id}",
        "questionBody": f"{question_id}?",
        "answerValue": value,
        "tags": ["COMPLIANCE"],
        "answerSources": [{"sourceType": name, "answerValue": given} for name, given in sources],
    }


def feedback_label(
    conversation_id: str,
    label_id: str,
    moment: dt.datetime,
    run_id: str,
    *,
    is_deleted: bool = False,
    **what: Any,
) -> Row:
    """Return the row of a label; `what` has the resource and an answer or a topic."""
    name = f"{PARENT}/conversations/{conversation_id}/feedbackLabels/{label_id}"
    payload = {"name": name, "createTime": stamp(moment), "updateTime": stamp(moment), **what}
    return {
        "conversation_id": conversation_id,
        "label_name": name,
        "payload": payload,
        "payload_sha256": json_sha256(payload),
        "is_deleted": is_deleted,
        "_run_id": run_id,
        "_landed_at": stamp(moment),
    }


def answered(revision_id: str, question_id: str, key: str) -> Row:
    """Return what a label says that answers a question."""
    question = f"{_SCORECARD}/revisions/{revision_id}/qaQuestions/{question_id}"
    return {"labeledResource": question, "qaAnswerLabel": {"key": key}}


def seed_definitions() -> list[MatcherDefinition]:
    """Return the matchers of seeds/phrase_matchers.csv with their rules."""
    with (SEEDS / "phrase_matcher_rules.csv").open(encoding="utf-8", newline="") as rules_file:
        rules = list(csv.DictReader(rules_file))
    with (SEEDS / "phrase_matchers.csv").open(encoding="utf-8", newline="") as matchers_file:
        return [_definition(row, rules) for row in csv.DictReader(matchers_file)]


def _definition(row: dict[str, str], rules: list[dict[str, str]]) -> MatcherDefinition:
    groups: dict[str, list[dict[str, str]]] = {}
    for rule in rules:
        if rule["display_name"] == row["display_name"]:
            groups.setdefault(rule["group_name"], []).append(rule)
    return MatcherDefinition(
        row["display_name"],
        MatchType(row["type"]),
        tuple(
            RuleGroup(
                name,
                MatchType(members[0]["group_type"]),
                tuple(
                    PhraseRule(
                        m["query"], m["is_negated"] == "true", m["is_case_sensitive"] == "true"
                    )
                    for m in members
                ),
            )
            for name, members in groups.items()
        ),
        Role(row["role_match"]),
    )


def _matcher_payload(
    definition: MatcherDefinition, matcher_id: str, revision_id: str, revised_at: dt.datetime
) -> Row:
    return {
        "name": f"{PARENT}/phraseMatchers/{matcher_id}@{revision_id}",
        "revisionId": revision_id,
        "displayName": definition.display_name,
        "type": definition.type.value,
        "active": True,
        "roleMatch": definition.role_match.value,
        "revisionCreateTime": stamp(revised_at),
        "phraseMatchRuleGroups": [
            {
                "type": group.type.value,
                "phraseMatchRules": [_rule_payload(rule) for rule in group.rules],
            }
            for group in definition.groups
        ],
    }


def _rule_payload(rule: PhraseRule) -> Row:
    exact = {"caseSensitive": True} if rule.case_sensitive else {}
    negated = {"negated": True} if rule.negated else {}
    return {"query": rule.query, "config": {"exactMatchConfig": exact}} | negated


def _definition_of_payload(payload: Row) -> MatcherDefinition:
    groups = tuple(
        RuleGroup(
            str(number),
            MatchType(group["type"]),
            tuple(
                PhraseRule(
                    rule["query"],
                    rule.get("negated", False),
                    rule["config"]["exactMatchConfig"].get("caseSensitive", False),
                )
                for rule in group["phraseMatchRules"]
            ),
        )
        for number, group in enumerate(payload["phraseMatchRuleGroups"])
    )
    return MatcherDefinition(
        payload["displayName"], MatchType(payload["type"]), groups, Role(payload["roleMatch"])
    )


def _phrase_hits(turns: list[Row], matchers: Sequence[Row]) -> Iterable[tuple[str, str, int]]:
    for row in matchers:
        payload = row["payload"]
        compiled = compile_matcher(_definition_of_payload(payload))
        for turn in turns:
            if compiled.matches(turn["text"], role_of_speaker(turn["speaker"])):
                yield payload["name"], payload["displayName"], turn["turn_index"]


def _span(turn: Row, channel: int) -> Row:
    start: Row = {"wordIndex": 0}
    end: Row = {"wordIndex": max(len(turn["text"].split()) - 1, 0)}
    if turn["turn_index"]:
        start["transcriptIndex"] = end["transcriptIndex"] = turn["turn_index"]
    return {"channelTag": channel, "annotationStartBoundary": start, "annotationEndBoundary": end}


def _sentiment(score: float) -> Row:
    return {"score": score, "magnitude": abs(score)} if score else {}


def _channel(speaker: str) -> int:
    return 1 if speaker == "CUSTOMER" else 2


def _conversation_payload(spoken: Talk, name: str, updated_at: dt.datetime) -> Row:
    metadata = spoken.metadata
    labels = {key: value for key, value in metadata["labels"].items() if key not in PIPELINE_LABELS}
    labels |= {key: metadata[key][:256] for key in _CONTEXT_LABELS if metadata.get(key)}
    started = dt.datetime.fromisoformat(metadata["started_at"])
    turns = spoken.transcription["turns"]
    return {
        "name": name,
        "dataSource": {
            "gcsSource": {
                "transcriptUri": f"gs://local-project-cc-dev/ci/{spoken.transcript_sha256}.json"
            }
        },
        "createTime": stamp(started + dt.timedelta(hours=1)),
        "updateTime": stamp(updated_at),
        "startTime": stamp(started),
        "languageCode": metadata["language_code"],
        "medium": metadata["medium"],
        "agentId": metadata["agent_id"],
        "duration": f"{turns[-1]['start_offset_sec'] - turns[0]['start_offset_sec']:g}s",
        "turnCount": len(turns),
        "labels": labels
        | {
            "batch_date": spoken.batch_date,
            "metadata_sha256": spoken.metadata_sha256,
            "transcript_sha256": spoken.transcript_sha256,
        },
        "qualityMetadata": {
            "agentInfo": [
                {
                    "agentId": metadata["agent_id"],
                    "displayName": metadata["agent_name"],
                    "teams": [metadata["agent_team"]],
                    "location": metadata["agent_site"],
                    "agentType": "HUMAN_AGENT",
                }
            ]
        },
        "transcript": {"transcriptSegments": [_segment(turn, started) for turn in turns]},
    }


def _segment(turn: Row, started: dt.datetime) -> Row:
    role = role_of_speaker(turn["speaker"]).value
    user_id = "1" if role == "END_USER" else "2"
    return {
        "text": turn["text"],
        "words": [{"word": word} for word in turn["text"].split()],
        "messageTime": stamp(started + dt.timedelta(seconds=turn["start_offset_sec"])),
        "segmentParticipant": {"role": role, "userId": user_id},
        "channelTag": _channel(turn["speaker"]),
        "languageCode": "en-US",
    }


def _add_segment_sentiment(payload: Row, analysis: Row) -> None:
    for annotation in analysis["analysisResult"]["callAnalysisMetadata"]["annotations"]:
        if "sentimentData" in annotation:
            index = annotation["annotationStartBoundary"].get("transcriptIndex", 0)
            payload["transcript"]["transcriptSegments"][index]["sentiment"] = annotation[
                "sentimentData"
            ]
