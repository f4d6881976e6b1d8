from __future__ import annotations

import contextlib
import itertools
import json
import random
from pathlib import Path

import pytest
from stack_fixture import Stack

from ingest.emulator.control import Control
from tests.chaos.conftest import DoomedEnd, DoomedRuns, Scale
from tests.chaos.evidence_on_stack import assert_whole, copy_dev_conversations, found_on
from tests.chaos.fault_proxy import FaultProxy

pytestmark = [pytest.mark.chaos, pytest.mark.stack]
KILLED = -9
_SPACES = itertools.count(0x20)
_CALLS_OF_A_CONVERSATION = 14
_CALLS_OF_A_RUN = 40


def environment_of(stack: Stack, **changes: str) -> dict[str, str]:
    endpoints = {f"INGEST_{name.upper()}": value for name, value in stack.endpoints.items()}
    open_quotas = {
        f"INGEST_QUOTA_{name}_PER_MIN": "1000000" for name in ("CREATES", "ANALYSES", "REQUESTS")
    }
    return {**endpoints, **open_quotas, **changes}


def test_runs_killed_at_random_points_end_whole(
    stack: Stack, doomed_runs: DoomedRuns, scale: Scale, tmp_path: Path
) -> None:
    rng, space, ids = random.Random(11), next(_SPACES), []
    environment = environment_of(stack)
    size, kills = scale.conversation_count // scale.batch_count, 0

    def push(dies_at: int = 0) -> DoomedEnd:
        return doomed_runs.run(
            "push", str(tmp_path), "--json", environment=environment, dies_at=dies_at
        )

    for batch in range(scale.batch_count):
        ids += copy_dev_conversations(tmp_path, space, batch * size, size)
        reach = _CALLS_OF_A_RUN + size * _CALLS_OF_A_CONVERSATION
        while kills < scale.kill_count * (batch + 1) // scale.batch_count:
            ended = push(dies_at=rng.randrange(1, reach))
            assert ended.exit_code in (0, KILLED), ended.stderr
            kills += ended.exit_code == KILLED
            if ended.exit_code == 0:
                assert_whole(found_on(stack, ids), ids)
                # What is left to do is little: the next one must die early to die at all.
                reach = max(2, reach // 2)
        ended = push()
        assert ended.exit_code == 0, ended.stderr

    states = json.loads(ended.stdout)["states"]
    assert states["done"] + states["unchanged"] == len(ids) == scale.conversation_count
    assert_whole(found_on(stack, ids), ids)


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_faults_on_every_method_leave_nothing_undone_after_one_plain_run(
    stack: Stack, doomed_runs: DoomedRuns, scale: Scale, tmp_path: Path, rate: float
) -> None:
    seed = round(rate * 100)
    ids = copy_dev_conversations(tmp_path, next(_SPACES), 0, scale.conversation_count)
    plan = {
        "seed": seed,
        "faults": [
            {"method": "*", "probability": rate / 2, "status": "UNAVAILABLE"},
            {"method": "*", "probability": rate / 2, "status": "UNAVAILABLE", "when": "after"},
        ],
    }
    with contextlib.ExitStack() as opened:
        gcs = opened.enter_context(FaultProxy(stack.endpoints["gcs_endpoint"], rate, seed))
        warehouse = opened.enter_context(
            FaultProxy(stack.endpoints["bigquery_endpoint"], rate, seed + 1)
        )
        control = opened.enter_context(Control(stack.endpoints["insights_endpoint"]))
        control.set_faults(plan)
        opened.callback(control.set_faults, {"faults": []})
        ended = doomed_runs.run(
            "push",
            str(tmp_path),
            "--json",
            environment=environment_of(
                stack,
                INGEST_GCS_ENDPOINT=gcs.endpoint,
                INGEST_BIGQUERY_ENDPOINT=warehouse.endpoint,
                INGEST_STEP_BUDGET_SEC="60",
            ),
        )
    if ended.exit_code == 0:
        assert_whole(found_on(stack, ids), ids)

    plain = doomed_runs.run("push", str(tmp_path), "--json", environment=environment_of(stack))

    assert ended.exit_code in (0, 1, 4), ended.stderr
    assert plain.exit_code == 0, plain.stderr
    assert sum(gcs.faults.values()) - gcs.faults["none"] > 0
    assert_whole(found_on(stack, ids), ids)
