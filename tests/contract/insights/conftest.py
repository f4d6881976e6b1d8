"""Where the contract of Conversational Insights is tested.

Without settings an emulator is started. To test the real service, set
INSIGHTS_CONTRACT_PROJECT, INSIGHTS_CONTRACT_LOCATION and INSIGHTS_CONTRACT_BUCKET (and
INSIGHTS_CONTRACT_PREFIX, where Insights may not read the whole bucket) and sign in with
application default credentials; every resource and object that a case makes is deleted again,
analyses are billed. To test another emulator, set INSIGHTS_CONTRACT_ENDPOINT,
INSIGHTS_CONTRACT_REST_ENDPOINT and INSIGHTS_CONTRACT_GCS_ENDPOINT as well. `ingest acceptance`
does so, and has the replies recorded (`recording.py`); INSIGHTS_CONTRACT_SEEDS gives the emulator
the matchers of that folder, which a project of ours has.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import contact_center_insights_v1 as insights
from google.cloud import storage
from google.cloud.contact_center_insights_v1.services.contact_center_insights import transports
from insights_service import Service
from recording import recorded

from ingest.emulator.pytest_plugin import RunningEmulator
from ingest.flows.matchers import read_definitions
from ingest.gcp.insights import GrpcInsightsApi
from ingest.settings import Settings
from tests import fidelity


@pytest.fixture(scope="module")
def evidence(request: pytest.FixtureRequest) -> Iterator[fidelity.Evidence]:
    """Yield where replies of the file's cases are noted; in the end they are what the table says.

    A part of the cases may show less than the table says, never more.
    """
    found: fidelity.Evidence = {}
    failures = request.session.testsfailed
    yield found
    name = request.path.name
    if os.environ.get("INSIGHTS_CONTRACT_PROJECT"):
        return
    if os.environ.get("INSIGHTS_CONTRACT_FIDELITY") == "write":
        fidelity.write_file(name, found)
        return
    known = fidelity.read_table().get(name, {})
    if _is_part(request.config) or request.session.testsfailed > failures:
        known = {
            message: {field: kind for field, kind in fields.items() if field in found[message]}
            for message, fields in known.items()
            if message in found
        }
    assert found == known, f"see {fidelity.__file__}"


def _is_part(config: pytest.Config) -> bool:
    """Return whether some of a file's cases were left out."""
    chosen = any("::" in argument for argument in config.args)
    options = ("keyword", "markexpr", "lf", "deselect")
    return chosen or any(config.getoption(option, None) for option in options)


@pytest.fixture(params=["grpc", "rest"])
def service(request: pytest.FixtureRequest, evidence: fidelity.Evidence) -> Iterator[Service]:
    """Yield the service under test, over each of its transports."""
    project = os.environ.get("INSIGHTS_CONTRACT_PROJECT")
    if project:
        service = _configured(project, request.param, request.node.name)
    else:
        emulator = request.getfixturevalue("ci_emulator")
        if seeds := os.environ.get("INSIGHTS_CONTRACT_SEEDS"):
            asyncio.run(apply_matchers(emulator, Path(seeds)))
        is_rest = request.param == "rest"
        objects = request.getfixturevalue("ci_objects")
        service = Service(
            rest_client(emulator.rest_endpoint)
            if is_rest
            else noted_client(
                emulator,
                request.node.get_closest_marker("fact").args[0],
                evidence,
                request.node.name,
            ),
            emulator.parent,
            lambda name, body: objects.put("contract", name, body),
            lambda name: objects.objects.pop(("contract", name)),
        )
    yield service
    service.clean()


async def apply_matchers(emulator: RunningEmulator, seeds: Path) -> None:
    """Give the emulator the matchers that a project of ours has, for replies to be compared."""
    _, project, _, location = emulator.parent.split("/")
    api = GrpcInsightsApi(
        Settings(
            project_id=project,
            bucket="contract",
            location=location,
            insights_endpoint=emulator.address,
        )
    )
    try:
        for definition in read_definitions(seeds):
            await api.create_matcher(definition, "contract")
    finally:
        await api.close()


def rest_client(endpoint: str) -> insights.ContactCenterInsightsClient:
    """Return the official client over REST; `endpoint` is http://host:port."""
    return insights.ContactCenterInsightsClient(
        transport="rest",
        credentials=AnonymousCredentials(),
        client_options=ClientOptions(api_endpoint=endpoint),
    )


def noted_client(
    emulator: RunningEmulator, kind: str, evidence: fidelity.Evidence, case: str
) -> insights.ContactCenterInsightsClient:
    """Return the official client over gRPC, whose replies are noted."""
    channel = grpc.intercept_channel(
        recorded(grpc.insecure_channel(emulator.address), case), fidelity.Recorder(kind, evidence)
    )
    transport = transports.ContactCenterInsightsGrpcTransport(channel=channel)
    return insights.ContactCenterInsightsClient(transport=transport)


def recorded_client(host: str, case: str) -> insights.ContactCenterInsightsClient:
    """Return the official client over gRPC with application default credentials."""
    kind = transports.ContactCenterInsightsGrpcTransport

    def channel(*arguments: Any, **named: Any) -> grpc.Channel:
        return recorded(kind.create_channel(*arguments, **named), case)

    return insights.ContactCenterInsightsClient(transport=kind(host=host, channel=channel))


def _configured(project: str, transport: str, case: str) -> Service:
    location = os.environ.get("INSIGHTS_CONTRACT_LOCATION", "us-central1")
    bucket_name = os.environ["INSIGHTS_CONTRACT_BUCKET"]
    endpoint = os.environ.get("INSIGHTS_CONTRACT_ENDPOINT")
    if endpoint:
        if transport == "rest":
            client = rest_client(os.environ["INSIGHTS_CONTRACT_REST_ENDPOINT"])
        else:
            channel = recorded(grpc.insecure_channel(endpoint), case)
            client = insights.ContactCenterInsightsClient(
                transport=transports.ContactCenterInsightsGrpcTransport(channel=channel)
            )
        options = ClientOptions(api_endpoint=os.environ["INSIGHTS_CONTRACT_GCS_ENDPOINT"])
        gcs = storage.Client(project, AnonymousCredentials(), client_options=options)
    else:
        host = "contactcenterinsights.googleapis.com"
        if location != "us-central1":
            host = f"{location}-{host}"
        client = (
            insights.ContactCenterInsightsClient(
                transport=transport, client_options=ClientOptions(api_endpoint=host)
            )
            if transport == "rest"
            else recorded_client(host, case)
        )
        gcs = storage.Client(project)
    bucket = gcs.bucket(bucket_name)
    prefix = os.environ.get("INSIGHTS_CONTRACT_PREFIX", "")

    def upload(name: str, body: bytes) -> str:
        bucket.blob(prefix + name).upload_from_string(body, content_type="application/json")
        return f"gs://{bucket_name}/{prefix}{name}"

    return Service(
        client,
        f"projects/{project}/locations/{location}",
        upload,
        lambda name: bucket.blob(prefix + name).delete(),
    )
