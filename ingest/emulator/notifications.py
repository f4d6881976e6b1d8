"""Pub/Sub notifications: kept with what they tell of, sent to a local endpoint afterwards.

A location's settings map triggers to topics (documented). Of a message only the attribute
`operation_name` is known: a sample of Google's analyses the new conversation that it names. That
it names an analysis or an operation likewise is assumed, so are the attribute `trigger` and the
data: the JSON of the name, for an operation with `done` and its error. A message is published over
Pub/Sub's REST API, as Google's own Pub/Sub emulator serves it: at least once, in order, and again
after a failure of the endpoint's, also by the next process. Without an endpoint nothing is kept.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
from typing import Any

import orjson
import urllib3
from google.protobuf import json_format

from ingest.emulator import protos
from ingest.emulator.database import Database

ALL_TRIGGERS = "all-triggers"
CREATE_ANALYSIS, CREATE_CONVERSATION, UPDATE_CONVERSATION = (
    "create-analysis", "create-conversation", "update-conversation",
)  # fmt: skip
_OF_OPERATIONS = {
    "ExportInsightsData": "export-insights-data",
    "IngestConversations": "ingest-conversations",
    "UploadConversation": "upload-conversation",
}
TRIGGERS = frozenset(
    {ALL_TRIGGERS, CREATE_ANALYSIS, CREATE_CONVERSATION, UPDATE_CONVERSATION}
    | set(_OF_OPERATIONS.values())
)
_MOST_KEPT = 10_000
_RETRY_SEC = 0.5
_TIMEOUT_SEC = 10.0
_TOO_MANY, _SERVER_ERROR, _REFUSED = 429, 500, 400
logger = logging.getLogger(__name__)


class Notifications:
    """The messages that wait, and the task that sends them; `endpoint` is http://host:port."""

    def __init__(self, database: Database, endpoint: str | None) -> None:
        self._db = database
        self._endpoint = endpoint
        self._http = urllib3.PoolManager(1, timeout=_TIMEOUT_SEC, retries=False)
        self._added = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def add(self, parent: str, trigger: str, name: str) -> None:
        """Keep a message of an event for the topics of its location; within its transaction."""
        if self._endpoint is not None:
            self._add(parent, trigger, {"name": name})

    def add_operation(self, parent: str, kind: str, operation: protos.Pb) -> None:
        """Keep a message of an operation that has ended, if its kind is a trigger."""
        trigger = _OF_OPERATIONS.get(kind)
        if self._endpoint is None or trigger is None:
            return
        told: dict[str, Any] = {"name": operation.name, "done": True}
        if operation.HasField("error"):
            told["error"] = json_format.MessageToDict(operation.error)
        self._add(parent, trigger, told)

    def open(self) -> None:
        """Send from now on, what an earlier process left too."""
        if self._endpoint is not None:
            self._task = asyncio.create_task(self._send_forever(self._endpoint))

    async def close(self) -> None:
        """Stop sending; what waits stays in the store."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._http.clear()

    def _add(self, parent: str, trigger: str, told: dict[str, Any]) -> None:
        row = self._db.execute(
            "select settings from parents where parent_id = ?", (self._db.parent_id(parent),)
        ).fetchone()
        if row[0] is None:
            return
        topics = protos.Settings.FromString(row[0]).pubsub_notification_settings
        message = {
            "attributes": {"operation_name": told["name"], "trigger": trigger},
            "data": base64.b64encode(orjson.dumps(told)).decode(),
        }
        for topic in sorted({topics[key] for key in (trigger, ALL_TRIGGERS) if key in topics}):
            seq = self._db.execute(
                "insert into notifications (topic, body) values (?, ?)",
                (topic, orjson.dumps({"messages": [message]})),
            ).lastrowid
            self._db.execute(
                "delete from notifications where seq <= ?", (int(seq or 0) - _MOST_KEPT,)
            )
            self._added.set()

    async def _send_forever(self, endpoint: str) -> None:
        while True:
            self._added.clear()
            row = self._db.execute(
                "select seq, topic, body from notifications order by seq limit 1"
            ).fetchone()
            if row is None:
                await self._added.wait()
                continue
            seq, topic, body = row
            if await self._sent(endpoint, topic, body):
                self._db.execute("delete from notifications where seq = ?", (seq,))
            else:
                await asyncio.sleep(_RETRY_SEC)

    async def _sent(self, endpoint: str, topic: str, body: bytes) -> bool:
        """Publish one message; one that the endpoint refuses counts as sent, and is logged."""
        try:
            reply = await asyncio.to_thread(
                self._http.request, "POST", f"{endpoint}/v1/{topic}:publish", body=body,
                headers={"content-type": "application/json"},
            )  # fmt: skip
        except urllib3.exceptions.HTTPError as error:
            logger.warning("topic=%s unreachable (%s)", topic, type(error).__name__)
            return False
        if reply.status == _TOO_MANY or reply.status >= _SERVER_ERROR:
            return False
        if reply.status >= _REFUSED:
            logger.warning("topic=%s refused status=%d", topic, reply.status)
        return True
