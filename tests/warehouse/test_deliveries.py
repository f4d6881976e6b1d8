"""Versions are folded over deliveries: what one run landed of a conversation from one folder."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from ingest.domain.conversation import FileKind
from ingest.domain.deliveries import counting
from ingest.flows.evidence import Evidence
from tests.warehouse.conftest import Warehouse
from tests.warehouse.dbt_runs import DbtProject
from tests.warehouse.raw_loading import create_raw_tables, land
from tests.warehouse.raw_rows import (
    RawRows,
    Talk,
    analysis_of,
    ci_row,
    event_row,
    file_row,
    talk,
)

pytestmark = pytest.mark.stack

DATASET = "deliveries"
FIRST = dt.datetime(2026, 2, 12, 9, tzinfo=dt.UTC)
SECOND = FIRST + dt.timedelta(hours=1)
MONDAY, TUESDAY, WEDNESDAY = "2026-02-09", "2026-02-10", "2026-02-11"
TURNS = [("AGENT", "Hello."), ("CUSTOMER", "Hi.")]
BOTH = ("metadata", "transcription")
REGISTRY = f"""
select
    conversation_id, version_number, metadata_sha256, transcript_sha256, is_current,
    cast(batch_date as string) as batch_date, status
from {DATASET}.conversation_registry
order by conversation_id, version_number
"""
COLUMNS = ("version_number", "metadata_sha256", "transcript_sha256", "is_current", "batch_date")


def _said(conversation_id: str, date: str, words: str) -> Talk:
    return talk(conversation_id, [*TURNS, ("AGENT", words)], batch_date=date, agent_notes=words)


def _at(spoken: Talk, date: str) -> Talk:
    return replace(spoken, batch_date=date)


def _files(spoken: Talk, generation: int, run: str, landed: dt.datetime, *kinds: str) -> RawRows:
    rows = [
        file_row(spoken, kind, generation + place, run, landed)
        for place, kind in enumerate(kinds or BOTH)
    ]
    return RawRows(conversation_files=rows)


TWO_DATES = (_said("c-two-dates", MONDAY, "one"), _said("c-two-dates", TUESDAY, "two"))
BACK = (_said("c-back", MONDAY, "one"), _said("c-back", TUESDAY, "two"))
SAME = _said("c-same", MONDAY, "one")
HALVES = _said("c-halves", MONDAY, "one")
EDITED = (_said("c-edited", MONDAY, "one"), _said("c-edited", TUESDAY, "two"))
CORRECTED = replace(EDITED[0], metadata=EDITED[0].metadata | {"call_outcome": "PROMISE_TO_PAY"})
LATE = (_said("c-late", MONDAY, "one"), _said("c-late", TUESDAY, "two"))

FIRST_ROWS = (
    _files(TWO_DATES[0], 30, "r1", FIRST),
    _files(TWO_DATES[1], 10, "r1", FIRST),
    _files(BACK[0], 10, "r1", FIRST),
    _files(BACK[1], 20, "r1", FIRST),
    _files(_at(BACK[0], WEDNESDAY), 30, "r1", FIRST),
    _files(SAME, 10, "r1", FIRST),
    _files(_at(SAME, TUESDAY), 20, "r1", FIRST),
    _files(HALVES, 10, "r1", FIRST, "metadata"),
    _files(EDITED[0], 10, "r1", FIRST),
    _files(EDITED[1], 20, "r1", FIRST),
    _files(LATE[1], 20, "r1", FIRST),
)
SECOND_ROWS = (
    _files(TWO_DATES[0], 30, "r2", SECOND),
    _files(_at(HALVES, TUESDAY), 20, "r2", SECOND, "transcription"),
    _files(CORRECTED, 30, "r2", SECOND, "metadata"),
    _files(LATE[0], 10, "r1", SECOND),
)
"""Two folders of a run landed again, a half of another folder, an edit, and a late batch."""


def _version(
    number: int, metadata: Talk | None, words: Talk | None, date: str, *, current: bool = False
) -> tuple[object, ...]:
    return (
        number,
        metadata and metadata.metadata_sha256,
        words and words.transcript_sha256,
        current,
        date,
    )


RIGHT_AT_FIRST = {
    "c-back": [
        _version(1, BACK[0], BACK[0], WEDNESDAY, current=True),
        _version(2, BACK[1], BACK[1], TUESDAY),
    ],
    "c-edited": [
        _version(1, EDITED[0], EDITED[0], MONDAY),
        _version(2, EDITED[1], EDITED[1], TUESDAY, current=True),
    ],
    "c-halves": [_version(1, HALVES, None, MONDAY, current=True)],
    "c-late": [_version(1, LATE[1], LATE[1], TUESDAY, current=True)],
    "c-same": [_version(1, SAME, SAME, MONDAY, current=True)],
    "c-two-dates": [
        _version(1, TWO_DATES[0], TWO_DATES[0], MONDAY),
        _version(2, TWO_DATES[1], TWO_DATES[1], TUESDAY, current=True),
    ],
}
RIGHT_AT_LAST = RIGHT_AT_FIRST | {
    "c-edited": [
        _version(1, EDITED[0], EDITED[0], MONDAY),
        _version(2, EDITED[1], EDITED[1], TUESDAY),
        _version(3, CORRECTED, EDITED[0], MONDAY, current=True),
    ],
    "c-halves": [
        _version(1, HALVES, None, MONDAY),
        _version(2, HALVES, HALVES, TUESDAY, current=True),
    ],
    "c-late": [
        _version(1, LATE[0], LATE[0], MONDAY),
        _version(2, LATE[1], LATE[1], TUESDAY, current=True),
    ],
}


def _told(warehouse: Warehouse) -> dict[str, list[tuple[object, ...]]]:
    told: dict[str, list[tuple[object, ...]]] = {}
    for row in warehouse.rows(REGISTRY):
        told.setdefault(str(row["conversation_id"]), []).append(tuple(row[c] for c in COLUMNS))
    return told


def test_every_delivery_makes_its_version_in_the_order_of_dates_and_generations(
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
    without_tests = ("--exclude", "resource_type:test", "resource_type:unit_test")
    build = ("build", "--select", "+conversation_registry", *without_tests)

    land(warehouse.client, _landed_together(FIRST_ROWS))
    project.run(*build)
    at_first = _told(warehouse)
    land(warehouse.client, _landed_together(SECOND_ROWS))
    project.run(*build)
    at_last = _told(warehouse)
    project.run(*build, "--full-refresh")

    assert at_first == RIGHT_AT_FIRST
    assert at_last == RIGHT_AT_LAST
    assert _told(warehouse) == at_last
    assert _current(at_last) == _by_the_sidecar(_landed_together((*FIRST_ROWS, *SECOND_ROWS)))


def _current(told: dict[str, list[tuple[object, ...]]]) -> dict[str, tuple[object, ...]]:
    return {id_: row[1:3] for id_, rows in told.items() for row in rows if row[3]}


def _by_the_sidecar(rows: RawRows) -> dict[str, tuple[object, ...]]:
    """The hashes that the sidecar would submit, which must be those of the current version."""
    evidence = Evidence()
    for row in rows.conversation_files:
        evidence.add_landed_file(
            {
                **row,
                "batch_date": dt.date.fromisoformat(row["batch_date"]),
                "run_id": row["_run_id"],
                "landed_at": dt.datetime.fromisoformat(row["_landed_at"]),
            }
        )
    found = {id_: counting(files.values()) for id_, files in evidence.files_by_id.items()}
    return {
        id_: tuple(
            file.content_sha256 if (file := last.files.get(kind)) else None for kind in FileKind
        )
        for id_, last in found.items()
        if last is not None
    }


def _landed_together(parts: tuple[RawRows, ...]) -> RawRows:
    rows = RawRows()
    for part in parts:
        rows.extend(part)
    return rows


MOVED = _said("c-moved", MONDAY, "one")
NEIGHBOUR = _said("c-neighbour", TUESDAY, "one")
LATEST = _said("c-latest", TUESDAY, "one")
WITHIN = _said("c-within", MONDAY, "one")
AFTER_IT = _said("c-after-it", MONDAY, "one")
STRAGGLER = _said("c-straggler", WEDNESDAY, "one")
THIRD, FOURTH, FIFTH, SIXTH = (SECOND + dt.timedelta(hours=number) for number in (1, 2, 3, 4))
PLACES = {
    "dynamics": "late_staging.int_transcript_dynamics",
    "turns": "late_staging.int_transcript_turns",
    "versions": "late_staging.int_conversation_versions",
    "insights": "late.ci_turns",
}
LEFT = " union all ".join(
    f"select conversation_id, '{place}' as place, cast(batch_date as string) as day, "
    f"count(*) as row_count from {table} group by all"
    for place, table in PLACES.items()
)


def _state(spoken: Talk, analysis_id: str, landed: dt.datetime) -> RawRows:
    analysis = analysis_of(spoken, analysis_id, landed, [])
    state = ci_row(spoken, landed, "r1", analysis=analysis, profile="p", landed_at=landed)
    return RawRows(ci_conversations=[state])


def _told_of(spoken: Talk, date: str, *, has_state: bool = True) -> set[tuple[object, ...]]:
    """Return the rows that are right: a version, and each of three turns once."""
    id_ = spoken.conversation_id
    first = str(spoken.batch_date)
    facts = {(id_, "dynamics", first, 1), (id_, "turns", first, 3), (id_, "versions", date, 1)}
    return facts | ({(id_, "insights", first, 3)} if has_state else set())


def _left(warehouse: Warehouse) -> set[tuple[object, ...]]:
    return {tuple(row.values()) for row in warehouse.rows(LEFT)}


def test_what_lands_during_a_build_or_late_is_taken_once_and_forgotten_late(
    warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory
) -> None:
    create_raw_tables(warehouse.client)
    project = DbtProject(
        tmp_path_factory.mktemp("late"),
        warehouse.endpoint,
        "late",
        variables={"incremental_overlap_hours": 0},
        is_lean=True,
    )
    tables = ("--exclude", "config.materialized:view")
    build = (
        "run",
        "--select",
        "+int_transcript_dynamics",
        "+int_conversation_versions",
        "+ci_turns",
    )

    at_first = (
        _files(MOVED, 10, "r1", FIRST),
        _files(NEIGHBOUR, 20, "r1", SECOND),
        _files(LATEST, 30, "r1", SECOND),
        _files(WITHIN, 40, "r1", SECOND),
        _files(AFTER_IT, 50, "r1", SECOND),
        _state(MOVED, "1", FIRST),
        _state(NEIGHBOUR, "2", SECOND),
        _state(LATEST, "3", SIXTH),
        _state(WITHIN, "4", SECOND),
        _state(AFTER_IT, "5", THIRD),
    )
    land(warehouse.client, _landed_together(at_first))
    project.run(*build)
    # Its turns stand on TUESDAY still, whose current state the next builds don't list.
    warehouse.rows(
        "update late.ci_conversations set batch_date = '2026-03-01' "
        "where conversation_id = 'c-neighbour'"
    )
    project.run("run", "--select", "+int_changed_days", *tables)
    land(warehouse.client, _files(_at(MOVED, TUESDAY), 40, "r2", THIRD))
    project.run(*build, *tables, "+int_changed_days")
    project.run(*build, *tables)
    moved = _left(warehouse)
    land(warehouse.client, _files(STRAGGLER, 50, "r3", FIFTH))
    project.run(*build, *tables)
    late = _left(warehouse)
    forgotten = event_row(MOVED, "forget", "succeeded", "r4", FOURTH, landed_at=FOURTH)
    land(warehouse.client, RawRows(pipeline_events=[forgotten]))
    project.run(*build, *tables)

    forgotten_late = _left(warehouse)
    warehouse.rows("update late.ci_turns set text = '' where true")
    window = {"backfill_start": str(SECOND)[:19], "backfill_end": str(THIRD)[:19]}
    again = replace(project, variables=project.variables | window)
    again.run(*build, *tables)
    made_again = warehouse.rows(
        "select distinct conversation_id from late.ci_turns where text != ''"
    )

    stay = _told_of(NEIGHBOUR, TUESDAY) | _told_of(LATEST, TUESDAY)
    stay |= _told_of(WITHIN, MONDAY) | _told_of(AFTER_IT, MONDAY)
    assert moved == stay | _told_of(MOVED, MONDAY)
    assert late == moved | _told_of(STRAGGLER, WEDNESDAY, has_state=False)
    assert forgotten_late == late - _told_of(MOVED, MONDAY)
    # What landed at the watermark is read by every build.
    ids = {row["conversation_id"] for row in made_again} - {"c-neighbour"}
    assert ids == {"c-within", "c-latest"}
