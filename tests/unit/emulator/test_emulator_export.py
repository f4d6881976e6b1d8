"""Exports, into the BigQuery emulator of the local stack."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from emulator_cases import BUCKET, create, own_emulator
from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud import contact_center_insights_v1 as insights
from stack_fixture import Stack

from ingest.emulator import protos
from ingest.emulator.export import EXPORT_VERSIONS, export_columns, export_row, in_columns
from ingest.emulator.pytest_plugin import RunningEmulator
from ingest.emulator.testing import ObjectServer

PROJECT = "local-project"
DATASET = "native_export"
CALL = [
    ("AGENT", "Is that Mr Chen? Can you confirm your date of birth?"),
    ("CUSTOMER", "I hate this, I lost my job."),
]


@pytest.fixture
def warehouse(stack: Stack) -> Iterator[bigquery.Client]:
    """A dataset with two tables without schema."""
    client = bigquery.Client(
        project=PROJECT,
        credentials=AnonymousCredentials(),
        client_options=ClientOptions(api_endpoint=stack.endpoints["bigquery_endpoint"]),
    )
    client.create_dataset(DATASET, exists_ok=True, timeout=30)
    for table in ("insights", "appended"):
        client.create_table(bigquery.Table(f"{PROJECT}.{DATASET}.{table}"), timeout=30)
    yield client
    client.delete_dataset(DATASET, delete_contents=True, timeout=30)


@pytest.fixture
def exporter(stack: Stack, tmp_path: Path, ci_objects: ObjectServer) -> Iterator[RunningEmulator]:
    endpoint = stack.endpoints["bigquery_endpoint"]
    with own_emulator(
        tmp_path, ci_objects, bigquery_endpoint=endpoint, project_id=PROJECT
    ) as emulator:
        yield emulator


def export(emulator: RunningEmulator, table: str, **changes: Any) -> Any:
    request = {
        "parent": emulator.parent,
        "big_query_destination": {"dataset": DATASET, "table": table},
        **changes,
    }
    operation = emulator.client.export_insights_data(request)
    operation.result(timeout=60)
    return operation.metadata


def rows(warehouse: bigquery.Client, table: str) -> list[dict[str, Any]]:
    sql = f"select * from {DATASET}.{table} order by conversationName"
    return [dict(row) for row in warehouse.query(sql, timeout=30).result(timeout=30)]


@pytest.mark.stack
def test_an_export_writes_the_native_columns(
    exporter: RunningEmulator, warehouse: bigquery.Client, ci_objects: ObjectServer
) -> None:
    group = {"type_": "ANY_OF", "phrase_match_rules": [{"query": "lost my job"}]}
    matcher = exporter.client.create_phrase_matcher(
        parent=exporter.parent,
        phrase_matcher=insights.PhraseMatcher(
            display_name="hardship", type_="ANY_OF", active=True, phrase_match_rule_groups=[group]
        ),
    )
    uri = ci_objects.put_turns(BUCKET, "call.json", CALL)
    made = exporter.client.create_conversation(
        {
            "parent": exporter.parent,
            "conversation_id": "exported-one",
            "conversation": {
                "data_source": {"gcs_source": {"transcript_uri": uri}},
                "agent_id": "a-1",
                "labels": {"queue": "blue"},
                "start_time": "2025-12-28T03:20:02Z",
                "language_code": "en-AU",
                "quality_metadata": {"agent_info": [{"agent_id": "a-1", "teams": ["red"]}]},
            },
        }
    )
    summary = {"summarization_model": "BASELINE_MODEL_V2_0"}
    selector = insights.AnnotatorSelector(
        run_sentiment_annotator=True, run_intent_annotator=True, run_entity_annotator=True,
        run_phrase_matcher_annotator=True, run_summarization_annotator=True,
        summarization_config=summary,
    )  # fmt: skip
    analysis = exporter.client.create_analysis(
        parent=made.name, analysis=insights.Analysis(annotator_selector=selector)
    ).result(timeout=30)
    (overall,) = analysis.analysis_result.call_analysis_metadata.sentiments
    export(exporter, "insights")
    (row,) = rows(warehouse, "insights")
    known = {column["name"] for column in export_columns(3)}
    customer = row["sentences"][1]
    revision = {
        "phraseMatcherId": matcher.name.rpartition("/")[2],
        "revisionId": matcher.revision_id,
        "displayName": "hardship",
    }
    assert set(row) == known
    assert {
        "name": row["conversationName"],
        "start": row["startTimestampUtc"],
        "turns": row["turnCount"],
        "nanos": row["durationNanos"],
        "labels": row["labels"],
        "agent": row["agentId"],
        "medium": row["medium"],
        "score": row["clientSentimentScore"],
        "entity": (row["entities"][0]["name"], row["entities"][0]["type"]),
        "intent": row["sentences"][0]["intentMatchData"][0]["displayName"],
        "phrases": customer["phraseMatchData"],
        "sentence": (customer["sentence"], customer["participantRole"], customer["speakerTag"]),
        "sections": [section["key"] for section in row["latestSummary"]["textSections"]],
    } == {
        "name": made.name,
        "start": 1766892002,
        "turns": 2,
        "nanos": 5_000_000_000,
        "labels": [{"key": "queue", "value": "blue"}],
        "agent": "a-1",
        "medium": "PHONE_CALL",
        "score": overall.sentiment_data.score,
        "entity": ("Chen", "PERSON"),
        "intent": "AUTHENTICATION_INFO",
        "phrases": [revision],
        "sentence": (CALL[1][1], "END_USER", 1),
        "sections": ["action", "resolution", "situation"],
    }


@pytest.mark.stack
def test_an_export_replaces_the_table_unless_it_appends(
    exporter: RunningEmulator, warehouse: bigquery.Client, ci_objects: ObjectServer
) -> None:
    for number in range(2):
        create(exporter, ci_objects, f"exported-{number}", labels={"n": str(number)})
    only = {"filter": 'labels.n="1"'}
    append = {"write_disposition": "WRITE_APPEND"}
    export(exporter, "insights")
    export(exporter, "insights", **only)
    assert len(rows(warehouse, "insights")) == 1
    export(exporter, "appended", **append)
    export(exporter, "appended", **append, **only)
    ids = [row["conversationName"].rpartition("/")[2] for row in rows(warehouse, "appended")]
    assert ids == ["exported-0", "exported-1", "exported-1"]


@pytest.mark.stack
def test_a_conversation_may_fail_to_export(
    exporter: RunningEmulator, warehouse: bigquery.Client, ci_objects: ObjectServer
) -> None:
    for number in range(2):
        create(exporter, ci_objects, f"exported-{number}")
    exporter.control.set_faults("faults: [{partial: ExportInsightsData, nth: 1, status: ABORTED}]")
    assert len(export(exporter, "insights").partial_errors) == 1
    assert len(rows(warehouse, "insights")) == 1


@pytest.mark.stack
def test_a_missing_table_or_destination_is_refused(
    exporter: RunningEmulator, warehouse: bigquery.Client
) -> None:
    for destination in (
        {"dataset": DATASET, "table": "absent"},
        {"dataset": "absent", "table": "insights"},
        {"dataset": DATASET},
        {},
    ):
        with pytest.raises(exceptions.InvalidArgument):
            export(exporter, "", big_query_destination=destination)


def test_an_emulator_without_bigquery_says_so(ci_emulator: RunningEmulator) -> None:
    with pytest.raises(exceptions.FailedPrecondition, match="--bigquery-endpoint"):
        export(ci_emulator, "insights")


def test_a_bigquery_that_does_not_answer_is_unavailable(
    tmp_path: Path, ci_objects: ObjectServer
) -> None:
    with (
        own_emulator(tmp_path, ci_objects, bigquery_endpoint="http://127.0.0.1:1") as emulator,
        pytest.raises(exceptions.ServiceUnavailable),
    ):
        export(emulator, "insights")


@pytest.mark.stack
def test_an_export_of_another_version_has_its_columns(
    stack: Stack, tmp_path: Path, warehouse: bigquery.Client, ci_objects: ObjectServer
) -> None:
    endpoint = stack.endpoints["bigquery_endpoint"]
    with own_emulator(
        tmp_path,
        ci_objects,
        bigquery_endpoint=endpoint,
        project_id=PROJECT,
        export_version=EXPORT_VERSIONS[-1],
    ) as emulator:
        agents = [{"agent_id": "a-1", "display_name": "Ada", "teams": ["red"]}]
        made = create(emulator, ci_objects, "exported-one", quality_metadata={"agent_info": agents})
        card = emulator.client.create_qa_scorecard(parent=emulator.parent, qa_scorecard={})
        revision = emulator.client.get_qa_scorecard_revision(name=f"{card.name}/revisions/latest")
        choice = {"key": "no", "bool_value": False}
        question = emulator.client.create_qa_question(
            parent=revision.name,
            qa_question={"question_body": "Well?", "answer_choices": [choice]},
        ).name
        answer = {"bool_value": False, "score": 0, "potential_score": 2}
        emulator.client.create_feedback_label(
            parent=made.name,
            feedback_label={"labeled_resource": question, "qa_answer_label": answer},
        )
        export(emulator, "insights")
    (row,) = rows(warehouse, "insights")
    assert set(row) == {column["name"] for column in export_columns(EXPORT_VERSIONS[-1])}
    (label,) = row["feedbackLabels"]
    assert label["labeledResource"] == question
    assert {key: value for key, value in label["qaAnswerLabel"].items() if value is not None} == {
        "boolValue": False,
        "score": 0.0,
        "potentialScore": 2.0,
    }
    assert row["agents"] == [{"agentId": "a-1", "agentDisplayName": "Ada", "agentTeam": "red"}]


def test_the_columns_of_each_version_are_those_that_the_documents_name() -> None:
    names = {v: {column["name"] for column in export_columns(v)} for v in EXPORT_VERSIONS}
    added = {v: sorted(names[v] - names[v - 1]) for v in EXPORT_VERSIONS if v > 3}
    gone = {v: sorted(names[v - 1] - names[v]) for v in EXPORT_VERSIONS if v > 3}
    assert len(names[3]) == 29
    assert {v: columns for v, columns in added.items() if columns} == {
        4: ["agents", "conversationUpdateTimestampUtc", "qaScorecardResults", "updateTimestampUtc"],
        5: ["startTimestamp"],
        6: ["feedbackLabels"],
        17: ["conversationExpiryTime", "conversationExportTime", "conversationUpdateTime"],
        18: ["customLabels", "obfuscatedUserId"],
    }
    assert {v: columns for v, columns in gone.items() if columns} == {
        4: ["agentId"],
        5: ["updateTimestampUtc"],
    }


def test_a_row_has_the_results_of_scorecards_as_its_version_knows_them() -> None:
    revision = "projects/p/locations/l/qaScorecards/c/revisions/r"
    value = {"key": "yes", "bool_value": True, "score": 1, "potential_score": 2}
    source = {"source_type": "SYSTEM_GENERATED", "answer_value": value}
    answer = {"qa_question": f"{revision}/qaQuestions/q", "answer_value": value}
    result = insights.QaScorecardResult(
        qa_scorecard_revision=revision,
        score=1,
        qa_tag_results=[{"tag": "BUSINESS", "score": 1}],
        qa_answers=[{**answer, "answer_sources": [source]}],
        score_sources=[{"source_type": "SYSTEM_GENERATED_ONLY", "score": 1}],
    )
    metadata = {"call_analysis_metadata": {"qa_scorecard_results": [result]}}
    conversation = insights.Conversation(latest_analysis={"analysis_result": metadata})
    row = export_row(insights.Conversation.pb(conversation), 0)
    four, seven, sixteen = (
        in_columns(row, export_columns(version))["qaScorecardResults"][0] for version in (4, 7, 16)
    )
    assert (four["qaScorecard"], four["score"]) == (revision.partition("/revisions/")[0], 1.0)
    assert four["qaTagResults"][0]["tag"] == "BUSINESS"
    assert four["qaAnswers"][0]["qaAnswerBoolValue"] is True
    assert ("scoreSources" in four, "answerSources" in seven["qaAnswers"][0]) == (False, False)
    assert seven["scoreSources"][0]["sourceType"] == "SYSTEM_GENERATED_ONLY"
    (kept,) = sixteen["qaAnswers"][0]["answerSources"]
    assert (kept["sourceType"], kept["qaAnswerValue"]["key"]) == ("SYSTEM_GENERATED", "yes")


@pytest.mark.parametrize("version", EXPORT_VERSIONS)
def test_a_row_has_the_columns_of_its_version_and_no_other(version: int) -> None:
    row = in_columns(export_row(protos.Conversation(name="c"), 0), export_columns(version))
    assert list(row) == [column["name"] for column in export_columns(version)]
    assert row["issues"] == []


MERGED = [
    "conversationName", "audioFileUri", "dialogflowConversationProfileId", "startTimestampUtc",
    "loadTimestampUtc", "analysisTimestampUtc", "conversationUpdateTimestampUtc", "year", "month",
    "day", "durationNanos", "silenceNanos", "silencePercentage", "agentSpeakingPercentage",
    "clientSpeakingPercentage", "agentSentimentScore", "agentSentimentMagnitude",
    "clientSentimentScore", "clientSentimentMagnitude", "transcript", "turnCount", "languageCode",
    "medium", "issues", "entities", "labels", "words", "sentences", "latestSummary",
    "qaScorecardResults", "agents",
]  # fmt: skip
"""The columns of Google's own incremental export (gcc-conversational_ai_analytics, 2024-09)."""


@pytest.mark.stack
def test_an_incremental_export_merges_each_change_once(
    stack: Stack, tmp_path: Path, warehouse: bigquery.Client, ci_objects: ObjectServer
) -> None:
    """Over REST, with the requests, the filter and the statements of Google's own function."""
    staging, final = f"{DATASET}.insights", f"{DATASET}.appended"
    columns = ", ".join(MERGED)
    changes = ", ".join(f"{name} = S.{name}" for name in MERGED[1:])
    merge = (
        f"MERGE `{final}` T USING (SELECT {columns} FROM `{staging}`) S"
        " ON T.conversationName = S.conversationName WHEN MATCHED"
        " AND T.conversationUpdateTimestampUtc != S.conversationUpdateTimestampUtc"
        f" THEN UPDATE SET {changes} WHEN NOT MATCHED THEN INSERT ROW"
    )
    newest = f"select max(conversationUpdateTimestampUtc) as at from `{final}`"

    def run_once(emulator: RunningEmulator, wanted: str) -> int | None:
        url = f"{emulator.rest_endpoint}/v1"
        body = {
            "parent": emulator.parent, "writeDisposition": "WRITE_TRUNCATE", "filter": wanted,
            "bigQueryDestination": {"projectId": PROJECT, "dataset": DATASET, "table": "insights"},
        }  # fmt: skip
        made = requests.post(f"{url}/{emulator.parent}/insightsdata:export", json=body, timeout=60)
        emulator.control.advance(1)
        operation = requests.get(f"{url}/{made.json()['name']}", timeout=60).json()
        assert (operation["done"], operation.get("error")) == (True, None)
        job = warehouse.query(merge, timeout=30)
        job.result(timeout=30)
        return job.num_dml_affected_rows

    with own_emulator(
        tmp_path, ci_objects, bigquery_endpoint=stack.endpoints["bigquery_endpoint"],
        project_id=PROJECT, export_version=EXPORT_VERSIONS[-1],
    ) as emulator:  # fmt: skip
        names = [create(emulator, ci_objects, f"call-{number}").name for number in range(3)]
        for name in names:
            emulator.client.create_analysis(parent=name, analysis={}).result(timeout=30)
        export(emulator, "insights")
        empty = (
            f"create or replace table `{final}` as select {columns} from `{staging}` where false"
        )
        warehouse.query(empty, timeout=30).result(timeout=30)
        merged = [run_once(emulator, 'latest_analysis:"*"')]
        (row,) = warehouse.query(newest, timeout=30).result(timeout=30)
        since = dt.datetime.fromtimestamp(row["at"], dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        wanted = f'latest_analysis:"*" update_time > "{since}"'
        merged.append(run_once(emulator, wanted))
        emulator.control.advance(5)
        emulator.client.update_conversation(
            conversation={"name": names[1], "agent_id": "new"}, update_mask={"paths": ["agent_id"]}
        )
        merged += [run_once(emulator, wanted), run_once(emulator, wanted)]
    assert merged == [3, 0, 1, 0]
    assert [row["conversationName"] for row in rows(warehouse, "appended")] == names
