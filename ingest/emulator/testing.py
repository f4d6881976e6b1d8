"""For tests: the emulator in a thread of their process, and Cloud Storage as a dictionary."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

import grpc

from ingest.emulator.options import EmulatorOptions
from ingest.emulator.rpc_pipeline import SCOPE_HEADER
from ingest.emulator.server import Emulator

_OK, _NOT_FOUND = 200, 404


class ObjectServer:
    """Serves `objects` on 127.0.0.1; use it in a `with` block.

    `refusals` maps (bucket, object) to a status that is answered instead.
    """

    def __init__(self, page_size: int = 1000) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}
        self.refusals: dict[tuple[str, str], int] = {}
        self.page_size = page_size
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def endpoint(self) -> str:
        """Where it listens, http://host:port."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def put(self, bucket: str, name: str, content: bytes) -> str:
        """Store an object and return its gs:// URI."""
        self.objects[bucket, name] = content
        return f"gs://{bucket}/{name}"

    def put_turns(self, bucket: str, name: str, turns: list[tuple[str, str]]) -> str:
        """Store an Insights transcript of (role, text) turns five seconds apart; return its URI."""
        entries = [
            {
                "role": role,
                "text": text,
                "user_id": 1 if role in ("CUSTOMER", "END_USER") else 2,
                "start_timestamp_usec": 1_766_892_002_000_000 + index * 5_000_000,
            }
            for index, (role, text) in enumerate(turns)
        ]
        return self.put(bucket, name, json.dumps({"entries": entries}).encode())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, path: str) -> tuple[int, bytes]:
        """Return status and content for a request path."""
        url = urlsplit(path)
        parts = [unquote(part) for part in url.path.split("/")]
        bucket = parts[4]
        if len(parts) > 6:
            key = (bucket, parts[6])
            if key in self.refusals:
                return self.refusals[key], b""
            return (_OK, self.objects[key]) if key in self.objects else (_NOT_FOUND, b"")
        if (bucket, "") in self.refusals:
            return self.refusals[bucket, ""], b""
        query = parse_qs(url.query)
        return _OK, self._page(bucket, query.get("prefix", [""])[0], query.get("pageToken", ["0"]))

    def _page(self, bucket: str, prefix: str, token: list[str]) -> bytes:
        start = int(token[0] or 0)
        names = sorted(name for own, name in self.objects if own == bucket)
        matching = [name for name in names if name.startswith(prefix)]
        page: dict[str, Any] = {
            "items": [{"name": name} for name in matching[start : start + self.page_size]]
        }
        if start + self.page_size < len(matching):
            page["nextPageToken"] = str(start + self.page_size)
        return json.dumps(page).encode()


def _handler(server: ObjectServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and content are two writes: with Nagle's algorithm the second waits 40 ms.
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            status, content = server.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            url = urlsplit(self.path)
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            server.put(url.path.split("/")[5], parse_qs(url.query)["name"][0], content)
            self.send_response(_OK)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler


_START_SEC = 30.0


class EmulatorThread:
    """A running emulator; use it in a `with` block."""

    def __init__(self, options: EmulatorOptions) -> None:
        self._options = options
        self._started: Future[tuple[int, int]] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self.address = self.rest_endpoint = ""

    def __enter__(self) -> Self:
        self._thread.start()
        port, rest_port = self._started.result(_START_SEC)
        host = self._options.host
        self.address, self.rest_endpoint = f"{host}:{port}", f"http://{host}:{rest_port}"
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._stopped is not None:
            self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(_START_SEC)

    async def _serve(self) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        try:
            emulator = Emulator(self._options)
            await emulator.start()
        except Exception as error:  # noqa: BLE001 (told to the thread that waits)
            self._started.set_exception(error)
            return
        self._started.set_result((emulator.port, emulator.rest_port))
        await self._stopped.wait()
        await emulator.stop()


class _ScopeInterceptor(grpc.UnaryUnaryClientInterceptor):
    def __init__(self, scope: str) -> None:
        self._scope = scope

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        metadata = [*(details.metadata or ()), (SCOPE_HEADER, self._scope)]
        return continuation(details._replace(metadata=metadata), request)


def scoped_channel(channel: grpc.Channel, scope: str) -> grpc.Channel:
    """Return the channel; each call over it names the scope."""
    return grpc.intercept_channel(channel, _ScopeInterceptor(scope))
