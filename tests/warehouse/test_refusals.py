"""Folders that validation refused are counted, and gone once they are delivered right."""

from __future__ import annotations

import datetime as dt

import pytest

from tests.warehouse.conftest import Warehouse
from tests.warehouse.dbt_runs import DbtProject
from tests.warehouse.raw_loading import create_raw_tables, land
from tests.warehouse.raw_rows import RawRows, Row, Talk, event_row, file_row, talk

pytestmark = pytest.mark.stack

DATASET = "refusals"
FIRST = dt.datetime(2026, 1, 10, 9, tzinfo=dt.UTC)
SECOND = FIRST + dt.timedelta(hours=1)
DATE = "2026-01-09"
MENDED = talk("c-mended", [("AGENT", "Hello.")], batch_date=DATE)
STILL_BAD = talk("c-still-bad", [("AGENT", "Hello.")], batch_date=DATE)
NAMELESS = talk("No Valid Id!", [("AGENT", "Hello.")], batch_date=DATE)
EDITED_BADLY = talk("c-edited-badly", [("AGENT", "Hello.")], batch_date=DATE)
REFUSED = f"""
select conversation_id, rule, pointer, fault_count, refusal_count, is_resolved
from {DATASET}.refused_conversations
order by conversation_id
"""
DAY = f"""
select
    refused_count, failure_count, conversation_count, failed_count, funnel_delivered_count,
    array_to_string(array(
        select concat(code.error_code, ' ', cast(code.failure_count as string))
        from unnest(failures_by_code) as code
    ), ', ') as failures
from {DATASET}.pipeline_daily
"""
REGISTERED = f"select conversation_id, status from {DATASET}.conversation_registry order by 1"


def _refusal(spoken: Talk, run: str, at: dt.datetime, number: int, rule: str, place: str) -> Row:
    row = event_row(
        spoken,
        "validate",
        "failed",
        run,
        at + dt.timedelta(seconds=number),
        attempt=number,
        error_code=rule,
        landed_at=at + dt.timedelta(minutes=1),
    )
    return row | {"error_message": place}


def _files(spoken: Talk, generation: int, run: str, landed: dt.datetime) -> list[Row]:
    return [
        file_row(spoken, kind, generation + place, run, landed)
        for place, kind in enumerate(("metadata", "transcription"))
    ]


def _first() -> RawRows:
    return RawRows(
        conversation_files=_files(EDITED_BADLY, 10, "r0", FIRST - dt.timedelta(hours=1)),
        pipeline_events=[
            _refusal(MENDED, "r1", FIRST, 1, "missing_field", "metadata.json /agent_id"),
            _refusal(MENDED, "r1", FIRST, 2, "bad_value", "metadata.json /direction"),
            _refusal(STILL_BAD, "r1", FIRST, 3, "too_deep", "transcription.json /turns/0"),
            _refusal(NAMELESS, "r1", FIRST, 4, "bad_id", ""),
            _refusal(EDITED_BADLY, "r1", FIRST, 5, "not_json", "metadata.json"),
        ],
    )


def _second() -> RawRows:
    """One is delivered right, one refused for something else and then not even read."""
    unread = event_row(STILL_BAD, "upload", "failed", "r2", SECOND, error_code="UNAVAILABLE")
    mended = event_row(MENDED, "upload", "succeeded", "r2", SECOND)
    return RawRows(
        conversation_files=_files(MENDED, 20, "r2", SECOND),
        pipeline_events=[
            mended,
            _refusal(STILL_BAD, "r2", SECOND - dt.timedelta(minutes=9), 1, "bad_role", "/turns/2"),
            unread,
            event_row(EDITED_BADLY, "validate", "succeeded", "r2", SECOND),
        ],
    )


def test_refusals_are_counted_and_gone_once_delivered_right(
    warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory
) -> None:
    create_raw_tables(warehouse.client)
    project = DbtProject(
        tmp_path_factory.mktemp(DATASET), warehouse.endpoint, DATASET, is_lean=True
    )
    build = ("run", "--select", "+pipeline_daily")
    project.run(
        "seed", "--select", "directions", "business_lines", "media", "call_outcomes", "call_reasons"
    )

    land(warehouse.client, _first())
    project.run(*build)
    at_first = [warehouse.rows(sql) for sql in (REFUSED, DAY, REGISTERED)]
    land(warehouse.client, _second())
    project.run(*build)
    at_last = [warehouse.rows(sql) for sql in (REFUSED, DAY, REGISTERED)]

    nameless = _told("No Valid Id!", "bad_id", "")
    edited = _told("c-edited-badly", "not_json", "metadata.json")
    registered = {"conversation_id": "c-edited-badly", "status": "registered"}
    mended = _told("c-mended", "bad_value", "metadata.json /direction", fault_count=2)
    assert at_first == [
        [
            nameless,
            edited,
            mended,
            _told("c-still-bad", "too_deep", "transcription.json /turns/0"),
        ],
        [_day(4, 5, 1, "bad_id 1, bad_value 1, missing_field 1, not_json 1, too_deep 1")],
        [registered],
    ]
    assert at_last == [
        [
            nameless,
            edited | {"is_resolved": True},
            mended | {"is_resolved": True},
            _told("c-still-bad", "bad_role", "/turns/2", refusal_count=2),
        ],
        [
            _day(
                2,
                7,
                2,
                "UNAVAILABLE 1, bad_id 1, bad_role 1, bad_value 1, missing_field 1, not_json 1, "
                "too_deep 1",
            )
        ],
        [registered, {"conversation_id": "c-mended", "status": "registered"}],
    ]


def _told(conversation_id: str, rule: str, pointer: str, **more: int) -> Row:
    return {
        "conversation_id": conversation_id,
        "rule": rule,
        "pointer": pointer,
        "fault_count": 1,
        "refusal_count": 1,
        "is_resolved": False,
    } | more


def _day(refused: int, failures: int, conversations: int, codes: str) -> Row:
    return {
        "refused_count": refused,
        "failure_count": failures,
        "conversation_count": conversations,
        "failed_count": 0,
        "funnel_delivered_count": conversations,
        "failures": codes,
    }
