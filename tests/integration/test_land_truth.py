"""`ingest data land-truth` against the local stack."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from stack_fixture import Stack
from typer.testing import CliRunner

from ingest.cli import data
from ingest.cli._console import ErrorGroup

pytestmark = pytest.mark.stack

ROOT = Path(__file__).parents[2]
SECONDS = 30


@pytest.fixture
def environment(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    settings = stack.settings
    values = {
        "PROJECT_ID": settings.project_id,
        "BUCKET": settings.bucket,
        "LOCATION": settings.location,
        "GCS_ENDPOINT": settings.gcs_endpoint,
        "BIGQUERY_ENDPOINT": settings.bigquery_endpoint,
        "INSIGHTS_ENDPOINT": settings.insights_endpoint,
    }
    for name, value in values.items():
        monkeypatch.setenv(f"INGEST_{name}", str(value))


@pytest.mark.usefixtures("environment")
def test_every_truth_is_landed_whole_and_names_its_transcript(stack: Stack) -> None:
    app = typer.Typer(cls=ErrorGroup)
    app.add_typer(data.app, name="data")

    result = CliRunner().invoke(
        app, ["data", "land-truth", "seeds/conversations", "--json"], catch_exceptions=False
    )

    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == {"table": "conversation_truths", "landed": 24, "lost": 0}
    client = bigquery.Client(
        stack.settings.project_id,
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": stack.settings.bigquery_endpoint},
    )
    rows = client.query_and_wait(
        f"select conversation_id, transcript_sha256, to_json_string(payload) as payload"
        f" from {stack.settings.raw_dataset}.conversation_truths"
        f" where _landed_at > timestamp '2020-01-01' and batch_date = date '2025-12-28'",
        wait_timeout=SECONDS,
    )
    landed = {row["conversation_id"]: json.loads(row["payload"]) for row in rows}
    assert landed == {
        path.parent.name: json.loads(path.read_text(encoding="utf-8"))
        for path in ROOT.glob("seeds/conversations/*/*/expected.json")
    }
