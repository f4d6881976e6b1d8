"""An operation of Insights that failed at once."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from google.api_core.operation_async import AsyncOperation
from google.cloud import contact_center_insights_v1 as insights
from google.longrunning import operations_pb2
from google.rpc import code_pb2, status_pb2

from ingest.domain.annotators import Selector
from ingest.gcp.insights import GrpcInsightsApi
from ingest.ports.move import CiOperation
from ingest.settings import Settings

SETTINGS = Settings(
    project_id="p", bucket="b", location="us-central1", insights_endpoint="127.0.0.1:9"
)
FAILED = operations_pb2.Operation(
    name="operations/1",
    done=True,
    error=status_pb2.Status(code=code_pb2.RESOURCE_EXHAUSTED, message="no room"),
)


async def started(complaints: list[str], monkeypatch: pytest.MonkeyPatch) -> CiOperation:
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: complaints.append(context["message"])
    )
    api = GrpcInsightsApi(SETTINGS)

    async def answer(*_: Any, **__: Any) -> AsyncOperation:
        return AsyncOperation(FAILED, None, None, insights.Analysis)

    monkeypatch.setattr(api._client, "create_analysis", answer)
    try:
        return await api.create_analysis("conv", Selector(frozenset()))
    finally:
        await api.close()


def test_an_analysis_that_fails_at_once_is_told_by_its_state_and_by_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    complaints: list[str] = []

    operation = asyncio.run(started(complaints, monkeypatch))
    gc.collect()

    assert (operation.name, operation.is_done, operation.error_code) == (
        "operations/1",
        True,
        "RESOURCE_EXHAUSTED",
    )
    assert complaints == []
