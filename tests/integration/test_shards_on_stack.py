"""Four shards side by side against one run alone, on the same conversations: all that is left in
the bucket, in Insights and in raw tables is the same but for times, generations and names that the
services make."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
import pytest
from google.cloud import contact_center_insights_v1 as insights
from google.cloud.contact_center_insights_v1.services.contact_center_insights import transports
from push_command import Command, ended, left_on, rows
from stack_fixture import Stack

from ingest.domain.conversation import Region, region_of
from ingest.gcp.bigquery import bigquery_client
from ingest.gcp.insights import GrpcInsightsApi
from ingest.gcp.storage import GcsObjectStore
from tests.fakes.folders import metadata, transcription, write

pytestmark = pytest.mark.stack
DATE = "2026-05-05"
COUNT = 24
SHARDS = 4
HOME, OTHER = "us-central1", "europe-west1"
PARTITIONS = "_landed_at >= timestamp('2000-01-01')"
_MADE_BY_SERVICES = {"createTime", "updateTime", "requestTime", "expireTime", "datasetTime"}
_ANALYSIS_ID = re.compile(r"/analyses/\d+")


@pytest.fixture
def command(stack: Stack) -> Command:
    return Command(stack)


def write_all(root: Path) -> list[str]:
    """Write conversations that differ in talk and context, one of which can't be read."""
    ids = [str(UUID(int=(4 << 100) + number)) for number in range(COUNT)]
    for number, id_ in enumerate(ids):
        write(
            root,
            id_,
            date=DATE,
            metadata=metadata(id_, queue=f"queue-{number % 3}", agent_id=f"AGT-{number % 5}"),
            transcription=transcription(
                id_, "Hello there.", f"I am caller {number}.", "Thank you."
            ),
        )
    write(root, str(UUID(int=(4 << 100) + COUNT)), date=DATE, transcription=b"{")
    return ids


def without_what_services_make(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k not in _MADE_BY_SERVICES}
        return {k: without_what_services_make(v) for k, v in kept.items()}
    if isinstance(value, list):
        return [without_what_services_make(item) for item in value]
    return _ANALYSIS_ID.sub("/analyses/n", value) if isinstance(value, str) else value


def all_that_is_left(command: Command) -> dict[str, Any]:
    """Return objects, Insights' conversations with their number of analyses, and raw rows, compared
    by content."""
    files = rows(
        command,
        "select conversation_id, kind, uri, crc32c, size_bytes, content_sha256, "
        "to_json_string(payload) as payload from {conversation_files} "
        f"where {PARTITIONS} and batch_date = date '{DATE}' order by uri",
    )
    states = rows(
        command,
        "select conversation_id, ci_name, annotator_profile_sha256, metadata_sha256, "
        "transcript_sha256, to_json_string(payload) as payload from {ci_conversations} "
        f"where {PARTITIONS} and json_value(payload, '$.labels.batch_date') = '{DATE}' "
        "order by conversation_id",
    )
    events = rows(
        command,
        "select conversation_id, step, outcome, attempt, error_code, metadata_sha256, "
        f"transcript_sha256 from {{pipeline_events}} where {PARTITIONS} "
        f"and batch_date = date '{DATE}' order by conversation_id, step, metadata_sha256",
    )
    for state in states:
        state["payload"] = without_what_services_make(json.loads(state["payload"]))
    objects = [name for name in left_on(command).objects if f"{DATE}/" in name]
    return {
        "objects": sorted(objects),
        "files": files,
        "states": states,
        "events": Counter(json.dumps(event, sort_keys=True) for event in events),
        "analyses": analysis_counts(command, sorted({row["conversation_id"] for row in states})),
    }


def analysis_counts(command: Command, ids: list[str]) -> dict[str, int]:
    settings = command.stack.settings
    channel = grpc.insecure_channel(command.stack.endpoints["insights_endpoint"])
    client = insights.ContactCenterInsightsClient(
        transport=transports.ContactCenterInsightsGrpcTransport(channel=channel)
    )
    parent = f"projects/{settings.project_id}/locations/{settings.location}/conversations"
    counts = {
        id_: len(list(client.list_analyses(parent=f"{parent}/{id_}", timeout=30))) for id_ in ids
    }
    channel.close()
    return counts


def failed_jobs(command: Command) -> list[dict[str, Any]]:
    """Return why jobs of the warehouse failed."""
    client = bigquery_client(command.stack.settings)
    jobs = list(client.list_jobs(state_filter="done", max_results=1000))
    client.close()
    return [job.error_result for job in jobs if job.error_result]


def erase(command: Command, ids: list[str]) -> None:
    """Take everything of the date away, so that the same ids can be pushed anew."""
    settings = command.stack.settings

    async def conversations_and_objects() -> None:
        store, ci = GcsObjectStore(settings), GrpcInsightsApi(settings)
        for id_ in ids:
            await ci.delete_conversation(id_)
        for prefix in ("", "ci-transcripts/"):
            await store.delete_all_generations(f"{prefix}{DATE}/")
        await ci.close()
        store.close()

    asyncio.run(conversations_and_objects())
    client = bigquery_client(settings)
    named = ", ".join(f"'{id_}'" for id_ in ids)
    for table in ("conversation_files", "ci_conversations", "pipeline_events"):
        client.query_and_wait(
            f"delete from {settings.raw_dataset}.{table} "
            f"where {PARTITIONS} and conversation_id in ({named})"
        )
    client.close()


def test_four_shards_side_by_side_leave_what_one_run_leaves(
    command: Command, tmp_path: Path
) -> None:
    ids = write_all(tmp_path)
    refused = str(UUID(int=(4 << 100) + COUNT))
    invalid = f"{DATE}/{refused}/transcription.json"
    alone = command.push(tmp_path)
    left_by_one = all_that_is_left(command)
    erase(command, [*ids, refused])
    nothing = all_that_is_left(command)

    started = [
        command.start("push", tmp_path, "--json", "--shard", f"{number}/{SHARDS}")
        for number in range(SHARDS)
    ]
    shards = [ended(process) for process in started]
    left_by_four = all_that_is_left(command)
    again = command.push(tmp_path)

    assert (alone.exit_code, alone.states) == (1, {"done": COUNT, "invalid": 1})
    assert nothing == {
        "objects": [], "files": [], "states": [], "events": Counter(), "analyses": {},
    }  # fmt: skip
    assert sorted(shard.exit_code for shard in shards) == [0, 0, 0, 1], "\n".join(
        [*(shard.stderr for shard in shards), *map(str, failed_jobs(command))]
    )
    assert sum((Counter(shard.states) for shard in shards), Counter()) == alone.states
    assert min(shard.states.get("done", 0) for shard in shards) > 0
    told = [fault for shard in shards for fault in shard.report["faults"]]
    assert sorted(told, key=str) == sorted(alone.report["faults"], key=str)
    assert invalid in [fault["file"] for fault in told]
    assert left_by_one["analyses"] == dict.fromkeys(ids, 1)
    for place, left in left_by_one.items():
        assert left_by_four[place] == left, place
    assert again.states == {"unchanged": COUNT, "invalid": 1}


def test_two_regions_take_what_one_registry_knows_of(command: Command, tmp_path: Path) -> None:
    ids = [str(UUID(int=(5 << 100) + number)) for number in range(8)]
    for id_ in ids:
        write(tmp_path, id_, date="2026-05-06")
    regions = [Region(command.stack.settings.project_id, name) for name in (HOME, OTHER)]
    expected = {id_: region_of(id_, regions) for id_ in ids}
    spread = Command(command.stack, {"INGEST_REGIONS": f"{HOME},{OTHER}"})

    at_home = command.run("matchers", "apply")
    unlike = spread.push(tmp_path)
    elsewhere = Command(command.stack, {"INGEST_REGION": OTHER}).run("matchers", "apply")
    first, again = spread.push(tmp_path), spread.push(tmp_path)
    landed = rows(
        command,
        f"select conversation_id, ci_name from {{ci_conversations}} where {PARTITIONS} "
        f"and conversation_id in {tuple(ids)}",
    )
    forgotten = spread.run("forget", ids[0], "--yes", "--json")

    assert (at_home.exit_code, unlike.exit_code, elsewhere.exit_code) == (0, 3, 0), unlike.stderr
    assert "INGEST_REGION=" in unlike.stderr
    assert (first.exit_code, first.states) == (0, {"done": len(ids)}), first.stderr
    assert (again.exit_code, again.states) == (0, {"unchanged": len(ids)}), again.stderr
    assert {row["conversation_id"]: row["ci_name"].split("/")[3] for row in landed} == {
        id_: region.location for id_, region in expected.items()
    }
    assert set(expected.values()) == set(regions)
    assert forgotten.exit_code == 0, forgotten.stderr
