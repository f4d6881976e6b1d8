"""The service's REST front: every route of its discovery document, on a port of its own.

A route that gRPC has as well goes the way of its RPC: same quotas, latencies, faults, counters,
recordings. Two collections that only REST has are kept as JSON; the other routes answer 501 with
their name. Errors are google.rpc.Status in JSON.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl

import grpc
import orjson
import uvicorn
from google.protobuf import json_format
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route as HttpRoute

from ingest.emulator import protos
from ingest.emulator.errors import ApiError, internal, invalid, not_found, unimplemented
from ingest.emulator.rest_digest import Route, routes
from ingest.emulator.rest_json import (
    Json,
    bad_json,
    read_message,
    read_query,
    select,
    write_message,
)
from ingest.emulator.rest_resources import RestResources
from ingest.emulator.rpc_pipeline import message_class
from ingest.errors import InputError

logger = logging.getLogger(__name__)

Entry = Callable[[bytes, Any], Awaitable[bytes]]

MAX_BODY_BYTES = 10 * 1024 * 1024
"""What Google's front takes (its refusal names the limit)."""
_MOST_LEVELS = 100
_HTTP = {
    "INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403, "NOT_FOUND": 404, "ALREADY_EXISTS": 409,
    "ABORTED": 409, "RESOURCE_EXHAUSTED": 429, "CANCELLED": 499, "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504,
}  # fmt: skip
"""HTTP status by code (google.rpc.Code's own comments); the rest is 500."""
_SYSTEM_PARAMETERS = frozenset(
    {"alt", "fields", "key", "prettyPrint", "quotaUser", "access_token", "oauth_token", "callback"}
    | {"uploadType", "upload_protocol"}
)
"""The document's parameters of every method; those that begin with `$` belong to them."""
_VERBS = ["GET", "POST", "PATCH", "DELETE", "PUT"]


class RestServer:
    """Serves REST; `port` is known after `start`."""

    def __init__(self, entries: Mapping[str, Entry], kept: RestResources, port: int) -> None:
        self._entries = entries
        self._kept = kept
        self._wanted = port
        self.port = 0
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self, host: str) -> None:
        """Answer from now on; raise InputError when the port is taken."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, self._wanted))
        except OSError as error:
            listener.close()
            raise InputError(
                f"port {self._wanted} on {host} is taken", "give another --rest-port"
            ) from error
        self.port = listener.getsockname()[1]
        app = Starlette(
            routes=[
                HttpRoute("/token", _token, methods=["POST"]),
                HttpRoute("/{path:path}", self._answer, methods=_VERBS),
            ],
            exception_handlers={405: _wrong_verb},
        )
        config = uvicorn.Config(app, log_level="critical", lifespan="off", access_log=False)
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve([listener]))

    async def stop(self) -> None:
        """End calls and close the port."""
        if self._server is not None and self._task is not None:
            self._server.should_exit = self._server.force_exit = True
            await self._task

    async def _answer(self, request: Request) -> Response:
        request.state.system = {}
        try:
            return await self._answered(request)
        except ApiError as error:
            refusal = error
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception:
            logger.exception("path=%s broke", request.url.path)
            refusal = internal()
        return _json_response(request, _HTTP.get(refusal.code.name, 500), _error(refusal))

    async def _answered(self, request: Request) -> Response:
        verb, query, body = await _parts(request)
        route, bound = _find(verb, request.url.path)
        method = route.method
        if method is None:
            if not self._kept.answers(route):
                raise unimplemented(f"Method {route.id}")
            _check_selection(request)
            return _json_response(request, 200, self._kept.answer(route, bound, query, body))
        message = message_class(method.request)()
        self._fill(message, bound, query, body)
        context = _CallContext(request)
        _check_selection(request)
        reply = await self._entries[method.name](message.SerializeToString(), context)
        response = message_class(method.response).FromString(reply)
        as_ints = request.state.system.get("$alt", "").endswith("enum-encoding=int")
        return _json_response(request, 200, write_message(response, reply, as_ints))

    def _fill(
        self,
        message: protos.Pb,
        bound: dict[str, str],
        query: list[tuple[str, str]],
        body: Json | None,
    ) -> None:
        """Fill a request from query, body and path, of which the later ones win."""
        ((name, value),) = bound.items()
        tree = read_query(iter(query), message)
        resource = _resource_field(message, name, body is not None)
        if body is not None and resource:
            tree[message.DESCRIPTOR.fields_by_name[resource].json_name] = body
            getattr(message, resource).SetInParent()
        elif body is not None:
            tree |= body if isinstance(body, dict) else {}
            if not isinstance(body, dict):
                raise bad_json("", "the root must be an object")
        read_message(tree, message)
        if name not in message.DESCRIPTOR.fields_by_name:
            message = getattr(message, _named_field(message))
        setattr(message, name, value)


class _Server(uvicorn.Server):
    """Leaves the signals to the emulator."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _CallContext:
    """What the pipeline needs of a call's context."""

    def __init__(self, request: Request) -> None:
        self._headers = request.headers

    def invocation_metadata(self) -> list[tuple[str, str]]:
        return list(self._headers.items())

    async def abort(
        self, code: grpc.StatusCode, message: str, trailing: tuple[tuple[str, bytes], ...] = ()
    ) -> None:
        details = [
            detail for _, status in trailing for detail in protos.Status.FromString(status).details
        ]
        raise _PackedError(code, message, details)


class _PackedError(ApiError):
    """A refusal whose details are packed already."""


def _find(verb: str, path: str) -> tuple[Route, dict[str, str]]:
    for route in routes():
        if route.verb == verb and (found := route.path.fullmatch(path)):
            return route, found.groupdict()
    raise not_found(f"{verb} {path}")


def _resource_field(message: protos.Pb, bound: str, has_body: bool) -> str:
    """Return the field that the body fills; "" when it fills the request itself.

    Create and Update take a resource as body: the request's only field of a message type that has a
    name or that the method is called by.
    """
    verb = message.DESCRIPTOR.name
    if not verb.startswith(("Create", "Update")) or not (has_body or verb.startswith("Update")):
        return ""
    noun = verb.removeprefix("Create").removeprefix("Update").removesuffix("Request")
    return next(
        field.name
        for field in message.DESCRIPTOR.fields
        if field.message_type is not None and field.message_type.name == noun
    )


def _named_field(message: protos.Pb) -> str:
    """Return the field whose resource a path names; requests have one such at most."""
    return next(
        field.name
        for field in message.DESCRIPTOR.fields
        if field.message_type is not None and "name" in field.message_type.fields_by_name
    )


async def _parts(request: Request) -> tuple[str, list[tuple[str, str]], Json | None]:
    """Return verb, query parameters of the method, and body.

    Google's clients send a very long GET as POST with its query in the body and the verb in a
    header.
    """
    verb = request.headers.get("x-http-method-override", request.method).upper()
    query = request.url.query
    content = b"".join([chunk async for chunk in _limited(request)])
    is_form = request.headers.get("content-type", "").startswith(
        "application/x-www-form-urlencoded"
    )
    if verb != request.method and is_form:
        query, content = content.decode("utf-8", "replace"), b""
    pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=10_000)
    own = [(name, value) for name, value in pairs if not _is_system(name)]
    request.state.system = {name: value for name, value in pairs if _is_system(name)}
    if not content.strip():
        return verb, own, ({} if verb in ("POST", "PATCH", "PUT") else None)
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise bad_json("", f"{error.msg} at character {error.pos}") from error
    _check_depth(body)
    return verb, own, body


def _check_depth(body: Json) -> None:
    """Refuse JSON that is nested deeper than protobuf reads and than a reply could be written."""
    level = [body] if isinstance(body, (dict, list)) else []
    for _ in range(_MOST_LEVELS):
        inside = [each.values() if isinstance(each, dict) else each for each in level]
        level = [each for part in inside for each in part if isinstance(each, (dict, list))]
        if not level:
            return
    raise bad_json("", f"it has more than {_MOST_LEVELS} levels")


def _is_system(name: str) -> bool:
    return name.startswith("$") or name in _SYSTEM_PARAMETERS


async def _limited(request: Request) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise invalid(f"Request payload size exceeds the limit: {MAX_BODY_BYTES} bytes.")
        yield chunk


def _error(error: ApiError) -> Json:
    content: dict[str, Json] = {
        "code": _HTTP.get(error.code.name, 500), "message": error.message,
        "status": error.code.name,
    }  # fmt: skip
    packed = error.details if isinstance(error, _PackedError) else map(protos.packed, error.details)
    details = [json_format.MessageToDict(detail) for detail in packed]
    return {"error": {**content, "details": details} if details else content}


def _check_selection(request: Request) -> None:
    """Refuse a bad `fields` parameter before anything is done."""
    fields = request.state.system.get("fields")
    if fields:
        select({}, fields)


def _json_response(request: Request, status: int, content: Json) -> Response:
    given = request.state.system
    if given.get("fields") and status == 200:
        content = select(content, given["fields"])
    is_pretty = given.get("prettyPrint", given.get("$prettyPrint", "true")) != "false"
    body = orjson.dumps(content, option=orjson.OPT_INDENT_2 if is_pretty else None)
    return Response(body, status, media_type="application/json; charset=UTF-8")


async def _wrong_verb(request: Request, _: Exception) -> Response:
    """Refuse a verb that no route has as an unknown route."""
    request.state.system = {}
    return _json_response(request, 404, _error(not_found(f"{request.method} {request.url.path}")))


async def _token(request: Request) -> Response:
    """Give a token to clients that must have one: name it as `token_uri` of their credentials."""
    content = {"access_token": "emulated", "expires_in": 3600, "token_type": "Bearer"}
    return Response(orjson.dumps(content), media_type="application/json")
