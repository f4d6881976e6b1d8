"""What a chaos run is judged by: Insights, raw tables and bucket, asked directly."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
from google.cloud import contact_center_insights_v1 as insights
from google.cloud.contact_center_insights_v1.services.contact_center_insights import transports
from stack_fixture import Stack

from ingest.gcp.bigquery import BigQueryRawSink
from ingest.gcp.storage import GcsObjectStore

SEEDS = Path(__file__).resolve().parents[2] / "seeds/conversations/2025-12-28"
DATE = "2025-12-28"


def copy_dev_conversations(root: Path, space: int, first: int, count: int) -> list[str]:
    """Write that many dev conversations under ids of their own; return the ids."""
    folders = sorted(path for path in SEEDS.iterdir() if path.is_dir())
    ids = []
    for number in range(first, first + count):
        id_ = str(UUID(int=(space << 100) + number))
        target = root / DATE / id_
        target.mkdir(parents=True)
        for name in ("metadata.json", "transcription.json"):
            content = json.loads((folders[number % len(folders)] / name).read_text())
            content["conversation_id"] = id_
            (target / name).write_text(json.dumps(content))
        ids.append(id_)
    return ids


@dataclass(frozen=True)
class Found:
    """What there is of the given conversations."""

    analysed: set[str]
    analysis_counts: dict[str, int]
    landed_states: Counter[str]
    file_rows: Counter[tuple[str, str, int]]
    event_rows: Counter[str]
    left_batches: list[str]


def _insights(
    stack: Stack,
) -> tuple[grpc.Channel, insights.ContactCenterInsightsClient, str]:
    channel = grpc.insecure_channel(stack.endpoints["insights_endpoint"])
    transport = transports.ContactCenterInsightsGrpcTransport(channel=channel)
    client = insights.ContactCenterInsightsClient(transport=transport)
    parent = f"projects/{stack.settings.project_id}/locations/{stack.settings.location}"
    return channel, client, parent


@dataclass(frozen=True)
class Foreign:
    """A conversation that another program made: what it says of it, and its analyses."""

    agent_id: str
    uri: str
    labels: dict[str, str]
    analyses: tuple[str, ...]


def make_foreign(stack: Stack, ids: list[str]) -> dict[str, Foreign]:
    """Make and analyse conversations as another program would; return them by id."""
    channel, client, parent = _insights(stack)
    for id_ in ids:
        uri = f"gs://{stack.settings.bucket}/theirs/{id_}.json"
        asyncio.run(_put_transcript(stack, uri, f"Their words in {id_}."))
        source = insights.ConversationDataSource(gcs_source=insights.GcsSource(transcript_uri=uri))
        conversation = insights.Conversation(
            data_source=source, agent_id=f"theirs-{id_}", labels={"owner": "crm"}
        )
        held = client.create_conversation(
            parent=parent, conversation=conversation, conversation_id=id_, timeout=30
        )
        client.create_analysis(parent=held.name, analysis=insights.Analysis()).result(timeout=60)
    channel.close()
    return foreign_left(stack, ids)


def foreign_left(stack: Stack, ids: list[str]) -> dict[str, Foreign]:
    """Return what Insights holds now of each id."""
    channel, client, parent = _insights(stack)
    found: dict[str, Foreign] = {}
    for id_ in ids:
        name = f"{parent}/conversations/{id_}"
        held = client.get_conversation(name=name, timeout=30)
        found[id_] = Foreign(
            held.agent_id,
            held.data_source.gcs_source.transcript_uri,
            dict(held.labels),
            tuple(sorted(one.name for one in client.list_analyses(parent=name, timeout=30))),
        )
    channel.close()
    return found


async def _put_transcript(stack: Stack, uri: str, text: str) -> None:
    store = GcsObjectStore(stack.settings)
    entry = {"start_timestamp_usec": 0, "text": text, "role": "CUSTOMER", "user_id": 1}
    content = json.dumps({"entries": [entry]}).encode()
    name = uri.removeprefix(f"gs://{stack.settings.bucket}/")
    try:
        await store.put(
            name,
            content,
            content_type="application/json",
            content_sha256="",
            if_generation_match=0,
        )
    finally:
        store.close()


def assert_gone(stack: Stack, ids: list[str]) -> None:
    """Nothing is left of what was forgotten, but tombstones."""

    async def left(id_: str) -> list[Any]:
        store, sink = GcsObjectStore(stack.settings), BigQueryRawSink(stack.settings)
        union = " union all ".join(
            f"select '{table}' as name from {sink.table(table)} "
            f"where _landed_at >= timestamp('2000-01-01') and conversation_id = @id{more}"
            for table, more in (
                ("conversation_files", ""),
                ("ci_conversations", ""),
                ("pipeline_events", " and step != 'forget'"),
            )
        )
        try:
            found: list[Any] = list(await sink.query(union, {"id": id_}))
            for prefix in (f"{DATE}/{id_}/", f"ci-transcripts/{DATE}/{id_}/"):
                found += await store.generations(prefix)
            return found
        finally:
            store.close()
            sink.close()

    channel, client, parent = _insights(stack)
    held = {one.name.rpartition("/")[2] for one in client.list_conversations(parent=parent)}
    channel.close()
    assert held & set(ids) == set()
    assert {id_: found for id_ in ids if (found := asyncio.run(left(id_)))} == {}


def found_on(stack: Stack, ids: list[str]) -> Found:
    """Ask Insights, BigQuery and the bucket."""
    channel, client, parent = _insights(stack)
    counts, analysed = {}, set()
    for id_ in ids:
        name = f"{parent}/conversations/{id_}"
        counts[id_] = len(list(client.list_analyses(parent=name, timeout=30)))
        view = insights.ConversationView.BASIC
        held = client.get_conversation(request={"name": name, "view": view}, timeout=30)
        if held.latest_analysis.name:
            analysed.add(id_)
    channel.close()
    rows, batches = asyncio.run(_raw(stack, ids))
    return Found(
        analysed=analysed,
        analysis_counts=counts,
        landed_states=Counter({r["id_"]: r["n"] for r in rows if r["fact"] == "state"}),
        file_rows=Counter(
            {(r["id_"], r["uri"], r["generation"]): r["n"] for r in rows if r["fact"] == "file"}
        ),
        event_rows=Counter({r["uri"]: r["n"] for r in rows if r["fact"] == "event"}),
        left_batches=batches,
    )


async def _raw(stack: Stack, ids: list[str]) -> tuple[list[dict[str, Any]], list[str]]:
    store, sink = GcsObjectStore(stack.settings), BigQueryRawSink(stack.settings)
    where = "_landed_at >= timestamp('2000-01-01') and conversation_id between @first and @last"
    sql = f"""
        select 'file' as fact, conversation_id as id_, uri, generation, count(*) as n
        from {sink.table("conversation_files")} where {where} group by 1, 2, 3, 4
        union all
        select 'state', conversation_id, cast(null as string), cast(null as int64), count(*)
        from {sink.table("ci_conversations")}
        where {where} and analysis_name is not null group by 2
        union all
        select 'event', cast(null as string), event_id, cast(null as int64), count(*)
        from {sink.table("pipeline_events")} where {where} group by event_id
    """
    try:
        rows = await sink.query(sql, {"first": min(ids), "last": max(ids)})
        left = [stored.name for stored in (await store.list("_landing/")).items]
        return [dict(row) for row in rows], left
    finally:
        store.close()
        sink.close()


def assert_whole(found: Found, ids: list[str]) -> None:
    """Every conversation is analysed once and landed once; nothing is left over."""
    assert found.analysed == set(ids)
    assert found.analysis_counts == dict.fromkeys(ids, 1)
    assert found.landed_states == dict.fromkeys(ids, 1)
    assert set(found.file_rows.values()) == {1}
    assert Counter(key[0] for key in found.file_rows) == Counter(dict.fromkeys(ids, 2))
    assert set(found.event_rows.values()) == {1}
    assert found.left_batches == []
