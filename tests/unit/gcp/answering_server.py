"""A service on loopback that answers as it is told."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Request:
    """One request: its target as sent, and what clients tell by it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The target's path."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The target's parameters, the first value of each."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}


@dataclass
class Service:
    """A running service: where it is, and what it was asked."""

    port: int
    requests: list[Request] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Its address as an endpoint."""
        return f"http://127.0.0.1:{self.port}"


def reply(
    body: bytes,
    status: int = 200,
    content_type: str = "application/json",
    length: int | None = None,
    **headers: str,
) -> bytes:
    """Return a whole HTTP answer; `length` is the one that it claims."""
    lines = [
        f"HTTP/1.1 {status} Reason",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body) if length is None else length}",
        "Connection: close",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class _Server(ThreadingHTTPServer):
    """Lets as many connections wait as a client opens at once; by default it is five."""

    request_queue_size = 128


@contextlib.contextmanager
def serving(answer: Callable[[Request], bytes]) -> Iterator[Service]:
    """Yield a service that sends what `answer` returns, byte for byte, and ends the connection."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, content)
            service.requests.append(request)
            self.wfile.write(answer(request))
            self.close_connection = True

        def do_POST(self) -> None:
            self.do_GET()

        def do_DELETE(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = _Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    service = Service(server.server_port)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
