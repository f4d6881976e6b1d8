"""`dbt source freshness` asks the raw tables, and tells fresh from late and stale."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from tests.warehouse.conftest import Warehouse
from tests.warehouse.dbt_runs import DbtProject
from tests.warehouse.raw_loading import create_raw_tables, land
from tests.warehouse.raw_rows import RawRows, ci_row, event_row, file_row
from tests.warehouse.story import PLAIN

pytestmark = pytest.mark.stack


def test_each_source_is_judged_by_its_newest_landing(
    warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory
) -> None:
    now = dt.datetime.now(dt.UTC)
    late, stale = now - dt.timedelta(hours=40), now - dt.timedelta(days=6)
    create_raw_tables(warehouse.client)
    land(
        warehouse.client,
        RawRows(
            conversation_files=[
                file_row(PLAIN, "metadata", 1, "run-1", stale),
                file_row(PLAIN, "transcription", 2, "run-2", now),
            ],
            ci_conversations=[ci_row(PLAIN, late, "run-1")],
            pipeline_events=[event_row(PLAIN, "upload", "succeeded", "run-1", stale)],
        ),
    )
    project = DbtProject(tmp_path_factory.mktemp("freshness"), warehouse.endpoint)

    with pytest.raises(AssertionError, match="pipeline_events: error"):
        project.run("source", "freshness")

    results = json.loads((project.target / "sources.json").read_text("utf-8"))["results"]
    assert {row["unique_id"].split(".")[-1]: row["status"] for row in results} == {
        "conversation_files": "pass",
        "ci_conversations": "warn",
        "pipeline_events": "error",
    }
