"""CI's own answers for the landing: conversations analysed by the emulator, in the FULL view."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import grpc
import orjson
from google.cloud import contact_center_insights_v1 as insights
from google.cloud.contact_center_insights_v1.services.contact_center_insights import transports

from ingest.gcp.insights_messages import conversation_json
from tests.benchmarks.emulator_throughput import (
    PARENT,
    drive,
    emulator,
    storage,
    upload_transcripts,
)

TURNS = 54
"""Gives payloads of about 43 KB."""


def write_payloads(paths: Sequence[Path], counts: Sequence[int], folder: Path) -> float:
    """Write the first of that many payloads to each path, one JSON a line; return their mean
    size in bytes. No text occurs twice."""
    most = max(counts)
    with (
        storage(folder / "gcs") as endpoint,
        emulator(folder / "ci", endpoint) as (address, _),
    ):
        upload_transcripts(endpoint, most, TURNS)
        asyncio.run(drive(address, most))
        lines = asyncio.run(_fetched(address, most))
    for path, count in zip(paths, counts, strict=True):
        path.write_bytes(b"\n".join(lines[:count]) + b"\n")
    return sum(map(len, lines)) / most


async def _fetched(address: str, count: int) -> list[bytes]:
    options = [("grpc.max_receive_message_length", -1)]
    channel = grpc.aio.insecure_channel(address, options)
    transport = transports.ContactCenterInsightsGrpcAsyncIOTransport(channel=channel)
    client = insights.ContactCenterInsightsAsyncClient(transport=transport)
    lines = []
    for number in range(count):
        name = f"{PARENT}/conversations/benchmark-{number:06}"
        request = {"name": name, "view": insights.ConversationView.FULL}
        conversation = await client.get_conversation(request=request, timeout=30)
        lines.append(orjson.dumps(conversation_json(insights.Conversation.pb(conversation))))
    await channel.close()
    return lines
