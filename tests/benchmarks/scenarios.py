"""Every scenario of `make bench`, in the order of the page."""

from __future__ import annotations

from tests.benchmarks import (
    scenario_dbt,
    scenario_end_to_end,
    scenario_landing,
    scenario_modelled_cloud,
    scenario_startup,
    scenario_tools,
    scenario_upload,
)
from tests.benchmarks.harness import Scenario

SCENARIOS: tuple[Scenario, ...] = (
    scenario_upload.SCENARIO,
    scenario_landing.SCENARIO,
    scenario_end_to_end.SCENARIO,
    scenario_modelled_cloud.SCENARIO,
    scenario_dbt.SCENARIO,
    scenario_startup.SCENARIO,
    scenario_tools.SCENARIO,
)
