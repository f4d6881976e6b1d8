"""Does a CI emulator with 100,000 analysed conversations stay usable?

    python tests/benchmarks/emulator_scale.py [--conversations 100000]

Fills a store directly, starts the emulator on it, and times list pages over gRPC. Exit code 1 when
a page takes longer than 200 ms or the process needs more than 500 MB.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import grpc
import psutil
from emulator_throughput import PARENT, emulator, memory_mb
from google.cloud import contact_center_insights_v1 as insights
from google.cloud.contact_center_insights_v1.services.contact_center_insights import transports

from ingest.emulator import protos, wire
from ingest.emulator.analyses import AnalysisStore, Matches, NewAnalysis
from ingest.emulator.analysis.annotate import ActiveMatchers, annotate, effective_selector
from ingest.emulator.analysis.turns import read_turns
from ingest.emulator.conversations import ConversationStore
from ingest.emulator.database import Database

MAX_PAGE_MS = 200
MAX_MEMORY_MB = 500
STORED_PARENT = "projects/123456789012/locations/us-central1"
START_US = 1_766_892_002_000_000
REQUESTS = {
    "first page": {},
    "first page, full": {"view": "FULL"},
    "by start": {"order_by": "start_time desc"},
    "by turns": {"order_by": "turn_count"},
    "by duration": {"order_by": "duration desc"},
    "a common label": {"filter": 'labels.queue="queue-3"'},
    "a rare label": {"filter": 'labels.rare="yes"'},
    "not analysed": {"filter": '-latest_analysis:"*"'},
    "an agent's team": {"filter": 'agent_team="team-7"'},
    "a team that is not": {"filter": 'agent_team="nobody"'},
    "a phrase matcher": {
        "filter": "latest_analysis.analysis_result.call_analysis_metadata.phrase_matchers.id"
        ':"12345"'
    },
}


def main() -> int:
    """Run the benchmark and print its numbers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--conversations", type=int, default=100_000)
    count = parser.parse_args().conversations
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        fill(Path(folder) / "insights.sqlite3", count)
        size = (Path(folder) / "insights.sqlite3").stat().st_size / 2**30
        print(
            f"{count} conversations stored in {time.perf_counter() - started:.0f} s, {size:.1f} GB"
        )
        with emulator(Path(folder), "http://127.0.0.1:1") as (address, pid):
            slowest = measure(address)
            memory = memory_mb(psutil.Process(pid))
    print(f"emulator memory {memory:.0f} MB (limit {MAX_MEMORY_MB})")
    return 0 if slowest <= MAX_PAGE_MS and memory <= MAX_MEMORY_MB else 1


def fill(path: Path, count: int) -> None:
    """Store `count` analysed conversations of 40 turns."""
    database = Database(path)
    conversations, analyses = ConversationStore(database), AnalysisStore(database)
    parent_id = database.parent_id(STORED_PARENT)
    transcript = _transcript()
    selector = effective_selector(protos.Analysis())
    found = annotate("name", read_turns(transcript), selector, ActiveMatchers())
    body = wire.field(protos.Analysis, "analysis_result", found.result)
    for first in range(0, count, 1000):
        with database.transaction():
            for number in range(first, min(first + 1000, count)):
                conversation = _conversation(number)
                moment = START_US + number * 1000
                seq = conversations.insert(parent_id, conversation, moment, transcript)
                assert seq is not None
                if number % 100:
                    matches = Matches({}, {"12345": 1} if number % 500 == 1 else {})
                    analyses.insert(NewAnalysis(seq, str(number), moment, "", body, matches))
    database.close()


def measure(address: str) -> float:
    """Print the median time of each kind of page in milliseconds; return the longest."""
    options = [("grpc.max_receive_message_length", -1)]
    transport = transports.ContactCenterInsightsGrpcTransport(
        channel=grpc.insecure_channel(address, options)
    )
    client = insights.ContactCenterInsightsClient(transport=transport)
    slowest = 0.0
    for name, request in REQUESTS.items():
        times = []
        for _ in range(5):
            started = time.perf_counter()
            page = next(iter(client.list_conversations({"parent": PARENT, **request}).pages))
            times.append((time.perf_counter() - started) * 1000)
        slowest = max(slowest, statistics.median(times))
        found = len(page.conversations)
        print(f"{name}: {statistics.median(times):.0f} ms for {found} conversations")
    return slowest


def _transcript() -> bytes:
    text = (
        "I am calling about the letter that you sent me last week, it is not right at all, Sarah."
    )
    segment = protos.Segment(text=text, language_code="en-US", channel_tag=1)
    segment.segment_participant.role = 3
    whole = segment.SerializeToString() + wire.words(text)
    return wire.repeated(protos.Transcript, "transcript_segments", [whole] * 40)


def _conversation(number: int) -> protos.Pb:
    conversation = protos.Conversation(
        name=f"{STORED_PARENT}/conversations/conversation-{number:07}",
        create_time=protos.timestamp(START_US + number * 1000),
        start_time=protos.timestamp(START_US - number * 1_000_000),
        duration=protos.duration(number % 1800 * 1_000_000),
        turn_count=number % 200,
        agent_id=f"agent-{number % 300}",
        medium=1,
    )
    conversation.data_source.gcs_source.transcript_uri = f"gs://bucket/{number}.json"
    agent = conversation.quality_metadata.agent_info.add(agent_id=f"agent-{number % 300}")
    agent.teams.append(f"team-{number % 20}")
    for key, value in (("queue", f"queue-{number % 7}"), ("batch_date", "2025-12-28")):
        conversation.labels[key] = value
    if number % 10_000 == 1:
        conversation.labels["rare"] = "yes"
    return conversation


if __name__ == "__main__":
    sys.exit(main())
