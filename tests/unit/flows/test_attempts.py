from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from ingest.errors import RemoteError
from ingest.flows.attempts import FIRST_WAIT_SEC, GRANT_SEC, LONGEST_WAIT_SEC, TRANSIENT
from tests.fakes.clock import EPOCH
from tests.fakes.world import World, fake_settings


@pytest.mark.parametrize("code", sorted(TRANSIENT))
def test_a_transient_error_is_tried_again_and_attempts_are_counted(code: str) -> None:
    world = World()
    tries = iter([RemoteError("no", code=code)] * 3)

    async def step() -> str:
        for error in tries:
            raise error
        return "done"

    attempted = asyncio.run(world.attempts().run(step))

    assert (attempted.value, attempted.attempts) == ("done", 4)
    waits = world.clock.slept_sec
    assert len(waits) == 3
    for number, wait in enumerate(waits, 1):
        assert 0 <= wait <= min(LONGEST_WAIT_SEC, FIRST_WAIT_SEC * 2**number)


@pytest.mark.parametrize("code", ["PERMISSION_DENIED", "INVALID_ARGUMENT", "ALREADY_EXISTS"])
def test_an_error_that_stays_is_not_tried_again(code: str) -> None:
    world = World()

    async def step() -> None:
        raise RemoteError("no", code=code)

    with pytest.raises(RemoteError) as caught:
        asyncio.run(world.attempts().run(step))

    assert (caught.value.attempts, world.clock.slept_sec) == (1, [])


def test_the_budget_ends_the_attempts_and_the_error_says_how_many() -> None:
    world = World(settings=fake_settings(step_budget_sec=30))

    async def step() -> None:
        raise RemoteError("no", code="UNAVAILABLE")

    with pytest.raises(RemoteError) as caught:
        asyncio.run(world.attempts().run(step))

    assert caught.value.attempts == len(world.clock.slept_sec) + 1 > 3
    assert world.clock.monotonic() <= 30


def test_a_wait_that_the_service_asks_for_is_kept() -> None:
    world = World()
    errors = iter([RemoteError("no", code="RESOURCE_EXHAUSTED", retry_after_sec=17.0)])

    async def step() -> None:
        for error in errors:
            raise error

    asyncio.run(world.attempts().run(step))

    assert 17.0 <= world.clock.slept_sec[0] <= 17.0 + 2 * FIRST_WAIT_SEC
    assert world.clock.now() >= EPOCH + dt.timedelta(seconds=17)


def test_waiting_for_a_quota_before_the_first_failure_is_not_charged_to_the_budget() -> None:
    world = World(settings=fake_settings(step_budget_sec=30))
    tries = []

    async def step() -> str:
        tries.append(world.clock.monotonic())
        if len(tries) == 1:
            world.clock.advance(600)
            raise RemoteError("no", code="UNAVAILABLE")
        return "done"

    attempted = asyncio.run(world.attempts().run(step))

    assert (attempted.value, attempted.attempts) == ("done", 2)


def test_a_right_that_is_granted_within_minutes_is_waited_for() -> None:
    world = World()
    tries = iter([RemoteError("no", code="PERMISSION_DENIED")] * 20)

    async def step() -> str:
        for error in tries:
            raise error
        return "done"

    attempted = asyncio.run(world.attempts().run(step, grant_sec=GRANT_SEC))

    assert (attempted.value, attempted.attempts) == ("done", 21)
    assert 60 < world.clock.monotonic() < GRANT_SEC


def test_steps_wait_for_a_grant_together_and_no_longer_than_it_takes() -> None:
    world = World()
    attempts = world.attempts()

    async def step() -> None:
        raise RemoteError("no", code="PERMISSION_DENIED")

    async def two() -> list[int]:
        found = []
        for _ in range(2):
            with pytest.raises(RemoteError, match="no") as caught:
                await attempts.run(step, grant_sec=GRANT_SEC)
            found.append(caught.value.attempts)
        return found

    first, second = asyncio.run(two())

    assert (first > 10, second) == (True, 1)
    assert GRANT_SEC < world.clock.monotonic() <= GRANT_SEC + LONGEST_WAIT_SEC
