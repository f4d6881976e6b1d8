"""Funnel, talk, differences and guarded queries, without a warehouse."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.flows.warehouse_fake import FakeWarehouse

from ingest.errors import InputError, RemoteError
from ingest.flows.schema import (
    ColumnChange,
    ListedTable,
    checked,
    find_table,
    list_tables,
    schema_changes,
)
from ingest.flows.status import (
    OPEN_STATUSES,
    DateFunnel,
    StatusCount,
    backlog,
    funnels,
    open_failures,
)
from ingest.flows.transcript import Match, matcher_of_payload, talk_of_file, talk_of_state
from ingest.ports.inspect import Column, Estimate, TableDetails, TableSummary

DATE = dt.date(2026, 1, 1)
T0 = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
STATUSES = (*OPEN_STATUSES, "analysed", "forgotten")


def count(status: str, number: int = 1, step: str | None = None, hour: int = 0) -> StatusCount:
    moment = T0 + dt.timedelta(hours=hour)
    return StatusCount(DATE, status, step, "CODE" if step else None, number, moment, moment)


def erased(number: int) -> StatusCount:
    return StatusCount(None, "forgotten", None, None, number, T0, T0)


def test_each_stage_of_the_funnel_counts_those_beyond_it() -> None:
    counts = [
        count("waiting_for_transcript", 1, hour=3),
        count("registered", 2, hour=1),
        count("failed", 3, "submit", hour=2),
        count("failed", 2, "analyse", hour=2),
        count("failed", 1, "land", hour=2),
        erased(7),
        count("submitted", 4, hour=4),
        count("analysed", 5, hour=9),
        count("not_for_insights", 8, hour=0),
        count("forgotten", 6, hour=10),
    ]

    assert funnels(counts, {DATE: 12}) == (
        DateFunnel(
            batch_date=DATE,
            received=26,
            complete=25,
            submitted=12,
            analysed=5,
            waiting=1,
            failed=6,
            forgotten=6,
            in_registry=12,
            oldest_open_at=T0 + dt.timedelta(hours=1),
            newest_at=T0 + dt.timedelta(hours=10),
        ),
    )


@given(st.lists(st.builds(count, st.sampled_from(STATUSES), st.integers(1, 99)), max_size=20))
def test_no_conversation_is_lost_or_counted_twice(counts: list[StatusCount]) -> None:
    found = funnels(counts, None)

    assert sum(date.received + date.forgotten for date in found) == sum(c.count for c in counts)
    for date in found:
        assert date.received >= date.complete >= date.submitted >= date.analysed


@given(
    st.permutations(
        [count("failed", 1, "submit"), count("failed", 2, "upload"), count("submitted")]
    )
)
def test_the_order_of_facts_does_not_matter(counts: list[StatusCount]) -> None:
    assert [(item.status, item.count) for item in backlog(counts)] == [
        ("failed", 3),
        ("submitted", 1),
    ]
    assert [(item.step, item.count) for item in open_failures(counts)] == [
        ("upload", 2),
        ("submit", 1),
    ]


MATCHER = {
    "displayName": "empathy",
    "type": "ANY_OF",
    "active": True,
    "roleMatch": "HUMAN_AGENT",
    "phraseMatchRuleGroups": [
        {"type": "ANY_OF", "phraseMatchRules": [{"query": "so sorry", "config": {}}]}
    ],
}
STATE: dict[str, Any] = {
    "startTime": "2026-01-01T00:00:00Z",
    "duration": "12.5s",
    "transcript": {
        "transcriptSegments": [
            {
                "text": "I'm so  sorry, so sorry",
                "messageTime": "2026-01-01T00:00:02.500Z",
                "segmentParticipant": {"role": "HUMAN_AGENT"},
            },
            {"text": "fine", "segmentParticipant": {"role": "END_USER"}, "sentiment": {}},
        ]
    },
    "latestAnalysis": {
        "name": "p/analyses/7",
        "analysisResult": {
            "callAnalysisMetadata": {
                "annotations": [
                    {
                        "annotationStartBoundary": {"wordIndex": 1},
                        "phraseMatchData": {
                            "phraseMatcher": "p/phraseMatchers/5@9",
                            "displayName": "empathy",
                        },
                    },
                    {
                        "annotationStartBoundary": {"transcriptIndex": 1},
                        "phraseMatchData": {
                            "phraseMatcher": "p/phraseMatchers/6@1",
                            "displayName": "other",
                        },
                    },
                ],
                "sentiments": [{"channelTag": 1, "sentimentData": {"score": -0.5}}],
            }
        },
    },
}


def test_a_talk_has_phrase_and_place_of_every_match() -> None:
    talk = talk_of_state("conv", STATE, {"5@9": matcher_of_payload(MATCHER)})

    assert talk.overall_sentiment == -0.5
    assert [(turn.speaker, turn.start_offset_sec, turn.sentiment_score) for turn in talk.turns] == [
        ("AGENT", 2.5, None),
        ("CUSTOMER", None, 0.0),
    ]
    assert talk.turns[0].matches == (
        Match("empathy", "so sorry", 4, 13),
        Match("empathy", "so sorry", 15, 23),
    )
    assert talk.turns[1].matches == (Match("other", None, None, None),)


def test_a_talk_of_a_file_has_only_what_was_said() -> None:
    turn = {"turn_index": 0, "speaker": "AGENT", "start_offset_sec": 1.5, "text": "hello"}

    talk = talk_of_file("conv", {"turns": [turn]})

    assert (talk.analysis_name, [t.text for t in talk.turns]) == (None, ["hello"])


@pytest.mark.parametrize("kind", ["INSERT", "DROP_TABLE", "SCRIPT", "EXPORT_DATA", "MERGE"])
def test_a_statement_that_writes_is_refused_unless_it_may(kind: str) -> None:
    warehouse = FakeWarehouse(statement=Estimate(kind, 0))

    with pytest.raises(InputError, match=kind):
        checked(warehouse, "…", {}, max_bytes=1)
    assert checked(warehouse, "…", {}, max_bytes=1, may_write=True).statement_type == kind


def test_a_query_that_would_read_too_much_is_refused() -> None:
    warehouse = FakeWarehouse(statement=Estimate("SELECT", 101))

    with pytest.raises(InputError, match="101 bytes, more than 100"):
        checked(warehouse, "select 1", {}, max_bytes=100)


@pytest.mark.parametrize("name", ["a.b.c", "a`b", "", "a;drop", "x y"])
def test_a_name_that_is_no_table_name_never_reaches_sql(name: str) -> None:
    with pytest.raises(InputError):
        find_table(FakeWarehouse(), name, ["coach"])


def test_a_schema_differs_by_type_mode_and_missing_columns() -> None:
    declared = [
        {"name": "a", "type": "STRING", "mode": "REQUIRED"},
        {"name": "b", "type": "INTEGER"},
    ]
    live = [Column("a", "STRING"), Column("b", "INT64"), Column("c", "DATE")]

    assert schema_changes(declared, live) == (
        ColumnChange("a", "STRING REQUIRED", "STRING NULLABLE"),
        ColumnChange("c", None, "DATE NULLABLE"),
    )


def test_a_table_that_goes_while_tables_are_listed_is_named_as_being_rebuilt() -> None:
    names = ("stays", "seen", "gone", "view")
    details = {
        ("coach", name): TableDetails(
            "coach", name, "VIEW" if name == "view" else "TABLE", (),
            None if name == "view" else 0, None, None, False, (), None, "",
        )
        for name in names
        if name != "gone"
    }  # fmt: skip

    def counted(sql: str) -> list[dict[str, Any]]:
        if "`p.coach.seen`" in sql:
            raise RemoteError("no such table", "run dbt build", code="NOT_FOUND")
        return [{"dataset": "coach", "name": "stays", "row_count": 7}]

    listed = [TableSummary("coach", name, "TABLE") for name in names]

    assert list_tables(FakeWarehouse(counted, listed, details), ["coach"]) == (
        ListedTable("coach", "stays", "table", 7, None),
        ListedTable("coach", "seen", "being rebuilt", None, None),
        ListedTable("coach", "gone", "being rebuilt", None, None),
        ListedTable("coach", "view", "view", None, None),
    )
