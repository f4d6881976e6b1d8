from __future__ import annotations

import contextlib
import itertools
import json
import random
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from stack_fixture import Stack

from ingest.emulator.control_client import Control
from tests.chaos.conftest import DoomedEnd, DoomedRuns, Scale, forking
from tests.chaos.evidence_on_stack import (
    DATE,
    assert_gone,
    assert_whole,
    copy_dev_conversations,
    foreign_left,
    found_on,
    make_foreign,
)
from tests.chaos.fault_proxy import FaultProxy
from tests.chaos.marts_on_stack import assert_whole_in_marts, built_on

pytestmark = [pytest.mark.chaos, pytest.mark.stack]
KILLED = -9
RATES = (0.05, 0.2)
_SPACES = itertools.count(0x20)
_CALLS_OF_A_CONVERSATION = 14
_CALLS_OF_A_RUN = 40
_FOREIGN = 3


@dataclass
class Chaos:
    """A stack that scenarios run on, each once however often it is asked for."""

    stack: Stack
    doomed_runs: DoomedRuns
    scale: Scale
    folder: Path
    _ids: dict[tuple[Any, ...], list[str]] = field(default_factory=dict)

    def ids_of(self, scenario: Callable[..., list[str]], *arguments: Any) -> list[str]:
        """Return the conversations that a scenario has pushed."""
        key = (scenario, *arguments)
        if key not in self._ids:
            self._ids[key] = scenario(self, *arguments)
        return self._ids[key]

    def push(self, root: Path, *, dies_at: int = 0, **settings: str) -> DoomedEnd:
        """Push in a process of its own; its quotas are open."""
        return self.run(self.doomed_runs, "push", str(root), "--json", dies_at=dies_at, **settings)

    def run(
        self, runs: DoomedRuns, *arguments: str, dies_at: int = 0, **settings: str
    ) -> DoomedEnd:
        """Run a command in a process of its own; its quotas are open."""
        endpoints = {f"INGEST_{name.upper()}": to for name, to in self.stack.endpoints.items()}
        open_quotas = {
            f"INGEST_QUOTA_{name}_PER_MIN": "1000000"
            for name in ("CREATES", "ANALYSES", "REQUESTS")
        }
        environment = {**endpoints, **open_quotas, **settings}
        return runs.run(*arguments, environment=environment, dies_at=dies_at)

    def assert_whole(self, ids: list[str]) -> None:
        """Insights, raw tables and bucket hold everything once."""
        assert_whole(found_on(self.stack, ids), ids)


@pytest.fixture(scope="module")
def chaos(
    stack: Stack,
    doomed_runs: DoomedRuns,
    scale: Scale,
    tmp_path_factory: pytest.TempPathFactory,
) -> Chaos:
    return Chaos(stack, doomed_runs, scale, tmp_path_factory.mktemp("chaos"))


def killed_runs(chaos: Chaos) -> list[str]:
    """Kill runs at random points while conversations come in batches; end with a plain one."""
    rng, space, scale, ids = random.Random(11), next(_SPACES), chaos.scale, []
    root, size, kills = chaos.folder / "kills", scale.conversation_count // scale.batch_count, 0

    for batch in range(scale.batch_count):
        ids += copy_dev_conversations(root, space, batch * size, size)
        reach = _CALLS_OF_A_RUN + size * _CALLS_OF_A_CONVERSATION
        while kills < scale.kill_count * (batch + 1) // scale.batch_count:
            ended = chaos.push(root, dies_at=rng.randrange(1, reach))
            assert ended.exit_code in (0, KILLED), ended.stderr
            kills += ended.exit_code == KILLED
            if ended.exit_code == 0:
                chaos.assert_whole(ids)
                # What is left to do is little: the next one must die early to die at all.
                reach = max(2, reach // 2)
        ended = chaos.push(root)
        assert ended.exit_code == 0, ended.stderr

    states = json.loads(ended.stdout)["states"]
    assert states["done"] + states["unchanged"] == len(ids) == scale.conversation_count
    chaos.assert_whole(ids)
    return ids


def faulty_run(chaos: Chaos, rate: float) -> list[str]:
    """Push while that share of all calls fails, half of them after their effect; then plainly."""
    seed = round(rate * 100)
    root = chaos.folder / f"faults-{seed}"
    ids = copy_dev_conversations(root, next(_SPACES), 0, chaos.scale.conversation_count)
    plan = {
        "seed": seed,
        "faults": [
            {"method": "*", "probability": rate / 2, "status": "UNAVAILABLE"},
            {"method": "*", "probability": rate / 2, "status": "UNAVAILABLE", "when": "after"},
        ],
    }
    endpoints = chaos.stack.endpoints
    with contextlib.ExitStack() as opened:
        gcs = opened.enter_context(FaultProxy(endpoints["gcs_endpoint"], rate, seed))
        warehouse = opened.enter_context(FaultProxy(endpoints["bigquery_endpoint"], rate, seed + 1))
        control = opened.enter_context(Control(endpoints["insights_endpoint"]))
        control.set_faults(plan)
        opened.callback(control.set_faults, {"faults": []})
        ended = chaos.push(
            root,
            INGEST_GCS_ENDPOINT=gcs.endpoint,
            INGEST_BIGQUERY_ENDPOINT=warehouse.endpoint,
            INGEST_STEP_BUDGET_SEC="60",
        )
    if ended.exit_code == 0:
        chaos.assert_whole(ids)

    plain = chaos.push(root)

    assert ended.exit_code in (0, 1, 4), ended.stderr
    assert plain.exit_code == 0, plain.stderr
    assert sum(gcs.faults.values()) - gcs.faults["none"] > 0
    chaos.assert_whole(ids)
    return ids


def two_at_once(chaos: Chaos) -> list[str]:
    """Two pushes of one folder at a time, some killed, with forgets in between.

    From the second batch on the folder also has ids that others hold in Insights. Return what is
    left to be whole: what was pushed, isn't of others and was not forgotten.
    """
    rng, space, scale = random.Random(13), next(_SPACES), chaos.scale
    root, size = chaos.folder / "two", scale.conversation_count // scale.batch_count
    theirs = copy_dev_conversations(chaos.folder / "theirs", next(_SPACES), 0, _FOREIGN)
    foreign = make_foreign(chaos.stack, theirs)
    ids: list[str] = []
    gone: list[str] = []
    with contextlib.ExitStack() as opened:
        runs = [chaos.doomed_runs, *(opened.enter_context(forking()) for _ in range(2))]
        threads = opened.enter_context(ThreadPoolExecutor(3))
        for batch in range(scale.batch_count):
            ids += copy_dev_conversations(root, space, batch * size, size)
            reach = _CALLS_OF_A_RUN + size * _CALLS_OF_A_CONVERSATION
            dies_at = rng.randrange(1, reach) if batch % 2 == 0 else 0
            pushes = [
                threads.submit(chaos.push, root, dies_at=dies_at),
                threads.submit(chaos.run, runs[1], "push", str(root), "--json", "--wait"),
            ]
            if batch:
                gone.append(ids[rng.randrange(len(ids) - size)])
                forget = threads.submit(chaos.run, runs[2], "forget", gone[-1], "--yes")
                # 1: a push has brought some of it again, which goes when that push ends.
                assert (ended := forget.result(600)).exit_code in (0, 1), ended.stderr
            refused = theirs if batch else []
            is_whole = [_is_whole(one.result(600), refused, gone) for one in pushes]
            for id_ in gone:
                shutil.rmtree(root / DATE / id_, ignore_errors=True)
            ids = [id_ for id_ in ids if id_ not in gone]
            # The second waits for the first, and does what that one left.
            assert is_whole[1]
            chaos.assert_whole(ids)
            if not batch:
                shutil.copytree(chaos.folder / "theirs", root, dirs_exist_ok=True)
    with_theirs = chaos.push(root)
    shutil.rmtree(chaos.folder / "theirs")
    for id_ in theirs:
        shutil.rmtree(root / DATE / id_)
    plain = chaos.push(root)

    assert _is_whole(with_theirs, theirs, [])
    assert (with_theirs.exit_code, plain.exit_code) == (1, 0), plain.stderr
    chaos.assert_whole(ids)
    assert_gone(chaos.stack, gone)
    assert foreign_left(chaos.stack, theirs) == foreign
    return ids


def _is_whole(ended: DoomedEnd, theirs: list[str], gone: list[str]) -> bool:
    """Return whether a push did all that it could; fail where its exit code isn't true.

    What others hold fails each time, so a push that meets them is no success. What is forgotten
    meanwhile fails or not, as it comes.
    """
    if ended.exit_code in (KILLED, 4):
        # 4: another push has the folder.
        return False
    report = json.loads(ended.stdout)
    failed = {(one["conversation_id"], one["code"]) for one in report["failures"]}
    states = {state for state, count in report["states"].items() if count}
    assert {(id_, "FOREIGN_CONVERSATION") for id_ in theirs} <= failed
    assert {id_ for id_, code in failed if code == "FORGOTTEN"} <= set(gone)
    assert {code for _, code in failed} <= {"FOREIGN_CONVERSATION", "FORGOTTEN"}
    assert states <= {"done", "unchanged", "failed"}
    assert ended.exit_code == (1 if failed else 0), ended.stderr
    return True


def test_two_pushes_at_once_and_a_forget_lose_double_and_delete_nothing(chaos: Chaos) -> None:
    scale = chaos.scale
    forgets = scale.batch_count - 1
    # One id may be drawn twice.
    assert len(chaos.ids_of(two_at_once)) >= scale.conversation_count - forgets


def test_runs_killed_at_random_points_end_whole(chaos: Chaos) -> None:
    assert len(chaos.ids_of(killed_runs)) == chaos.scale.conversation_count


@pytest.mark.parametrize("rate", RATES)
def test_faults_on_every_method_leave_nothing_undone_after_one_plain_run(
    chaos: Chaos, rate: float
) -> None:
    assert len(chaos.ids_of(faulty_run, rate)) == chaos.scale.conversation_count


def test_the_marts_hold_every_conversation_of_all_that_chaos_once(
    chaos: Chaos, tmp_path: Path
) -> None:
    ids = list(chaos.ids_of(killed_runs))
    for rate in RATES:
        ids += chaos.ids_of(faulty_run, rate)

    found = built_on(chaos.stack, tmp_path, ids)

    assert len(ids) == len(set(ids)) == 3 * chaos.scale.conversation_count
    assert_whole_in_marts(found, ids)
