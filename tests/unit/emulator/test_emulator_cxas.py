"""Google's own command line for Insights, cxas-scrapi 1.10.0, unmodified against the REST port.

    CXAS=/its/own/venv/bin/cxas pytest tests/unit/emulator/test_emulator_cxas.py

Its address is fixed, so it goes through its documented proxy settings: a proxy here ends TLS for
*.googleapis.com and passes the bytes on. Its exit code proves nothing, since it swallows failures:
each command is held against what it should have changed. Left out is `eval`, which needs a model.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from emulator_cases import BUCKET, create, own_emulator
from google.cloud import contact_center_insights_v1 as insights

from ingest.emulator.pytest_plugin import RunningEmulator
from ingest.emulator.testing import ObjectServer

CXAS = shutil.which(os.environ.get("CXAS", "cxas"))
PARENT = "projects/p/locations/us-central1"
CHOICES = [{"key": "y", "strValue": "Yes", "score": 1}]
pytestmark = pytest.mark.skipif(
    CXAS is None, reason="cxas-scrapi has an environment of its own: CXAS=…"
)


@contextmanager
def _proxy(folder: Path, rest_port: int) -> Iterator[dict[str, str]]:
    """Yield the settings that lead a client of *.googleapis.com to the emulator."""
    key, certificate = folder / "key.pem", folder / "ca.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=googleapis.com", "-keyout", key, "-out", certificate, "-addext",
         "subjectAltName=DNS:*.googleapis.com"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)

    async def passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while content := await reader.read(65536):
                writer.write(content)
                await writer.drain()
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await writer.drain()
        await writer.start_tls(tls)
        inner, outer = await asyncio.open_connection("127.0.0.1", rest_port)
        await asyncio.gather(passed(reader, outer), passed(inner, writer))

    loop, ready = asyncio.new_event_loop(), threading.Event()
    ports: list[int] = []

    async def serve() -> None:
        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        ports.append(server.sockets[0].getsockname()[1])
        ready.set()

    loop.create_task(serve())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    ready.wait(10)
    yield {
        "HTTPS_PROXY": f"http://127.0.0.1:{ports[0]}",
        "REQUESTS_CA_BUNDLE": str(certificate),
        "CXAS_OAUTH_TOKEN": "any",
        "NO_PROXY": "127.0.0.1",
    }
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


class Cxas:
    """Runs commands, and reads what they left."""

    def __init__(self, emulator: RunningEmulator, folder: Path, settings: dict[str, str]) -> None:
        self.emulator, self._folder, self._settings = emulator, folder, settings

    def run(self, *command: str, code: int = 0) -> str:
        """Return what a command says, which ends with the exit code `code`."""
        done = subprocess.run(
            [str(CXAS), "--no-input", "insights", *command],
            env={**os.environ, **self._settings},
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, (command, done.stdout[-600:], done.stderr[-1500:])
        return done.stdout

    def held(self, path: str) -> Any:
        """Return what the emulator holds, or None."""
        reply = requests.get(f"{self.emulator.rest_endpoint}/v1/{path}", timeout=30)
        return reply.json() if reply.status_code == 200 else None


@pytest.fixture
def cxas(tmp_path: Path, ci_objects: ObjectServer) -> Iterator[Cxas]:
    with (
        own_emulator(tmp_path / "data", ci_objects) as emulator,
        _proxy(tmp_path, int(emulator.rest_endpoint.rpartition(":")[2])) as settings,
    ):
        for number in range(3):
            create(emulator, ci_objects, f"call-{number}", agent_id="app1")
        yield Cxas(emulator, tmp_path, settings)


def test_scorecards(cxas: Cxas, tmp_path: Path) -> None:
    card = f"{PARENT}/qaScorecards/first"
    cxas.run("create-scorecard", "--parent", PARENT, "--scorecard-id", "first",
             "--display-name", "First")  # fmt: skip
    made = cxas.held(card)
    revision = cxas.held(f"{card}/revisions/latest")["name"]
    cxas.run("add-question", "--revision-name", revision, "--question-body", "Was it polite?",
             "--answer-choices", json.dumps(CHOICES))  # fmt: skip
    (question,) = cxas.held(f"{revision}/qaQuestions")["qaQuestions"]
    exported = tmp_path / "first.yaml"
    cxas.run(
        "export-scorecard-from-insights", "--scorecard_name", card, "--template", str(exported)
    )
    draft = cxas.run("validate-scorecard", "--revision-name", revision)
    cxas.run("activate-scorecard", "--revision-name", revision)
    activated = cxas.held(revision)
    requests.post(f"{cxas.emulator.rest_endpoint}/v1/{revision}:undeploy", json={}, timeout=30)
    undeployed = cxas.held(revision).get("alternateIds")
    cxas.run("deploy-scorecard", "--revision-name", revision)
    deployed = cxas.held(revision)
    copy = f"{PARENT}/qaScorecards/second"
    cxas.run("copy-scorecard", "--scorecard_name", card, "--dst_scorecard_name", copy)
    copied = cxas.held(f"{copy}/revisions/latest/qaQuestions") or cxas.held(
        f"{cxas.held(f'{copy}/revisions/latest')['name']}/qaQuestions"
    )
    imported = f"{PARENT}/qaScorecards/third"
    cxas.run("import-scorecard-to-insights", "--template", str(exported), "--parent", PARENT,
             "--scorecard_name", imported)  # fmt: skip
    listed = cxas.run("list-scorecards", "--parent", PARENT)
    cxas.run("smoke-test-scorecard", "--scorecard-name", revision, "--parent", PARENT,
             "--conversations", f"{PARENT}/conversations/call-0")  # fmt: skip

    assert made["displayName"] == "First"
    assert question["questionBody"] == "Was it polite?"
    assert "Was it polite?" in exported.read_text("utf-8")
    assert "EDITABLE" in draft
    assert (activated["state"], activated["alternateIds"]) == ("READY", ["latest", "default"])
    assert (undeployed, deployed["alternateIds"]) == (["latest"], ["latest", "default"])
    assert [each["questionBody"] for each in copied["qaQuestions"]] == ["Was it polite?"]
    assert cxas.held(imported)["name"].endswith("qaScorecards/third")
    assert all(name in listed for name in ("first", "second", "third"))
    assert len(cxas.held(f"{PARENT}/conversations/call-0/analyses")["analyses"]) == 1


def test_analysis_rules(cxas: Cxas) -> None:
    cxas.run("create-analysis-rule", "--parent", PARENT, "--display-name", "Rule", "--active")
    (rule,) = cxas.held(f"{PARENT}/analysisRules")["analysisRules"]
    cxas.run("activate-analysis-rule", "--rule-name", rule["name"], "--active", "false")
    inactive = cxas.held(rule["name"]).get("active", False)
    told = [
        cxas.run("list-analysis-rules", "--parent", PARENT),
        cxas.run("get-analysis-rule", "--rule-name", rule["name"]),
    ]
    cxas.run("delete-analysis-rule", "--rule-name", rule["name"])

    assert (rule["displayName"], rule["active"], inactive) == ("Rule", True, False)
    assert [("Rule" in text) for text in told] == [True, True]
    assert cxas.held(rule["name"]) is None


def test_labelling_rules(cxas: Cxas, tmp_path: Path) -> None:
    file, pulled = tmp_path / "rules.yaml", tmp_path / "pulled.yaml"
    path = f"{PARENT}/autoLabelingRules/tier"
    rule = {
        "rule_id": "tier", "display_name": "Tier", "label_key": "tier",
        "conditions": [{"condition": "medium = 2", "value": "chat"}],
    }  # fmt: skip
    file.write_text(yaml.safe_dump({"autolabeling_rules": [rule]}))
    cxas.run("push-autolabel-rules", "--file", str(file), "--parent", PARENT)
    made = cxas.held(path)
    file.write_text(file.read_text().replace("Tier", "Rank"))
    cxas.run("diff-autolabel-rules", "--file", str(file), "--parent", PARENT)
    cxas.run("push-autolabel-rules", "--file", str(file), "--parent", PARENT, "--force")
    after = cxas.held(path)
    cxas.run("pull-autolabel-rules", "--parent", PARENT, "--out", str(pulled))
    listed = cxas.run("list-autolabel-rules", "--parent", PARENT)
    got = cxas.run("get-autolabel-rule", "--rule-name", path)
    cxas.run("delete-autolabel-rule", "--rule-name", path)

    assert (made["displayName"], after["displayName"]) == ("Tier", "Rank")
    assert "Rank" in pulled.read_text("utf-8")
    assert "tier" in listed
    assert "Rank" in got
    assert cxas.held(path) is None


def _ingest_chats(cxas: Cxas, objects: ObjectServer, count: int) -> None:
    """Load conversations of five turns; in half of them the customer lost a job."""
    for number in range(count):
        said = "I lost my job." if number % 2 else "Hello."
        turns = [("AGENT", "Hi."), ("CUSTOMER", said), *[("AGENT", "Oh.")] * 3]
        objects.put_turns(BUCKET, f"chats/{number}.json", turns)
    request = insights.IngestConversationsRequest(
        parent=cxas.emulator.parent,
        gcs_source={"bucket_uri": f"gs://{BUCKET}/chats"},
        transcript_object_config={"medium": "CHAT"},
    )
    cxas.emulator.client.ingest_conversations(request).result(timeout=60)


def test_topic_models(cxas: Cxas, ci_objects: ObjectServer) -> None:
    create_model = ("create-topic-model", "--parent", PARENT, "--display-name", "Chats")
    refused = cxas.run(*create_model, code=1)
    none = cxas.held(f"{PARENT}/issueModels")
    _ingest_chats(cxas, ci_objects, 100)
    cxas.run(*create_model)
    cxas.emulator.control.advance(1)
    (made,) = cxas.held(f"{PARENT}/issueModels")["issueModels"]
    named = ("--issue-model-name", made["name"])
    told = [
        cxas.run("list-topic-models", "--parent", PARENT),
        cxas.run("get-topic-model", *named, "--include-stats"),
        cxas.run("list-topics", *named),
    ]
    states = [made["state"]]
    for command in ("deploy-topic-model", "undeploy-topic-model"):
        cxas.run(command, *named)
        cxas.emulator.control.advance(1)
        states.append(cxas.held(made["name"])["state"])

    assert "Failed to create topic model" in refused
    assert none == {}
    assert (made["displayName"], made["issueCount"], made["inputDataConfig"]) == (
        "Chats", "1",
        {"medium": "CHAT", "filter": 'medium="CHAT"', "trainingConversationsCount": "100"},
    )  # fmt: skip
    assert made["trainingStats"]["analyzedConversationsCount"] == "100"
    for word, text in zip(
        ("Chats", "'analyzedConversationsCount': '100'", "job"), told, strict=True
    ):
        assert word in text
    assert states == ["UNDEPLOYED", "DEPLOYED", "UNDEPLOYED"]


def test_dashboards(cxas: Cxas, tmp_path: Path) -> None:
    file, pulled = tmp_path / "dashboards.yaml", tmp_path / "pulled.yaml"
    path = f"{PARENT}/dashboards/calls"
    chart = {
        "display_name": "Calls", "chart_visualization_type": "BAR",
        "data_source": {"query_metrics": {"filter": 'medium="CHAT"'}},
    }  # fmt: skip
    tab = {"container": {"display_name": "First", "widgets": [{"chart": chart}]}}
    board = {"dashboard_id": "calls", "display_name": "Calls", "root_container": {"widgets": [tab]}}
    file.write_text(yaml.safe_dump({"dashboards": [board]}))
    push = ("push-dashboards", "--file", str(file), "--parent", PARENT)
    planned = cxas.run("diff-dashboards", "--file", str(file), "--parent", PARENT)
    before = cxas.held(path)
    cxas.run(*push)
    made = cxas.held(path)
    in_sync = cxas.run("diff-dashboards", "--file", str(file), "--parent", PARENT)
    file.write_text(file.read_text().replace("First", "Second"))
    cxas.run(*push)
    after = cxas.held(path)
    cxas.run("pull-dashboards", "--parent", PARENT, "--out", str(pulled))
    listed = cxas.run("list-dashboards", "--parent", PARENT)
    got = json.loads(cxas.run("get-dashboard", "--dashboard-name", path))
    cxas.run("delete-dashboard", "--dashboard-name", path)

    assert "To Create (1)" in planned
    assert before is None
    (widget,) = made["rootContainer"]["widgets"]
    assert made["displayName"] == "Calls"
    assert widget["container"]["widgets"][0]["chart"]["chartVisualizationType"] == "BAR"
    assert "in sync" in in_sync
    assert after["rootContainer"]["widgets"][0]["container"]["displayName"] == "Second"
    assert "Second" in pulled.read_text("utf-8")
    assert "calls" in listed
    assert got == after
    assert cxas.held(path) is None


def test_metrics_reports_and_declared_configuration(cxas: Cxas, tmp_path: Path) -> None:
    template, config = tmp_path / "card.yaml", tmp_path / "config.yaml"
    base, applied = f"{PARENT}/qaScorecards/base", f"{PARENT}/qaScorecards/applied"
    cxas.run("create-scorecard", "--parent", PARENT, "--scorecard-id", "base",
             "--display-name", "Base")  # fmt: skip
    cxas.run("add-question", "--revision-name", cxas.held(f"{base}/revisions/latest")["name"],
             "--question-body", "Was it polite?",
             "--answer-choices", json.dumps(CHOICES))  # fmt: skip
    cxas.run(
        "export-scorecard-from-insights", "--scorecard_name", base, "--template", str(template)
    )
    declared = {
        "template": str(template), "scorecard_id": "applied",
        "apply_to": [{"backfill": True, "filter": 'agent_id = "app1"'}],
    }  # fmt: skip
    config.write_text(
        yaml.safe_dump({"project_id": "p", "location": "us-central1", "scorecards": [declared]})
    )
    planned = cxas.run("diff", "--config", str(config))
    before = cxas.held(applied)
    cxas.run("apply", "--config", str(config))
    cxas.emulator.control.advance(1)
    revision = cxas.held(f"{applied}/revisions/latest")
    metrics, rows = tmp_path / "metrics.json", tmp_path / "rows.json"
    cxas.run("analyze-metrics", "--parent", PARENT, "--json-output", str(metrics),
             "--html-output", str(tmp_path / "m.html"))  # fmt: skip
    cxas.run("report", "--parent", PARENT, "--output", str(rows))
    reported = json.loads(rows.read_text("utf-8"))

    assert "applied" in planned
    assert before is None
    assert (revision["state"], revision["alternateIds"]) == ("READY", ["latest", "default"])
    assert json.loads(metrics.read_text("utf-8"))["kpis"]["total_conversations"] == 3
    assert {row["conversation_name"].rpartition("/")[2] for row in reported} == {
        "call-0", "call-1", "call-2"
    }  # fmt: skip
    assert {(row["scorecard_revision"], row["question_body"]) for row in reported} == {
        (revision["name"], "Was it polite?")
    }
