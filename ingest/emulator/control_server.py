"""The control service: tests move the clock, plan faults and read counters while it runs.

Service `conversationcoach.emulator.v1.Control` on the same port; requests and replies are
google.protobuf.Struct, so any gRPC client can call it.
`ingest.emulator.control_client.Control` is the client for Python.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Any

from google.protobuf import json_format, struct_pb2

from ingest.emulator import protos
from ingest.emulator.context import Context
from ingest.emulator.errors import invalid
from ingest.emulator.faults import FaultPlan
from ingest.emulator.methods import METHOD_NAMES, OPERATION_KINDS, check_name, checked_seconds
from ingest.emulator.operations import OperationEngine
from ingest.emulator.quotas import Quotas
from ingest.emulator.request_fields import LAST_MICROS
from ingest.errors import InputError

CONTROL_SERVICE = "conversationcoach.emulator.v1.Control"
_SECOND = 1_000_000
_YEAR_US = 366 * 86_400 * _SECOND
_MOST_SECONDS = LAST_MICROS // _SECOND


class ControlMethods:
    """The methods by name; each takes and returns plain JSON values."""

    def __init__(self, context: Context, operations: OperationEngine) -> None:
        self._context = context
        self._operations = operations

    def handlers(self) -> dict[str, Callable[[protos.Pb], Awaitable[protos.Pb]]]:
        """Return the gRPC methods."""
        return {
            "GetState": _wrapped(self.get_state),
            "SetFaults": _wrapped(self.set_faults, "plan"),
            "SetLatency": _wrapped(self.set_latency, "calls", "operations"),
            "SetQuotas": _wrapped(self.set_quotas, "name", "limits"),
            "MoveClock": _wrapped(self.move_clock, "freeze", "at_micros", "seconds", "resume"),
            "Reset": _wrapped(self.reset, "data"),
        }

    async def get_state(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return counters, clock and quotas."""
        return {
            "calls": self._context.switches.counters(),
            "now_micros": str(self._context.clock.now()),
            "is_frozen": self._context.clock.is_frozen,
            "quotas": self._context.switches.quotas.limits,
        }

    async def set_faults(self, request: dict[str, Any]) -> dict[str, Any]:
        """Replace the fault plan by `plan`: YAML text, or its content."""
        self._context.switches.faults = FaultPlan.parse(request.get("plan") or {})
        return {}

    async def set_latency(self, request: dict[str, Any]) -> dict[str, Any]:
        """Set seconds by RPC (`calls`) and by kind of operation (`operations`)."""
        calls = _latencies(request.get("calls", {}), METHOD_NAMES, "method")
        operations = _latencies(request.get("operations", {}), OPERATION_KINDS, "operation")
        self._context.switches.call_latency.update(calls)
        self._context.switches.operation_latency.update(operations)
        return {}

    async def set_quotas(self, request: dict[str, Any]) -> dict[str, Any]:
        """Set quotas by `name` (real, none) or by `limits`."""
        if len(request) != 1:
            raise InputError("quotas are set by one of name and limits")
        if "limits" in request:
            self._context.switches.quotas = Quotas.limited(request["limits"])
        else:
            self._context.switches.quotas = Quotas.named(str(request["name"]))
        return {}

    async def move_clock(self, request: dict[str, Any]) -> dict[str, Any]:
        """Freeze (`freeze`, optionally at `at_micros`), advance (`seconds`) or `resume`.

        Operations that fall due are finished when the call returns.
        """
        clock = self._context.clock
        if "at_micros" in request and not request.get("freeze"):
            raise InputError("at_micros is where to freeze", "set freeze as well")
        if request.get("freeze"):
            at = int(request["at_micros"]) if "at_micros" in request else clock.now()
            clock.freeze(_checked_moment(at))
        if "seconds" in request:
            micros = _micros(request["seconds"])
            _checked_moment(clock.now() + micros)
            clock.advance(micros)
        if request.get("resume"):
            clock.resume()
        await self._operations.finish_due()
        return {"now_micros": str(clock.now())}

    async def reset(self, request: dict[str, Any]) -> dict[str, Any]:
        """Forget faults, latencies, quotas, counters and clock moves; with `data`, everything.

        The data are everybody's: a scope can't forget them.
        """
        if request.get("data") and self._context.scopes.current is not self._context.scopes.shared:
            raise InputError("the data are those of all scopes", "reset them without a scope")
        self._context.switches.faults = FaultPlan()
        self._context.switches.quotas = Quotas()
        self._context.switches.call_latency.clear()
        self._context.switches.operation_latency.clear()
        self._context.switches.calls.clear()
        self._context.clock.reset()
        if request.get("data"):
            self._operations.forget()
            self._context.database.clear()
        return {}


def _micros(seconds: object) -> int:
    return round(checked_seconds(seconds, _MOST_SECONDS) * _SECOND)


def _latencies(given: dict[str, Any], known: Collection[str], what: str) -> dict[str, int]:
    for name in given:
        check_name(name, known, what)
    return {name: _micros(seconds) for name, seconds in given.items()}


def _checked_moment(micros: int) -> int:
    """Return the moment; the last year of the calendar is left for what is yet to come."""
    if not 0 <= micros <= LAST_MICROS - _YEAR_US:
        raise invalid("The clock can stand in the years 1970 to 9998 only.")
    return micros


def _wrapped(
    method: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]], *keys: str
) -> Callable[[protos.Pb], Awaitable[protos.Pb]]:
    async def answer(request: protos.Pb) -> protos.Pb:
        try:
            given = json_format.MessageToDict(request)
            for key in given.keys() - set(keys):
                raise InputError(f"there is no key {key!r} here", f"known are: {', '.join(keys)}")
            reply = await method(given)
        except InputError as error:
            raise invalid(f"{error.message} {error.hint}".strip()) from error
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
            raise invalid(f"Bad control request ({type(error).__name__}).") from error
        message = struct_pb2.Struct()
        message.update(reply)
        return message

    return answer
