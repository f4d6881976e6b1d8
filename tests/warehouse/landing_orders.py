"""300 conversations land in four orders, and every table is that of a full refresh, to the byte.

    python -m pytest tests/warehouse/landing_orders.py      # or: make orders

It takes many builds, so pytest doesn't find it by itself: test_properties.py asks the same of the
few conversations of the story. Here files come late, are edited, return and land again, analyses
are made again, steps fail, and some conversations are forgotten.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.warehouse.conftest import Warehouse
from tests.warehouse.dbt_runs import DbtProject
from tests.warehouse.raw_loading import create_raw_tables, land
from tests.warehouse.raw_rows import RawRows, Talk, talk
from tests.warehouse.story import FIRST_MATCHERS, SECOND_MATCHERS, TURNS, Batch
from tests.warehouse.test_properties import TABLES_ONLY, Tables, all_tables

pytestmark = pytest.mark.stack

CONVERSATIONS = 300
KEPT_TABLE = "coach_staging.int_forgotten_charges"
"""No raw row tells of it again: what forgotten analyses had cost, where they were ever built."""
FORGOTTEN = "c-forgotten-"
ERASED = tuple(
    f"delete from coach_raw.{table} where starts_with(conversation_id, '{FORGOTTEN}') "
    f"and _landed_at >= timestamp '2020-01-01 00:00:00+00'{rest}"
    for table, rest in (
        ("conversation_files", ""),
        ("ci_conversations", ""),
        ("pipeline_events", " and step != 'forget'"),
    )
)
Batches = tuple[Batch, Batch, Batch]


def test_every_order_of_landing_gives_the_tables_of_a_full_refresh(
    warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory
) -> None:
    project = DbtProject(tmp_path_factory.mktemp("orders"), warehouse.endpoint, is_lean=True)
    project.run("seed")
    told: dict[str, Tables] = {}
    for name, landings in _orders():
        create_raw_tables(warehouse.client)
        landed = RawRows()
        for number, rows in enumerate(landings):
            land(warehouse.client, rows)
            landed.extend(rows)
            if any(event["step"] == "forget" for event in landed.pipeline_events):
                _erase(warehouse)
            mode = () if number else ("--full-refresh",)
            project.run("run", *mode, *(TABLES_ONLY if told or number else ()))
        told[name] = all_tables(warehouse)
    project.run("run", "--full-refresh", *TABLES_ONLY)
    refreshed = all_tables(warehouse)

    assert len(refreshed["coach.conversation_registry"]) > CONVERSATIONS
    assert {
        (name, table): sorted(set(rows) ^ set(refreshed[table]))[:4]
        for name, tables in told.items()
        for table, rows in tables.items()
        if rows != refreshed[table] and table != KEPT_TABLE
    } == {}


def _erase(warehouse: Warehouse) -> None:
    for statement in ERASED:
        warehouse.rows(statement)


def _orders() -> Iterator[tuple[str, list[RawRows]]]:
    order = random.Random(20251228)
    first, second, third = (batch.rows for batch in _batches())
    yield "as they came", [first, second, third]
    yield "backwards", [third, second, first]
    mixed = [RawRows() for _ in range(3)]
    for rows in (first, second, third):
        for table, landed in rows.tables().items():
            for row in landed:
                getattr(order.choice(mixed), table).append(row)
    yield "mixed", mixed
    whole = RawRows().extend(first).extend(second).extend(third)
    yield (
        "states, events, files",
        [
            RawRows(ci_conversations=whole.ci_conversations, phrase_matchers=whole.phrase_matchers),
            RawRows(pipeline_events=whole.pipeline_events),
            RawRows(conversation_files=whole.conversation_files),
        ],
    )


def _batches() -> Batches:
    batches = (
        Batch(1, RawRows(phrase_matchers=list(FIRST_MATCHERS))),
        Batch(2, RawRows()),
        Batch(3, RawRows(phrase_matchers=list(SECOND_MATCHERS))),
    )
    words = random.Random(20251229)
    for number in range(CONVERSATIONS):
        plan = PLANS[number % len(PLANS)]
        name = f"{FORGOTTEN}{number}" if plan is _forgotten else f"c-{number}"
        turns = [*TURNS, *words.choices(TURNS, k=words.randrange(4)), ("CUSTOMER", f"{number}")]
        words.shuffle(turns)
        day = words.choice(("2025-12-28", "2025-12-29", "2025-12-30"))
        plan(batches, talk(name, turns, batch_date=day), 1000 + number)
    return batches


def _plain(batches: Batches, spoken: Talk, analysis: int) -> None:
    batches[analysis % 3].complete(spoken, f"{analysis}1")


def _late(batches: Batches, spoken: Talk, analysis: int) -> None:
    first, second, _ = batches
    first.files(spoken, "transcription")
    first.event(spoken, "upload", "waiting", reason="waiting_for_metadata")
    second.files(spoken, "metadata")
    second.event(spoken, "upload")
    second.analysed(spoken, f"{analysis}1", FIRST_MATCHERS)


def _edited(batches: Batches, spoken: Talk, analysis: int) -> None:
    first, second, third = batches
    first.complete(spoken, f"{analysis}1")
    edited = replace(spoken, transcription=talk(spoken.conversation_id, TURNS[:2]).transcription)
    second.files(edited, "transcription")
    second.event(edited, "upload")
    third.analysed(edited, f"{analysis}2", SECOND_MATCHERS, profile="profile-2")


def _corrected(batches: Batches, spoken: Talk, analysis: int) -> None:
    """It is corrected, and what was there before returns."""
    first, second, third = batches
    first.complete(spoken, f"{analysis}1")
    corrected = replace(spoken, metadata=spoken.metadata | {"call_outcome": "PROMISE_TO_PAY"})
    for batch, edition in ((second, corrected), (third, spoken)):
        batch.files(edition, "metadata")
        batch.event(edition, "upload")


def _analysed_again(batches: Batches, spoken: Talk, analysis: int) -> None:
    first, _, third = batches
    first.complete(spoken, f"{analysis}1")
    third.analysed(spoken, f"{analysis}2", SECOND_MATCHERS[:1], "profile-2", (0.25, 0.5))


def _repeated(batches: Batches, spoken: Talk, analysis: int) -> None:
    first, second, third = batches
    first.complete(spoken, f"{analysis}1")
    for batch in (second, third):
        batch.again(first.rows, spoken.conversation_id)


def _delivered_again(batches: Batches, spoken: Talk, analysis: int) -> None:
    """From the folder of another day, by which Insights' label goes too."""
    first, second, third = batches
    first.complete(spoken, f"{analysis}1")
    moved = replace(spoken, batch_date="2026-01-01")
    second.files(moved, "metadata", "transcription")
    second.event(moved, "upload")
    third.analysed(moved, f"{analysis}2", FIRST_MATCHERS)


def _failed(batches: Batches, spoken: Talk, analysis: int) -> None:
    first, second, _ = batches
    first.files(spoken, "metadata", "transcription")
    first.event(spoken, "upload")
    first.event(spoken, "submit", "failed", error_code="UNAVAILABLE")
    second.analysed(spoken, f"{analysis}1", FIRST_MATCHERS)


def _found(batches: Batches, spoken: Talk, analysis: int) -> None:
    """Insights holds it before any file of it lands."""
    first, _, third = batches
    first.analysed(spoken, f"{analysis}1", FIRST_MATCHERS)
    third.files(spoken, "metadata", "transcription")
    third.event(spoken, "upload")


def _forgotten(batches: Batches, spoken: Talk, analysis: int) -> None:
    first, second, _ = batches
    first.complete(spoken, f"{analysis}1")
    second.event(spoken, "forget")


PLANS = (
    _plain,
    _late,
    _edited,
    _corrected,
    _analysed_again,
    _repeated,
    _delivered_again,
    _failed,
    _found,
    _forgotten,
)
