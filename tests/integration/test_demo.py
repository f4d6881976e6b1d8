"""The main job, twice: push the dev conversations, build, compare every mart row by row."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, storage
from google.cloud import contact_center_insights_v1 as insights
from google.cloud.contact_center_insights_v1.services.contact_center_insights import transports
from output_checks import validator
from reading_beside import reading

from ingest.cli.coach import text_of
from ingest.cli.local import run_first_steps
from ingest.emulator.control_client import Control
from ingest.flows.coach import read_card
from ingest.flows.rubric import read_rubric_faults
from ingest.flows.rubric_impact import read_impact
from ingest.gcp.bigquery import BigQueryWarehouse
from ingest.local import stack as local_stack
from ingest.local.layout import Layout, Service
from ingest.settings import Settings
from tests.warehouse.dbt_runs import DbtProject
from tests.warehouse.raw_loading import client_for, create_raw_tables

pytestmark = pytest.mark.stack
REPOSITORY = Path(__file__).resolve().parents[2]
RUN_INGEST = "from ingest.cli import main; main()"
DATE_FOLDER = REPOSITORY / "seeds/conversations/2025-12-28"
QUESTIONS = re.findall(
    r"^### ([^\n]+)\n+```sql\n(.*?)```",
    (REPOSITORY / "dbt_project" / "QUESTIONS.md").read_text("utf-8"),
    re.MULTILINE | re.DOTALL,
)
BUILD = ("--warn-error", "build", "--exclude", "resource_type:unit_test")
"""The demo's; test_sent_statements.py runs dbt's unit tests."""
_TABLE = re.compile(r"coach\.(\w+)")
READING = (
    "status",
    "health",
    "report",
    "ls raw",
    "ls marts",
    "bq tables",
    f"show {sorted(path.name for path in DATE_FOLDER.iterdir())[0]}",
)
OF_NEW_TABLES = {"bq tables"}
"""It shows sizes."""
RAW_TABLES = (
    "conversation_files",
    "ci_conversations",
    "pipeline_events",
    "phrase_matchers",
    "conversation_truths",
    "feedback_labels",
)


README_OF_DBT = (REPOSITORY / "dbt_project" / "README.md").read_text("utf-8")
SHOWN_CARDS = (
    "77d34f94-795d-40fa-8d20-d5ce43b8a47b",
    "93d76216-1e5a-4e03-acf0-ce9233505659",
    "90b88bdf-bbcf-42fd-97f7-bf1170820284",
)


def reviewed_cards() -> dict[str, tuple[str, str]]:
    """Return what a team leader says: checks missed and passed, by conversation."""
    with (REPOSITORY / "tests/fixtures/coaching_reviewed.csv").open(encoding="utf-8") as file:
        return {
            row["conversation_id"]: (row["misses"], row["strengths"])
            for row in csv.DictReader(file)
        }


def misses_and_strengths(checks: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return the same of the rows of the mart."""
    found: dict[tuple[str, str], list[str]] = {}
    for check in map(json.loads, checks):
        found.setdefault((check["conversation_id"], check["verdict"]), []).append(check["check_id"])
    return {
        conversation: (
            "|".join(sorted(found.get((conversation, "fail"), ()))),
            "|".join(sorted(found.get((conversation, "pass"), ()))),
        )
        for conversation, _ in found
    }


SCORED = f"""
insert into coach.ci_qa_results
    (qa_result_id, scorecard_id, conversation_id, batch_date, scored_at, answers)
select
    qa_result_id, 'call-quality', conversation_id, date '2025-12-28',
    timestamp '2025-12-28', [struct(
    'projects/p/qaQuestions/recording-notice' as question_name, 'Was it said?' as question_body,
    answer_key as answer_key, cast(null as string) as text_value,
    cast(null as float64) as number_value, cast(null as bool) as bool_value,
    is_na as is_na, score as score, 1.0 as potential_score,
    score as normalized_score, cast([] as array<string>) as tags,
    cast([] as array<struct<
        source_type string, answer_key string, text_value string, number_value float64,
        bool_value bool, is_na bool, score float64, potential_score float64,
        normalized_score float64
    >>) as sources
)]
from unnest([
    struct('r1' as qa_result_id, '{SHOWN_CARDS[0]}' as conversation_id, 'no' as answer_key,
           false as is_na, 0.0 as score),
    struct('r2', '{SHOWN_CARDS[1]}', 'yes', false, 1.0),
    struct('r3', '{SHOWN_CARDS[2]}', 'na', true, null)
])
"""
"""Answers to a question of which the demo's Insights has no active scorecard."""


@dataclass(frozen=True)
class Snapshot:
    """Everything that a push and a build may change."""

    objects: dict[str, int]
    raw_row_counts: dict[str, int]
    effects_in_ci: dict[str, int]
    marts: dict[str, list[str]]


@dataclass(frozen=True)
class Demo:
    """A stack of its own, and the two commands."""

    settings: Settings
    project: DbtProject

    def push(self) -> dict[str, Any]:
        return self._ingest("push", str(DATE_FOLDER), "--summarize")

    def land_truth(self) -> dict[str, Any]:
        return self._ingest("data", "land-truth", str(DATE_FOLDER))

    def coaching_report(self) -> dict[str, Any]:
        return self._ingest("data", "coaching-report", str(DATE_FOLDER))

    def pull_export(self, raw_dataset: str) -> dict[str, Any]:
        """Have Insights export everything, and land that in another raw dataset."""
        client = self.client
        table = f"{client.project}.native_export.conversations"
        client.create_dataset("native_export", timeout=60)
        client.create_table(bigquery.Table(table), timeout=60)
        channel = grpc.insecure_channel(str(self.settings.insights_endpoint))
        transport = transports.ContactCenterInsightsGrpcTransport(channel=channel)
        with channel:
            insights.ContactCenterInsightsClient(transport=transport).export_insights_data(
                {
                    "parent": f"projects/{client.project}/locations/{self.settings.location}",
                    "big_query_destination": {
                        "project_id": client.project,
                        "dataset": "native_export",
                        "table": "conversations",
                    },
                }
            ).result(timeout=120)
        create_raw_tables(client, raw_dataset)
        client.query_and_wait(
            f"insert into {raw_dataset}.phrase_matchers select * from coach_raw.phrase_matchers "
            "where _landed_at >= timestamp('2000-01-01')"
        )
        export = ("--export", "native_export.conversations")
        return self._ingest("pull", *export, raw_dataset=raw_dataset)

    def mart_rows(self, dataset: str, mart: str) -> dict[str, dict[str, Any]]:
        """Return the rows of a mart by what tells them apart in both ways of reading Insights."""
        found = self.client.query_and_wait(f"select to_json_string(m) from {dataset}.{mart} as m")
        rows = [json.loads(row[0]) for row in found]
        return {json.dumps([row[name] for name in KEYS[mart]]): row for row in rows}

    @property
    def environment(self) -> dict[str, str]:
        endpoints = {
            "INGEST_GCS_ENDPOINT": str(self.settings.gcs_endpoint),
            "INGEST_BIGQUERY_ENDPOINT": str(self.settings.bigquery_endpoint),
            "INGEST_INSIGHTS_ENDPOINT": str(self.settings.insights_endpoint),
        }
        return os.environ | endpoints

    def _ingest(self, *command: str, raw_dataset: str = "coach_raw") -> dict[str, Any]:
        finished = subprocess.run(
            [sys.executable, "-c", RUN_INGEST, *command, "--json"],
            env=self.environment | {"INGEST_RAW_DATASET": raw_dataset},
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
        report: dict[str, Any] = json.loads(finished.stdout)
        return report

    @property
    def client(self) -> bigquery.Client:
        return client_for(str(self.settings.bigquery_endpoint))

    def rows(self, sql: str) -> list[Any]:
        return list(self.client.query_and_wait(sql))

    def cards(self) -> dict[str, dict[str, Any]]:
        found = self.rows("select to_json_string(card) from coach.coaching_cards as card")
        return {card["conversation_id"]: card for card in (json.loads(row[0]) for row in found)}

    def snapshot(self) -> Snapshot:
        client = self.client
        buckets = storage.Client(
            project=self.settings.project_id,
            credentials=AnonymousCredentials(),
            client_options=ClientOptions(api_endpoint=self.settings.gcs_endpoint),
        )
        with Control(str(self.settings.insights_endpoint)) as control:
            calls = control.calls()
        counted = {
            table: next(
                iter(
                    client.query_and_wait(
                        f"select count(*) from coach_raw.{table} "
                        "where _landed_at >= timestamp('2000-01-01')"
                    )
                )
            )[0]
            for table in RAW_TABLES
        }
        marts = {
            table.table_id: sorted(
                row[0]
                for row in client.query_and_wait(
                    f"select to_json_string(mart) from coach.{table.table_id} as mart"
                )
            )
            for table in client.list_tables("coach")
        }
        objects = {blob.name: blob.generation for blob in buckets.list_blobs(self.settings.bucket)}
        written = ("CreateConversation", "UpdateConversation", "CreateAnalysis")
        effects = {method: calls.get(method, {}).get("OK", 0) for method in written}
        return Snapshot(objects, counted, effects, marts)


@pytest.fixture(scope="module")
def demo(
    tmp_path_factory: pytest.TempPathFactory, stack_port_bases: Iterator[int]
) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    layout = Layout(folder / "stack", next(stack_port_bases))
    state = local_stack.up(layout, list(Service), lambda _: None, ends_with_caller=True)
    try:
        settings = run_first_steps(layout, state, lambda _: None)
        yield Demo(settings, DbtProject(folder, str(settings.bigquery_endpoint)))
    finally:
        local_stack.down(layout, lambda _: None)


def test_the_second_push_and_build_change_nothing(demo: Demo) -> None:
    first_report = demo.push()
    truths = demo.land_truth()
    demo.project.run(*BUILD)
    first = demo.snapshot()

    second_report = demo.push()
    with reading(READING, demo.environment) as seen:
        demo.project.run("--warn-error", "run")  # the tests would ask the same rows again
    second = demo.snapshot()

    assert first_report["states"]["done"] == 24
    assert truths["landed"] == 24
    assert second_report["states"]["unchanged"] == 24
    assert second_report["effects"] == {}
    assert first.effects_in_ci == {
        "CreateConversation": 24,
        "UpdateConversation": 0,
        "CreateAnalysis": 24,
    }
    registry = [json.loads(row) for row in first.marts["conversation_registry_current"]]
    assert [row["status"] for row in registry] == ["analysed"] * 24
    empty = {name for name, rows in first.marts.items() if not rows}
    assert empty == {
        "analysis_changes",  # nothing re-analysed,
        "conversation_custom_values",  # no field of one's own,
        "refused_conversations",  # and nothing is odd
        "quarantined_conversations",
        "ci_qa_results",  # no scorecard is active,
        "ci_qa_answers",
        "ci_topics",  # no topic model deployed,
        "topic_daily",
        "ci_feedback_labels",  # and nobody has labelled
        "qa_agreement",
    }
    quality = [json.loads(row) for row in first.marts["phrase_matcher_evaluation"]]
    assert [(row["f1_share"], row["judged_conversation_count"]) for row in quality] == [(1, 24)] * 5
    assert second == first
    # Who reads while the build replaces its tables meets no fault and no half table.
    assert seen.rounds > 1
    assert {command for command, told in seen.answers.items() if len(told) > 1} <= OF_NEW_TABLES
    every = [one for told in seen.answers.values() for one in told]
    assert [one for one in every if "__dbt" in one or one[0] not in "{["] == []
    assert misses_and_strengths(first.marts["coaching_checks"]) == reviewed_cards()
    shown = [text_of(read_card(BigQueryWarehouse(demo.settings), card), 80) for card in SHOWN_CARDS]
    assert [card for card in shown if card not in README_OF_DBT] == []
    report = demo.coaching_report()
    validator("data_coaching_report").validate(report)
    measures = [list(check.values())[3:7] for check in report.pop("checks")]
    assert {value for measure in measures for value in measure} == {1.0, None}
    assert report == {
        "conversations": 24,
        "quotes_astray": 0,
        "versions_astray": 0,
        "not_due": 0,
    }
    answers = {question: demo.rows(sql) for question, sql in QUESTIONS}
    assert [question for question, rows in answers.items() if not rows] == []


def test_a_model_words_cards_only_where_it_is_named_and_quotes_what_was_said(demo: Demo) -> None:
    named = {"coaching_wording_model": "gemini-2.5-flash"}
    project = replace(demo.project, variables=named)
    wording = ("--select", "coaching_recorded_words", "coaching_wording")
    assert "coaching_wording" not in demo.snapshot().marts

    project.run("build", *wording)
    project.run("build", *wording)

    rows = demo.rows("select * from coach.coaching_wording order by conversation_id")
    cards = demo.cards()
    assert [row["conversation_id"] for row in rows] == sorted(SHOWN_CARDS)
    for row in rows:
        assert row["judgement_sha256"] == cards[row["conversation_id"]]["judgement_sha256"]
        assert row["model_name"] == "gemini-2.5-flash"
        tokens = row["input_token_count"] * 0.30 + row["output_token_count"] * 2.50
        assert row["cost_usd"] == pytest.approx(tokens / 1_000_000)
    demo.rows("update coach.coaching_wording set text = 'You said «never».' where true")
    with pytest.raises(AssertionError, match="quotes_coaching_wording_text"):
        project.run("test", "--select", "coaching_wording")


def test_the_plan_of_an_edited_rule_names_exactly_the_cards_that_change(
    demo: Demo, tmp_path: Path
) -> None:
    """The edit asks for the purpose of a collection call before turn 9 and not anywhere, and for
    an answer to a scorecard's question in place of a count of interruptions."""
    for seed in (REPOSITORY / "seeds").glob("*.csv"):
        shutil.copy(seed, tmp_path)
    rubric = tmp_path / "coaching_rubric.csv"
    old = "disclosure_said,required_disclosures.collection_purpose,,,,"
    new = "said_before_turn,required_disclosures.collection_purpose,,,9,"
    measured = ",interruptions_at_most,,,,2,"
    scored = ",qa_score_at_least,,,call-quality.recording-notice,1,"
    edited = rubric.read_text("utf-8").replace(old, new).replace(measured, scored)
    assert new in edited
    assert scored in edited
    project_file = REPOSITORY / "dbt_project.yml"
    warehouse = BigQueryWarehouse(demo.settings)
    before = demo.cards()

    unedited = read_impact(warehouse, tmp_path, project_file)
    demo.rows(SCORED)
    rubric.write_text(edited, encoding="utf-8")
    assert read_rubric_faults(tmp_path, project_file) == ()
    planned = read_impact(warehouse, tmp_path, project_file)
    demo.rows(
        "update coach_staging.coaching_rubric set rule = 'said_before_turn', limit_value = 9 "
        "where check_id = 'collection_purpose'"
    )
    demo.rows(
        "update coach_staging.coaching_rubric set rule = 'qa_score_at_least', limit_value = 1, "
        "subject = 'call-quality.recording-notice' where check_id = 'interruptions'"
    )
    demo.project.run("run", "--select", "coaching_checks", "coaching_cards")
    after = demo.cards()

    assert (unedited.checks, unedited.card_count) == ((), 24)
    assert {each.conversation_id for each in planned.checks} == differing(before, after)
    assert {each.conversation_id for each in planned.checks if each.is_changed} == differing(
        before, after, "judgement_sha256"
    )
    assert (planned.changed_card_count, planned.rejudged_card_count) == (
        len(differing(before, after, "judgement_sha256")),
        len(differing(before, after, "rubric_sha256")),
    )
    assert 0 < planned.changed_card_count < planned.rejudged_card_count == 24
    answered = demo.rows(
        "select conversation_id, verdict, measured_value, qa_answer, qa_answer_id is null "
        "from coach.coaching_checks where rule = 'qa_score_at_least' and verdict != "
        "'not_applicable' order by verdict"
    )
    assert [tuple(row) for row in answered] == [
        (SHOWN_CARDS[0], "fail", 0.0, "no", False),
        (SHOWN_CARDS[1], "pass", 1.0, "yes", False),
    ]


def differing(
    before: Mapping[str, Mapping[str, Any]],
    after: Mapping[str, Mapping[str, Any]],
    column: str | None = None,
) -> set[str]:
    """Return the keys whose rows differ, in the column or in any."""
    return {
        key
        for key in before | after
        if (
            before[key] != after[key]
            if column is None
            else before[key][column] != after[key][column]
        )
    }


def test_the_readme_names_the_tables_that_answer_each_question() -> None:
    readme = (REPOSITORY / "README.md").read_text("utf-8")
    _, _, section = readme.partition("## Which table answers my question\n")
    told = re.findall(r"^\| (.+\?) \| (.+) \|$", section.partition("\n## ")[0], re.MULTILINE)

    assert len(QUESTIONS) == 22
    assert told == [
        (question, ", ".join(f"`{name}`" for name in dict.fromkeys(_TABLE.findall(sql))))
        for question, sql in QUESTIONS
    ]


KEYS = {
    "ci_conversations": ("conversation_id",),
    "ci_analyses": ("conversation_id",),
    "ci_turns": ("turn_id",),
    "ci_entities": ("entity_id",),
    "ci_highlights": ("turn_id", "intent_id"),
    "ci_phrase_matches": ("phrase_match_id",),
    "ci_summaries": ("conversation_id",),
}
EXPORT_LACKS = {
    "ci_conversations": {
        "agent_name",
        "agent_site",
        "agent_team",
        "analysed_at",
        "analysis_id",
        "analysis_requested_at",
        "annotator_profile_sha256",
        "ci_created_at",
        "ci_transcript_uri",
        "ci_updated_at",
        "landed_at",
        "payload_sha256",
    },
    "ci_analyses": {
        "analysed_at",
        "analysis_id",
        "analysis_requested_at",
        "annotator_profile_sha256",
        "landed_at",
        "latency_sec",
    },
    "ci_turns": {"analysis_id", "landed_at", "payload_sha256"},
    "ci_entities": {
        "analysis_id",
        "first_turn_index",
        "landed_at",
        "mention_count",
        "payload_sha256",
    },
    "ci_highlights": {
        "analysis_id",
        "end_word_index",
        "highlight_id",
        "landed_at",
        "payload_sha256",
        "start_word_index",
    },
    "ci_phrase_matches": {"analysis_id", "landed_at", "payload_sha256"},
    "ci_summaries": {"landed_at", "payload_sha256"},
}
"""What dbt_project/README.md says that an export lacks, of a stack that exports version 3."""


def test_an_export_gives_the_marts_of_a_pull_but_for_what_it_lacks(
    demo: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = demo.pull_export("exported_raw")
    monkeypatch.setenv("INGEST_RAW_DATASET", "exported_raw")
    project = replace(demo.project, dataset="exported", is_lean=True)
    wanted = [f"+{mart}" for mart in KEYS]
    skipped = ("resource_type:test", "resource_type:unit_test")
    project.run("build", "--select", *wanted, "--exclude", *skipped)

    differing: dict[str, set[str]] = {}
    for mart in KEYS:
        ours, theirs = demo.mart_rows("coach", mart), demo.mart_rows("exported", mart)
        assert (mart, sorted(theirs)) == (mart, sorted(ours))
        differing[mart] = {
            name for key, row in ours.items() for name in row if row[name] != theirs[key][name]
        }
    assert report["states"]["done"] == 24
    assert differing == EXPORT_LACKS
