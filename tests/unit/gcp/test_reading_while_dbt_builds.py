"""Reading while `dbt build` replaces tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from answering_server import Request, reply, serving

from ingest.errors import RemoteError
from ingest.gcp.bigquery import BigQueryWarehouse
from tests.fakes.world import fake_settings

_SQL = "select count(*) from `local-project.coach.agent_daily`"
_FOUND = {
    "kind": "bigquery#queryResponse",
    "jobComplete": True,
    "jobReference": {"projectId": "local-project", "jobId": "job-1"},
    "schema": {"fields": [{"name": "n", "type": "INTEGER", "mode": "NULLABLE"}]},
    "rows": [{"f": [{"v": "7"}]}],
    "totalRows": "1",
    "totalBytesProcessed": "0",
}
_MISSING = {
    "error": {"code": 404, "message": "Not found: Table", "errors": [{"reason": "notFound"}]}
}


def table(name: str) -> dict[str, Any]:
    place = {"projectId": "local-project", "datasetId": "coach", "tableId": name}
    return {"kind": "bigquery#table", "tableReference": place, "type": "TABLE"}


def tables(*names: str) -> bytes:
    listed = {"kind": "bigquery#tableList", "tables": [table(name) for name in names]}
    return reply(json.dumps(listed).encode())


def asked(
    answer: Callable[[Request], bytes], ask: Callable[[BigQueryWarehouse], Any]
) -> tuple[Any, list[float]]:
    """Return what a warehouse says, and how long it paused each time."""
    pauses: list[float] = []
    with serving(answer) as service:
        settings = fake_settings(bigquery_endpoint=f"http://127.0.0.1:{service.port}")
        return ask(BigQueryWarehouse(settings, sleep=pauses.append)), pauses


def test_what_dbt_makes_for_the_time_of_a_build_is_not_listed() -> None:
    names = ("agent_daily", "agent_daily__dbt_tmp", "ci_turns__dbt_tmp_20260105", "x__dbt_backup")

    found, _ = asked(lambda _: tables(*names), lambda warehouse: warehouse.tables("coach"))

    assert [one.name for one in found] == ["agent_daily"]


def test_a_mart_that_is_just_replaced_is_read_again() -> None:
    missing = [reply(json.dumps(_MISSING).encode(), 404)] * 2

    def answer(request: Request) -> bytes:
        if request.method == "GET":
            return tables("ci_turns")
        return missing.pop() if missing else reply(json.dumps(_FOUND).encode())

    found, pauses = asked(answer, lambda warehouse: warehouse.query(_SQL))

    assert (found.rows, pauses) == (({"n": 7},), [0.3, 1.0])


@pytest.mark.parametrize("names", [(), ("ci_turns",)])
def test_a_mart_that_was_never_built_is_missing_at_once_or_soon(names: tuple[str, ...]) -> None:
    pauses: list[float] = []

    def answer(request: Request) -> bytes:
        missing = reply(json.dumps(_MISSING).encode(), 404)
        return tables(*names) if request.method == "GET" else missing

    with serving(answer) as service:
        settings = fake_settings(bigquery_endpoint=f"http://127.0.0.1:{service.port}")
        with pytest.raises(RemoteError) as caught:
            BigQueryWarehouse(settings, sleep=pauses.append).query(_SQL)

    assert caught.value.code == "NOT_FOUND"
    assert pauses == ([0.3, 1.0] if names else [])
