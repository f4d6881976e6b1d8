"""QueryMetrics: slices that only analyses make, and the steps of a series."""

from __future__ import annotations

from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import contact_center_insights_v1 as insights
from hypothesis import given
from hypothesis import strategies as st

from ingest.emulator.pytest_plugin import RunningEmulator
from ingest.emulator.query_metrics import step_of

WINDOW = 'create_time>="2000-01-01T00:00:00Z" AND create_time<"9999-12-31T00:00:00Z"'


def query(emulator: RunningEmulator, **fields: Any) -> insights.QueryMetricsResponse:
    request = {"location": emulator.parent, "filter": WINDOW, **fields}
    return emulator.client.query_metrics(request).result(timeout=10)


def test_a_window_may_reach_over_all_times_and_a_granularity_must_be_known(
    ci_emulator: RunningEmulator,
) -> None:
    widest = 'create_time>"0001-01-01T00:00:00+23:59" AND create_time<="9999-12-31T23:59:59-23:59"'
    (only,) = query(ci_emulator, filter=widest, time_granularity="MONTHLY").slices
    assert only.total.conversation_measure.conversation_count == 0
    with pytest.raises(exceptions.InvalidArgument, match="time_granularity 99"):
        query(ci_emulator, time_granularity=99)


@given(st.integers(0, 4_000_000_000_000_000), st.sampled_from([2, 3, 4, 5, 6]))
def test_steps_hold_their_moments_and_touch(micros: int, granularity: int) -> None:
    begin, end = step_of(micros, granularity)
    assert begin <= micros < end
    assert step_of(end - 1, granularity) == (begin, end)
    assert step_of(end, granularity)[0] == end
