from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.domain.scorecards import Scorecard
from ingest.errors import InputError
from ingest.flows.reanalyze import Selection
from ingest.flows.scorecards import (
    ApplyingScorecards,
    ScorecardPlan,
    ScoredByRevision,
    held_scorecards,
    plan_scorecards,
    read_scorecards,
)
from tests.fakes.folders import conversation_id, write
from tests.fakes.world import World

SEEDS = Path(__file__).parents[3] / "seeds"
(CARD,) = read_scorecards(SEEDS)
CHANGED = replace(CARD, questions=CARD.questions[1:])
KEY, CHANGED_KEY = (f"call-quality/{card.revision_id}" for card in (CARD, CHANGED))
ID = conversation_id(5)


def applying(world: World) -> ApplyingScorecards:
    return ApplyingScorecards(world.insights, world.clock, world.attempts(), "run")


def applied(world: World, *wanted: Scorecard) -> list[tuple[str, str | None]]:
    outcomes = asyncio.run(applying(world).apply(wanted, 600.0))
    return [(o.change.kind.value, o.error.code if o.error else None) for o in outcomes]


def activated(world: World, *wanted: Scorecard) -> None:
    outcomes = asyncio.run(applying(world).activate(wanted))
    assert [(o.error, o.change.is_deployed) for o in outcomes] == [(None, True)] * len(wanted)


def revisions(world: World) -> dict[str, tuple[str, bool]]:
    found = asyncio.run(world.insights.list_scorecard_revisions())
    return {each.key: (each.state.value, each.is_deployed) for each in found}


def test_applying_makes_a_ready_revision_that_no_analysis_uses_yet() -> None:
    world = World()
    world.insights.training_polls = 3

    first, second = applied(world, CARD), applied(world, CARD)

    assert (first, second) == ([("create", None)], [("keep", None)])
    assert revisions(world) == {
        "call-quality/first": ("EDITABLE", False),
        KEY: ("READY", False),
    }
    assert world.insights.tunings == [KEY]
    (held,) = asyncio.run(held_scorecards(world.insights, world.attempts()))
    assert held.questions == CARD.questions


def test_a_changed_scorecard_is_another_revision_and_the_old_one_comes_back_for_nothing() -> None:
    world = World()
    applied(world, CARD)
    activated(world, CARD)

    applied(world, CHANGED)
    between = revisions(world)
    activated(world, CHANGED)
    applied(world, CARD)
    activated(world, CARD)

    assert between[KEY] == ("READY", True)
    assert between[CHANGED_KEY] == ("READY", False)
    assert revisions(world)[KEY] == ("READY", True)
    assert revisions(world)[CHANGED_KEY] == ("READY", False)
    assert world.insights.tunings == [KEY, CHANGED_KEY]


@pytest.mark.parametrize("after_effect", [False, True])
@pytest.mark.parametrize(
    "method",
    ["create_scorecard", "create_scorecard_revision", "create_question", "tune_scorecard_revision"],
)
def test_a_call_without_an_answer_is_made_once(method: str, after_effect: bool) -> None:
    world = World()
    world.insights.trouble.fail(method, times=2, after_effect=after_effect)

    assert applied(world, CARD) == [("create", None)]
    assert revisions(world)[KEY] == ("READY", False)
    assert world.insights.tunings == [KEY]


def test_an_apply_that_ended_in_the_midst_goes_on() -> None:
    world = World()
    world.insights.trouble.fail("create_question", "INVALID_ARGUMENT")

    first, second = applied(world, CARD), applied(world, CARD)

    assert (first, second) == ([("create", "INVALID_ARGUMENT")], [("update", None)])
    assert revisions(world)[KEY] == ("READY", False)


def test_a_revision_that_stays_in_training_is_told_after_the_time_it_has() -> None:
    world = World()
    world.insights.training_polls = 10_000

    assert applied(world, CARD) == [("create", "DEADLINE_EXCEEDED")]


def test_what_isnt_ready_cannot_be_activated() -> None:
    world = World()
    applied(world, CHANGED)

    with pytest.raises(InputError, match="no ready revision of the scorecard 'call-quality'"):
        asyncio.run(applying(world).activate([CARD]))


def test_destroy_takes_ours_and_leaves_those_of_others() -> None:
    world = World()
    applied(world, CARD)
    world.insights.make_foreign_scorecard(replace(CARD, scorecard_id="theirs"))

    assert applied(world) == [("delete", None)]
    assert revisions(world) == {"theirs/theirs": ("READY", True)}
    assert asyncio.run(plan_of(world)).changes == ()


async def plan_of(world: World, *wanted: Scorecard) -> ScorecardPlan:
    return await plan_scorecards(world.insights, world.sink, world.attempts(), wanted)


def test_the_plan_counts_conversations_that_older_revisions_have_scored() -> None:
    world = World()
    applied(world, CARD)
    parent = "projects/1/locations/us-central1/qaScorecards"
    names = [f"{parent}/call-quality/revisions/{CARD.revision_id}", f"{parent}/theirs/revisions/1"]
    results = [{"qaScorecardRevision": name} for name in names]
    payload = {
        "latestAnalysis": {
            "analysisResult": {"callAnalysisMetadata": {"qaScorecardResults": results}}
        }
    }
    world.sink.rows["ci_conversations"] = [
        {
            "conversation_id": f"call-{n}",
            "ci_updated_at": world.clock.now(),
            "_landed_at": "",
            "payload": payload,
        }
        for n in range(30)
    ]

    same, other = asyncio.run(plan_of(world, CARD)), asyncio.run(plan_of(world, CHANGED))

    assert same.older == ()
    assert other.older == (ScoredByRevision("call-quality", CARD.revision_id, 30),)
    assert other.older[0].usd == 0.15


def test_push_asks_for_scores_once_a_scorecard_is_active_and_stale_finds_older_ones(
    tmp_path: Path,
) -> None:
    world = World()
    write(tmp_path, ID)
    asyncio.run(world.push(tmp_path))
    applied(world, CARD)
    unscored = asyncio.run(selected(world))
    activated(world, CARD)
    to_score = asyncio.run(selected(world))
    asyncio.run(world.push(tmp_path))
    scored = asyncio.run(selected(world))
    applied(world, CHANGED)
    activated(world, CHANGED)
    by_older = asyncio.run(selected(world))

    assert (unscored, to_score, scored, by_older) == ([], [ID], [], [ID])
    asked = [selector.scorecard_revisions for _, selector in world.insights.selectors]
    assert asked == [frozenset(), {KEY}]


def test_scores_that_nobody_asks_for_any_more_are_no_reason_to_analyse_again(
    tmp_path: Path,
) -> None:
    world = World()
    write(tmp_path, ID)
    applied(world, CARD)
    activated(world, CARD)
    asyncio.run(world.push(tmp_path))

    applied(world)
    asyncio.run(world.push(tmp_path))

    assert len(world.insights.selectors) == 1
    assert asyncio.run(selected(world)) == []


async def selected(world: World) -> list[str]:
    flow = world.new_reanalyze()
    found = await flow.select(Selection(only_stale=True), await flow.profile())
    return [target.conversation_id for target in found.targets]
