"""Conversations that another team made in Insights, of the same id as ours or of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, storage
from google.cloud import contact_center_insights_v1 as insights
from google.cloud.contact_center_insights_v1.services.contact_center_insights import transports
from push_command import REPOSITORY, Command, difference, ended, left_on, rows
from stack_fixture import Stack

from ingest.flows.matchers import read_definitions
from ingest.gcp.bigquery import bigquery_client
from tests.fakes.folders import transcription, write

pytestmark = pytest.mark.stack
TALK = (
    "Billing team, good morning.",
    "My invoice shows a plan I never ordered.",
    "I can take that off for you right now.",
    "Lovely, thanks.",
)


class Team:
    """Another team, that uses Insights without this pipeline."""

    def __init__(self, stack: Stack) -> None:
        settings = stack.settings
        self._channel = grpc.insecure_channel(str(settings.insights_endpoint))
        self._client = insights.ContactCenterInsightsClient(
            transport=transports.ContactCenterInsightsGrpcTransport(channel=self._channel)
        )
        self._parent = f"projects/{settings.project_id}/locations/{settings.location}"
        objects = storage.Client(
            settings.project_id,
            AnonymousCredentials(),
            client_options={"api_endpoint": settings.gcs_endpoint},
        )
        self._bucket = objects.bucket(settings.bucket)

    def close(self) -> None:
        self._channel.close()

    def make(self, id_: str, analyses: int = 3, talk: Sequence[str] = TALK) -> None:
        """Make a conversation of this talk, and analyse it."""
        entries = [
            {
                "role": ("AGENT", "CUSTOMER")[place % 2],
                "text": text,
                "user_id": (2, 1)[place % 2],
                "start_timestamp_usec": (1_766_892_000 + 7 * place) * 1_000_000,
            }
            for place, text in enumerate(talk)
        ]
        blob = self._bucket.blob(f"another-team/{id_}.json")
        blob.upload_from_string(json.dumps({"entries": entries}))
        uri = f"gs://{self._bucket.name}/{blob.name}"
        conversation = insights.Conversation(
            data_source=insights.ConversationDataSource(
                gcs_source=insights.GcsSource(transcript_uri=uri)
            ),
            labels={"owner": "crm"},
        )
        self._client.create_conversation(
            request={
                "parent": self._parent,
                "conversation_id": id_,
                "conversation": conversation,
            }
        )
        for _ in range(analyses):
            self._client.create_analysis(
                parent=self._name(id_), analysis=insights.Analysis()
            ).result(timeout=60)

    def held(self, id_: str) -> tuple[str, dict[str, str], list[str]]:
        """Return transcript, labels and analyses, newest first."""
        found = self._client.get_conversation(name=self._name(id_))
        listed = self._client.list_analyses(parent=self._name(id_))
        names = [a.name for a in sorted(listed, key=lambda a: a.create_time, reverse=True)]
        return found.data_source.gcs_source.transcript_uri, dict(found.labels), names

    def put(self, name: str, content: bytes) -> str:
        """Write an object, and return its address."""
        self._bucket.blob(name).upload_from_string(content)
        return f"gs://{self._bucket.name}/{name}"

    def _name(self, id_: str) -> str:
        return f"{self._parent}/conversations/{id_}"


@pytest.fixture
def team(stack: Stack) -> Iterator[Team]:
    found = Team(stack)
    yield found
    found.close()


@pytest.fixture
def command(stack: Stack) -> Command:
    return Command(stack)


def failures(report: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(f["conversation_id"], f["step"], f["code"]) for f in report["failures"]]


def test_push_leaves_a_conversation_of_others_alone_until_it_is_told(
    command: Command, team: Team, tmp_path: Path
) -> None:
    id_ = "foreign-call-0001"
    team.make(id_)
    before = team.held(id_)
    write(tmp_path, id_, transcription=transcription(id_, *TALK))

    refused = command.push(tmp_path)
    after_refusal = team.held(id_)
    adopted = command.push(tmp_path, "--adopt")
    uri, labels, names = team.held(id_)

    assert (refused.exit_code, failures(refused.report)) == (
        1,
        [(id_, "submit", "FOREIGN_CONVERSATION")],
    )
    assert (
        f"from gs://{command.stack.settings.bucket}/another-team/, with labels owner"
        in (refused.report["failures"][0]["message"])
    )
    assert after_refusal == before
    assert (adopted.exit_code, adopted.states) == (0, {"done": 1})
    assert (uri, labels["owner"], labels["medium"]) == (before[0], "crm", "PHONE_CALL")
    assert names[-3:] == before[2]


def test_a_replaced_conversation_has_all_its_analyses_landed(
    command: Command, team: Team, tmp_path: Path
) -> None:
    id_ = "foreign-call-0002"
    team.make(id_)
    _, _, theirs = team.held(id_)
    write(tmp_path, id_)

    other_words = command.push(tmp_path, "--adopt")
    replaced = command.push(tmp_path, "--replace")

    _, labels, names = team.held(id_)
    landed = rows(
        command,
        "select analysis_name, json_value(payload, '$.latestAnalysis.name') as named "
        "from {ci_conversations} where _landed_at >= timestamp('2000-01-01') "
        "and conversation_id = @id_",
        id_=id_,
    )
    assert failures(other_words.report) == [(id_, "submit", "FOREIGN_CONVERSATION")]
    assert replaced.exit_code == 0
    assert "owner" not in labels
    assert sorted(row["analysis_name"] for row in landed) == sorted([*theirs, *names])
    assert all(row["analysis_name"] == row["named"] for row in landed)


EARLIER = "earlier_pipeline"
SAMPLE = REPOSITORY / "tests" / "fixtures" / "foreign_transcripts" / "cc-coach"


def earlier_id(number: int) -> str:
    return f"9c2b7f1e-4d0a-4a63-8f7e-0b5f3f0d2a{number:02}"


def _earlier_row(team: Team, number: int, **changes: str | None) -> dict[str, Any]:
    """Put the files of a conversation of the earlier pipeline, and return its registry row."""
    id_ = earlier_id(number)
    uris = {}
    for kind, column in (
        ("metadata", "metadata_uri_raw"),
        ("transcription", "transcript_uri_raw"),
    ):
        content = json.loads((SAMPLE / f"{kind}.json").read_text())
        name = f"earlier/2026-01-06/{id_}/{kind}.json"
        uris[column] = team.put(name, json.dumps(content | {"conversation_id": id_}).encode())
    name = f"projects/1/locations/us-central1/conversations/{id_}"
    return {"conversation_id": id_, "ci_conversation_name": name, **uris, **changes}


def _earlier_tables(stack: Stack, registry: list[dict[str, Any]], exported: list[str]) -> None:
    settings = stack.settings
    client = bigquery_client(settings)
    client.create_dataset(EARLIER)
    for table, rows_ in (
        ("conversation_registry", registry),
        ("ci_enrichment", [{"conversation_id": id_} for id_ in exported]),
    ):
        columns = [bigquery.SchemaField(name, "STRING") for name in rows_[0]]
        config = bigquery.LoadJobConfig(schema=columns)
        full_name = f"{settings.project_id}.{EARLIER}.{table}"
        client.load_table_from_json(rows_, full_name, job_config=config).result(timeout=60)
    client.close()


def test_what_the_earlier_pipeline_made_is_adopted_once_and_the_rest_is_named(
    command: Command, team: Team
) -> None:
    said = [
        turn["text"] for turn in json.loads((SAMPLE / "transcription.json").read_text())["turns"]
    ]
    adopted, differs, gone, lost, unsent = map(earlier_id, range(5))
    team.make(adopted, analyses=1, talk=said)
    team.make(differs, analyses=1)
    team.make(lost, analyses=1, talk=said)
    good = _earlier_row(team, 0)
    registry = [
        good,
        good,
        _earlier_row(team, 1),
        _earlier_row(team, 2),
        _earlier_row(team, 3, metadata_uri_raw=f"gs://{command.stack.settings.bucket}/nothing"),
        _earlier_row(team, 4, ci_conversation_name=None),
    ]
    _earlier_tables(command.stack, registry, [adopted, adopted, "elsewhere-0001"])
    migrate = ("migrate", "cc-coach", "--dataset", EARLIER, "--json")
    before = team.held(adopted), team.held(differs)
    start = left_on(command)

    planned = command.run(*migrate, "--dry-run")
    middle = left_on(command)
    first = command.run(*migrate)
    end = left_on(command)
    again = command.run(*migrate)

    _, labels, names = team.held(adopted)
    marks = rows(
        command,
        "select analysis_name, json_value(payload, '$.labels.earlier_call_outcome') as outcome "
        "from {ci_conversations} where _landed_at >= timestamp('2000-01-01') "
        "and conversation_id = @id_",
        id_=adopted,
    )
    assert (planned.exit_code, difference(start, middle)) == (1, {})
    assert (first.exit_code, first.states, failures(first.report)) == (
        1,
        {"done": 1, "failed": 1},
        [(differs, "submit", "FOREIGN_CONVERSATION")],
    )
    assert first.report["duplicates"] == [
        {"table": "conversation_registry", "id": adopted, "rows": 2},
        {"table": "ci_enrichment", "id": adopted, "rows": 2},
    ]
    assert [(each["table"], each["id"], each["reason"]) for each in first.report["unplaced"]] == [
        ("conversation_registry", unsent, "it never came to Insights"),
        ("ci_enrichment", "elsewhere-0001", "conversation_registry has no row of it"),
        ("conversation_registry", gone, "Insights no longer holds it"),
        ("conversation_registry", lost, "the file of its metadata_uri_raw is gone"),
    ]
    assert difference(middle, end)["ci_conversations"] == 1
    assert "CreateAnalysis" not in difference(middle, end)
    assert (labels["owner"], labels["call_outcome"]) == ("crm", "INFORMATION_GIVEN")
    assert (names, team.held(differs)) == (before[0][2], before[1])
    assert marks == [{"analysis_name": names[0], "outcome": "RESOLVED_WITH_ACTION"}]
    assert (again.exit_code, again.states) == (1, {"unchanged": 1, "failed": 1})
    assert (again.report["unplaced"], difference(end, left_on(command))) == (
        first.report["unplaced"],
        {"pipeline_events": 1},
    )


def test_a_dataset_without_the_two_tables_is_a_usage_error(command: Command) -> None:
    refused = command.run("migrate", "cc-coach", "--dataset", "coach_raw")

    assert (refused.exit_code, refused.stderr.splitlines()[-2:]) == (
        2,
        [
            "error: coach_raw.conversation_registry: no such table",
            "hint:  name the dataset of the earlier pipeline's tables",
        ],
    )


def undated(command: Command) -> list[int]:
    """Return how many without a date are submitted, analysed and waiting, as `status` counts."""
    dates = command.run("status", "--json").report["dates"]
    counts = [date for date in dates if date["batch_date"] is None]
    return [sum(date[stage] for date in counts) for stage in ("submitted", "analysed", "waiting")]


def test_what_a_pull_found_is_counted_and_changed_only_where_it_is_told(
    command: Command, team: Team
) -> None:
    id_ = "found-call-0001"
    team.make(id_, analyses=1)
    before = team.held(id_)
    found_before = undated(command)

    pulled = command.run("pull", "--ids", id_, "--json")
    found = undated(command)
    reanalyzed = command.run("reanalyze", id_, "--yes", "--json")
    refused = command.run("forget", id_, "--yes")
    untouched = team.held(id_)
    why = command.run("why", id_)
    forgotten = command.run("forget", id_, "--yes", "--include-foreign", "--json")

    assert pulled.exit_code == 0, pulled.stderr
    assert pulled.states == {"done": 1}
    assert [now - then for now, then in zip(found, found_before, strict=True)] == [1, 1, 0]
    assert (reanalyzed.exit_code, failures(reanalyzed.report)) == (
        1,
        [(id_, "analyse", "FOREIGN_CONVERSATION")],
    )
    assert refused.exit_code == 2
    assert "add --include-foreign if it is to be erased too" in refused.stderr
    assert untouched == before
    assert why.exit_code == 0
    assert (forgotten.exit_code, forgotten.report["after"]["ci_conversations"]) == (0, 0)


_REVISIONS = """
select matcher_id, revision_id, count(*) as times
from {phrase_matchers}
where _landed_at >= timestamp('2000-01-01')
group by matcher_id, revision_id
"""


def test_two_applies_of_matchers_at_once_end_with_one_of_each(command: Command) -> None:
    # Others share this stack: what they left in Insights or in the raw table isn't counted.
    command.run("matchers", "destroy", "--yes")
    before = {(row["matcher_id"], row["revision_id"]) for row in rows(command, _REVISIONS)}

    both = [command.start("matchers", "apply", "--json") for _ in range(2)]
    results = [ended(process) for process in both]

    held = command.run("matchers", "list", "--json").report
    wanted = {definition.display_name for definition in read_definitions(Path("seeds"))}
    names = [name for matcher in held if (name := matcher["display_name"]) in wanted]
    again = command.run("matchers", "plan", "--exit-code", "--json")

    landed = [
        row["times"]
        for row in rows(command, _REVISIONS)
        if (row["matcher_id"], row["revision_id"]) not in before
    ]

    assert [result.exit_code for result in results] == [0, 0]
    assert landed == [1] * len(wanted)
    assert sorted(names) == sorted(wanted)
    assert again.exit_code == 0
