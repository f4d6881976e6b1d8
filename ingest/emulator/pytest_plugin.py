"""Fixtures for tests of any project that talks to Conversational Insights.

pytest finds them by itself where this package is installed:

    def test_something(ci_emulator, ci_objects):
        uri = ci_objects.put_turns("my-bucket", "a.json", [("AGENT", "Hello")])
        ci_emulator.client.create_conversation(...)

Each test starts with an empty emulator; the process and its port are shared by all tests. While
one runs, CONTACTCENTERINSIGHTS_EMULATOR_HOST is its host:port, so that code under test
can find it. Nothing is imported before a fixture is used, since every run of pytest loads this.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from google.cloud import contact_center_insights_v1 as insights

    from ingest.emulator.control_client import Control
    from ingest.emulator.testing import ObjectServer

PROJECT_NUMBER = "123456789012"
HOST_VARIABLE = "CONTACTCENTERINSIGHTS_EMULATOR_HOST"


@dataclass(frozen=True, slots=True)
class RunningEmulator:
    """What tests need of an emulator."""

    address: str
    """host:port of the gRPC server, plain text."""
    client: insights.ContactCenterInsightsClient
    """The official client."""
    control: Control
    rest_endpoint: str = ""
    """Where REST is served, http://host:port."""
    parent: str = f"projects/{PROJECT_NUMBER}/locations/us-central1"


def insights_client(address: str, scope: str = "") -> insights.ContactCenterInsightsClient:
    """Return the official client, talking to an emulator without credentials.

    With a scope, it meets the clock and the faults that a Control of that scope has set.
    """
    import grpc
    from google.cloud import contact_center_insights_v1 as insights
    from google.cloud.contact_center_insights_v1.services.contact_center_insights import transports

    from ingest.emulator.testing import scoped_channel

    channel = grpc.insecure_channel(address, [("grpc.max_receive_message_length", -1)])
    transport = transports.ContactCenterInsightsGrpcTransport(
        channel=scoped_channel(channel, scope) if scope else channel
    )
    return insights.ContactCenterInsightsClient(transport=transport)


@pytest.fixture(scope="session")
def _ci_object_server() -> Iterator[ObjectServer]:
    from ingest.emulator.testing import ObjectServer

    with ObjectServer() as server:
        yield server


@pytest.fixture(scope="session")
def _ci_emulator(
    tmp_path_factory: pytest.TempPathFactory, _ci_object_server: ObjectServer
) -> Iterator[RunningEmulator]:
    from ingest.emulator.control_client import Control
    from ingest.emulator.options import EmulatorOptions
    from ingest.emulator.testing import EmulatorThread

    options = EmulatorOptions(
        data_dir=tmp_path_factory.mktemp("ci-emulator"),
        gcs_endpoint=_ci_object_server.endpoint,
        project_number=PROJECT_NUMBER,
    )
    with EmulatorThread(options) as thread, Control(thread.address) as control:
        client = insights_client(thread.address)
        yield RunningEmulator(thread.address, client, control, thread.rest_endpoint)
        client.transport.close()


@pytest.fixture
def ci_objects(_ci_object_server: ObjectServer) -> ObjectServer:
    """An empty Cloud Storage that the emulator reads."""
    _ci_object_server.objects.clear()
    _ci_object_server.refusals.clear()
    return _ci_object_server


@pytest.fixture
def ci_emulator(
    _ci_emulator: RunningEmulator, ci_objects: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> RunningEmulator:
    """An empty emulator, without faults, latencies and quotas, its clock the real one."""
    _ci_emulator.control.reset(data=True)
    monkeypatch.setenv(HOST_VARIABLE, _ci_emulator.address)
    return _ci_emulator
