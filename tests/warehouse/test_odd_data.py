"""Odd rows of one conversation stop no build: it is set aside or right, and all else is built."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace

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
    talk,
)

pytestmark = pytest.mark.stack

DATASET = "odd"
FIRST = dt.datetime(2026, 1, 10, 9, tzinfo=dt.UTC)
SECOND = FIRST + dt.timedelta(hours=1)
FUTURE = dt.datetime.now(dt.UTC) + dt.timedelta(days=400)
TURNS = [("AGENT", "Hello."), ("CUSTOMER", "No."), ("AGENT", "Sorry."), ("CUSTOMER", "Fine.")]
Change = Callable[[Row], object]


def _said(conversation_id: str) -> Talk:
    return talk(conversation_id, TURNS, agent_id=f"agent of {conversation_id}")


def _found(state: Row) -> Row:
    found: Row = state["latestAnalysis"]["analysisResult"]["callAnalysisMetadata"]
    return found


def _analysed(
    spoken: Talk,
    analysis_id: str,
    moment: dt.datetime = FIRST,
    change: Change = lambda _: None,
    scores: tuple[float, float] = (-0.5, 0.25),
) -> Row:
    analysis = analysis_of(spoken, analysis_id, moment, [], scores)
    row = ci_row(spoken, moment, "r1", analysis=analysis, profile="p", landed_at=moment)
    change(row["payload"])
    return row | {"payload_sha256": json_sha256(row["payload"])}


def _files(spoken: Talk, moment: dt.datetime = FIRST, generation: int = 10) -> list[Row]:
    kinds = enumerate(("metadata", "transcription"), start=generation)
    return [file_row(spoken, kind, number, f"r{generation}", moment) for number, kind in kinds]


def _without_a_sentiment(state: Row) -> None:
    first = next(a for a in _found(state)["annotations"] if "sentimentData" in a)
    _found(state)["annotations"].remove(first)


def _on_a_turn_that_is_not_there(state: Row) -> None:
    place = {"transcriptIndex": 99, "wordIndex": 0}
    matcher = {"phraseMatcher": f"{PARENT}/phraseMatchers/1@1", "displayName": "m"}
    _found(state)["annotations"].append(
        {
            "channelTag": 1,
            "annotationStartBoundary": place,
            "annotationEndBoundary": place,
            "phraseMatchData": matcher,
        }
    )


def _of_another_queue(state: Row) -> None:
    state["labels"]["queue"] = "someone's own"


def _of_more_turns(state: Row) -> None:
    state["turnCount"] = 9


def _on_other_channels(state: Row) -> None:
    for segment in state["transcript"]["transcriptSegments"]:
        segment["channelTag"] = 3 - segment["channelTag"]
    _found(state)["sentiments"] = [
        {"channelTag": 1, "sentimentData": {"score": 0.9, "magnitude": 0.9}},
        {"channelTag": 2, "sentimentData": {"score": -0.4, "magnitude": 0.4}},
    ]


def _below_zero(state: Row) -> None:
    nothing = {"score": -0.0, "magnitude": 0.0}
    _found(state)["sentiments"] = [{"channelTag": 1, "sentimentData": nothing}]


ODD: dict[str, Change] = {
    "c-sentiment": _without_a_sentiment,
    "c-findings": _on_a_turn_that_is_not_there,
    "c-labels": _of_another_queue,
    "c-turns": _of_more_turns,
}
RIGHT: dict[str, Change] = {
    "c-channel": _on_other_channels,
    "c-zero": _below_zero,
    "c-gone": lambda _: None,
    "c-corrected": lambda _: None,
    "c-twins": lambda _: None,
}
CORRECTED = _said("c-corrected")
CORRECTION = replace(CORRECTED, metadata=CORRECTED.metadata | {"call_outcome": "PROMISE_TO_PAY"})
AFTERWARDS = _said("c-afterwards")


def _first() -> RawRows:
    rows = RawRows()
    for number, (conversation_id, change) in enumerate((ODD | RIGHT).items(), start=100):
        spoken = _said(conversation_id)
        rows.conversation_files += _files(spoken)
        rows.ci_conversations.append(_analysed(spoken, str(number), change=change))
    twin = _said("c-twins")
    rows.ci_conversations += [_analysed(twin, analysis_id) for analysis_id in ("902", "901")]
    rows.conversation_files += _files(_said("c-future"), FUTURE)
    return rows


def _second() -> RawRows:
    """Metadata are corrected, one is forgotten, and one lands after what lies in the future."""
    moved = ci_row(
        CORRECTION,
        SECOND,
        "r2",
        analysis=analysis_of(CORRECTED, "107", FIRST, [], (-0.5, 0.25)),
        profile="p",
        landed_at=SECOND,
    )
    gone = event_row(_said("c-gone"), "forget", "succeeded", "r2", SECOND)
    return RawRows(
        conversation_files=[
            *_files(AFTERWARDS, SECOND, 20),
            file_row(CORRECTION, "metadata", 20, "r2", SECOND),
        ],
        ci_conversations=[moved, _analysed(AFTERWARDS, "300", SECOND)],
        pipeline_events=[gone],
    )


ERASED = tuple(
    f"delete from coach_raw.{table} where conversation_id = 'c-gone' "
    f"and _landed_at < timestamp '{SECOND}'"
    for table in ("conversation_files", "ci_conversations")
)
QUARANTINE = f"""
select conversation_id, rule, what_to_do is not null as has_cure, cast(since as string) as since
from {DATASET}.quarantined_conversations
order by conversation_id
"""
JUDGED = f"select agent_id from {DATASET}.agent_daily order by agent_id"
SCORES = f"""
select conversation_id, customer_sentiment_score as score
from {DATASET}.ci_conversations
where conversation_id in ('c-channel', 'c-zero')
order by conversation_id
"""
TWINS = f"""
select registry.ci_analysis_id, conversations.analysis_id as held, analyses.analysis_id as newest
from {DATASET}.conversation_registry as registry
inner join {DATASET}.ci_conversations as conversations
    on registry.conversation_id = conversations.conversation_id
inner join {DATASET}.ci_analyses as analyses
    on registry.conversation_id = analyses.conversation_id and analyses.superseded_by is null
where registry.conversation_id = 'c-twins'
"""
COSTS = f"""
select
    sum(analysis_count) as analyses, sum(conversation_count) as conversations,
    cast(sum(cost_usd) as float64) as cost_usd
from {DATASET}.ci_costs
where analysed_date = '2026-01-10' and reason = 'first_analysis'
"""
OF_THE_VERSION = f"""
select registry.version_number, registry.is_current, registry.status, analyses.analysis_id
from {DATASET}.conversation_registry as registry
left join {DATASET}.ci_analyses as analyses
    on registry.transcript_version_id = analyses.transcript_version_id
where registry.conversation_id = 'c-corrected'
order by registry.version_number
"""
OF_WHAT_IS_HELD = f"""
select registry.version_number, count(*) as turn_count
from {DATASET}.conversation_registry as registry
inner join {DATASET}.ci_turns as turns
    on registry.conversation_version_id = turns.conversation_version_id
where registry.conversation_id = 'c-corrected'
group by registry.version_number
"""
LANDED_AFTER = f"""
select conversation_id, status
from {DATASET}.conversation_registry
where conversation_id in ('c-afterwards', 'c-future')
order by conversation_id
"""
QUERIES = {
    "quarantine": QUARANTINE,
    "judged": JUDGED,
    "scores": SCORES,
    "twins": TWINS,
    "costs": COSTS,
    "of the version": OF_THE_VERSION,
    "of what is held": OF_WHAT_IS_HELD,
    "landed after": LANDED_AFTER,
}


def _told(warehouse: Warehouse) -> dict[str, list[Row]]:
    """Return the answers; numbers as they are written, since -0.0 equals 0.0."""
    return {
        name: [
            {key: repr(value) if isinstance(value, float) else value for key, value in row.items()}
            for row in warehouse.rows(sql)
        ]
        for name, sql in QUERIES.items()
    }


def _set_aside(conversation_id: str, rule: str) -> Row:
    return {
        "conversation_id": conversation_id,
        "rule": rule,
        "has_cure": True,
        "since": "2026-01-10 09:00:00+00",
    }


def _agents(*conversation_ids: str) -> list[Row]:
    return [{"agent_id": f"agent of {conversation_id}"} for conversation_id in conversation_ids]


def _version(number: int, *, is_current: bool) -> Row:
    return {
        "version_number": number,
        "is_current": is_current,
        "status": "analysed",
        "analysis_id": "107",
    }


RIGHT_AT_FIRST: dict[str, list[Row]] = {
    "quarantine": [
        _set_aside("c-findings", "findings_lost"),
        _set_aside("c-labels", "labels_differ"),
        _set_aside("c-sentiment", "sentiment_missing"),
        _set_aside("c-turns", "turns_differ"),
    ],
    "judged": _agents("c-channel", "c-corrected", "c-gone", "c-twins", "c-zero"),
    "scores": [
        {"conversation_id": "c-channel", "score": "-0.4"},
        {"conversation_id": "c-zero", "score": "0.0"},
    ],
    "twins": [{"ci_analysis_id": "902", "held": "902", "newest": "902"}],
    "costs": [{"analyses": 9, "conversations": 9, "cost_usd": "0.18"}],
    "of the version": [_version(1, is_current=True)],
    "of what is held": [{"version_number": 1, "turn_count": 4}],
    "landed after": [{"conversation_id": "c-future", "status": "registered"}],
}
RIGHT_AT_LAST = RIGHT_AT_FIRST | {
    "judged": _agents("c-afterwards", "c-channel", "c-corrected", "c-twins", "c-zero"),
    "costs": [{"analyses": 10, "conversations": 10, "cost_usd": "0.2"}],
    "of the version": [_version(1, is_current=False), _version(2, is_current=True)],
    "of what is held": [{"version_number": 2, "turn_count": 4}],
    "landed after": [
        {"conversation_id": "c-afterwards", "status": "analysed"},
        {"conversation_id": "c-future", "status": "registered"},
    ],
}


def test_odd_conversations_are_set_aside_or_right_and_all_else_is_built(
    warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory
) -> None:
    create_raw_tables(warehouse.client)
    project = DbtProject(
        tmp_path_factory.mktemp(DATASET),
        warehouse.endpoint,
        DATASET,
        variables={"incremental_overlap_hours": 0},
        is_lean=True,
    )
    project.run("seed")

    land(warehouse.client, _first())
    project.run(*BUILD_WITH_LAWS)
    at_first = _told(warehouse)
    land(warehouse.client, _second())
    for statement in ERASED:
        warehouse.rows(statement)
    project.run(*BUILD_WITH_LAWS)
    at_last = _told(warehouse)

    assert at_first == RIGHT_AT_FIRST
    assert at_last == RIGHT_AT_LAST
