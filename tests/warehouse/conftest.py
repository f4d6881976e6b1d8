"""One BigQuery emulator for the warehouse tests of a process."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from google.cloud import bigquery

from ingest.local.layout import is_free
from tests.warehouse.raw_loading import client_for

START_LIMIT_SEC = 180


@dataclass(frozen=True)
class Warehouse:
    """An emulator that answers."""

    endpoint: str
    client: bigquery.Client

    def rows(self, sql: str) -> list[dict[str, object]]:
        job = self.client.query(sql, retry=None, job_retry=None, timeout=60)
        return [dict(row) for row in job.result(timeout=120)]


@pytest.fixture(scope="session")
def warehouse(
    tmp_path_factory: pytest.TempPathFactory, stack_port_bases: Iterator[int]
) -> Iterator[Warehouse]:
    """Yield a BigQuery emulator with data of its own."""
    folder = tmp_path_factory.mktemp("warehouse")
    base = next(base for base in stack_port_bases if is_free(base) and is_free(base + 1))
    command = [sys.executable, "-m", "ingest.local.bigquery.server", "--port", str(base)]
    command += ["--grpc-port", str(base + 1), "--data-dir", str(folder / "data")]
    command += ["--gcs-root", str(folder / "gcs")]
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        endpoint = f"http://127.0.0.1:{base}"
        _await(f"{endpoint}/bigquery/v2/projects/local-project/datasets", folder / "server.log")
        yield Warehouse(endpoint, client_for(endpoint))
    finally:
        server.terminate()
        server.wait(timeout=20)


def _await(url: str, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_SEC
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    raise AssertionError(f"the emulator did not start: {log.read_text()[-2000:]}")
