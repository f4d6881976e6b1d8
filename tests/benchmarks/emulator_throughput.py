"""How many conversations a second the CI emulator takes: create and analyse, client included.

    python tests/benchmarks/emulator_throughput.py [--conversations 5000] [--turns 40]

Starts a Cloud Storage emulator and a CI emulator of its own, applies the project's phrase
matchers, and drives both RPCs with the official asynchronous client. No turn's text occurs twice,
so nothing is won by caches of whole texts. Exit code 1 below the target.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import psutil
import urllib3
from google.cloud import contact_center_insights_v1 as insights
from google.cloud.contact_center_insights_v1.services.contact_center_insights import transports

from ingest.local.gcs import gcs_server_command
from ingest.local.layout import is_free

TARGET_PER_SECOND = 300
PARENT = "projects/local-project/locations/us-central1"
BUCKET = "benchmark-bucket"
SEEDS = Path(__file__).parents[2] / "seeds"
IN_FLIGHT = 32
MATCHER_TYPE = insights.PhraseMatcher.PhraseMatcherType
GROUP_TYPE = insights.PhraseMatchRuleGroup.PhraseMatchRuleGroupType


def main() -> int:
    """Run the benchmark and print its numbers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--conversations", type=int, default=5000)
    parser.add_argument("--turns", type=int, default=40)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        with storage(root / "gcs") as endpoint, emulator(root / "ci", endpoint) as (address, pid):
            upload_transcripts(endpoint, given.conversations, given.turns)
            process = psutil.Process(pid)
            before = cpu_seconds(process)
            own = time.process_time()
            seconds = asyncio.run(drive(address, given.conversations))
            own = (time.process_time() - own) / given.conversations
            served = [
                (after - start) / given.conversations * 1000
                for after, start in zip(cpu_seconds(process), before, strict=True)
            ]
            memory = memory_mb(process)
        size = (root / "ci" / "insights.sqlite3").stat().st_size / 2**20
    rate = given.conversations / seconds
    print(
        f"{given.conversations} conversations of {given.turns} turns created and analysed in"
        f" {seconds:.1f} s: {rate:.0f} a second (target {TARGET_PER_SECOND});"
        f" emulator memory {memory:.0f} MB, store {size:.0f} MB"
    )
    print(
        f"CPU time a conversation: emulator {' + '.join(f'{each:.1f}' for each in served)} ms"
        f" (server + annotators), client {own * 1000:.1f} ms;"
        f" load average of the machine {psutil.getloadavg()[0]:.1f}"
    )
    return 0 if rate >= TARGET_PER_SECOND else 1


def cpu_seconds(process: psutil.Process) -> list[float]:
    """Return the CPU time of a process and of each of its children."""
    times = [each.cpu_times() for each in (process, *process.children())]
    return [each.user + each.system for each in times]


def memory_mb(process: psutil.Process) -> float:
    """Return the memory of a process and its children that no other process shares."""
    return sum(each.memory_full_info().uss for each in (process, *process.children())) / 2**20


def upload_transcripts(endpoint: str, count: int, turns: int) -> None:
    """Upload `count` CI transcripts made of the dev conversations' sentences."""
    pool: dict[str, list[str]] = {"AGENT": [], "CUSTOMER": []}
    for path in sorted((SEEDS / "conversations").glob("*/*/transcription.json")):
        for turn in json.loads(path.read_text())["turns"]:
            pool.setdefault(turn["speaker"], []).append(turn["text"])
    http = urllib3.PoolManager(maxsize=8)
    bucket = f"{endpoint}/storage/v1/b"
    http.request("POST", bucket, body=json.dumps({"name": BUCKET}))

    def upload(number: int) -> int:
        target = f"{endpoint}/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={number}.json"
        content = json.dumps({"entries": list(entries(number, turns, pool))})
        return http.request("POST", target, body=content.encode()).status

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(upload, range(count))) == {200}


def entries(number: int, turns: int, pool: dict[str, list[str]]) -> Iterator[dict[str, object]]:
    """Yield the entries of one transcript; the same number gives the same ones."""
    rng = random.Random(number)
    for index in range(turns):
        role = ("AGENT", "CUSTOMER")[index % 2]
        words = " ".join(rng.choice(pool[role]) for _ in range(2)).split()
        start = rng.randrange(max(1, len(words) - 18))
        yield {
            "text": " ".join([*words[start : start + 18], f"ref{number}x{index}"]),
            "role": role,
            "user_id": 2 - index % 2,
            "start_timestamp_usec": 1_766_892_002_000_000 + index * 7_000_000,
        }


async def drive(address: str, count: int) -> float:
    """Create and analyse `count` conversations; return the seconds it took."""
    channel = grpc.aio.insecure_channel(address)
    transport = transports.ContactCenterInsightsGrpcAsyncIOTransport(channel=channel)
    client = insights.ContactCenterInsightsAsyncClient(transport=transport)
    for matcher in phrase_matchers():
        await client.create_phrase_matcher(parent=PARENT, phrase_matcher=matcher)
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            await create_and_analyse(client, number)

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    seconds = time.perf_counter() - started
    await channel.close()
    return seconds


async def create_and_analyse(
    client: insights.ContactCenterInsightsAsyncClient, number: int
) -> None:
    """Do what the pipeline does to one conversation."""
    conversation = await client.create_conversation(
        request={
            "parent": PARENT,
            "conversation_id": f"benchmark-{number:06}",
            "conversation": {
                "data_source": {"gcs_source": {"transcript_uri": f"gs://{BUCKET}/{number}.json"}},
                "agent_id": f"agent-{number % 50}",
                "language_code": "en-AU",
                "labels": {"batch_date": "2025-12-28", "queue": f"queue-{number % 7}"},
            },
        },
        timeout=30,
    )
    operation = await client.create_analysis(
        parent=conversation.name, analysis=insights.Analysis(), timeout=30
    )
    await operation.result(timeout=30)


def phrase_matchers() -> Iterator[insights.PhraseMatcher]:
    """Yield the project's own matchers."""
    rules = list(csv.DictReader((SEEDS / "phrase_matcher_rules.csv").open()))
    for row in csv.DictReader((SEEDS / "phrase_matchers.csv").open()):
        groups: dict[str, insights.PhraseMatchRuleGroup] = {}
        for rule in rules:
            if rule["display_name"] == row["display_name"]:
                kind = GROUP_TYPE[rule["group_type"]]
                group = groups.setdefault(
                    rule["group_number"], insights.PhraseMatchRuleGroup(type_=kind)
                )
                group.phrase_match_rules.append(insights.PhraseMatchRule(query=rule["query"]))
        yield insights.PhraseMatcher(
            display_name=row["display_name"],
            type_=MATCHER_TYPE[row["type"]],
            active=True,
            role_match=insights.ConversationParticipant.Role[row["role_match"]],
            phrase_match_rule_groups=list(groups.values()),
        )


@contextmanager
def storage(root: Path) -> Iterator[str]:
    """Yield the endpoint of a Cloud Storage emulator over `root`."""
    port = next(port for port in range(24_000, 24_400) if is_free(port))
    root.mkdir(parents=True)
    process = subprocess.Popen(gcs_server_command(port, root), stderr=subprocess.DEVNULL)
    try:
        endpoint = f"http://127.0.0.1:{port}"
        for _ in range(100):
            try:
                urllib3.request("GET", f"{endpoint}/storage/v1/b", timeout=1, retries=False)
                break
            except urllib3.exceptions.HTTPError:
                time.sleep(0.05)
        yield endpoint
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def emulator(data_dir: Path, gcs_endpoint: str) -> Iterator[tuple[str, int]]:
    """Yield address and pid of a CI emulator."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ingest.emulator", "--data-dir", str(data_dir)]
        + ["--gcs-endpoint", gcs_endpoint, "--project-number", "123456789012"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1], process.pid
    finally:
        process.terminate()
        process.wait(10)


if __name__ == "__main__":
    sys.exit(main())
