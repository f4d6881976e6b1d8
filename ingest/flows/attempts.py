"""Retries of one step: which errors, how long, and how the waiting is spread."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from ingest.errors import RemoteError
from ingest.ports import Clock

TRANSIENT = frozenset(
    {"UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "ABORTED", "RESOURCE_EXHAUSTED", "DATA_LOSS"}
)
"""Statuses after which the same step may succeed (design: engine); DATA_LOSS is a checksum of ours
that differed, which a second send mends."""
FIRST_WAIT_SEC = 0.25
LONGEST_WAIT_SEC = 20.0


@dataclass(frozen=True)
class Attempted[Result]:
    """What a step gave, and at which attempt."""

    value: Result
    attempts: int


class Attempts:
    """Runs a step again after transient errors, with full jitter, until its budget is spent."""

    def __init__(self, clock: Clock, budget_sec: float, rng: random.Random) -> None:
        self._clock = clock
        self._budget_sec = budget_sec
        self._rng = rng

    async def run[Result](self, step: Callable[[], Awaitable[Result]]) -> Attempted[Result]:
        """Return the step's result; raise its last error, with `attempts` set on it."""
        deadline = self._clock.monotonic() + self._budget_sec
        retrying = AsyncRetrying(
            sleep=self._clock.sleep,
            stop=lambda state: self._clock.monotonic() + state.upcoming_sleep > deadline,
            wait=self._wait,
            retry=retry_if_exception(is_transient),
            reraise=True,
        )

        async def attempt() -> Result:
            return await step()

        try:
            value: Result = await retrying(attempt)
        except RemoteError as error:
            error.attempts = retrying.statistics.get("attempt_number", 1)
            raise
        return Attempted(value, retrying.statistics.get("attempt_number", 1))

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after_sec if isinstance(error, RemoteError) else 0.0
        longest = min(LONGEST_WAIT_SEC, FIRST_WAIT_SEC * 2 ** min(state.attempt_number, 16))
        return asked + self._rng.uniform(0, longest)


def is_transient(error: BaseException) -> bool:
    """Return whether the same call may succeed later."""
    return isinstance(error, RemoteError) and error.code in TRANSIENT
