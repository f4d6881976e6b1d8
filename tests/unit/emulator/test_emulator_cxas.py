"""Google's own command line for Insights, cxas-scrapi 1.10.0, unmodified against the REST port.

    CXAS=/its/own/venv/bin/cxas pytest tests/unit/emulator/test_emulator_cxas.py

Its address is fixed, so it goes through its documented proxy settings: a proxy here ends TLS for
*.googleapis.com and passes the bytes on. Its exit code proves nothing, since it swallows failures:
each command is held against what it should have changed. Left out are `eval`, which needs a model,
the commands of topic models, of which training takes a hundred conversations, and of dashboards.
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
from emulator_cases import create, own_emulator

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
        self._rest, self._folder, self._settings = emulator.rest_endpoint, folder, settings

    def run(self, *command: str) -> str:
        """Return what a command says."""
        done = subprocess.run(
            [str(CXAS), "--no-input", "insights", *command],
            env={**os.environ, **self._settings},
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout[-600:], done.stderr[-1500:])
        return done.stdout

    def held(self, path: str) -> Any:
        """Return what the emulator holds, or None."""
        reply = requests.get(f"{self._rest}/v1/{path}", timeout=30)
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
    cxas.run("validate-scorecard", "--revision-name", revision)
    cxas.run("activate-scorecard", "--revision-name", revision)
    activated = cxas.held(revision)["state"]
    cxas.run("deploy-scorecard", "--revision-name", revision)
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
    assert activated == "READY"
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


def test_metrics_reports_and_declared_configuration(cxas: Cxas, tmp_path: Path) -> None:
    template, config = tmp_path / "card.yaml", tmp_path / "config.yaml"
    cxas.run("create-scorecard", "--parent", PARENT, "--scorecard-id", "base",
             "--display-name", "Base")  # fmt: skip
    cxas.run("export-scorecard-from-insights", "--scorecard_name", f"{PARENT}/qaScorecards/base",
             "--template", str(template))  # fmt: skip
    declared = {"template": str(template), "scorecard_id": "applied", "apply_to": []}
    config.write_text(
        yaml.safe_dump({"project_id": "p", "location": "us-central1", "scorecards": [declared]})
    )
    planned = cxas.run("diff", "--config", str(config))
    before = cxas.held(f"{PARENT}/qaScorecards/applied")
    cxas.run("apply", "--config", str(config))
    metrics, rows = tmp_path / "metrics.json", tmp_path / "rows.json"
    cxas.run("analyze-metrics", "--parent", PARENT, "--json-output", str(metrics),
             "--html-output", str(tmp_path / "m.html"))  # fmt: skip
    cxas.run("report", "--parent", PARENT, "--output", str(rows))

    assert "applied" in planned
    assert before is None
    assert cxas.held(f"{PARENT}/qaScorecards/applied")["name"].endswith("/applied")
    assert "3" in json.dumps(json.loads(metrics.read_text("utf-8"))["kpis"])
    assert rows.exists()
