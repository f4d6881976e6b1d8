"""What a push tells the outside: log lines in Cloud Logging's form, spans for a collector."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from stack_fixture import Stack

pytestmark = pytest.mark.stack
REPOSITORY = Path(__file__).resolve().parents[2]
RUN_INGEST = "from ingest.cli import main; main()"
CONVERSATION_ID = "77777777-0000-4000-8000-00000000e001"


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps the spans that it is sent."""

    def __init__(self) -> None:
        self.names: Counter[str] = Counter()
        self.attributes: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def Export(
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        with self._lock:
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        self.names[span.name] += 1
                        for pair in span.attributes:
                            self.attributes.add((pair.key, pair.value.string_value))
        return trace_service_pb2.ExportTraceServiceResponse()


@pytest.fixture
def collector() -> Iterator[tuple[Collector, str]]:
    server = grpc.server(futures.ThreadPoolExecutor(2))
    found = Collector()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(found, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield found, f"http://127.0.0.1:{port}"
    server.stop(0).wait()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = next((REPOSITORY / "seeds/conversations/2025-12-28").iterdir())
    target = tmp_path / "2025-12-28" / CONVERSATION_ID
    shutil.copytree(source, target)
    for name in ("metadata.json", "transcription.json"):
        content = json.loads((target / name).read_text(encoding="utf-8"))
        content["conversation_id"] = CONVERSATION_ID
        (target / name).write_text(json.dumps(content), encoding="utf-8")
    return tmp_path / "2025-12-28"


def pushed(
    stack: Stack, folder: Path, *options: str, **variables: str
) -> tuple[subprocess.CompletedProcess[str], list[dict[str, Any]]]:
    """Return the ended push and its log lines."""
    environment = {f"INGEST_{name.upper()}": value for name, value in stack.endpoints.items()}
    finished = subprocess.run(
        [sys.executable, "-c", RUN_INGEST, "push", str(folder), "--log-format", "json", *options],
        env=os.environ | environment | variables,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    told = finished.stderr.splitlines()
    return finished, [json.loads(line) for line in told if line.startswith("{")]


def test_each_line_of_a_dry_run_says_that_it_is_one(stack: Stack, folder: Path) -> None:
    finished, lines = pushed(stack, folder, "--dry-run")
    assert finished.stdout.startswith("would do: analyse: 1, ")
    assert Counter(line["step"] for line in lines if "step" in line) == {
        "upload": 2, "submit": 1, "analyse": 1,
    }  # fmt: skip
    assert [line for line in lines if line.get("dry_run") is not True] == []


def test_a_push_logs_and_traces_every_effect_and_no_word_of_the_talk(
    stack: Stack, folder: Path, collector: tuple[Collector, str]
) -> None:
    spans, endpoint = collector
    finished, lines = pushed(stack, folder, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
    assert [line for line in lines if "dry_run" in line] == []
    of_steps = Counter(line["step"] for line in lines if "step" in line)
    of_tables = {line["table"]: line["row_count"] for line in lines if "table" in line}
    assert of_steps == {"upload": 2, "submit": 1, "analyse": 1}
    assert of_tables == {"ci_conversations": 1, "conversation_files": 2, "pipeline_events": 4}
    assert {line["severity"] for line in lines} == {"INFO"}
    assert len({line["run_id"] for line in lines}) == 1

    assert spans.names == {"conversation": 1, "upload": 2, "submit": 1, "analyse": 1}
    assert ("conversation_id", CONVERSATION_ID) in spans.attributes
    assert ("state", "done") in spans.attributes

    turns = json.loads((folder / CONVERSATION_ID / "transcription.json").read_text())["turns"]
    told = finished.stderr + finished.stdout + repr(spans.attributes)
    assert [turn["text"] for turn in turns if len(turn["text"]) > 12 and turn["text"] in told] == []
