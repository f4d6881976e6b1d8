"""`python -m ingest.local.gcs_front PORT STORE_PORT ROOT`: Cloud Storage as its clients expect it.

It runs fake-gcs-server and passes requests on to it as they come, but for those below, which it
answers as Cloud Storage does:

- A delete heeds `generation` and preconditions. Old generations aren't kept, so one that isn't the
  live one is gone: 404, and the live object stays.
- So do a copy, a rewrite, a compose and the start of a resumable upload, of both ends.
- `moveTo` copies and deletes, but keeps what is moved onto itself; a batch runs its parts one
  after another, by these rules.
- A body that can't be read is a 400.
- The storage layout and the list of managed folders say that there is nothing special.

Of two requests on one object at the same moment the checks of one may come before the effect of
the other, unless both are among these.
"""

from __future__ import annotations

import asyncio
import contextlib
import email
import json
import re
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import h11

from ingest.local.gcs import HOST, gcs_server_command
from ingest.local.supervisor import tie_to_parent

_CHUNK_BYTES = 1 << 18
_HEAD_BYTES = 1 << 16
_START_SEC = 10.0
_PAUSE_SEC = 0.05
_JSON = b"application/json; charset=UTF-8"
_OF_THE_CONNECTION = (b"host", b"content-length", b"transfer-encoding", b"connection")
_OBJECT = r"/storage/v1/b/(?P<bucket>[^/]+)/o/(?P<name>.+?)"
_IS_RESUMABLE = "uploadType=resumable"
_RESUMABLE = rf"(/resumable)?/upload/storage/v1/b/(?P<bucket>[^/]+)/o\?.*{_IS_RESUMABLE}.*"
_BOUNDARY = "batch_of_answers"

type Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Call:
    """One request; `target` is path and query, as sent."""

    method: str
    target: str
    headers: Headers = ()
    body: bytes = b""

    @property
    def path(self) -> str:
        """The path, still quoted."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The parameters."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))


@dataclass(frozen=True)
class Reply:
    """One answer."""

    status: int
    body: bytes = b""
    headers: Headers = ((b"content-type", _JSON),)

    @property
    def is_done(self) -> bool:
        """Whether what was asked for is done."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


def _kept(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Return the headers that go with a message from one connection to another."""
    return [(name, value) for name, value in headers if name.lower() not in _OF_THE_CONNECTION]


def _json(value: Mapping[str, Any]) -> Reply:
    return Reply(HTTPStatus.OK, json.dumps(value).encode())


def _error(status: HTTPStatus, reason: str, message: str) -> Reply:
    told = {"message": message, "domain": "global", "reason": reason}
    error = {"error": {"code": int(status), "message": message, "errors": [told]}}
    return Reply(status, json.dumps(error).encode())


class Store:
    """Asks fake-gcs-server."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def connect(self) -> _Peer:
        """Return a connection; raise OSError where nothing listens."""
        reader, writer = await asyncio.open_connection(HOST, self._port)
        return _Peer(reader, writer, h11.Connection(h11.CLIENT))

    async def ask(self, call: Call) -> Reply:
        """Return its answer, whole."""
        peer = await self.connect()
        try:
            own = {"host": f"{HOST}:{self._port}", "content-length": str(len(call.body))}
            added = [(name.encode(), value.encode()) for name, value in own.items()]
            headers = [*_kept(call.headers), *added]
            await peer.send(h11.Request(method=call.method, target=call.target, headers=headers))
            await peer.send(h11.Data(data=call.body))
            await peer.send(h11.EndOfMessage())
            response = await peer.next()
            while isinstance(response, h11.InformationalResponse):
                response = await peer.next()
            if not isinstance(response, h11.Response):
                raise ConnectionError("the store gave no answer")
            return Reply(response.status_code, await peer.body(), _kept(response.headers))
        finally:
            peer.close()


class _Peer:
    """One end of a connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, http: h11.Connection
    ) -> None:
        self._reader, self._writer, self.http = reader, writer, http

    async def next(self) -> Any:
        """Return what the other end says next."""
        while (event := self.http.next_event()) is h11.NEED_DATA:
            if self.http.they_are_waiting_for_100_continue:
                await self.send(h11.InformationalResponse(status_code=100, headers=[]))
            self.http.receive_data(await self._reader.read(_CHUNK_BYTES))
        return event

    async def send(self, event: h11.Event) -> None:
        """Say something to the other end."""
        data = self.http.send(event)
        if data:
            self._writer.write(data)
            await self._writer.drain()

    async def body(self) -> bytes:
        """Return the rest of a message."""
        parts = []
        while isinstance(event := await self.next(), h11.Data):
            parts.append(bytes(event.data))
        return b"".join(parts)

    async def pass_to(self, other: _Peer) -> None:
        """Pass the rest of a message on as it comes."""
        while isinstance(event := await self.next(), h11.Data | h11.EndOfMessage):
            await other.send(event)
            if isinstance(event, h11.EndOfMessage):
                return
        raise ConnectionError("the connection broke off")

    def can_go_on(self) -> bool:
        """Make ready for the next message, and return whether there may be one."""
        if self.http.states != {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}:
            return False
        self.http.start_next_cycle()
        return True

    def close(self) -> None:
        """End the connection."""
        self._writer.close()


type _Answer = Callable[[Call, Mapping[str, str]], Awaitable[Reply]]


@dataclass
class Corrections:
    """What is answered here and not by fake-gcs-server."""

    store: Store
    _alone: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Between a check and its effect."""

    def of(self, method: str, target: str) -> tuple[_Answer, dict[str, str]] | None:
        """Return what answers such a request, None where fake-gcs-server does."""
        path = target if _IS_RESUMABLE in target else urlsplit(target).path
        for wanted, pattern, answer in (
            ("DELETE", _OBJECT, self._delete),
            ("POST", rf"{_OBJECT}/moveTo/o/(?P<to>.+)", self._move),
            (
                "POST",
                rf"{_OBJECT}/(rewriteTo|copyTo)/b/(?P<to_bucket>[^/]+)/o/(?P<to>.+)",
                self._copy,
            ),
            ("POST", rf"{_OBJECT}/compose", self._compose),
            ("POST", _RESUMABLE, self._begin_upload),
            ("GET", "/storage/v1/b/(?P<bucket>[^/]+)/storageLayout", self._layout),
            ("GET", "/storage/v1/b/[^/]+/managedFolders", self._managed_folders),
            ("POST", "/batch(/storage/v1)?", self._batch),
        ):
            if method == wanted and (found := re.fullmatch(pattern, path)):
                return answer, found.groupdict()
        return None

    async def answer(self, call: Call) -> Reply:
        """Return the answer to a request, whoever gives it."""
        found = self.of(call.method, call.target)
        if found is None:
            return await self.store.ask(call)
        answer, names = found
        return await answer(call, names)

    async def _delete(self, call: Call, names: Mapping[str, str]) -> Reply:
        found = await self._checked(call, names)
        return Reply(HTTPStatus.NO_CONTENT) if found.is_done else found

    async def _checked(self, call: Call, names: Mapping[str, str]) -> Reply:
        async with self._alone:
            return await self._refusal(names, call.query) or await self.store.ask(call)

    async def _compose(self, call: Call, names: Mapping[str, str]) -> Reply:
        async with self._alone:
            for name, asked in _sources(call.body):
                source = {"bucket": names["bucket"], "name": name}
                if (refusal := await self._refusal(source, asked)) is not None:
                    return refusal
            return await self._refusal(names, call.query) or await self.store.ask(call)

    async def _begin_upload(self, call: Call, names: Mapping[str, str]) -> Reply:
        told = _name_in(_document(call.body or b"{}"))
        wanted = {"bucket": names["bucket"], "name": quote(call.query.get("name") or told, safe="")}
        return await self._refusal(wanted, call.query) or await self.store.ask(call)

    async def _copy(self, call: Call, names: Mapping[str, str]) -> Reply:
        to = {"bucket": names["to_bucket"], "name": names["to"]}
        async with self._alone:
            return (
                await self._refusal(names, _of_source(call.query))
                or await self._refusal(to, call.query)
                or await self.store.ask(call)
            )

    async def _move(self, call: Call, names: Mapping[str, str]) -> Reply:
        bucket, name, to = names["bucket"], _quoted(names["name"]), _quoted(names["to"])
        source = f"/storage/v1/b/{bucket}/o/{name}"
        async with self._alone:
            refusal = await self._refusal(names, _of_source(call.query)) or await self._refusal(
                {"bucket": bucket, "name": to}, call.query
            )
            if refusal is not None:
                return refusal
            target = f"{source}/rewriteTo/b/{bucket}/o/{to}"
            copied = await self.store.ask(Call("POST", target, body=b"{}"))
            if not copied.is_done:
                return copied
            if name != to:
                deleted = await self.store.ask(Call("DELETE", source))
                if not deleted.is_done:
                    return deleted
            return _json(json.loads(copied.body)["resource"])

    async def _layout(self, call: Call, names: Mapping[str, str]) -> Reply:
        found = await self.store.ask(Call("GET", f"/storage/v1/b/{names['bucket']}"))
        if not found.is_done:
            return found
        bucket = json.loads(found.body)
        return _json(
            {
                "kind": "storage#storageLayout",
                "bucket": bucket["name"],
                "location": bucket.get("location", "US"),
                "locationType": bucket.get("locationType", "region"),
                "hierarchicalNamespace": {"enabled": False},
            }
        )

    async def _managed_folders(self, call: Call, names: Mapping[str, str]) -> Reply:
        return _json({"kind": "storage#managedFolders"})

    async def _batch(self, call: Call, names: Mapping[str, str]) -> Reply:
        kind = {name.lower(): value for name, value in call.headers}[b"content-type"]
        message = email.message_from_bytes(b"Content-Type: " + kind + b"\r\n\r\n" + call.body)
        lines = []
        for part in message.walk():
            if part.get_content_type() != "application/http":
                continue
            reply = await self.answer(_call_of(part.get_payload(decode=True)))
            status = HTTPStatus(reply.status)
            lines += [
                f"--{_BOUNDARY}",
                "Content-Type: application/http",
                f"Content-ID: <response-{(part.get('Content-ID') or '').strip('<>')}>",
                "",
                f"HTTP/1.1 {int(status)} {status.phrase}",
                *(f"{name.decode()}: {value.decode()}" for name, value in reply.headers),
                f"Content-Length: {len(reply.body)}",
                "",
                reply.body.decode(),
            ]
        body = "\r\n".join([*lines, f"--{_BOUNDARY}--", ""]).encode()
        kind = f"multipart/mixed; boundary={_BOUNDARY}".encode()
        return Reply(HTTPStatus.OK, body, ((b"content-type", kind),))

    async def _refusal(self, names: Mapping[str, str], query: Mapping[str, str]) -> Reply | None:
        """Return the answer where generation or preconditions aren't met by what is there."""
        asked = {key: value for key, value in query.items() if key in _CONDITIONS}
        if not asked:
            return None
        target = f"/storage/v1/b/{names['bucket']}/o/{_quoted(names['name'])}"
        found = await self.store.ask(Call("GET", target))
        live = json.loads(found.body) if found.is_done else {}
        if "generation" in asked and live.get("generation") != asked["generation"]:
            message = f"No such object: {names['bucket']}/{unquote(names['name'])}"
            return _error(HTTPStatus.NOT_FOUND, "notFound", message)
        for key, is_match in _CONDITIONS.items():
            if key == "generation" or key not in asked:
                continue
            held = live.get("metageneration" if "Meta" in key else "generation", "0")
            if (held == asked[key]) is not is_match:
                message = "At least one of the pre-conditions you specified did not hold."
                return _error(HTTPStatus.PRECONDITION_FAILED, "conditionNotMet", message)
        return None


_CONDITIONS = {
    "generation": True,
    "ifGenerationMatch": True,
    "ifGenerationNotMatch": False,
    "ifMetagenerationMatch": True,
    "ifMetagenerationNotMatch": False,
}
"""Parameters, and whether what is there must equal them."""


def _of_source(query: Mapping[str, str]) -> dict[str, str]:
    """Return what a copy asks of its source, named as what it asks of its destination."""
    named = {"sourceGeneration": "generation"}
    for key in _CONDITIONS:
        if key != "generation":
            named[f"ifSource{key.removeprefix('if')}"] = key
    return {named[key]: value for key, value in query.items() if key in named}


def _document(body: bytes) -> dict[str, Any]:
    """Return a body's JSON object; raise ValueError where it is none."""
    value = json.loads(body)
    if not isinstance(value, dict):
        raise ValueError("no JSON object")
    return value


def _name_in(document: Mapping[str, Any]) -> str:
    """Return the name that an object has in a body, empty for none."""
    name = document.get("name", "")
    if not isinstance(name, str):
        raise ValueError("a name that is no text")
    return name


def _sources(body: bytes) -> list[tuple[str, dict[str, str]]]:
    """Return what a compose asks of each of its sources, by the source's quoted name."""
    found = []
    listed = _document(body).get("sourceObjects") or []
    if not isinstance(listed, list):
        raise ValueError("sources that are no list")
    for source in listed:
        conditions = source.get("objectPreconditions") or {} if isinstance(source, dict) else None
        if not isinstance(conditions, dict):
            raise ValueError("a source that is no object")
        asked = {**conditions, "generation": source.get("generation")}
        wanted = {key: str(value) for key, value in asked.items() if value is not None}
        found.append((quote(_name_in(source), safe=""), wanted))
    return found


def _quoted(name: str) -> str:
    """Return a name of which some characters are quoted, with all of them quoted."""
    return quote(unquote(name), safe="")


def _call_of(part: Any) -> Call:
    """Return the request that a part of a batch holds."""
    head, _, body = bytes(part).lstrip().replace(b"\r\n", b"\n").partition(b"\n\n")
    first, *lines = head.decode().splitlines()
    method, address = first.split(" ")[:2]
    where = urlsplit(address)
    target = where.path + (f"?{where.query}" if where.query else "")
    headers = [tuple(map(str.strip, line.split(":", 1))) for line in lines if ":" in line]
    return Call(method, target, [(n.encode(), v.encode()) for n, v in headers], body.strip())


class Front:
    """Answers clients, each on a connection of its own to the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._corrections = Corrections(store)
        self._clients: set[_Peer] = set()

    def close(self) -> None:
        """End all connections."""
        for client in self._clients:
            client.close()

    async def _corrected(self, call: Call) -> Reply:
        try:
            return await self._corrections.answer(call)
        except (ValueError, LookupError):
            return _error(HTTPStatus.BAD_REQUEST, "invalid", "the request can't be read")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection until it ends."""
        http = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_BYTES)
        client, store = _Peer(reader, writer, http), None
        self._clients.add(client)
        try:
            while isinstance(request := await client.next(), h11.Request):
                method, target = request.method.decode(), request.target.decode()
                if self._corrections.of(method, target) is not None:
                    call = Call(method, target, list(request.headers), await client.body())
                    await _reply(client, await self._corrected(call))
                else:
                    store = store or await self._store.connect()
                    await _relay(client, store, request)
                    if not store.can_go_on():
                        store.close()
                        store = None
                if not client.can_go_on():
                    return
        except (OSError, h11.ProtocolError):
            with contextlib.suppress(OSError, h11.ProtocolError):
                if client.http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                    reply = _error(HTTPStatus.SERVICE_UNAVAILABLE, "backendError", "no answer")
                    await _reply(client, reply)
        finally:
            self._clients.discard(client)
            client.close()
            if store is not None:
                store.close()


async def _relay(client: _Peer, store: _Peer, request: h11.Request) -> None:
    await store.send(request)
    await client.pass_to(store)
    while isinstance(response := await store.next(), h11.InformationalResponse):
        pass
    if not isinstance(response, h11.Response):
        raise ConnectionError("the store gave no answer")
    await client.send(response)
    await store.pass_to(client)


async def _reply(client: _Peer, reply: Reply) -> None:
    headers = [*reply.headers, (b"content-length", str(len(reply.body)).encode())]
    await client.send(h11.Response(status_code=reply.status, headers=headers))
    await client.send(h11.Data(data=reply.body))
    await client.send(h11.EndOfMessage())


async def run(port: int, store_port: int, root: Path) -> None:
    """Serve until SIGTERM or until fake-gcs-server ends."""
    await _until_free(store_port)
    tie = tie_to_parent()
    process = await asyncio.create_subprocess_exec(
        *gcs_server_command(store_port, root, port), preexec_fn=tie
    )
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    front = Front(Store(store_port))
    server = await asyncio.start_server(front.serve, HOST, port, limit=_CHUNK_BYTES)
    ends = [asyncio.create_task(told.wait()), asyncio.create_task(process.wait())]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    server.close()
    front.close()
    if process.returncode is None:
        process.terminate()
    await process.wait()


async def _until_free(port: int) -> None:
    """Return once the server of a front that was killed is gone."""
    for _ in range(int(_START_SEC / _PAUSE_SEC)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return
        await asyncio.sleep(_PAUSE_SEC)


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
