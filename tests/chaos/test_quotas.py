"""With Google's quotas on, a long run uses them up and never runs over them.

Time is the emulator's own: it stands still until the sidecar has nothing to do but wait, and then
moves to what the first one waits for, so that minutes pass at once.
"""

from __future__ import annotations

import asyncio
import math

import pytest

from ingest.domain.outcome import ItemState
from ingest.domain.quota import WINDOW_SEC
from ingest.emulator.pytest_plugin import RunningEmulator
from ingest.emulator.testing import ObjectServer
from tests.chaos.conftest import Scale
from tests.fakes.modelled_cloud import (
    MINUTE_SEC,
    NOT_AT_A_MINUTES_BEGINNING,
    modelled_push,
    most_in_a_minute,
)

pytestmark = pytest.mark.chaos


@pytest.mark.parametrize("regions", ["us-central1", "us-central1,europe-west1"])
def test_a_long_run_uses_the_quota_of_each_region_and_never_overruns_it(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer, scale: Scale, regions: str
) -> None:
    region_count = len(regions.split(","))
    count = region_count * (
        15 * scale.conversation_count if scale.conversation_count == 200 else 320
    )
    ci_emulator.control.freeze(NOT_AT_A_MINUTES_BEGINNING)
    ci_emulator.control.set_quotas("real")
    ci_emulator.control.set_operation_latency("CreateAnalysis", 14)

    run = asyncio.run(
        modelled_push(ci_emulator.address, ci_emulator.control, ci_objects, count, regions=regions)
    )

    assert run.states == {ItemState.DONE: count}
    creates = run.moments["create_conversation"]
    assert len(creates) == count
    assert [most_in_a_minute(own) for own in run.creates_by_region] == [300] * region_count
    assert most_in_a_minute(run.moments["create_analysis"]) <= 300 * region_count
    every = [m for times in run.moments.values() for m in times]
    assert most_in_a_minute(every) <= 3_000 * region_count
    # All but the first 300 wait for a window to pass, and not longer.
    windows = math.ceil(max(map(len, run.creates_by_region)) / 300)
    assert max(creates) <= (windows - 1) * WINDOW_SEC + 1
    # A quota is used up by its last call, so the run counts until a minute after that.
    used_share = count / region_count / 300 / ((max(creates) + MINUTE_SEC) / MINUTE_SEC)
    assert count < 3_000 or used_share >= 0.95
    refused = {m: by for m, by in ci_emulator.control.calls().items() if "RESOURCE_EXHAUSTED" in by}
    assert refused == {}
