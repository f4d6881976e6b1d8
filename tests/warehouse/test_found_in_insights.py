"""What Insights holds and nobody delivered is in the registry too, and every law holds for it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from ingest.domain.conversation import json_sha256
from tests.warehouse.conftest import Warehouse
from tests.warehouse.dbt_runs import BUILD_WITH_LAWS, DbtProject
from tests.warehouse.raw_loading import create_raw_tables, land
from tests.warehouse.raw_rows import (
    PARENT,
    RawRows,
    Row,
    Talk,
    analysis_of,
    ci_row,
    event_row,
    file_row,
    foreign,
    talk,
)

pytestmark = pytest.mark.stack

DATASET = "found"
FIRST = dt.datetime(2026, 1, 10, 9, tzinfo=dt.UTC)
SECOND = FIRST + dt.timedelta(hours=20)
TURNS = [("AGENT", "Good morning."), ("CUSTOMER", "My invoice is wrong."), ("AGENT", "Sorry.")]
OTHER_TURNS = [*TURNS, ("CUSTOMER", "Thanks.")]
URI = "gs://another-bucket/{}.json"
LABELS = {"owner": "crm", "direction": "inbound", "business_line": "GARDENS", "queue": "billing"}
MATCHER = f"{PARENT}/phraseMatchers/777@1"
REGISTRY = f"""
select
    conversation_id, version_number, origin, status, open_reason, is_current,
    metadata_sha256 is not null and transcript_sha256 is not null as is_hashed,
    ci_analysis_id, direction, business_line, queue, medium, agent_id, turn_count,
    transcript_uri, cast(batch_date as string) as batch_date
from {DATASET}.conversation_registry
order by conversation_id, version_number
"""


def _analysed(spoken: Talk, analysis_id: str, made: dt.datetime, *, matcher: bool = False) -> Row:
    analysis = analysis_of(spoken, analysis_id, made, [])
    if matcher:
        found = analysis["analysisResult"]["callAnalysisMetadata"]
        span = {"transcriptIndex": 1, "wordIndex": 0}
        found["annotations"].append(
            {
                "channelTag": 1,
                "annotationStartBoundary": span,
                "annotationEndBoundary": span,
                "phraseMatchData": {"phraseMatcher": MATCHER},
            }
        )
        found["phraseMatchers"] = {MATCHER: {"phraseMatcher": MATCHER, "displayName": "billing"}}
    return analysis


def _found(
    spoken: Talk, updated: dt.datetime, analysis: Row | None = None, labels: Row = LABELS
) -> Row:
    row = ci_row(spoken, updated, "pull", analysis=analysis, landed_at=FIRST)
    without = ("agentId", "qualityMetadata", "medium")
    return foreign(row, URI.format(spoken.conversation_id), labels, without)


def _minutes(number: int) -> dt.datetime:
    return FIRST - dt.timedelta(minutes=number)


FOREIGN = talk("c-foreign", TURNS)
UNANALYSED = talk("c-unanalysed", TURNS)
REFUSED = talk("c-refused", OTHER_TURNS)
REFUSED_THERE = talk("c-refused", TURNS)
ADOPTED = talk("c-adopted", TURNS)
REPLACED = talk("c-replaced", OTHER_TURNS)
REPLACED_THERE = talk("c-replaced", TURNS)


def _delivered(spoken: Talk, moment: dt.datetime, run: str) -> list[Row]:
    kinds = enumerate(("metadata", "transcription"), start=10)
    return [file_row(spoken, kind, number, run, moment) for number, kind in kinds]


def _first() -> RawRows:
    refused = event_row(REFUSED, "submit", "failed", "r1", FIRST, error_code="FOREIGN_CONVERSATION")
    return RawRows(
        conversation_files=[*_delivered(REFUSED, FIRST, "r1")],
        pipeline_events=[refused],
        ci_conversations=[
            _found(FOREIGN, _minutes(9), _analysed(FOREIGN, "11", _minutes(9))),
            _found(FOREIGN, _minutes(8), _analysed(FOREIGN, "12", _minutes(8), matcher=True)),
            _found(UNANALYSED, _minutes(9), labels={}),
            _found(REFUSED_THERE, _minutes(9), _analysed(REFUSED_THERE, "31", _minutes(9))),
            _found(ADOPTED, _minutes(9), _analysed(ADOPTED, "41", _minutes(9))),
            _found(REPLACED_THERE, _minutes(9), _analysed(REPLACED_THERE, "51", _minutes(9))),
        ],
    )


def _second() -> RawRows:
    """One is adopted, with the labels of its delivery; one is made again with other words."""
    adopted = ci_row(
        ADOPTED, SECOND, "r2", analysis=_analysed(ADOPTED, "41", _minutes(9)), landed_at=SECOND
    )
    adopted["payload"]["dataSource"]["gcsSource"]["transcriptUri"] = URI.format("c-adopted")
    adopted["payload_sha256"] = json_sha256(adopted["payload"])
    analysis = _analysed(REPLACED, "52", SECOND)
    return RawRows(
        conversation_files=[
            *_delivered(ADOPTED, SECOND, "r2"),
            *_delivered(REPLACED, SECOND, "r2"),
        ],
        ci_conversations=[adopted, ci_row(REPLACED, SECOND, "r2", analysis=analysis)],
    )


def _version(number: int, **columns: Any) -> Row:
    return {
        "version_number": number,
        "origin": "found_in_insights",
        "status": "analysed",
        "open_reason": None,
        "is_current": True,
        "is_hashed": False,
        "direction": "INBOUND",
        "business_line": "GARDENS",
        "queue": "billing",
        "medium": "PHONE_CALL",
        "agent_id": None,
        "turn_count": 3,
        "batch_date": "2025-12-27",
    } | columns


def _delivered_version(number: int, spoken: Talk, **columns: Any) -> Row:
    return {
        "version_number": number,
        "origin": "delivered",
        "status": "analysed",
        "open_reason": None,
        "is_current": True,
        "is_hashed": True,
        "direction": "OUTBOUND",
        "business_line": "COLLECTIONS",
        "queue": "early_arrears",
        "medium": "PHONE_CALL",
        "agent_id": "agent-07",
        "turn_count": len(spoken.transcription["turns"]),
        "transcript_uri": file_row(spoken, "transcription", 1, "", FIRST)["uri"],
        "batch_date": spoken.batch_date,
    } | columns


def _there(conversation_id: str) -> dict[str, str]:
    return {"transcript_uri": URI.format(conversation_id)}


RIGHT_AT_FIRST: dict[str, list[Row]] = {
    "c-adopted": [_version(1, ci_analysis_id="41", **_there("c-adopted"))],
    "c-foreign": [_version(1, ci_analysis_id="12", **_there("c-foreign"))],
    "c-refused": [
        _version(1, ci_analysis_id="31", is_current=False, **_there("c-refused")),
        _delivered_version(
            2,
            REFUSED,
            status="failed",
            open_reason="submit: FOREIGN_CONVERSATION",
            ci_analysis_id=None,
        ),
    ],
    "c-replaced": [_version(1, ci_analysis_id="51", **_there("c-replaced"))],
    "c-unanalysed": [
        _version(
            1,
            status="submitted",
            open_reason="not_analysed_yet",
            ci_analysis_id=None,
            direction=None,
            business_line=None,
            queue=None,
            **_there("c-unanalysed"),
        )
    ],
}
RIGHT_AT_LAST = RIGHT_AT_FIRST | {
    "c-adopted": [_delivered_version(1, ADOPTED, ci_analysis_id="41")],
    "c-replaced": [
        _version(1, ci_analysis_id="51", is_current=False, **_there("c-replaced")),
        _delivered_version(2, REPLACED, ci_analysis_id="52"),
    ],
}


def _told(warehouse: Warehouse) -> dict[str, list[Row]]:
    told: dict[str, list[Row]] = {}
    for row in warehouse.rows(REGISTRY):
        told.setdefault(str(row.pop("conversation_id")), []).append(row)
    return told


def test_what_nobody_delivered_is_registered_and_breaks_no_law(
    warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory
) -> None:
    create_raw_tables(warehouse.client)
    project = DbtProject(
        tmp_path_factory.mktemp(DATASET), warehouse.endpoint, DATASET, is_lean=True
    )
    project.run("seed")

    land(warehouse.client, _first())
    project.run(*BUILD_WITH_LAWS)
    at_first = _told(warehouse)
    hits = warehouse.rows(
        f"select conversation_id, phrase_matcher, phrase from {DATASET}.ci_phrase_matches"
    )
    land(warehouse.client, _second())
    project.run(*BUILD_WITH_LAWS)
    at_last = _told(warehouse)
    project.run("run", "--full-refresh", "--select", "+conversation_registry")

    assert at_first == RIGHT_AT_FIRST
    assert hits == [{"conversation_id": "c-foreign", "phrase_matcher": "billing", "phrase": None}]
    assert at_last == RIGHT_AT_LAST
    assert _told(warehouse) == at_last
