"""What the emulator's own tests share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from google.cloud import contact_center_insights_v1 as insights

from ingest.emulator.control_client import Control
from ingest.emulator.options import EmulatorOptions
from ingest.emulator.pytest_plugin import PROJECT_NUMBER, RunningEmulator, insights_client
from ingest.emulator.testing import EmulatorThread, ObjectServer

BUCKET = "test-bucket"
TALK = [("AGENT", "Hello, can you confirm your date of birth?"), ("CUSTOMER", "I lost my job.")]


def create(
    emulator: RunningEmulator, objects: ObjectServer, conversation_id: str = "", **fields: Any
) -> insights.Conversation:
    """Create a conversation of two turns."""
    uri = objects.put_turns(BUCKET, f"{conversation_id or 'any'}.json", TALK)
    source = {"gcs_source": {"transcript_uri": uri}}
    return emulator.client.create_conversation(
        insights.CreateConversationRequest(
            parent=emulator.parent,
            conversation_id=conversation_id,
            conversation=insights.Conversation(data_source=source, **fields),
        )
    )


@contextmanager
def own_emulator(
    data_dir: Path, objects: ObjectServer, **options: Any
) -> Iterator[RunningEmulator]:
    """Yield an emulator with options of its own."""
    chosen = {
        "data_dir": data_dir, "gcs_endpoint": objects.endpoint, "project_number": PROJECT_NUMBER
    }  # fmt: skip
    thread = EmulatorThread(EmulatorOptions(**{**chosen, **options}))
    with thread, Control(thread.address) as control:
        client = insights_client(thread.address)
        yield RunningEmulator(thread.address, client, control, thread.rest_endpoint)
        client.transport.close()


Answer = tuple[int, Any]
TIMEOUT_SEC = 30


def call(emulator: RunningEmulator, verb: str, path: str, body: Any = None, **more: Any) -> Answer:
    """Return status and JSON of a call below the location; `path` may begin with a slash."""
    url = f"{emulator.rest_endpoint}/v1/{emulator.parent}{path}"
    reply = requests.request(verb, url, json=body, timeout=TIMEOUT_SEC, **more)
    return reply.status_code, reply.json()


def refusal(answer: Answer) -> tuple[int, str, str]:
    """Return HTTP status, code and message of an error body."""
    status, content = answer
    error = content["error"]
    assert error["code"] == status
    return status, error["status"], error["message"]
