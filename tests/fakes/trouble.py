"""Makes a fake misbehave on request: fail the nth call, before or after its effect."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from ingest.errors import RemoteError


@dataclass
class _Fault:
    code: str
    first_call: int
    times: int
    is_after: bool
    retry_after_sec: float


@dataclass
class Trouble:
    """What goes wrong; `calls` counts every call by method, failed ones too."""

    calls: Counter[str] = field(default_factory=Counter)
    _faults: dict[str, list[_Fault]] = field(default_factory=dict)
    _rate: float = 0.0
    _rng: random.Random = field(default_factory=random.Random)
    _rated: frozenset[str] | None = None

    def fail(
        self,
        method: str,
        code: str = "UNAVAILABLE",
        *,
        call: int = 1,
        times: int = 1,
        after_effect: bool = False,
        retry_after_sec: float = 0.0,
    ) -> None:
        """Fail `times` calls of the method, the first of them the `call`th from now on."""
        first = self.calls[method] + call
        fault = _Fault(code, first, times, after_effect, retry_after_sec)
        self._faults.setdefault(method, []).append(fault)

    def fail_at_random(self, rate: float, seed: int, methods: frozenset[str] | None = None) -> None:
        """Fail that share of all calls, half of them after their effect."""
        self._rate, self._rng, self._rated = rate, random.Random(seed), methods

    def end(self) -> None:
        """Let everything go well from now on."""
        self._faults.clear()
        self._rate = 0.0

    @contextlib.asynccontextmanager
    async def call(self, method: str) -> AsyncIterator[None]:
        """Wrap one call whose effect is the body; other tasks go on before and after it."""
        self.calls[method] += 1
        fault = self._fault_of(method)
        await asyncio.sleep(0)
        if fault is not None and not fault.is_after:
            raise _error(method, fault)
        yield
        await asyncio.sleep(0)
        if fault is not None:
            raise _error(method, fault)

    def _fault_of(self, method: str) -> _Fault | None:
        number = self.calls[method]
        for fault in self._faults.get(method, ()):
            if fault.first_call <= number < fault.first_call + fault.times:
                return fault
        is_rated = self._rated is None or method in self._rated
        if is_rated and self._rate and self._rng.random() < self._rate:
            return _Fault("UNAVAILABLE", number, 1, self._rng.random() < 0.5, 0.0)
        return None


def _error(method: str, fault: _Fault) -> RemoteError:
    return RemoteError(
        f"fake: {method}: {fault.code}", code=fault.code, retry_after_sec=fault.retry_after_sec
    )
