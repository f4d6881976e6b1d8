"""What the emulator's own tests share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
