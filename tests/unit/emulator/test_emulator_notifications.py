"""Notifications: what is published when, to which topic, and what becomes of failures."""

from __future__ import annotations

import base64
import json
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from emulator_cases import BUCKET, TALK, create, own_emulator
from google.cloud import contact_center_insights_v1 as insights

from ingest.emulator.pytest_plugin import RunningEmulator
from ingest.emulator.testing import ObjectServer

ALL, SOME = "projects/p/topics/all", "projects/p/topics/some"


class Endpoint:
    """A local endpoint of Pub/Sub's REST API; `answers` are the statuses of its next replies."""

    def __init__(self) -> None:
        self.requests: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        self.answers: list[int] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                status = endpoint.answers.pop(0) if endpoint.answers else 200
                endpoint.requests.put((self.path, body))
                self.send_response(status)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def next(self) -> tuple[str, dict[str, str], Any]:
        """Wait for a message; return its topic, its attributes and its data."""
        path, body = self.requests.get(timeout=20)
        (message,) = body["messages"]
        topic = path.removeprefix("/v1/").removesuffix(":publish")
        return topic, message["attributes"], json.loads(base64.b64decode(message["data"]))

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    yield made
    made.close()


def subscribe(emulator: RunningEmulator, topics: dict[str, str]) -> None:
    settings = insights.Settings(
        name=f"{emulator.parent}/settings", pubsub_notification_settings=topics
    )
    emulator.client.update_settings(
        settings=settings, update_mask={"paths": ["pubsub_notification_settings"]}
    )


def told(topic: str, trigger: str, name: str, **further: Any) -> tuple[str, Any, Any]:
    return topic, {"operation_name": name, "trigger": trigger}, {"name": name, **further}


def test_each_trigger_reaches_its_topic_and_the_one_of_all(
    tmp_path: Path, ci_objects: ObjectServer, endpoint: Endpoint
) -> None:
    with own_emulator(tmp_path, ci_objects, pubsub_endpoint=endpoint.url) as emulator:
        client = emulator.client
        create(emulator, ci_objects, "before")
        subscribe(emulator, {"all-triggers": ALL, "update-conversation": SOME})
        name = create(emulator, ci_objects, "call-1").name
        client.update_conversation(
            conversation={"name": name, "agent_id": "a"}, update_mask={"paths": ["agent_id"]}
        )
        analysis = client.create_analysis(parent=name, analysis={}).result(timeout=10)
        uri = ci_objects.put_turns(BUCKET, "calls/up.json", TALK)
        upload = client.upload_conversation(
            insights.UploadConversationRequest(
                parent=emulator.parent,
                conversation_id="upload-1",
                conversation={"data_source": {"gcs_source": {"transcript_uri": uri}}},
            )
        )
        missing = ci_objects.put_turns(BUCKET, "gone.json", TALK)
        failed = client.upload_conversation(
            insights.UploadConversationRequest(
                parent=emulator.parent,
                conversation_id="upload-2",
                conversation={"data_source": {"gcs_source": {"transcript_uri": f"{missing}x"}}},
            )
        )
        ingested = client.ingest_conversations(
            insights.IngestConversationsRequest(
                parent=emulator.parent,
                gcs_source={"bucket_uri": f"gs://{BUCKET}/calls"},
                transcript_object_config={"medium": "CHAT"},
            )
        )
        seen = [endpoint.next() for _ in range(8)]
        error = {
            "code": 3,
            "message": f"Failed to read Cloud Storage object '{missing}x': it was not found.",
        }
        created = f"{emulator.parent}/conversations/upload-1"
        assert seen == [
            told(ALL, "create-conversation", name),
            told(ALL, "update-conversation", name),
            told(SOME, "update-conversation", name),
            told(ALL, "create-analysis", analysis.name),
            told(ALL, "create-conversation", created),
            told(ALL, "upload-conversation", upload.operation.name, done=True),
            told(ALL, "upload-conversation", failed.operation.name, done=True, error=error),
            told(ALL, "ingest-conversations", ingested.operation.name, done=True),
        ]
        assert endpoint.requests.empty()


def test_a_message_waits_for_the_endpoint_also_over_a_restart_and_a_refusal_is_dropped(
    tmp_path: Path, ci_objects: ObjectServer, endpoint: Endpoint
) -> None:
    with own_emulator(tmp_path, ci_objects, pubsub_endpoint="http://127.0.0.1:1") as emulator:
        subscribe(emulator, {"create-conversation": SOME})
        names = [create(emulator, ci_objects, f"call-{number}").name for number in range(2)]
    endpoint.answers = [503, 404, 200]
    with own_emulator(tmp_path, ci_objects, pubsub_endpoint=endpoint.url) as emulator:
        seen = [endpoint.next() for _ in range(3)]
        expected = [told(SOME, "create-conversation", name) for name in names]
        assert seen == [expected[0], *expected]
        names.append(create(emulator, ci_objects, "call-2").name)
        assert endpoint.next() == told(SOME, "create-conversation", names[2])
