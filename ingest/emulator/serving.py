"""One way in and one way out for every call: quota, latency, fault, work, record, count."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
from google.protobuf import descriptor_pool, message_factory, struct_pb2
from google.protobuf.message import DecodeError

from ingest.emulator import protos
from ingest.emulator.behaviour.recording import Answer, Recorder, Replay
from ingest.emulator.core import Core
from ingest.emulator.problems import ApiError, internal, invalid, unimplemented
from ingest.emulator.surface import Method

logger = logging.getLogger(__name__)

_EXPIRY_CHECK_US = 1_000_000

Handler = Callable[[protos.Pb], Awaitable[protos.Pb | bytes]]


class Gate:
    """Makes gRPC entries of handlers."""

    def __init__(self, core: Core, recorder: Recorder | None, replay: Replay | None) -> None:
        self._core = core
        self._recorder = recorder
        self._replay = replay
        self._expiry_checked_us = 0

    def entry(self, method: Method, handler: Handler | None) -> Any:
        """Return the function that gRPC calls for a method with serialized messages."""
        request_class = message_class(method.request)

        async def answer(serialized: bytes, context: Any) -> bytes:
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
                self._core.switches.calls[method.name, status] += 1
                if self._recorder is not None:
                    self._recorder.write(
                        method.name, serialized, Answer(status, message, reply, details)
                    )
            return reply

        return answer

    async def _answer(
        self, method: str, handler: Handler | None, request_class: Any, serialized: bytes
    ) -> bytes:
        switches, clock = self._core.switches, self._core.clock
        if switches.quotas.counts_calls:
            project = self._core.names.project_of(_resource(request_class, serialized))
            switches.quotas.take(method, project, clock.now())
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
        self._forget_expired(self._core.clock.now())
        try:
            return await handler(request)
        except (ApiError, asyncio.CancelledError):
            raise
        except Exception as error:
            logger.exception("method=%s broke", method)
            raise internal() from error

    def _forget_expired(self, now: int) -> None:
        """Look for expired conversations once a second, also when the clock is moved back."""
        if abs(now - self._expiry_checked_us) >= _EXPIRY_CHECK_US:
            self._expiry_checked_us = now
            self._core.forget_expired()


class UnknownCalls(grpc.GenericRpcHandler):
    """Refuses every method that no other handler knows, by its name, and counts the call."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def service(self, handler_call_details: Any) -> Any:
        """Return the handler of any call: a stream of requests is the general case."""
        name = str(handler_call_details.method).removeprefix("/")

        async def refuse(requests: Any, context: Any) -> None:
            self._core.switches.calls[name, "UNIMPLEMENTED"] += 1
            await _abort(context, unimplemented(f"Method {name}"))

        return grpc.stream_stream_rpc_method_handler(refuse)


def control_entries(handlers: Mapping[str, Handler]) -> dict[str, Any]:
    """Return the gRPC functions of control methods, which meet no quota, fault or recording."""

    def entry(handler: Handler) -> Any:
        async def answer(serialized: bytes, context: Any) -> bytes:
            try:
                reply = await handler(_parse(struct_pb2.Struct, serialized))
            except ApiError as error:
                await _abort(context, error)
                raise
            return reply if isinstance(reply, bytes) else bytes(reply.SerializeToString())

        return answer

    return {name: entry(handler) for name, handler in handlers.items()}


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
