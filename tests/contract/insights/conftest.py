"""Where the contract of Conversational Insights is tested.

Without settings an emulator is started. To test the real service, set
INSIGHTS_CONTRACT_PROJECT, INSIGHTS_CONTRACT_LOCATION and INSIGHTS_CONTRACT_BUCKET and sign in with
application default credentials; every resource and object that a case makes is deleted again,
analyses are billed. To test another emulator, set INSIGHTS_CONTRACT_ENDPOINT and
INSIGHTS_CONTRACT_REST_ENDPOINT and
INSIGHTS_CONTRACT_GCS_ENDPOINT as well.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import grpc
import pytest
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import contact_center_insights_v1 as insights
from google.cloud import storage
from google.cloud.contact_center_insights_v1.services.contact_center_insights import transports
from insights_service import Service

from ingest.emulator.pytest_plugin import RunningEmulator
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
        service = _configured(project, request.param)
    else:
        emulator = request.getfixturevalue("ci_emulator")
        is_rest = request.param == "rest"
        objects = request.getfixturevalue("ci_objects")
        service = Service(
            rest_client(emulator.rest_endpoint)
            if is_rest
            else noted_client(emulator, request.node.get_closest_marker("fact").args[0], evidence),
            emulator.parent,
            lambda name, body: objects.put("contract", name, body),
            lambda name: objects.objects.pop(("contract", name)),
        )
    yield service
    service.clean()


def rest_client(endpoint: str) -> insights.ContactCenterInsightsClient:
    """Return the official client over REST; `endpoint` is http://host:port."""
    return insights.ContactCenterInsightsClient(
        transport="rest",
        credentials=AnonymousCredentials(),
        client_options=ClientOptions(api_endpoint=endpoint),
    )


def noted_client(
    emulator: RunningEmulator, kind: str, evidence: fidelity.Evidence
) -> insights.ContactCenterInsightsClient:
    """Return the official client over gRPC, whose replies are noted."""
    channel = grpc.intercept_channel(
        grpc.insecure_channel(emulator.address), fidelity.Recorder(kind, evidence)
    )
    transport = transports.ContactCenterInsightsGrpcTransport(channel=channel)
    return insights.ContactCenterInsightsClient(transport=transport)


def _configured(project: str, transport: str) -> Service:
    location = os.environ.get("INSIGHTS_CONTRACT_LOCATION", "us-central1")
    bucket_name = os.environ["INSIGHTS_CONTRACT_BUCKET"]
    endpoint = os.environ.get("INSIGHTS_CONTRACT_ENDPOINT")
    if endpoint:
        if transport == "rest":
            client = rest_client(os.environ["INSIGHTS_CONTRACT_REST_ENDPOINT"])
        else:
            channel = grpc.insecure_channel(endpoint)
            client = insights.ContactCenterInsightsClient(
                transport=transports.ContactCenterInsightsGrpcTransport(channel=channel)
            )
        options = ClientOptions(api_endpoint=os.environ["INSIGHTS_CONTRACT_GCS_ENDPOINT"])
        gcs = storage.Client(project, AnonymousCredentials(), client_options=options)
    else:
        host = "contactcenterinsights.googleapis.com"
        if location != "us-central1":
            host = f"{location}-{host}"
        client = insights.ContactCenterInsightsClient(
            transport=transport, client_options=ClientOptions(api_endpoint=host)
        )
        gcs = storage.Client(project)
    bucket = gcs.bucket(bucket_name)

    def upload(name: str, body: bytes) -> str:
        bucket.blob(name).upload_from_string(body, content_type="application/json")
        return f"gs://{bucket_name}/{name}"

    return Service(
        client,
        f"projects/{project}/locations/{location}",
        upload,
        lambda name: bucket.blob(name).delete(),
    )
