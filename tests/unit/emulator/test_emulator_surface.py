"""Which methods there are, and how clients find them."""

from __future__ import annotations

import inspect
import re

import grpc
import pytest
from google.cloud.contact_center_insights_v1.services.contact_center_insights import transports
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_database import DescriptorDatabase
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from ingest.emulator import methods, protos
from ingest.emulator.methods import ALL_METHODS, INSIGHTS_METHODS, Coverage
from ingest.emulator.pytest_plugin import RunningEmulator
from tests import fidelity


def test_the_table_has_every_method_of_the_official_client_with_its_messages() -> None:
    source = inspect.getsource(transports.ContactCenterInsightsGrpcTransport)
    theirs = {
        (name, request.split(".")[-1], response.split(".")[-1])
        for name, request, response in re.findall(
            r'"/google\.cloud[^"]+/(\w+)",\s*request_serializer=([\w.]+)\.serialize,'
            r"\s*response_deserializer=([\w.]+)\.(?:deserialize|FromString)",
            source,
        )
    }
    ours = {(m.name, m.request.split(".")[-1], m.response.split(".")[-1]) for m in INSIGHTS_METHODS}
    assert ours == theirs


def test_the_readme_has_the_table_that_the_code_makes() -> None:
    readme = methods.README.read_text()
    assert methods.with_table(readme) == readme


@pytest.mark.parametrize("method", [m for m in ALL_METHODS if m.coverage is Coverage.UNIMPLEMENTED])
def test_a_method_that_is_not_there_says_its_name(
    ci_emulator: RunningEmulator, method: object
) -> None:
    with (
        grpc.insecure_channel(ci_emulator.address) as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        channel.unary_unary(method.path)(b"", timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert method.name in caught.value.details()


def test_health_says_serving(ci_emulator: RunningEmulator) -> None:
    with grpc.insecure_channel(ci_emulator.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        service = "google.cloud.contactcenterinsights.v1.ContactCenterInsights"
        reply = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
    assert reply.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_describes_every_service_with_its_messages(
    ci_emulator: RunningEmulator,
) -> None:
    with grpc.insecure_channel(ci_emulator.address) as channel:
        database: DescriptorDatabase = ProtoReflectionDescriptorDatabase(channel)
        services = set(database.get_services())
        pool = descriptor_pool.DescriptorPool(database)
        name = "google.cloud.contactcenterinsights.v1.ContactCenterInsights"
        described = pool.FindServiceByName(name)
        create = described.methods_by_name["CreateConversation"]
        fields = create.input_type.fields_by_name["conversation"].message_type.fields_by_name
    assert services == {
        name,
        "google.longrunning.Operations",
        "conversationcoach.emulator.v1.Control",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    assert {m.name for m in described.methods} == {m.name for m in INSIGHTS_METHODS}
    assert "data_source" in fields


def test_a_message_that_can_not_be_read_is_refused(ci_emulator: RunningEmulator) -> None:
    with grpc.insecure_channel(ci_emulator.address) as channel:
        for path in (INSIGHTS_METHODS[0].path, "/conversationcoach.emulator.v1.Control/Reset"):
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(path)(b"\xff\xff", timeout=5)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_the_fidelity_page_has_what_the_contract_cases_show() -> None:
    known = fidelity.messages()
    table = fidelity.read_table()
    assert fidelity.PAGE.read_text() == fidelity.page(table, known)
    assert set(table) == {path.name for path in fidelity.TABLE.parent.glob("test_insights_*.py")}
    shown = {message for found in table.values() for message in found}
    assert shown <= set(known)


def test_a_message_is_noted_with_all_that_it_holds_by_the_strongest_evidence() -> None:
    found: fidelity.Evidence = {"Analysis": {"name": "assumed", "create_time": "observed"}}
    operation = protos.Operation(name="an operation")
    analysis = protos.Analysis(name="a", create_time=protos.timestamp(1))
    intent = analysis.analysis_result.call_analysis_metadata.intents["id"]
    intent.display_name = "Intent"
    operation.response.Pack(analysis)
    fidelity.note(operation, "documented", found)
    assert found == {
        "Analysis": {
            "name": "documented", "create_time": "observed", "analysis_result": "documented"
        },
        "AnalysisResult": {"call_analysis_metadata": "documented"},
        "AnalysisResult.CallAnalysisMetadata": {"intents": "documented"},
        "Intent": {"display_name": "documented"},
    }  # fmt: skip
    fields = ["name", "create_time", "analysis_result", "more"]
    page = fidelity.page({"a file": found}, {"Analysis": fields})
    assert page.endswith(
        "1 messages, 4 fields, 3 of them set (75 %): 1 observed, 2 documented, 0 assumed.\n\n"
        "| message | set | observed | documented | assumed | never set |\n"
        "|---|---|---|---|---|---|\n"
        "| Analysis | 3 of 4 | 1 | 2 |  | more |\n"
    )
