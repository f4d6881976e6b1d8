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
from ingest.emulator.behaviour.recording import Recorder, Replay
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
        request_class = None if handler is None else message_class(method.request)

        async def answer(serialized: bytes, context: Any) -> bytes:
            status, message, reply = "OK", "", b""
            try:
                if handler is None or request_class is None:
                    raise unimplemented(f"Method {method.name}")
                reply = await self._answer(method.name, handler, request_class, serialized)
            except ApiError as error:
                status, message = error.code.name, error.message
                await _abort(context, error)
            except asyncio.CancelledError:
                status = "CANCELLED"
                raise
            finally:
                self._core.switches.calls[method.name, status] += 1
                if self._recorder is not None:
                    self._recorder.write(method.name, serialized, status, message, reply)
            return reply

        return answer

    async def _answer(
        self, method: str, handler: Handler, request_class: Any, serialized: bytes
    ) -> bytes:
        switches, clock = self._core.switches, self._core.clock
        switches.quotas.take(method, clock.now())
        latency = switches.of_call(method)
        if latency:
            await clock.sleep_until(clock.now() + latency)
        fault = switches.faults.draw("method", method)
        if fault is not None and fault.when == "before":
            raise fault.error()
        if self._replay is not None:
            return _replayed(self._replay, method, serialized)
        self._forget_expired(clock.now())
        try:
            reply = await handler(_parse(request_class, serialized))
        except (ApiError, asyncio.CancelledError):
            raise
        except Exception as error:
            logger.exception("method=%s broke", method)
            raise internal() from error
        if fault is not None:
            raise fault.error()
        return reply if isinstance(reply, bytes) else bytes(reply.SerializeToString())

    def _forget_expired(self, now: int) -> None:
        """Look for expired conversations once a second, also when the clock is moved back."""
        if abs(now - self._expiry_checked_us) >= _EXPIRY_CHECK_US:
            self._expiry_checked_us = now
            self._core.forget_expired()


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


def _replayed(replay: Replay, method: str, serialized: bytes) -> bytes:
    status, message, response = replay.answer(method, serialized)
    if status != "OK":
        raise ApiError(grpc.StatusCode[status], message)
    return response


async def _abort(context: Any, error: ApiError) -> None:
    trailing: tuple[tuple[str, bytes], ...] = ()
    if error.details:
        trailing = (("grpc-status-details-bin", error.status().SerializeToString()),)
    await context.abort(error.code, error.message, trailing)
