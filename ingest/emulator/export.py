"""ExportInsightsData: the conversations that match, as rows of the native export, into BigQuery.

Columns: `export_schema.json`, each with the version that brought it (`since`) and the last that had
it (`until`). Times come in the export's own units: epoch seconds, nanoseconds and timestamps.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import IO, TYPE_CHECKING, Any

import orjson
from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials

from ingest.emulator import protos
from ingest.emulator.context import Context
from ingest.emulator.conversations import ConversationMethods, ConversationStore
from ingest.emulator.errors import (
    ApiError,
    failed_precondition,
    invalid,
    unavailable,
    unimplemented,
)
from ingest.emulator.feedback_labels import FeedbackLabelStore
from ingest.emulator.filters import CONVERSATION_FIELDS, compile_filter
from ingest.emulator.operations import Kind, OperationEngine, Outcome, Running
from ingest.emulator.wire import add_rest_fields, rest_fields

if TYPE_CHECKING:
    from google.cloud import bigquery

EXPORT_VERSIONS = range(3, 19)
"""Versions whose columns are known, as far as documents name them."""
DEFAULT_VERSION = 3
"""What an export without a version writes (discovery document, exportSchemaVersion)."""
_TIMEOUT_SEC = 120.0
_RETRIES = 0
"""A BigQuery on the same machine that drops a connection has ended; waiting doesn't help."""


Column = dict[str, Any]


class TableLoader:
    """Talks to a BigQuery emulator about one table; blocking, so it runs in a thread.

    The BigQuery client takes half a second to import: only exports wait for it.
    """

    def __init__(self, endpoint: str, project: str, table: str) -> None:
        from google.cloud import bigquery

        self._table = f"{project}.{table}"
        self._client = bigquery.Client(
            project=project,
            credentials=AnonymousCredentials(),
            client_options=ClientOptions(api_endpoint=endpoint),
        )

    def check_table(self) -> Any:
        """Return the table; INVALID_ARGUMENT when it or its dataset is missing (documented)."""
        try:
            return self._client.get_table(self._table, retry=None, timeout=_TIMEOUT_SEC)
        except exceptions.NotFound as error:
            raise invalid(
                f"BigQuery table '{self._table}' was not found; create it first."
            ) from error
        except (exceptions.GoogleAPIError, OSError) as error:
            raise unavailable(f"BigQuery doesn't answer ({type(error).__name__}).") from error

    def load(self, rows: IO[bytes], append: bool, version: int) -> None:
        """Load newline-delimited JSON; truncating replaces the table's schema too (documented).

        `rows` is read part by part from where it stands, never as a whole.
        A table without a schema holds nothing to append to, and gets the export's schema.
        """
        from google.cloud import bigquery

        keeps_rows = append and bool(self.check_table().schema)
        config = bigquery.LoadJobConfig(
            schema=export_schema(version),
            source_format=bigquery.SourceFormat.NEWLINE_DELIMITED_JSON,
            write_disposition="WRITE_APPEND" if keeps_rows else "WRITE_TRUNCATE",
        )
        if keeps_rows:
            config.schema_update_options = [bigquery.SchemaUpdateOption.ALLOW_FIELD_ADDITION]
        try:
            job = self._client.load_table_from_file(
                rows,
                self._table,
                job_config=config,
                timeout=_TIMEOUT_SEC,
                num_retries=_RETRIES,
            )
            job.result(retry=None, timeout=_TIMEOUT_SEC)
        except exceptions.GoogleAPICallError as error:
            raise failed_precondition(f"BigQuery refused the load: {error.message}") from error
        except (exceptions.GoogleAPIError, OSError) as error:
            raise unavailable(f"BigQuery doesn't answer ({type(error).__name__}).") from error


def export_schema(version: int) -> list[bigquery.SchemaField]:
    """Return the columns of an export, in the order of the published schema."""
    from google.cloud import bigquery

    return [bigquery.SchemaField.from_api_repr(field) for field in export_columns(version)]


@lru_cache(maxsize=len(EXPORT_VERSIONS))
def export_columns(version: int) -> list[Column]:
    """Return the columns of a version as BigQuery's API writes them."""
    content = files("ingest.emulator").joinpath("export_schema.json").read_bytes()
    return _columns_of(orjson.loads(content), version)


def _columns_of(columns: list[Column], version: int) -> list[Column]:
    found = []
    for column in columns:
        since, until = column.pop("since", 1), column.pop("until", version)
        if since <= version <= until:
            if "fields" in column:
                column["fields"] = _columns_of(column["fields"], version)
            found.append(column)
    return found


def in_columns(row: dict[str, Any], columns: list[Column]) -> dict[str, Any]:
    """Return what a row has of these columns."""
    kept: dict[str, Any] = {}
    for column in columns:
        value = row.get(column["name"])
        fields = column.get("fields")
        if fields is not None and isinstance(value, list):
            value = [in_columns(each, fields) for each in value]
        elif fields is not None and value is not None:
            value = in_columns(value, fields)
        kept[column["name"]] = value if value is not None or column["mode"] != "REPEATED" else []
    return kept


_TRANSCRIPT_SPEAKERS = {1: "AGENT", 2: "AUTOMATED_AGENT", 3: "CUSTOMER"}
_CUSTOMER_CHANNEL = 1
_AGENT_CHANNEL = 2


def export_row(
    conversation: protos.Pb, exported_us: int, labels: Sequence[protos.Pb] = ()
) -> dict[str, Any]:
    """Return the row of a FULL conversation with the columns of every version.

    Absent values are None, empty lists, or left out.
    """
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
        "issues": [
            _issue(result.issue_model_result, each) for each in result.issue_model_result.issues
        ],
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
        "qaScorecardResults": [_scorecard_result(each) for each in result.qa_scorecard_results],
        "feedbackLabels": [_feedback_label(label) for label in labels],
        "conversationExpiryTime": _time(conversation, "expire_time"),
        "conversationUpdateTime": _time(conversation, "update_time"),
        "conversationExportTime": protos.timestamp(exported_us).ToJsonString(),
        "obfuscatedUserId": conversation.obfuscated_user_id or None,
    }


def _issue(found: protos.Pb, assigned: protos.Pb) -> dict[str, Any]:
    return {
        "name": assigned.display_name,
        "score": assigned.score,
        "issueModelId": found.issue_model.rpartition("/")[2],
        "issueId": assigned.issue.rpartition("/")[2],
    }


_SCORES = ("score", "potential_score", "normalized_score")


def _scorecard_result(result: protos.Pb) -> dict[str, Any]:
    return {
        "qaScorecardResult": result.name,
        "qaScorecard": result.qa_scorecard_revision.partition("/revisions/")[0],
        "qaScorecardRevision": result.qa_scorecard_revision,
        **_scores(result),
        "qaTagResults": [{"tag": each.tag, **_scores(each)} for each in result.qa_tag_results],
        "qaAnswers": [_qa_answer(answer) for answer in result.qa_answers],
        "scoreSources": [
            {
                "sourceType": _enum(source, "source_type"),
                **_scores(source),
                "qaTagResults": [
                    {"tag": each.tag, **_scores(each)} for each in source.qa_tag_results
                ],
            }
            for source in result.score_sources
        ],
    }


def _qa_answer(answer: protos.Pb) -> dict[str, Any]:
    value = _answer(answer.answer_value)
    return {
        "qaQuestion": {"qaQuestion": answer.qa_question, "questionBody": answer.question_body},
        "qaAnswerStringValue": value["stringValue"],
        "qaAnswerNumericValue": value["numericValue"],
        "qaAnswerBoolValue": value["boolValue"],
        "qaAnswerNaValue": value["naValue"],
        **_scores(answer.answer_value),
        "tags": list(answer.tags),
        "answerSources": [
            {
                "sourceType": _enum(source, "source_type"),
                "qaAnswerValue": _answer(source.answer_value),
            }
            for source in answer.answer_sources
        ],
    }


def _scores(message: protos.Pb) -> dict[str, float]:
    """Return the scores that a message has, by their columns."""
    return {
        re.sub(r"_(\w)", lambda found: found[1].upper(), name): getattr(message, name)
        for name in _SCORES
        if message.HasField(name)
    }


def _feedback_label(label: protos.Pb) -> dict[str, Any]:
    return {
        "name": label.name,
        "label": label.label or None,
        "labeledResource": label.labeled_resource,
        "qaAnswerLabel": _answer(label.qa_answer_label)
        if label.HasField("qa_answer_label")
        else None,
    }


def _answer(value: protos.Pb) -> dict[str, Any]:
    """Return an answer of a scorecard's question; of its values only one is set."""
    kind = value.WhichOneof("value")
    return {
        "key": value.key or None,
        "stringValue": value.str_value if kind == "str_value" else None,
        "numericValue": value.num_value if kind == "num_value" else None,
        "boolValue": value.bool_value if kind == "bool_value" else None,
        "naValue": value.na_value if kind == "na_value" else None,
        **_scores(value),
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


_KIND = "ExportInsightsData"
_TRUNCATE, _APPEND = 1, 2
_UNSPECIFIED = "EXPORT_SCHEMA_VERSION_UNSPECIFIED"
_CHUNK = 20
_Request = protos.message_class("ExportInsightsDataRequest")
_Metadata = protos.message_class("ExportInsightsDataMetadata")
_Response = protos.message_class("ExportInsightsDataResponse")


class ExportMethods:
    """The method, by its RPC name in snake case."""

    def __init__(
        self,
        context: Context,
        conversations: ConversationMethods,
        operations: OperationEngine,
        bigquery_endpoint: str | None,
        version: int,
    ) -> None:
        self._context = context
        self._store = ConversationStore(context.database)
        self._labels = FeedbackLabelStore(context.database)
        self._conversations = conversations
        self._operations = operations
        self._endpoint = bigquery_endpoint
        self._version = version
        operations.register(Kind(_KIND, _Request, _Metadata, in_background=self._export))

    async def export_insights_data(self, request: protos.Pb) -> protos.Pb:
        """Check destination and filter, then load the rows in an operation.

        A missing dataset or table is INVALID_ARGUMENT (documented): the table must be there.
        """
        parent = self._context.names.location(request.parent)
        compile_filter(request.filter, CONVERSATION_FIELDS)
        destination = request.big_query_destination
        if not destination.dataset or not destination.table:
            raise invalid("big_query_destination needs dataset and table.")
        if request.write_disposition not in (0, _TRUNCATE, _APPEND):
            raise invalid("Invalid write_disposition: use WRITE_TRUNCATE or WRITE_APPEND.")
        self._version_of(request)
        if request.kms_key:
            raise unimplemented("An export with a kms_key")
        if self._endpoint is None:
            raise failed_precondition(
                "The Insights emulator was started without --bigquery-endpoint; it can't export."
            )
        await asyncio.to_thread(self._loader(request).check_table)
        return await self._operations.start(_KIND, parent, request, _Metadata(request=request))

    async def _export(self, running: Running) -> Outcome:
        request = running.request
        with tempfile.TemporaryFile() as rows:
            await self._write_rows(running, rows)
            rows.seek(0)
            append = request.write_disposition == _APPEND
            version = self._version_of(request)
            await asyncio.to_thread(self._loader(request).load, rows, append, version)
        return Outcome(_Response())

    def _version_of(self, request: protos.Pb) -> int:
        """Return the version that a REST call asks for, or that of the command line."""
        asked = rest_fields(request).get("exportSchemaVersion", _UNSPECIFIED)
        if asked == _UNSPECIFIED:
            return self._version
        if asked == "EXPORT_VERSION_LATEST_AVAILABLE":
            return EXPORT_VERSIONS[-1]
        number = str(asked).removeprefix("EXPORT_V")
        if number not in map(str, EXPORT_VERSIONS):
            raise invalid(
                f"Invalid export_schema_version '{asked}': known are"
                f" EXPORT_V{EXPORT_VERSIONS[0]} to EXPORT_V{EXPORT_VERSIONS[-1]}."
            )
        return int(number)

    def _loader(self, request: protos.Pb) -> TableLoader:
        destination = request.big_query_destination
        project = _project(request, self._context.names.project_id)
        return TableLoader(
            str(self._endpoint), project, f"{destination.dataset}.{destination.table}"
        )

    async def _write_rows(self, running: Running, rows: IO[bytes]) -> None:
        """Write the rows to disk, so that a large export needs no memory."""
        condition = compile_filter(running.request.filter, CONVERSATION_FIELDS)
        parent_id = self._context.database.parent_id(running.parent)
        seqs = self._store.matching(parent_id, condition.sql, condition.parameters)
        now = self._context.clock.now()
        columns = export_columns(self._version_of(running.request))
        done = 0
        for count, seq in enumerate(seqs, start=1):
            for stored in self._store.read([seq]):
                try:
                    fault = self._context.switches.faults.draw("partial", _KIND)
                    if fault is not None:
                        raise fault.error()
                    full = protos.Conversation.FromString(self._conversations.full(stored))
                    labels = self._labels.select("conversation_seq = ?", (seq,))
                    whole = export_row(full, now, [label for _, label in labels])
                    row = in_columns(whole, columns)
                    rows.write(orjson.dumps(row) + b"\n")
                    done += 1
                except ApiError as error:
                    running.metadata.partial_errors.append(error.status())
            if count % _CHUNK == 0:
                await asyncio.sleep(0)
        failed = len(running.metadata.partial_errors)
        counters = {"completedExportCount": done, "failedExportCount": failed}
        add_rest_fields(running.metadata, {name: n for name, n in counters.items() if n})


def _project(request: protos.Pb, project_id: str | None) -> str:
    """Return the destination's project; by default the one that the caller named.

    BigQuery emulators know projects by id only, so a number becomes the id that is set.
    """
    project = str(request.big_query_destination.project_id or request.parent.split("/")[1])
    return project_id if project_id is not None and project.isdigit() else project
