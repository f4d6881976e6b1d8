"""Clients that share an emulator and neither clock nor faults; and how others find it."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from emulator_cases import create
from google.api_core import exceptions
from google.cloud import contact_center_insights_v1 as insights

from ingest.emulator.control_client import Control
from ingest.emulator.pytest_plugin import HOST_VARIABLE, RunningEmulator, insights_client
from ingest.emulator.testing import ObjectServer
from ingest.errors import InputError

DAY_SEC = 86_400
ROOT = Path(__file__).parents[3]


@pytest.fixture
def first(ci_emulator: RunningEmulator) -> Iterator[RunningEmulator]:
    yield from scoped(ci_emulator, "first")


@pytest.fixture
def second(ci_emulator: RunningEmulator) -> Iterator[RunningEmulator]:
    yield from scoped(ci_emulator, "second")


def scoped(emulator: RunningEmulator, scope: str) -> Iterator[RunningEmulator]:
    """Yield a client of a scope, which is as new."""
    client = insights_client(emulator.address, scope)
    with Control(emulator.address, scope) as control:
        control.reset()
        yield RunningEmulator(emulator.address, client, control)
    client.transport.close()


def test_a_fault_latency_and_quota_hit_the_clients_of_their_scope_alone(
    ci_emulator: RunningEmulator, first: RunningEmulator, second: RunningEmulator
) -> None:
    first.control.set_faults(
        "faults: [{method: ListConversations, probability: 1, status: ABORTED}]"
    )
    second.control.set_quotas({"ListConversations": 0})
    listed = list(ci_emulator.client.list_conversations(parent=ci_emulator.parent))
    with pytest.raises(exceptions.Aborted):
        first.client.list_conversations(parent=first.parent)
    with pytest.raises(exceptions.ResourceExhausted):
        second.client.list_conversations(parent=second.parent)
    calls = [each.control.calls() for each in (ci_emulator, first, second)]
    assert (listed, calls) == (
        [],
        [
            {"ListConversations": {"OK": 1}},
            {"ListConversations": {"ABORTED": 1}},
            {"ListConversations": {"RESOURCE_EXHAUSTED": 1}},
        ],
    )


def test_an_operation_follows_the_clock_of_the_client_that_started_it(
    ci_emulator: RunningEmulator,
    ci_objects: ObjectServer,
    first: RunningEmulator,
    second: RunningEmulator,
) -> None:
    operations = []
    for each in (first, second):
        each.control.set_operation_latency("CreateAnalysis", DAY_SEC)
        each.control.freeze()
        made = create(each, ci_objects)
        operations.append(
            each.client.create_analysis(parent=made.name, analysis=insights.Analysis())
        )
    second.control.advance(DAY_SEC)
    ci_emulator.control.advance(2 * DAY_SEC)
    assert [operation.done() for operation in operations] == [False, True]
    ended = operations[1].metadata.end_time.timestamp() * 1_000_000
    assert ended == pytest.approx(second.control.now_micros(), abs=1)
    first.control.advance(DAY_SEC)
    assert operations[0].result(timeout=10).name


def test_a_scope_can_not_forget_the_data_and_one_that_nobody_made_is_that_of_all(
    ci_emulator: RunningEmulator, first: RunningEmulator
) -> None:
    with pytest.raises(InputError, match="all scopes"):
        first.control.reset(data=True)
    stranger = insights_client(ci_emulator.address, "stranger")
    ci_emulator.control.set_quotas({"ListConversations": 0})
    with pytest.raises(exceptions.ResourceExhausted):
        stranger.list_conversations(parent=ci_emulator.parent)
    stranger.transport.close()


def test_code_under_test_finds_the_emulator(ci_emulator: RunningEmulator) -> None:
    assert os.environ[HOST_VARIABLE] == ci_emulator.address


def test_pytest_loads_the_fixtures_and_nothing_that_they_need() -> None:
    code = (
        "import sys, ingest.emulator.pytest_plugin;"
        "print({'grpc', 'google.protobuf', 'google.auth', 'lark', 'yaml'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"


def test_the_package_names_the_command_and_the_plugin() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    module, _, function = project["scripts"]["insights-emulator"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))
    (plugin,) = project["entry-points"]["pytest11"].values()
    assert importlib.import_module(plugin).ci_emulator
