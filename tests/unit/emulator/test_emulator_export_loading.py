"""Loading an export: its rows are read in parts, and a BigQuery that goes away is unavailable."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO

import grpc
import pytest
from emulator_cases import create, own_emulator
from google.api_core import exceptions

from ingest.emulator.errors import ApiError
from ingest.emulator.export import TableLoader
from ingest.emulator.testing import ObjectServer

TABLE = {"tableReference": {"projectId": "p", "datasetId": "d", "tableId": "t"}}
JOB = {
    "jobReference": {"projectId": "p", "jobId": "j", "location": "US"},
    "configuration": {"load": {}},
    "status": {"state": "DONE"},
}


@contextmanager
def bigquery(drops: str = "") -> Iterator[tuple[str, list[bytes]]]:
    """Serve one table and loads into it; yield the address and what was sent.

    Requests of the method `drops` find their connection closed.
    """
    sent: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self.reply(TABLE)

        def do_POST(self) -> None:
            self.reply({}, location=f"{address}/sent")

        def do_PUT(self) -> None:
            self.reply(JOB)

        def reply(self, content: Mapping[str, object], location: str = "") -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.command == drops:
                self.close_connection = True
                return
            if self.command == "PUT":
                sent.append(body)
            answer = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield address, sent
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class InParts(io.BytesIO):
    """Rows that can't be read as a whole."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            raise AssertionError("the rows were read as a whole")
        return super().read(size)


def test_rows_are_sent_without_being_read_as_a_whole() -> None:
    rows = b'{"turnCount": 1}\n' * 3
    with bigquery() as (address, sent):
        TableLoader(address, "p", "d.t").load(InParts(rows), append=False, version=3)
    assert b"".join(sent) == rows


@pytest.mark.parametrize("drops", ["POST", "PUT"])
def test_a_connection_that_breaks_during_a_load_is_unavailable(drops: str) -> None:
    with bigquery(drops) as (address, _), pytest.raises(ApiError) as caught:
        TableLoader(address, "p", "d.t").load(io.BytesIO(b"{}\n"), append=False, version=3)
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE


def test_an_export_gives_the_file_it_wrote_and_not_its_content(
    tmp_path: Path, ci_objects: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, int]] = []

    def load(loader: TableLoader, rows: IO[bytes], append: bool, version: int) -> None:
        seen.append((rows.mode, len(rows.readlines())))

    monkeypatch.setattr(TableLoader, "load", load)
    with (
        bigquery() as (address, _),
        own_emulator(tmp_path, ci_objects, bigquery_endpoint=address) as emulator,
    ):
        create(emulator, ci_objects)
        emulator.client.export_insights_data(
            {
                "parent": emulator.parent,
                "big_query_destination": {"project_id": "p", "dataset": "d", "table": "t"},
            }
        ).result(timeout=10)
    assert seen == [("rb+", 1)]


def test_an_export_whose_bigquery_goes_away_ends_unavailable(
    tmp_path: Path, ci_objects: ObjectServer
) -> None:
    with (
        bigquery("POST") as (address, _),
        own_emulator(tmp_path, ci_objects, bigquery_endpoint=address) as emulator,
    ):
        operation = emulator.client.export_insights_data(
            {
                "parent": emulator.parent,
                "big_query_destination": {"project_id": "p", "dataset": "d", "table": "t"},
            }
        )
        with pytest.raises(exceptions.ServiceUnavailable, match="BigQuery doesn't answer"):
            operation.result(timeout=30)
