from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.domain.quota import WINDOW_SEC, CallWindow
from ingest.flows.services import Admission, QuotaUse
from tests.fakes.clock import ManualClock
from tests.fakes.world import fake_settings

MINUTE_SEC = 60.0


def most_in_a_minute(moments: list[float]) -> int:
    """Return the largest number of moments in any half-open minute."""
    return max(
        (sum(start <= moment < start + MINUTE_SEC for moment in moments) for start in moments),
        default=0,
    )


@given(
    limit=st.integers(1, 20),
    steps=st.lists(st.floats(0, 40), min_size=1, max_size=80),
    exhausted_at=st.sets(st.integers(0, 79)),
    retry_after_sec=st.floats(0, 90),
)
def test_a_window_never_grants_more_than_its_limit_and_never_sticks(
    limit: int, steps: list[float], exhausted_at: set[int], retry_after_sec: float
) -> None:
    window = CallWindow(limit)
    now, grants = 0.0, []

    for number, step in enumerate(steps):
        now += step
        if number in exhausted_at:
            window.exhausted(now, retry_after_sec)
        waits = 0
        while (wait := window.delay(now)) > 0:
            now += wait
            waits += 1
            assert waits < 100
        window.take(now)
        grants.append(now)

    assert most_in_a_minute(grants) <= limit


def test_an_idle_window_grants_its_whole_limit_at_once_and_then_nothing() -> None:
    window = CallWindow(5)
    for _ in range(5):
        assert window.delay(100.0) == 0.0
        window.take(100.0)

    assert (window.delay(100.0), window.used(100.0)) == (WINDOW_SEC, 5)
    later = 100.0 + WINDOW_SEC
    assert (window.delay(later), window.used(later)) == (0.0, 0)


def test_exhaustion_halves_the_share_once_a_second_and_it_grows_back_by_time() -> None:
    window = CallWindow(100)

    def capacity(now: float) -> int:
        probe = 0
        while window.delay(now) == 0.0:
            window.take(now)
            probe += 1
        return probe

    window.exhausted(0.0)
    window.exhausted(0.5)
    assert capacity(0.5) == 51
    window.exhausted(200.0)
    window.exhausted(201.5)
    assert capacity(201.5) == 26
    assert capacity(201.5 + 2 * WINDOW_SEC) == 100


def test_the_service_is_left_alone_for_as_long_as_it_asked() -> None:
    window = CallWindow(10)

    window.exhausted(5.0, retry_after_sec=30.0)

    assert window.delay(5.0) == 30.0
    assert window.delay(35.0) == 0.0


def test_a_quota_of_no_calls_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one call"):
        CallWindow(0)


def admitted(counts: dict[str, int], **quotas: int) -> dict[str, list[float]]:
    """Admit that many calls by method, all asking at once; return when each went."""
    clock = ManualClock()
    admission = Admission(fake_settings(**quotas), clock)
    moments: dict[str, list[float]] = {method: [] for method in counts}

    async def call(method: str) -> None:
        await admission.admit(method)
        moments[method].append(clock.monotonic())

    async def run() -> None:
        calls = [call(method) for method, count in counts.items() for _ in range(count)]
        await asyncio.gather(*calls)

    asyncio.run(run())
    return moments


def test_three_thousand_creates_use_the_quota_and_never_overrun_it() -> None:
    moments = admitted({"create_conversation": 3_000}, quota_creates_per_min=300)

    times = sorted(moments["create_conversation"])
    assert most_in_a_minute(times) == 300
    assert 3_000 / (times[-1] + MINUTE_SEC) * MINUTE_SEC >= 0.95 * 300


def test_no_window_is_overrun_when_two_quotas_hold_calls_back_together() -> None:
    moments = admitted(
        {"get_operation": 900, "create_conversation": 300, "create_analysis": 300},
        quota_creates_per_min=100,
        quota_analyses_per_min=100,
        quota_requests_per_min=250,
    )

    assert most_in_a_minute(moments["create_conversation"]) <= 100
    assert most_in_a_minute(moments["create_analysis"]) <= 100
    assert most_in_a_minute([m for times in moments.values() for m in times]) <= 250
    assert {method: len(times) for method, times in moments.items()} == {
        "get_operation": 900,
        "create_conversation": 300,
        "create_analysis": 300,
    }


def test_calls_of_one_quota_are_admitted_in_the_order_they_asked() -> None:
    clock = ManualClock()
    admission = Admission(fake_settings(quota_creates_per_min=3), clock)
    order: list[int] = []

    async def call(number: int) -> None:
        await admission.admit("create_conversation")
        order.append(number)

    async def run() -> None:
        await asyncio.gather(*(call(number) for number in range(10)))

    asyncio.run(run())

    assert all(before < after for before, after in pairwise(order))


def test_each_region_has_the_whole_quota_and_a_refusal_slows_down_its_own_alone() -> None:
    clock = ManualClock()
    settings = fake_settings(quota_creates_per_min=2, regions="us-central1,europe-west1")
    admission = Admission(settings, clock)
    first, second = admission.gates

    async def run() -> tuple[float, float]:
        for gate in (first, first, second, second):
            await gate.admit("create_conversation")
        assert admission.use()["creates"] == QuotaUse(4, 4)
        first.exhausted("create_conversation", 200.0)
        await second.admit("create_conversation")
        other_at = clock.monotonic()
        await first.admit("create_conversation")
        return other_at, clock.monotonic()

    assert asyncio.run(run()) == (61.0, 200.0)


def test_a_refusal_slows_down_its_own_quota_and_a_shard_takes_its_part() -> None:
    clock = ManualClock()
    settings = fake_settings(quota_creates_per_min=300, quota_requests_per_min=3_000)
    admission = Admission(settings, clock, shard_count=4)

    async def run() -> tuple[float, float]:
        await admission.admit("create_conversation")
        admission.exhausted("create_conversation", 20.0)
        await admission.admit("get_operation")
        polled_at = clock.monotonic()
        await admission.admit("create_conversation")
        return polled_at, clock.monotonic()

    assert asyncio.run(run()) == (0.0, 20.0)
    assert admission.use() == {
        "creates": QuotaUse(2, 75),
        "analyses": QuotaUse(0, settings.quota_analyses_per_min // 4),
        "all": QuotaUse(3, 750),
    }
