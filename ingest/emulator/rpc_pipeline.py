"""One way in and one way out for every call: quota, latency, fault, work, record, count.

A recording is one JSON object a line: method, request, status, message, response, details; messages
are serialized and in base64. It holds conversations as they were sent: treat it like the data. A
last line without end was being written when the emulator was killed; its call was never answered.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import orjson
from google.protobuf import descriptor_pool, message_factory, struct_pb2
from google.protobuf.message import DecodeError

from ingest.emulator import protos
from ingest.emulator.context import Context, Scopes
from ingest.emulator.errors import ApiError, failed_precondition, internal, invalid, unimplemented
from ingest.emulator.methods import Method
from ingest.errors import InputError

_LINE_START = b'{"method":'


class Answer(NamedTuple):
    """How a call was answered; `response` is a serialized message, `details` a Status or empty."""

    status: str
    message: str
    response: bytes
    details: bytes


class Recorder:
    """Appends every call to a file; a line is written when the call is answered."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab", buffering=0)
            self._drop_torn_line(path.read_bytes())
        except OSError as error:
            raise InputError(
                f"the recording {path} can't be written ({error.strerror})", "give another --record"
            ) from error

    def write(self, method: str, request: bytes, answer: Answer) -> None:
        """Append one call."""
        line = {
            "method": method,
            "request": base64.b64encode(request).decode(),
            "status": answer.status,
            "message": answer.message,
            "response": base64.b64encode(answer.response).decode(),
            "details": base64.b64encode(answer.details).decode(),
        }
        self._file.write(orjson.dumps(line) + b"\n")

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def _drop_torn_line(self, content: bytes) -> None:
        whole = _whole_lines(content)
        if content[len(whole) :].startswith(_LINE_START):
            self._file.truncate(len(whole))


class Replay:
    """Answers a request as the recording did: the n-th equal request gets the n-th answer, and
    further ones the last."""

    def __init__(self, path: Path) -> None:
        self._answers: dict[tuple[str, bytes], deque[Answer]] = {}
        try:
            for line in _whole_lines(path.read_bytes()).splitlines():
                self._add(orjson.loads(line))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path} is no recording of calls", "give a file that --record wrote"
            ) from error

    def answer(self, method: str, request: bytes) -> Answer:
        """Return the answer; FAILED_PRECONDITION for an unknown request."""
        answers = self._answers.get((method, request))
        if not answers:
            raise failed_precondition(f"This {method} request is not in the recording.")
        return answers.popleft() if len(answers) > 1 else answers[0]

    def _add(self, line: dict[str, Any]) -> None:
        key = (str(line["method"]), base64.b64decode(line["request"]))
        answer = Answer(
            str(line["status"]),
            str(line["message"]),
            base64.b64decode(line["response"]),
            base64.b64decode(line.get("details", "")),
        )
        self._answers.setdefault(key, deque()).append(answer)


def _whole_lines(content: bytes) -> bytes:
    return content[: content.rfind(b"\n") + 1]


logger = logging.getLogger(__name__)

SCOPE_HEADER = "x-emulator-scope"
"""Metadata key of a call: whose clock, faults, latencies, quotas and counters it meets."""
_EXPIRY_CHECK_US = 1_000_000

Handler = Callable[[protos.Pb], Awaitable[protos.Pb | bytes]]


class RpcPipeline:
    """Makes gRPC entries of handlers."""

    def __init__(
        self,
        context: Context,
        forget_expired: Callable[[int], None],
        recorder: Recorder | None,
        replay: Replay | None,
    ) -> None:
        self._context = context
        self._forget_expired = forget_expired
        self._recorder = recorder
        self._replay = replay
        self._expiry_checked_us = 0

    def entry(self, method: Method, handler: Handler | None) -> Any:
        """Return the function that gRPC calls for a method with serialized messages."""
        request_class = message_class(method.request)

        async def answer(serialized: bytes, context: Any) -> bytes:
            self._context.scopes.enter(_scope_name(context))
            status, message, reply, details = "OK", "", b"", b""
            try:
                reply = await self._answer(method.name, handler, request_class, serialized)
            except ApiError as error:
                status, message, details = error.code.name, error.message, _details(error)
                await _abort(context, error)
            except asyncio.CancelledError:
                status = "CANCELLED"
                raise
            finally:
                self._context.switches.calls[method.name, status] += 1
                if self._recorder is not None:
                    self._recorder.write(
                        method.name, serialized, Answer(status, message, reply, details)
                    )
            return reply

        return answer

    async def _answer(
        self, method: str, handler: Handler | None, request_class: Any, serialized: bytes
    ) -> bytes:
        switches, clock = self._context.switches, self._context.clock
        if switches.quotas.counts_calls:
            region = self._context.names.region_of(_resource(request_class, serialized))
            switches.quotas.take(method, region, clock.now())
        latency = switches.of_call(method)
        if latency:
            await clock.sleep_until(clock.now() + latency)
        fault = switches.faults.draw("method", method)
        if fault is not None and fault.when == "before":
            raise fault.error()
        if handler is None:
            raise unimplemented(f"Method {method}")
        if self._replay is not None:
            reply: protos.Pb | bytes = _replayed(self._replay.answer(method, serialized))
        else:
            reply = await self._work(method, handler, _parse(request_class, serialized))
        if fault is not None:
            raise fault.error()
        return reply if isinstance(reply, bytes) else bytes(reply.SerializeToString())

    async def _work(self, method: str, handler: Handler, request: protos.Pb) -> protos.Pb | bytes:
        self._look_for_expired(self._context.scopes.shared.clock.now())
        try:
            return await handler(request)
        except (ApiError, asyncio.CancelledError):
            raise
        except Exception as error:
            logger.exception("method=%s broke", method)
            raise internal() from error

    def _look_for_expired(self, now: int) -> None:
        """Look for expired conversations once a second, also when the clock is moved back."""
        if abs(now - self._expiry_checked_us) >= _EXPIRY_CHECK_US:
            self._expiry_checked_us = now
            self._forget_expired(now)


class UnknownCalls(grpc.GenericRpcHandler):
    """Refuses every method that no other handler knows, by its name, and counts the call."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def service(self, handler_call_details: Any) -> Any:
        """Return the handler of any call: a stream of requests is the general case."""
        name = str(handler_call_details.method).removeprefix("/")

        async def refuse(requests: Any, context: Any) -> None:
            self._context.scopes.enter(_scope_name(context))
            self._context.switches.calls[name, "UNIMPLEMENTED"] += 1
            await _abort(context, unimplemented(f"Method {name}"))

        return grpc.stream_stream_rpc_method_handler(refuse)


def control_entries(scopes: Scopes, handlers: Mapping[str, Handler]) -> dict[str, Any]:
    """Return the gRPC functions of control methods, which meet no quota, fault or recording."""

    def entry(handler: Handler) -> Any:
        async def answer(serialized: bytes, context: Any) -> bytes:
            scopes.enter(_scope_name(context), is_new=True)
            try:
                reply = await handler(_parse(struct_pb2.Struct, serialized))
            except ApiError as error:
                await _abort(context, error)
                raise
            return reply if isinstance(reply, bytes) else bytes(reply.SerializeToString())

        return answer

    return {name: entry(handler) for name, handler in handlers.items()}


def _scope_name(context: Any) -> str:
    """Return the scope that a call names in its metadata."""
    for key, value in context.invocation_metadata() or ():
        if key == SCOPE_HEADER:
            return str(value)
    return ""


def message_class(full_name: str) -> Any:
    """Return the class of a message by its full name."""
    descriptor = descriptor_pool.Default().FindMessageTypeByName(full_name)
    return message_factory.GetMessageClass(descriptor)


def _parse(request_class: Any, serialized: bytes) -> protos.Pb:
    try:
        return request_class.FromString(serialized)
    except DecodeError as error:
        raise invalid("The request message can't be parsed.") from error


def _resource(request_class: Any, serialized: bytes) -> str:
    """Return the name of the resource that a request is about, "" where there is none."""
    try:
        request = request_class.FromString(serialized)
    except DecodeError:
        return ""
    for field in ("parent", "name", "location"):
        if getattr(request, field, ""):
            return str(getattr(request, field))
    return next((str(value.name) for _, value in request.ListFields() if _has_name(value)), "")


def _has_name(value: Any) -> bool:
    return bool(getattr(value, "name", ""))


def _replayed(answer: Answer) -> bytes:
    if answer.status == "OK":
        return answer.response
    details = []
    for packed in protos.Status.FromString(answer.details).details:
        retry = protos.RetryInfo()
        if packed.Unpack(retry):
            details.append(retry)
    raise ApiError(grpc.StatusCode[answer.status], answer.message, details)


def _details(error: ApiError) -> bytes:
    """Return the google.rpc.Status of a refusal that has details, else nothing."""
    return bytes(error.status().SerializeToString()) if error.details else b""


async def _abort(context: Any, error: ApiError) -> None:
    details = _details(error)
    trailing = (("grpc-status-details-bin", details),) if details else ()
    await context.abort(error.code, error.message, trailing)
