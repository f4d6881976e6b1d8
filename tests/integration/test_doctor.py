"""`ingest doctor` on a local stack: all well, a table that differs, nothing that answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from stack_fixture import Stack

pytestmark = pytest.mark.stack
RUN_INGEST = "from ingest.cli import main; main()"
REPOSITORY = Path(__file__).resolve().parents[2]


def doctor(endpoints: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return ingest(endpoints, "doctor", "--json")


def ingest(endpoints: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("INGEST_")
    } | {f"INGEST_{name.upper()}": value for name, value in endpoints.items()}
    return subprocess.run(
        [sys.executable, "-c", RUN_INGEST, *arguments],
        env=environment,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture(autouse=True)
def applied_matchers(stack: Stack) -> None:
    """Other tests of the session may have left the stack's phrase matchers otherwise."""
    assert ingest(stack.endpoints, "matchers", "apply").returncode == 0


def failed(finished: subprocess.CompletedProcess[str]) -> dict[str, tuple[str, str]]:
    checks = json.loads(finished.stdout)["checks"]
    return {
        check["name"]: (check["detail"], check["cure"])
        for check in checks
        if check["verdict"] == "failed"
    }


def test_everything_is_well_on_a_provisioned_stack(stack: Stack) -> None:
    finished = doctor(stack.endpoints)
    assert failed(finished) == {}
    assert finished.returncode == 0


@pytest.fixture
def table_without_a_partition_filter(stack: Stack) -> Iterator[None]:
    client = bigquery.Client(
        project=stack.settings.project_id,
        credentials=AnonymousCredentials(),
        client_options=ClientOptions(api_endpoint=stack.settings.bigquery_endpoint),
    )
    table = client.get_table(f"{stack.settings.raw_dataset}.phrase_matchers")
    table.require_partition_filter = False
    client.update_table(table, ["require_partition_filter"])
    yield
    table = client.get_table(table.reference)
    table.require_partition_filter = True
    client.update_table(table, ["require_partition_filter"])
    client.close()


@pytest.mark.usefixtures("table_without_a_partition_filter")
def test_a_table_that_differs_from_its_declaration_is_named_with_the_cure(stack: Stack) -> None:
    finished = doctor(stack.endpoints)
    assert failed(finished) == {
        "table phrase_matchers": ("doesn't require a partition filter", "run `ingest local up`")
    }
    assert finished.returncode == 3


def test_a_stack_that_does_not_answer_fails_every_check_with_a_cure() -> None:
    dead = {
        "gcs_endpoint": "http://127.0.0.1:9",
        "bigquery_endpoint": "http://127.0.0.1:9",
        "insights_endpoint": "127.0.0.1:9",
    }
    finished = doctor(dead)
    found = failed(finished)
    assert {"bucket local-project-cc-dev", "dataset coach_raw", "Insights"} <= found.keys()
    assert all(cure for _, cure in found.values())
    assert finished.returncode == 3
