"""A client for tests: move the clock, plan faults, set latencies and quotas, read counters.

control = Control("127.0.0.1:9042")
control.set_operation_latency("CreateAnalysis", 14)
control.freeze()
control.advance(14)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import grpc
from google.protobuf import json_format, struct_pb2

from ingest.emulator.control_server import CONTROL_SERVICE
from ingest.emulator.rpc_pipeline import SCOPE_HEADER
from ingest.errors import InputError, RemoteError

_TIMEOUT_SEC = 10.0
_WORK_TIMEOUT_SEC = 900.0
"""For a move of the clock, which waits for all that falls due: many thousand analyses perhaps."""


class Control:
    """Talks to one emulator; close it, or use it in a `with` block.

    With a scope, clock, faults, latencies, quotas and counters are those of the clients that send
    its name as `x-emulator-scope` with each call, and of nobody else.
    """

    def __init__(self, address: str, scope: str = "") -> None:
        self._channel = grpc.insecure_channel(address)
        self._metadata = ((SCOPE_HEADER, scope),) if scope else ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back."""
        self._channel.close()

    def set_faults(self, plan: str | Mapping[str, Any]) -> None:
        """Replace the fault plan: YAML text or its content; its counts start anew."""
        self._call("SetFaults", {"plan": plan if isinstance(plan, str) else dict(plan)})

    def set_call_latency(self, method: str, seconds: float) -> None:
        """Every call of `method` (or `*`) takes at least so long."""
        self._call("SetLatency", {"calls": {method: seconds}})

    def set_operation_latency(self, kind: str, seconds: float) -> None:
        """Operations started by the RPC `kind` (or `*`) run so long."""
        self._call("SetLatency", {"operations": {kind: seconds}})

    def set_quotas(self, quotas: str | Mapping[str, int]) -> None:
        """Set `real` or `none`, or limits of calls a minute by RPC, `*` and `bulk_operations`."""
        if isinstance(quotas, str):
            self._call("SetQuotas", {"name": quotas})
        else:
            self._call("SetQuotas", {"limits": dict(quotas)})

    def freeze(self, at_micros: int | None = None) -> None:
        """Stop the emulator's clock, at a moment when given."""
        moment = {} if at_micros is None else {"at_micros": str(at_micros)}
        self._call("MoveClock", {"freeze": True, **moment})

    def advance(self, seconds: float) -> None:
        """Move the clock forward; operations now due are finished when this returns."""
        self._call("MoveClock", {"seconds": seconds})

    def resume(self) -> None:
        """Let the clock run on."""
        self._call("MoveClock", {"resume": True})

    def now_micros(self) -> int:
        """Return the emulator's time, microseconds since the epoch."""
        return int(self._call("GetState", {})["now_micros"])

    def calls(self) -> dict[str, dict[str, int]]:
        """Return how many calls of each method ended with each status."""
        counted = self._call("GetState", {})["calls"]
        return {
            method: {status: int(number) for status, number in by_status.items()}
            for method, by_status in counted.items()
        }

    def reset(self, data: bool = False) -> None:
        """Forget faults, latencies, quotas, counters, clock moves; with `data`, all resources."""
        self._call("Reset", {"data": data})

    def _call(self, method: str, request: Mapping[str, Any]) -> dict[str, Any]:
        message = struct_pb2.Struct()
        message.update(dict(request))
        call = self._channel.unary_unary(
            f"/{CONTROL_SERVICE}/{method}",
            request_serializer=struct_pb2.Struct.SerializeToString,
            response_deserializer=struct_pb2.Struct.FromString,
        )
        timeout = _WORK_TIMEOUT_SEC if method == "MoveClock" else _TIMEOUT_SEC
        try:
            reply = call(message, timeout=timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
                raise InputError(error.details()) from error
            raise RemoteError(
                f"the Insights emulator refused {method}: {error.details()}",
                "check that it runs at this address",
                code=error.code().name,
            ) from error
        parsed: dict[str, Any] = json_format.MessageToDict(reply)
        return parsed
