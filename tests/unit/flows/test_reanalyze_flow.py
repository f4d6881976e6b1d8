from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from pathlib import Path

import pytest

from ingest.domain.costs import Estimate
from ingest.domain.matchers import MatcherDefinition, MatchType, PhraseRule, Role, RuleGroup
from ingest.domain.outcome import BatchReport, Failure, ItemState, Step
from ingest.errors import ExitCode, RemoteError
from ingest.flows.matchers import apply_matchers
from ingest.flows.reanalyze import Selected, Selection, Target
from tests.fakes.folders import DATE, LATER_DATE, metadata, transcription, write, write_many
from tests.fakes.world import World, fake_settings

DAY = dt.date.fromisoformat(DATE)
STALE = Selection(only_stale=True)
ALL = Selection()


def pushed(root: Path, count: int) -> tuple[World, list[str]]:
    world = World()
    ids = write_many(root, count)
    apply(world, "I understand")
    asyncio.run(world.push(root))
    return world, ids


def apply(world: World, *queries: str) -> None:
    """Have Insights hold one phrase matcher of ours."""
    rules = tuple(PhraseRule(query) for query in queries)
    groups = (RuleGroup("g", MatchType.ANY_OF, rules),)
    wanted = MatcherDefinition("empathy", MatchType.ANY_OF, groups, Role.ANY_AGENT, True)
    world.clock.advance(1)
    asyncio.run(
        apply_matchers(world.insights, world.sink, world.attempts(), world.landing(), [wanted])
    )


def selected(world: World, selection: Selection, *, summarization: bool = False) -> Selected:
    flow = world.new_reanalyze()

    async def select() -> Selected:
        return await flow.select(selection, await flow.profile(summarization=summarization))

    return asyncio.run(select())


def reanalyzed(
    world: World, selection: Selection, reason: str | None = None, *, summarization: bool = False
) -> BatchReport:
    flow = world.new_reanalyze(reason)

    async def run() -> BatchReport:
        profile = await flow.profile(summarization=summarization)
        return await flow.run(await flow.select(selection, profile), profile)

    return asyncio.run(run())


def latest(world: World, id_: str) -> str:
    held = asyncio.run(world.insights.get_conversation(id_))
    assert held is not None
    assert held.latest_analysis is not None
    return held.latest_analysis.name


def analysis_counts(world: World) -> dict[str, int]:
    return dict(Counter(id_ for id_, _ in world.insights.analyses))


def test_a_selection_names_each_conversation_with_its_analysis_and_units(tmp_path: Path) -> None:
    world, ids = pushed(tmp_path, 2)
    long = [("turn " * 300).strip() for _ in range(100)]
    ended_at = f"{DATE}T09:05:00+10:00"
    write(
        tmp_path,
        "a-long-talk",
        metadata=metadata("a-long-talk", ended_at=ended_at, duration_sec=300.0),
        transcription=transcription("a-long-talk", *long),
    )
    asyncio.run(world.push(tmp_path))

    found = selected(world, ALL)

    units = {ids[0]: 1, ids[1]: 1, "a-long-talk": 2}
    targets = [Target(id_, latest(world, id_), n, False, DAY) for id_, n in units.items()]
    assert found == Selected(targets)
    assert sorted(found.leases) == [f"push-{DATE}-0-of-1", "reanalyze"]


def test_the_estimate_tells_count_units_minutes_and_cost() -> None:
    world = World(settings=fake_settings(quota_analyses_per_min=60))
    targets = [Target(f"call-{number}", None, 1 + number % 2) for number in range(90)]

    cost = world.new_reanalyze().estimate(Selected(targets))

    assert cost == Estimate(
        conversation_count=90, billing_unit_count=135, minutes_at_quota=1.5, usd=2.7
    )


def test_only_what_an_older_revision_analysed_is_stale(tmp_path: Path) -> None:
    world, ids = pushed(tmp_path, 2)
    none = selected(world, STALE)
    apply(world, "I understand", "I hear you")
    write(tmp_path, "a-new-one")
    asyncio.run(world.push(tmp_path, until=Step.SUBMIT))

    stale = selected(world, STALE)

    assert none == Selected()
    assert [target.conversation_id for target in stale.targets] == [*ids, "a-new-one"]
    assert stale.targets[2].analysis_name is None


def test_a_filter_and_ids_choose(tmp_path: Path) -> None:
    world, ids = pushed(tmp_path, 2)
    write(tmp_path / "later", "a-later-one", date=LATER_DATE)
    asyncio.run(world.push(tmp_path / "later"))

    of_date = selected(world, Selection(filter=f'labels.batch_date="{LATER_DATE}"'))
    of_ids = selected(world, Selection(ids=(ids[1], "no-such-call")))
    fresh = selected(world, Selection(ids=(ids[1],), only_stale=True))

    assert [target.conversation_id for target in of_date.targets] == ["a-later-one"]
    assert of_ids == Selected(
        [Target(ids[1], latest(world, ids[1]), 1, False, DAY)], ["no-such-call"]
    )
    assert fresh == Selected()


def test_each_is_analysed_once_more_and_landed_with_the_reason(tmp_path: Path) -> None:
    world, ids = pushed(tmp_path, 3)
    before = [latest(world, id_) for id_ in ids]

    report = reanalyzed(world, ALL, "other words")

    after = [latest(world, id_) for id_ in ids]
    assert report.exit_code is ExitCode.OK
    assert dict(+report.states) == {ItemState.DONE: 3}
    assert dict(report.effects) == {
        "analyse_succeeded": 3,
        "rows_ci_conversations": 3,
        "rows_pipeline_events": 3,
    }
    assert analysis_counts(world) == dict.fromkeys(ids, 2)
    assert all(old != new for old, new in zip(before, after, strict=True))
    states = {r["conversation_id"]: r["analysis_name"] for r in world.sink.rows["ci_conversations"]}
    assert states == dict(zip(ids, after, strict=True))
    events = [row for row in world.sink.rows["pipeline_events"] if row["reason"] == "other words"]
    told = sorted((e["conversation_id"], e["step"], e["outcome"]) for e in events)
    assert told == [(id_, "analyse", "succeeded") for id_ in ids]
    assert {event["resource_name"] for event in events} == set(after)


def test_after_a_stale_run_nothing_is_stale_and_a_push_finds_all_in_place(tmp_path: Path) -> None:
    world, ids = pushed(tmp_path, 3)
    apply(world, "I understand", "I hear you")

    first, second = reanalyzed(world, STALE), reanalyzed(world, STALE)
    push = asyncio.run(world.push(tmp_path))

    assert (dict(+first.states), dict(+second.states)) == ({ItemState.DONE: 3}, {})
    assert dict(+push.states) == {ItemState.UNCHANGED: 3}
    assert analysis_counts(world) == dict.fromkeys(ids, 2)


def test_failures_are_recorded_with_their_code_and_the_others_go_through(tmp_path: Path) -> None:
    world, ids = pushed(tmp_path, 3)
    world.insights.failing_analyses[ids[1]] = "INVALID_ARGUMENT"

    report = reanalyzed(world, Selection(ids=(*ids, "no-such-call")))

    assert report.exit_code is ExitCode.SOME_FAILED
    assert dict(+report.states) == {ItemState.DONE: 2, ItemState.FAILED: 2}
    assert [(f.conversation_id, f.step, f.code) for f in report.failures] == [
        ("no-such-call", Step.ANALYSE, "NOT_FOUND"),
        (ids[1], Step.ANALYSE, "INVALID_ARGUMENT"),
    ]
    failed = [r for r in world.sink.rows["pipeline_events"] if r["outcome"] == "failed"]
    assert [(r["conversation_id"], r["error_code"]) for r in failed] == [
        (ids[1], "INVALID_ARGUMENT")
    ]


def test_a_conversation_that_is_deleted_after_the_selection_fails_alone(tmp_path: Path) -> None:
    world, ids = pushed(tmp_path, 2)
    flow = world.new_reanalyze()

    async def run() -> BatchReport:
        profile = await flow.profile()
        chosen = await flow.select(ALL, profile)
        await world.insights.delete_conversation(ids[0])
        return await flow.run(chosen, profile)

    report = asyncio.run(run())

    message = "Insights: the conversation is gone"
    assert report.failures == [Failure(ids[0], Step.ANALYSE, "NOT_FOUND", message)]
    assert dict(+report.states) == {ItemState.DONE: 1, ItemState.FAILED: 1}


def test_rows_that_cannot_be_landed_are_no_success(tmp_path: Path) -> None:
    world, ids = pushed(tmp_path, 2)
    world.sink.refused.add("ci_conversations")

    report = reanalyzed(world, ALL)

    assert report.exit_code is ExitCode.SOME_FAILED
    assert [(f.conversation_id, f.step, f.code) for f in report.failures] == [
        (id_, Step.LAND, "JOB_FAILED") for id_ in ids
    ]


@pytest.mark.parametrize(
    ("method", "call"),
    [
        ("list_conversations", 1),
        ("list_conversations", 2),
        ("get_conversation", 1),
        ("create_analysis", 1),
        ("running_analysis", 1),
        ("list_matchers", 1),
    ],
)
@pytest.mark.parametrize("after_effect", [False, True])
def test_a_fault_on_any_call_is_mended_and_no_analysis_is_billed_twice(
    tmp_path: Path, method: str, call: int, after_effect: bool
) -> None:
    world, ids = pushed(tmp_path, 5)
    world.insights.list_page_size = 2
    world.insights.analysis_sec = 3.0
    world.insights.trouble.fail(method, call=call, times=2, after_effect=after_effect)

    report = reanalyzed(world, ALL)

    assert (report.exit_code, dict(+report.states)) == (ExitCode.OK, {ItemState.DONE: 5})
    assert analysis_counts(world) == dict.fromkeys(ids, 2)


def test_a_page_of_the_selection_that_is_refused_starts_no_analysis(tmp_path: Path) -> None:
    world, ids = pushed(tmp_path, 5)
    world.insights.list_page_size = 2
    world.insights.trouble.fail("list_conversations", "PERMISSION_DENIED", call=3)

    with pytest.raises(RemoteError, match="PERMISSION_DENIED"):
        reanalyzed(world, ALL)

    assert analysis_counts(world) == dict.fromkeys(ids, 1)


def test_a_stopped_run_ends_what_is_in_flight_and_says_what_is_left(tmp_path: Path) -> None:
    world = World(settings=fake_settings(concurrency=2))
    ids = write_many(tmp_path, 8)
    asyncio.run(world.push(tmp_path))
    world.insights.analysis_sec = 5.0
    flow = world.new_reanalyze()

    async def stopped() -> BatchReport:
        profile = await flow.profile()
        running = asyncio.create_task(flow.run(await flow.select(ALL, profile), profile))
        while len(world.insights.analyses) == len(ids):
            await asyncio.sleep(0)
        flow.stop()
        return await running

    report = asyncio.run(stopped())

    done = report.states[ItemState.DONE]
    assert report.exit_code is ExitCode.INTERRUPTED
    assert dict(+report.states) == {ItemState.DONE: done, ItemState.INTERRUPTED: 8 - done}
    assert 0 < done < 8
    assert len(world.sink.rows["ci_conversations"]) == 8 + done
    assert len(world.insights.analyses) == 8 + done


def test_an_id_given_twice_is_selected_and_billed_once(tmp_path: Path) -> None:
    world, ids = pushed(tmp_path, 2)
    twice = Selection(ids=(ids[1], ids[0], ids[1], "no-such-call", "no-such-call"))

    found = selected(world, twice)
    reanalyzed(world, twice)

    assert [target.conversation_id for target in found.targets] == [ids[1], ids[0]]
    assert found.missing_ids == ["no-such-call"]
    assert analysis_counts(world) == dict.fromkeys(ids, 2)


def test_a_summarised_conversation_of_current_revisions_is_not_stale(tmp_path: Path) -> None:
    world = World()
    (id_,) = write_many(tmp_path, 1)
    apply(world, "I understand")
    asyncio.run(world.push(tmp_path, summarization=True))

    fresh = selected(world, STALE)
    asked_for = selected(world, Selection(only_stale=True), summarization=True)
    apply(world, "I understand", "I hear you")
    stale = selected(world, STALE)

    assert (fresh, asked_for) == (Selected(), Selected())
    assert [(t.conversation_id, t.summarization) for t in stale.targets] == [(id_, True)]


def test_a_new_analysis_keeps_the_summary_that_the_old_one_had(tmp_path: Path) -> None:
    world = World()
    (plain,) = write_many(tmp_path / "a", 1)
    summarised = "a-summarised-one"
    apply(world, "I understand")
    write(tmp_path / "b", summarised)
    asyncio.run(world.push(tmp_path / "b", summarization=True))
    asyncio.run(world.push(tmp_path / "a"))
    world.insights.selectors.clear()
    apply(world, "I understand", "I hear you")

    reanalyzed(world, STALE)

    has_summary = {i: "run_summarization_annotator" in s.flags for i, s in world.insights.selectors}
    assert has_summary == {plain: False, summarised: True}
    assert selected(world, STALE) == Selected()


def test_with_summaries_asked_for_those_without_are_stale_and_get_one(tmp_path: Path) -> None:
    world, (id_,) = pushed(tmp_path, 1)

    before = selected(world, STALE, summarization=True)
    reanalyzed(world, STALE, summarization=True)
    after = selected(world, STALE, summarization=True)

    assert [target.conversation_id for target in before.targets] == [id_]
    assert after == Selected()
    assert "run_summarization_annotator" in world.insights.selectors[-1][1].flags


def test_of_two_that_chose_the_same_the_one_that_had_to_wait_pays_nothing(tmp_path: Path) -> None:
    world, ids = pushed(tmp_path, 3)
    before = analysis_counts(world)
    flows = [world.new_reanalyze(), world.new_reanalyze()]

    async def both() -> list[BatchReport]:
        profile = await flows[0].profile()
        chosen = [await flow.select(ALL, profile) for flow in flows]
        return [await flow.run(own, profile) for flow, own in zip(flows, chosen, strict=True)]

    first, second = asyncio.run(both())

    assert before == dict.fromkeys(ids, 1)
    assert analysis_counts(world) == dict.fromkeys(ids, 2)
    assert [dict(+report.states) for report in (first, second)] == [{ItemState.DONE: 3}] * 2
    assert (first.effects["analyse_succeeded"], second.effects["analyse_adopted"]) == (3, 3)
