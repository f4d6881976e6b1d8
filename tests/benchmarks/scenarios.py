"""Every scenario of `make bench`, in the order of the page."""

from __future__ import annotations

from tests.benchmarks import (
    scenario_landing,
    scenario_upload,
)
from tests.benchmarks.harness import Scenario

SCENARIOS: tuple[Scenario, ...] = (
    scenario_upload.SCENARIO,
    scenario_landing.SCENARIO,
)
