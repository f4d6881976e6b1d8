"""A medium that isn't sent to Insights: such a conversation is done with its files landed."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ingest.domain.conversation import Medium
from ingest.domain.declarations import Declarations
from ingest.domain.faults import Fault, Severity
from ingest.domain.outcome import ItemState, Step
from ingest.flows.conversation_run import PushReport
from ingest.flows.landing import raw_schema
from ingest.flows.status import judged_sql
from ingest.flows.verify import Mismatch
from tests.fakes.folders import DATE, LATER_DATE, conversation_id, metadata, write
from tests.fakes.world import World
from tests.unit.flows.warehouse_fake import FakeWarehouse

ID = conversation_id(1)
SENT = Declarations(insights_media={"CHAT": Medium.CHAT, "LETTER": Medium.CHAT})
KEPT = Declarations(insights_media={"CHAT": Medium.CHAT, "LETTER": None})
STILL_THERE = Fault(
    f"{DATE}/{ID}/metadata.json",
    "/medium",
    "medium_not_for_insights",
    "this medium isn't sent to Insights, which still holds an earlier state",
    f"leave it, or erase the conversation everywhere: ingest forget {ID}",
    Severity.WARNING,
)
SKIPPED = ("submit", "skipped", "medium_not_for_insights")


def push(world: World, root: Path, medium: str, date: str = DATE, **more: Any) -> PushReport:
    write(root, ID, date, metadata=metadata(ID, medium=medium))
    return asyncio.run(world.push(root, **{"declared": KEPT, **more}))


def submits(world: World) -> list[tuple[str, str, str | None]]:
    events = world.sink.rows["pipeline_events"]
    return [(e["step"], e["outcome"], e["reason"]) for e in events if e["step"] == "submit"]


def build(world: World, date: str = DATE) -> None:
    """Have the registry hold what a build would make of the raw rows of one conversation."""
    by_age = sorted(world.sink.rows["conversation_files"], key=lambda row: row["generation"])
    hashes = {row["kind"]: row["content_sha256"] for row in by_age}
    world.sink.registry = [
        {
            "conversation_id": ID,
            "batch_date": next(r["batch_date"] for r in by_age if str(r["batch_date"]) == date),
            "metadata_sha256": hashes["metadata"],
            "transcript_sha256": hashes["transcription"],
        }
    ]


def test_it_is_done_and_no_place_lacks_it(tmp_path: Path) -> None:
    world = World()

    first, again = push(world, tmp_path, "LETTER"), push(world, tmp_path, "LETTER")
    build(world)
    check = asyncio.run(world.verify(DATE, tmp_path))

    assert (first.states, again.states) == (
        Counter({ItemState.DONE: 1}),
        Counter({ItemState.UNCHANGED: 1}),
    )
    assert (first.faults, again.faults, submits(world)) == ([], [], [SKIPPED])
    assert (check.mismatches, check.still_in_insights) == ([], [])
    assert not world.insights.trouble.calls["get_conversation"]


@pytest.mark.parametrize("date", [DATE, LATER_DATE])
def test_what_was_sent_and_then_became_a_letter_is_told_to_be_in_insights(
    tmp_path: Path, date: str
) -> None:
    world = World()
    push(world, tmp_path, "CHAT")

    reports = [push(world, tmp_path / "later", "LETTER", date) for _ in range(2)]
    build(world, date)
    checks = [asyncio.run(world.verify(day)) for day in sorted({DATE, date})]

    told = [[f.rule for f in report.faults if f.pointer == "/medium"] for report in reports]
    assert (told, reports[0].exit_code) == ([["medium_not_for_insights"], []], 0)
    assert [check.mismatches for check in checks] == [[] for _ in checks]
    assert [check.still_in_insights for check in checks] == [[ID], *([] for _ in checks[1:])]


def test_a_medium_that_is_kept_out_from_now_on_is_told_once(tmp_path: Path) -> None:
    world = World()
    push(world, tmp_path, "LETTER", declared=SENT)

    report, again = push(world, tmp_path, "LETTER"), push(world, tmp_path, "LETTER")
    build(world)

    assert (report.faults, again.faults) == ([STILL_THERE], [])
    assert submits(world)[1:] == [SKIPPED]
    assert asyncio.run(world.verify(DATE)).still_in_insights == [ID]


def test_forgetting_is_the_way_out_of_insights(tmp_path: Path) -> None:
    world = World()
    push(world, tmp_path, "CHAT")
    push(world, tmp_path, "LETTER")

    asyncio.run(world.forget(ID))
    world.sink.registry = []
    check = asyncio.run(world.verify(DATE))

    assert (check.mismatches, check.still_in_insights) == ([], [])


def test_what_came_no_further_than_the_bucket_is_told_when_its_medium_is_kept_out(
    tmp_path: Path,
) -> None:
    world = World()
    world.insights.trouble.fail("create_conversation", "INVALID_ARGUMENT")
    failed = push(world, tmp_path, "LETTER", declared=SENT)

    settled = push(world, tmp_path, "LETTER")

    assert (failed.states, settled.states) == (
        Counter({ItemState.FAILED: 1}),
        Counter({ItemState.DONE: 1}),
    )
    assert submits(world)[-1] == SKIPPED


def test_a_medium_that_is_sent_after_all_is_missed_until_it_is(tmp_path: Path) -> None:
    world = World()
    push(world, tmp_path, "LETTER")
    push(world, tmp_path, "CHAT", until=Step.UPLOAD)
    build(world)

    before = asyncio.run(world.verify(DATE))
    push(world, tmp_path, "CHAT")

    assert before.mismatches == [Mismatch(ID, "ci", "missing"), Mismatch(ID, "raw_ci", "missing")]
    assert asyncio.run(world.verify(DATE)).mismatches == []


JUDGED = {
    "kept": ([(1, "skipped", "m")], "m", "not_for_insights"),
    "failed, then kept": ([(1, "failed", "m"), (2, "skipped", "m")], "m", "not_for_insights"),
    "kept, then sent": ([(1, "skipped", "m"), (2, "succeeded", "m")], "m", "submitted"),
    "kept, then failed": ([(1, "skipped", "m"), (2, "failed", "m")], "m", "failed"),
    "sent, then a letter": ([(1, "succeeded", "m"), (2, "skipped", "n")], "n", "not_for_insights"),
    "kept, then another version": ([(1, "skipped", "m")], "n", "registered"),
}


@pytest.mark.parametrize("name", JUDGED)
def test_the_status_follows_what_was_last_said_of_the_newest_version(name: str) -> None:
    duckdb, sqlglot = pytest.importorskip("duckdb"), pytest.importorskip("sqlglot")
    submits, newest, status = JUDGED[name]
    database = duckdb.connect()
    for table in ("pipeline_events", "conversation_files", "ci_conversations"):
        columns = ", ".join(f"{c} {f['type']}" for c, f in raw_schema(table).items())
        database.execute(f"create table {table} ({columns})")
    for at, outcome, sha256 in submits:
        reason = SKIPPED[2] if outcome == "skipped" else ""
        database.execute(
            "insert into pipeline_events by name select 'c' as conversation_id, 'submit' as step, "
            f"'{outcome}' as outcome, '{reason}' as reason, '{sha256}' as metadata_sha256, "
            f"'t' as transcript_sha256, timestamp '2026-01-05 00:00:0{at}' as ended_at, "
            "timestamp '2026-01-05' as _landed_at"
        )
    for kind, sha256 in (("metadata", newest), ("transcription", "t")):
        database.execute(
            f"insert into conversation_files by name select 'c' as conversation_id, "
            f"'{kind}' as kind, '{sha256}' as content_sha256, 1 as generation, "
            "timestamp '2026-01-05' as _landed_at"
        )
    warehouse = FakeWarehouse()
    sql = f"{judged_sql(warehouse)} select status from judged".replace("`p.coach_raw.", "`")

    found = database.execute(sqlglot.transpile(sql, read="bigquery", write="duckdb")[0]).fetchall()

    assert found == [(status,)]
