from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from ingest.domain.outcome import Failure, ItemState, Step
from ingest.errors import ExitCode, InputError, RemoteError
from ingest.flows.pull import Pull, PullReport, PullSelection
from ingest.ports.move import CiConversation, Page
from tests.fakes.clock import EPOCH
from tests.fakes.folders import DATE, LATER_DATE, write, write_many
from tests.fakes.world import World
from tests.unit.flows.warehouse_fake import FakeWarehouse

ALL = PullSelection(is_all=True)


def in_ci(root: Path, count: int) -> tuple[World, list[str]]:
    """Return a world whose Insights holds analysed conversations that no raw row tells of."""
    world = World()
    ids = write_many(root, count)
    asyncio.run(world.push(root, until=Step.ANALYSE))
    return world, ids


def landed(world: World) -> list[str]:
    return [row["conversation_id"] for row in world.sink.rows["ci_conversations"]]


def told(report: PullReport) -> dict[str, Any]:
    return {
        "exit_code": report.exit_code,
        "filter": report.filter,
        "states": dict(+report.states),
        "effects": dict(report.effects),
        "failures": report.failures,
    }


def test_every_state_of_ci_is_landed_once(tmp_path: Path) -> None:
    world, ids = in_ci(tmp_path, 5)
    world.insights.list_page_size = 2

    first = asyncio.run(world.pull(ALL))
    second = asyncio.run(world.pull(ALL))

    assert told(first) == {
        "exit_code": ExitCode.OK,
        "filter": "",
        "states": {ItemState.DONE: 5},
        "effects": {"rows_ci_conversations": 5},
        "failures": [],
    }
    assert told(second) == {
        "exit_code": ExitCode.OK,
        "filter": "",
        "states": {ItemState.UNCHANGED: 5},
        "effects": {},
        "failures": [],
    }
    assert landed(world) == ids


def test_a_pulled_state_is_the_row_that_a_push_lands(tmp_path: Path) -> None:
    pulled, _ = in_ci(tmp_path, 3)
    asyncio.run(pulled.pull(ALL))
    pushed = World()
    asyncio.run(pushed.push(tmp_path, until=Step.ANALYSE))
    asyncio.run(pushed.push(tmp_path))

    def without_run(world: World) -> list[dict[str, Any]]:
        rows = world.sink.rows["ci_conversations"]
        return [{k: v for k, v in row.items() if not k.startswith("_")} for row in rows]

    assert without_run(pulled) == without_run(pushed)


def test_a_date_is_pulled_alone(tmp_path: Path) -> None:
    world, ids = in_ci(tmp_path, 3)
    write(tmp_path / "later", "a-later-one", date=LATER_DATE)
    asyncio.run(world.push(tmp_path / "later", until=Step.ANALYSE))

    report = asyncio.run(world.pull(PullSelection(date=dt.date.fromisoformat(DATE))))

    assert (report.filter, landed(world)) == (f'labels.batch_date="{DATE}"', ids)


def test_only_what_changed_since_the_last_complete_pull_is_asked_for(tmp_path: Path) -> None:
    world, ids = in_ci(tmp_path, 2)
    began_at = world.clock.now() + dt.timedelta(seconds=1)
    asyncio.run(world.pull(ALL))
    world.clock.advance(3600)
    write(tmp_path / "new", "a-new-one")
    asyncio.run(world.push(tmp_path / "new", until=Step.ANALYSE))

    report = asyncio.run(world.pull(PullSelection()))

    watermark = began_at - dt.timedelta(minutes=10)
    assert told(report) == {
        "exit_code": ExitCode.OK,
        "filter": f'update_time>="{watermark:%Y-%m-%dT%H:%M:%S.%fZ}"',
        # The overlap lists the older two again; their hashes tell that they are landed.
        "states": {ItemState.UNCHANGED: 2, ItemState.DONE: 1},
        "effects": {"rows_ci_conversations": 1},
        "failures": [],
    }
    assert landed(world) == [*ids, "a-new-one"]


def test_what_somebody_else_analysed_before_a_later_push_is_still_pulled(tmp_path: Path) -> None:
    world, ids = in_ci(tmp_path, 2)
    asyncio.run(world.pull(ALL))
    world.clock.advance(3600)
    write(tmp_path / "new", "a-silent-one")
    asyncio.run(world.push(tmp_path / "new", until=Step.ANALYSE))
    world.clock.advance(3600)
    write(tmp_path / "newer", "a-pushed-one")
    asyncio.run(world.push(tmp_path / "newer"))

    asyncio.run(world.pull(PullSelection(date=dt.date.fromisoformat(LATER_DATE))))
    asyncio.run(world.pull(PullSelection()))

    assert landed(world) == sorted([*ids, "a-pushed-one", "a-silent-one"])


def test_a_pull_that_failed_or_was_stopped_is_not_taken_for_complete(tmp_path: Path) -> None:
    world, ids = in_ci(tmp_path, 2)
    stopped = world.new_pull()
    stopped.stop()
    asyncio.run(stopped.run(PullSelection(is_all=True)))

    report = asyncio.run(world.pull(PullSelection()))

    assert (report.filter, landed(world)) == ("", ids)


def test_a_given_time_is_the_filter_and_a_first_pull_asks_for_all(tmp_path: Path) -> None:
    world, ids = in_ci(tmp_path, 2)

    none_yet = asyncio.run(world.pull(PullSelection(since=EPOCH + dt.timedelta(days=1))))
    all_ = asyncio.run(world.pull(PullSelection()))

    assert (none_yet.filter, dict(none_yet.states)) == (
        'update_time>="2026-01-06T08:00:00.000000Z"',
        {},
    )
    assert (all_.filter, landed(world)) == ("", ids)


def test_an_id_that_ci_does_not_hold_fails_and_the_others_are_landed(tmp_path: Path) -> None:
    world, ids = in_ci(tmp_path, 2)

    report = asyncio.run(world.pull(PullSelection(ids=(ids[1], "no-such-call", ids[0]))))

    message = "Insights holds no conversation of this id"
    assert told(report) == {
        "exit_code": ExitCode.SOME_FAILED,
        "filter": "",
        "states": {ItemState.DONE: 2, ItemState.FAILED: 1},
        "effects": {"rows_ci_conversations": 2},
        "failures": [Failure("no-such-call", Step.LAND, "NOT_FOUND", message)],
    }
    assert landed(world) == [ids[1], ids[0]]


def test_an_id_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a conversation id"):
        asyncio.run(World().pull(PullSelection(ids=("../x",))))


def test_rows_that_cannot_be_landed_are_failures_by_id(tmp_path: Path) -> None:
    world, ids = in_ci(tmp_path, 2)
    world.sink.refused.add("ci_conversations")

    refused = asyncio.run(world.pull(ALL))
    world.sink.refused.clear()
    mended = asyncio.run(world.pull(ALL))

    assert refused.exit_code is ExitCode.SOME_FAILED
    assert [(f.conversation_id, f.code) for f in refused.failures] == [
        (id_, "JOB_FAILED") for id_ in ids
    ]
    assert mended.exit_code is ExitCode.OK
    assert sorted(set(landed(world))) == ids


@pytest.mark.parametrize(
    ("port", "method", "call"),
    [
        ("insights", "list_conversations", 1),
        ("insights", "list_conversations", 3),
        ("insights", "list_matchers", 1),
        ("sink", "query", 1),
        ("sink", "load", 1),
        ("store", "put", 1),
        ("store", "list", 1),
    ],
)
@pytest.mark.parametrize("after_effect", [False, True])
def test_a_fault_anywhere_is_mended_within_the_run(
    tmp_path: Path, port: str, method: str, call: int, after_effect: bool
) -> None:
    world, ids = in_ci(tmp_path, 5)
    world.insights.list_page_size = 2
    fake = getattr(world, port)
    fake.trouble.fail(method, call=call, times=2, after_effect=after_effect)

    report = asyncio.run(world.pull(ALL))

    assert (report.exit_code, dict(+report.states)) == (ExitCode.OK, {ItemState.DONE: 5})
    assert landed(world) == ids


def test_a_page_whose_budget_is_spent_ends_the_pull_and_the_next_one_goes_on(
    tmp_path: Path,
) -> None:
    world, ids = in_ci(tmp_path, 5)
    world.insights.list_page_size = 2
    world.insights.trouble.fail("list_conversations", call=2, times=10_000)

    with pytest.raises(RemoteError, match="UNAVAILABLE"):
        asyncio.run(world.pull(ALL))
    world.insights.trouble.end()
    report = asyncio.run(world.pull(ALL))

    assert report.exit_code is ExitCode.OK
    assert landed(world) == ids


def test_a_stopped_pull_lands_the_page_in_hand_and_says_that_it_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, ids = in_ci(tmp_path, 5)
    monkeypatch.setattr("ingest.flows.pull._PAGE_SIZE", 2)
    pull = Pull(world.outside(), world.attempts(), world.landing())
    pull.stop()

    report = asyncio.run(pull.run(ALL))

    assert (report.exit_code, dict(+report.states)) == (
        ExitCode.INTERRUPTED,
        {ItemState.DONE: 2},
    )
    assert landed(world) == ids[:2]


def test_an_id_given_twice_is_landed_once(tmp_path: Path) -> None:
    world = World()
    ids = write_many(tmp_path, 2)
    asyncio.run(world.push(tmp_path))
    world.sink.rows["ci_conversations"].clear()

    report = asyncio.run(world.pull(PullSelection(ids=(ids[0], ids[1], ids[0]))))

    assert dict(+report.states) == {ItemState.DONE: 2}
    assert [row["conversation_id"] for row in world.sink.rows["ci_conversations"]] == ids


def test_a_conversation_that_a_listing_gives_twice_is_landed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    ids = write_many(tmp_path, 2)
    asyncio.run(world.push(tmp_path))
    world.sink.rows["ci_conversations"].clear()
    list_ = world.insights.list_conversations

    async def twice(filter_: str, page_token: str = "") -> Page[CiConversation]:
        page = await list_(filter_, page_token)
        return Page([*page.items, *page.items], page.next_token)

    monkeypatch.setattr(world.insights, "list_conversations", twice)

    asyncio.run(world.pull(PullSelection(is_all=True)))

    assert [row["conversation_id"] for row in world.sink.rows["ci_conversations"]] == ids


EXPORT = PullSelection(export=("insights_export", "conversations"))


def exported(world: World, id_: str, analysed: dt.datetime | None = None) -> dict[str, Any]:
    """Return a row of the first version of the export."""
    held = asyncio.run(world.insights.get_conversation(id_))
    assert held is not None
    return {
        "conversationName": held.name,
        "loadTimestampUtc": int(EPOCH.timestamp()),
        "analysisTimestampUtc": int((analysed or EPOCH).timestamp()),
        "labels": [{"key": key, "value": value} for key, value in held.labels.items()],
        "sentences": [{"sentence": "Hello.", "participantRole": "END_USER", "speakerTag": 1}],
    }


def pull_export(world: World, *rows: dict[str, Any]) -> PullReport:
    warehouse = FakeWarehouse(answer=lambda sql: rows)
    return asyncio.run(world.new_pull(warehouse).run(EXPORT))


def test_an_export_is_landed_once_and_asks_nothing_of_insights(tmp_path: Path) -> None:
    world, ids = in_ci(tmp_path, 3)
    rows = [exported(world, id_) for id_ in ids]
    world.insights.trouble.fail("list_matchers", "PERMISSION_DENIED", times=9)

    first = pull_export(world, *rows)
    second = pull_export(world, *rows)

    assert told(first) == {
        "exit_code": ExitCode.OK,
        "filter": "",
        "states": {ItemState.DONE: 3},
        "effects": {"rows_ci_conversations": 3},
        "failures": [],
    }
    assert dict(+second.states) == {ItemState.UNCHANGED: 3}
    row = world.sink.rows["ci_conversations"][0]
    name = f"{row['ci_name']}/analyses/export-{ids[0]}-{int(EPOCH.timestamp())}"
    assert (row["analysis_name"], row["annotator_profile_sha256"]) == (name, None)
    assert row["transcript_sha256"] == world.insights.labels(ids[0])["transcript_sha256"]


def test_a_row_of_an_export_counts_only_where_nothing_newer_landed(tmp_path: Path) -> None:
    world, ids = in_ci(tmp_path, 2)
    asyncio.run(world.pull(PullSelection(ids=(ids[0],))))
    later = world.clock.now() + dt.timedelta(hours=1)

    older = pull_export(world, *(exported(world, id_, EPOCH) for id_ in ids))
    newer = pull_export(world, exported(world, ids[0], later))

    assert dict(+older.states) == {ItemState.DONE: 1, ItemState.UNCHANGED: 1}
    assert dict(+newer.states) == {ItemState.DONE: 1}
    assert landed(world) == [ids[0], ids[1], ids[0]]


def test_a_row_of_no_conversation_fails_alone_and_a_forgotten_one_stays_out(
    tmp_path: Path,
) -> None:
    world, ids = in_ci(tmp_path, 2)
    rows = [exported(world, id_) for id_ in ids]
    asyncio.run(world.forget(ids[0]))

    odd = {**rows[1], "entities": [{"kind": "none"}]}
    report = pull_export(world, *rows, {**rows[1], "conversationName": None}, odd)

    assert [(failure.conversation_id, failure.code) for failure in report.failures] == [
        ("", "INVALID_ARGUMENT"),
        ("", "INTERNAL"),
        (ids[0], "FORGOTTEN"),
    ]
    assert (report.exit_code, landed(world)) == (ExitCode.SOME_FAILED, [ids[1]])
