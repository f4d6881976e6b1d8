"""Whatever a service acknowledged is there after every process of the stack was killed."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, storage
from google.cloud import contact_center_insights_v1 as insights
from google.cloud.contact_center_insights_v1.services.contact_center_insights.transports import (
    ContactCenterInsightsGrpcTransport,
)
from grpc import insecure_channel
from requests.exceptions import RequestException
from stack_fixture import print_nothing

from ingest.cli.local import run_first_steps
from ingest.local import stack as local_stack
from ingest.local.layout import Layout, Service
from ingest.local.processes import processes_of, still_alive
from ingest.settings import Settings

pytestmark = [pytest.mark.stack, pytest.mark.chaos]

ACKNOWLEDGED_BEFORE_THE_KILL = 6
DEADLINE_SEC = 60
CALL = {"timeout": 10, "retry": None}
TRANSCRIPT = json.dumps(
    {
        "entries": [
            {
                "text": "Hello",
                "role": "AGENT",
                "user_id": 2,
                "start_timestamp_usec": 1_000_000,
            },
            {
                "text": "Hi there",
                "role": "CUSTOMER",
                "user_id": 1,
                "start_timestamp_usec": 3_000_000,
            },
        ]
    }
)


class Clients:
    """The three official clients on one stack."""

    def __init__(self, settings: Settings) -> None:
        options = {"project": settings.project_id, "credentials": AnonymousCredentials()}
        self.storage = storage.Client(
            client_options={"api_endpoint": settings.gcs_endpoint}, **options
        )
        self.bigquery = bigquery.Client(
            client_options={"api_endpoint": settings.bigquery_endpoint}, **options
        )
        channel = insecure_channel(settings.insights_endpoint)
        self.insights = insights.ContactCenterInsightsClient(
            transport=ContactCenterInsightsGrpcTransport(channel=channel)
        )
        self.bucket = self.storage.bucket(settings.bucket)
        self.table = f"{settings.project_id}.{settings.marts_dataset}.numbers"
        self.parent = f"projects/{settings.project_id}/locations/{settings.location}"

    def put_object(self, number: int) -> None:
        self.bucket.blob(f"numbers/{number}").upload_from_string(str(number), **CALL)

    def load_row(self, number: int) -> None:
        config = bigquery.LoadJobConfig(source_format="NEWLINE_DELIMITED_JSON")
        name = f"_landing/{number}.json"
        self.bucket.blob(name).upload_from_string(json.dumps({"number": number}), **CALL)
        self.bigquery.load_table_from_uri(
            f"gs://{self.bucket.name}/{name}",
            self.table,
            job_id=f"land-{number}",
            job_config=config,
            **CALL,
        ).result(**CALL)

    def create_conversation(self, number: int) -> None:
        uri = f"gs://{self.bucket.name}/transcript.json"
        source = insights.ConversationDataSource(gcs_source=insights.GcsSource(transcript_uri=uri))
        request = insights.CreateConversationRequest(
            parent=self.parent,
            conversation_id=f"conversation-{number}",
            conversation=insights.Conversation(data_source=source, medium="PHONE_CALL"),
        )
        self.insights.create_conversation(request, **CALL)

    def kept(self) -> dict[str, set[int]]:
        query = f"select number from `{self.table}`"
        rows = list(self.bigquery.query(query, timeout=10).result(**CALL))
        assert len(rows) == len({row.number for row in rows}), "a batch landed twice"
        conversations = self.insights.list_conversations(parent=self.parent, **CALL)
        return {
            "put_object": {
                int(blob.download_as_bytes(**CALL))
                for blob in self.bucket.list_blobs(prefix="numbers/", **CALL)
            },
            "load_row": {row.number for row in rows},
            "create_conversation": {
                int(conversation.name.rpartition("-")[2]) for conversation in conversations
            },
        }


@pytest.fixture
def layout(tmp_path: Path, stack_port_bases: Iterator[int]) -> Iterator[Layout]:
    layout = Layout(tmp_path / "data", next(stack_port_bases))
    yield layout
    local_stack.down(layout, print_nothing)


def test_acknowledged_data_is_there_after_everything_was_killed(layout: Layout) -> None:
    clients = Clients(start(layout))
    clients.bucket.blob("transcript.json").upload_from_string(TRANSCRIPT, **CALL)
    schema = [bigquery.SchemaField("number", "INTEGER", "REQUIRED")]
    clients.bigquery.create_table(bigquery.Table(clients.table, schema=schema), timeout=10)

    acknowledged = write_until_killed(clients, lambda: kill_everything(layout))
    kept = Clients(start(layout)).kept()

    assert {name: numbers - kept[name] for name, numbers in acknowledged.items()} == {
        "put_object": set(),
        "load_row": set(),
        "create_conversation": set(),
    }


def start(layout: Layout) -> Settings:
    state = local_stack.up(layout, list(Service), print_nothing, ends_with_caller=True)
    return run_first_steps(layout, state, print_nothing)


def kill_everything(layout: Layout) -> None:
    processes = processes_of(layout.data_dir)
    # The supervisor, three emulators, and the annotators of the one of Insights.
    assert len(processes) == 5
    # Held first: a child that hears of its parent's death would end in its own, kinder way.
    for signal_number in (signal.SIGSTOP, signal.SIGKILL):
        for process in reversed(processes):
            os.kill(process.pid, signal_number)
    assert still_alive(processes, deadline_sec=10) == []


def write_until_killed(clients: Clients, kill: Callable[[], None]) -> dict[str, set[int]]:
    """Write numbers through each client until its service is gone; return the acknowledged."""
    acknowledged: dict[str, set[int]] = {}
    threads, enough = [], []
    for write in (clients.put_object, clients.load_row, clients.create_conversation):
        numbers: set[int] = set()
        reached = threading.Event()
        acknowledged[write.__name__] = numbers
        enough.append(reached)
        threads.append(threading.Thread(target=write_on, args=(write, numbers, reached)))
    for thread in threads:
        thread.start()
    try:
        assert all(reached.wait(DEADLINE_SEC) for reached in enough)
    finally:
        kill()
        for thread in threads:
            thread.join(DEADLINE_SEC)
    assert not any(thread.is_alive() for thread in threads)
    return acknowledged


def write_on(write: Callable[[int], None], done: set[int], reached: threading.Event) -> None:
    for number in range(1_000_000):
        try:
            write(number)
        except (exceptions.GoogleAPICallError, RequestException, ConnectionError):
            return
        done.add(number)
        if len(done) >= ACKNOWLEDGED_BEFORE_THE_KILL:
            reached.set()
