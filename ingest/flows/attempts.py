"""Retries of one step, and listings read page by page with them."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from ingest.errors import InputError, RemoteError
from ingest.ports.move import Clock, Page

TRANSIENT = frozenset(
    {"UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "ABORTED", "RESOURCE_EXHAUSTED", "DATA_LOSS"}
)
"""Statuses after which the same step may succeed (design: engine); DATA_LOSS is a checksum of ours
that differed, which a second send mends."""
GRANT_SEC = 420.0
"""How long Google takes for a grant to be seen: two minutes as a rule, seven or more at times."""
FIRST_WAIT_SEC = 0.25
LONGEST_WAIT_SEC = 20.0


@dataclass(frozen=True)
class Attempted[Result]:
    """What a step gave, and at which attempt."""

    value: Result
    attempts: int


class Attempts:
    """Runs a step again after transient errors, with full jitter, until its budget is spent.

    The budget counts from the first failure.
    """

    def __init__(self, clock: Clock, budget_sec: float, rng: random.Random) -> None:
        self._clock = clock
        self._budget_sec = budget_sec
        self._rng = rng
        self.failing_since: float | None = None
        """When the calls that now fail began to, by the clock's monotonic time."""
        self.denied_since: float | None = None
        """When a right was first refused that may be granted yet."""
        self.retry_count = 0
        self.last_error: RemoteError | None = None

    async def run[Result](
        self, step: Callable[[], Awaitable[Result]], *, grant_sec: float = 0.0
    ) -> Attempted[Result]:
        """Return the step's result; raise its last error, with `attempts` set on it.

        PERMISSION_DENIED is final, unless a grant may be too new to be seen: then such steps wait
        for it, all together for `grant_sec` from the first refusal on.
        """

        def may_be_granted(error: BaseException | None) -> bool:
            is_denied = isinstance(error, RemoteError) and error.code == "PERMISSION_DENIED"
            if grant_sec <= 0 or not is_denied:
                return False
            now = self._clock.monotonic()
            if self.denied_since is None:
                self.denied_since = now
            return now - self.denied_since < grant_sec

        try:
            return Attempted(await self._attempt(step), 1)
        except RemoteError as error:
            first = [error]
        # The first call may have waited long for a quota, which isn't the step's fault.
        deadline = self._clock.monotonic() + self._budget_sec

        def is_spent(state: RetryCallState) -> bool:
            if may_be_granted(state.outcome.exception() if state.outcome else None):
                return False
            return self._is_hopeless() or self._clock.monotonic() + state.upcoming_sleep > deadline

        async def sleep(seconds: float) -> None:
            self.retry_count += 1
            await self._clock.sleep(seconds)

        async def attempt() -> Result:
            # Most steps succeed at once and are spared the machinery; it starts with their error.
            if first:
                raise first.pop()
            return await self._attempt(step)

        retrying = AsyncRetrying(
            sleep=sleep,
            stop=is_spent,
            wait=self._wait,
            retry=retry_if_exception(lambda error: is_transient(error) or may_be_granted(error)),
            reraise=True,
        )
        try:
            value: Result = await retrying(attempt)
        except RemoteError as error:
            error.attempts = retrying.statistics.get("attempt_number", 1)
            raise
        return Attempted(value, retrying.statistics.get("attempt_number", 1))

    async def _attempt[Result](self, step: Callable[[], Awaitable[Result]]) -> Result:
        try:
            value = await step()
        except RemoteError as error:
            self._note_failure(error)
            raise
        self.failing_since = None
        return value

    def _note_failure(self, error: RemoteError) -> None:
        self.last_error = error
        if not is_transient(error):
            self.failing_since = None
        elif self.failing_since is None:
            self.failing_since = self._clock.monotonic()

    def _is_hopeless(self) -> bool:
        """Whether nothing at all has succeeded for a whole budget: then the rest fails fast."""
        since = self.failing_since
        return since is not None and self._clock.monotonic() - since > self._budget_sec

    async def pause(self, number: int) -> None:
        """Return after the jittered wait that follows the nth failure of something repeated."""
        await self._clock.sleep(self._rng.uniform(0, min(LONGEST_WAIT_SEC, 2.0**number)))

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after_sec if isinstance(error, RemoteError) else 0.0
        longest = min(LONGEST_WAIT_SEC, FIRST_WAIT_SEC * 2 ** min(state.attempt_number, 16))
        return asked + self._rng.uniform(0, longest)


def is_transient(error: BaseException) -> bool:
    """Return whether the same call may succeed later."""
    return isinstance(error, RemoteError) and error.code in TRANSIENT


type FetchPage[Item] = Callable[[str], Awaitable[Page[Item]]]
"""Takes a page token, "" for the first page."""


async def items_of[Item](fetch: FetchPage[Item]) -> AsyncIterator[Item]:
    """Yield every item of every page; the first error ends the walk."""
    token = ""
    while True:
        page = await fetch(token)
        for item in page.items:
            yield item
        token = page.next_token
        if not token:
            return


def every_item[Item](attempts: Attempts, fetch: FetchPage[Item]) -> AsyncIterator[Item]:
    """Yield every item once; a page that fails is asked for again, by the token that it had.

    Each page has the whole budget of a step. Raises the last error of a page whose budget is spent.
    """

    async def fetched(token: str) -> Page[Item]:
        return (await attempts.run(lambda: fetch(token))).value

    return items_of(fetched)


async def admitted[Item](items: AsyncIterator[Item], filter_: str) -> AsyncIterator[Item]:
    """Yield the items that match the user's filter; raise InputError where Insights refuses it."""
    try:
        async for item in items:
            yield item
    except RemoteError as error:
        if error.code != "INVALID_ARGUMENT" or not filter_:
            raise
        raise InputError(
            f"Insights refuses the filter {filter_}",
            """name fields of Insights, for example 'medium="CHAT" labels.queue="hardship"'""",
        ) from error
