"""The official clients behind a proxy, and in another universe than Google's own."""

from __future__ import annotations

import contextlib
import json
import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ingest.gcp.credentials import client_options
from tests.fakes.world import fake_settings

UNIVERSE = "universe.invalid"
"""No such domain can exist, so nothing leaves this machine."""
SERVICES = [f"{name}.{UNIVERSE}" for name in ("bigquery", "contactcenterinsights", "storage")]
CALLS = """
import asyncio
from google.oauth2.credentials import Credentials
from ingest.errors import RemoteError
from ingest.gcp import bigquery, insights, storage
from tests.fakes.world import fake_settings

settings = fake_settings(bucket="bucket-1", universe_domain={universe!r}, rpc_timeout_sec=5)
credentials = Credentials("a token", universe_domain={universe!r})

async def refused(check):
    try:
        await check
    except RemoteError as error:
        print(error.code)

async def main():
    store = storage.GcsObjectStore(settings, credentials)
    sink = bigquery.BigQueryRawSink(settings, credentials)
    api = insights.GrpcInsightsApi(settings)
    await refused(store.check())
    await refused(sink.check(["conversation_files"]))
    await refused(api.check())
    store.close(), sink.close(), await api.close()

asyncio.run(main())
"""


@dataclass
class Proxy:
    """A proxy that lets nothing through."""

    port: int
    asked_for: list[str] = field(default_factory=list)


@contextlib.contextmanager
def proxy() -> Iterator[Proxy]:
    """Yield a proxy on loopback that notes the host of each CONNECT."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            method, _, rest = self.rfile.readline().decode().partition(" ")
            while self.rfile.readline().strip():
                pass
            found.asked_for.append(f"{method} {rest.split()[0]}")
            self.wfile.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        found = Proxy(server.server_address[1])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield found
        server.shutdown()


def run(tmp_path: Path, **environment: str) -> list[str]:
    """Call the three services with the official clients; return the code of each refusal."""
    key = {
        "type": "authorized_user",
        "client_id": "c",
        "client_secret": "s",
        "refresh_token": "r",
        "universe_domain": UNIVERSE,
    }
    file = tmp_path / "key.json"
    file.write_text(json.dumps(key), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", CALLS.format(universe=UNIVERSE)],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(sys.path),
            "GOOGLE_APPLICATION_CREDENTIALS": str(file),
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()


def test_all_services_of_another_universe_are_asked_through_the_proxy(tmp_path: Path) -> None:
    with proxy() as found:
        codes = run(
            tmp_path,
            HTTPS_PROXY=f"http://127.0.0.1:{found.port}",
            https_proxy=f"http://127.0.0.1:{found.port}",
        )

    assert codes == ["UNAVAILABLE"] * 3
    assert sorted(set(found.asked_for)) == [f"CONNECT {name}:443" for name in SERVICES]


def test_what_no_proxy_names_is_not_asked_through_it(tmp_path: Path) -> None:
    with proxy() as found:
        address = f"http://127.0.0.1:{found.port}"
        named = f".{UNIVERSE},127.0.0.1"
        codes = run(
            tmp_path, https_proxy=address, HTTPS_PROXY=address, no_proxy=named, NO_PROXY=named
        )

    assert codes == ["UNAVAILABLE"] * 3
    assert found.asked_for == []


def test_googles_own_universe_is_left_to_the_clients() -> None:
    ours = client_options(fake_settings(), None)
    other = client_options(fake_settings(universe_domain=UNIVERSE), None)

    assert (ours.universe_domain, other.universe_domain) == (None, UNIVERSE)
