from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from output_checks import validator

from ingest.cli._output import plain
from ingest.cli.topics import held_row
from ingest.domain.topics import ModelState, Topic, TopicModel, trained_name
from ingest.errors import InputError
from ingest.flows.reanalyze import Selection
from ingest.flows.topics import (
    ApplyingTopics,
    chosen_model,
    held_models,
    plan_topics,
    read_topics,
)
from tests.fakes.folders import conversation_id, transcription, write
from tests.fakes.world import World

(MODEL,) = read_topics(Path(__file__).parents[3] / "seeds")
CHANGED = replace(MODEL, topics=MODEL.topics[1:])


def applying(world: World) -> ApplyingTopics:
    return ApplyingTopics(world.outside(), world.attempts(), "run", 60.0)


def applied(world: World, *wanted: TopicModel) -> list[tuple[str, str | None]]:
    outcomes = asyncio.run(applying(world).apply(wanted))
    return [(o.change.kind.value, o.error.code if o.error else None) for o in outcomes]


def deployed(world: World, wanted: TopicModel) -> list[str]:
    held = asyncio.run(held_models(world.insights, world.attempts()))
    chosen = chosen_model(held, wanted.name, [wanted])
    return asyncio.run(applying(world).deploy(chosen))


def test_a_taxonomy_becomes_a_model_once_and_is_deployed_in_place_of_the_older() -> None:
    world = World()
    first, second = applied(world, MODEL), applied(world, MODEL)
    undeployed = deployed(world, MODEL)
    third = applied(world, CHANGED)
    replaced = deployed(world, CHANGED)
    last = applied(world, CHANGED)

    assert (first, second, undeployed) == ([("create", None)], [("keep", None)], [])
    assert (third, replaced) == ([("update", None)], ["1"])
    assert last == [("keep", None), ("delete", None)]
    (held,) = asyncio.run(held_models(world.insights, world.attempts()))
    assert (held.model_id, held.state, held.topics) == ("2", ModelState.DEPLOYED, CHANGED.topics)


def test_a_model_that_is_off_is_asked_for_no_more(tmp_path: Path) -> None:
    world = filled(tmp_path, 1, 0)
    applied(world, MODEL)
    deployed(world, MODEL)

    (held,) = asyncio.run(held_models(world.insights, world.attempts()))
    told = asyncio.run(applying(world).undeploy(held))

    assert told == held.model_id
    assert asyncio.run(selected(world)) == []


@pytest.mark.parametrize("after_effect", [False, True])
def test_a_model_whose_import_got_no_answer_is_made_once(after_effect: bool) -> None:
    world = World()
    world.insights.trouble.fail("import_model", times=2, after_effect=after_effect)

    assert applied(world, MODEL) == [("create", None)]
    assert len(world.insights.models) == 1


def test_a_model_of_others_is_neither_kept_nor_deployed_nor_deleted() -> None:
    world = World()
    world.insights.have_model("call-reasons", "en-US", (Topic("Theirs", ""),))

    assert applied(world, MODEL) == [("create", None)]
    assert deployed(world, MODEL) == []
    assert applied(world) == []
    assert world.insights.models["1"].state is ModelState.UNDEPLOYED


def test_what_isnt_there_cannot_be_deployed() -> None:
    with pytest.raises(InputError, match="no topic model 'call-reasons' as it is defined now"):
        chosen_model([], "call-reasons", [MODEL])


def filled(tmp_path: Path, long: int, short: int) -> World:
    world = World()
    texts = [f"This is part {number}." for number in range(10)]
    for number in range(long + short):
        id_ = conversation_id(number)
        said = texts if number < long else texts[:8]
        write(tmp_path, id_, transcription=transcription(id_, *said))
    asyncio.run(world.push(tmp_path))
    return world


def test_training_takes_a_hundred_long_conversations_and_happens_once(tmp_path: Path) -> None:
    world = filled(tmp_path, 100, 0)

    made = asyncio.run(applying(world).train("found", "en-AU", ""))

    assert (made.display_name, made.is_trained) == (trained_name("found"), True)
    validator("topics_train").validate(json.loads(json.dumps(plain(held_row(made)))))
    with pytest.raises(InputError, match="has a trained model 'found'"):
        asyncio.run(applying(world).train("found", "en-AU", ""))


def test_too_few_long_conversations_are_told_before_anything_is_asked(tmp_path: Path) -> None:
    world = filled(tmp_path, 99, 20)

    with pytest.raises(InputError, match="99 conversations have 5 exchanges or more"):
        asyncio.run(applying(world).train("found", "en-AU", ""))

    assert world.insights.trouble.calls["train_model"] == 0


def test_push_asks_for_topics_once_a_model_is_deployed_and_stale_finds_the_rest(
    tmp_path: Path,
) -> None:
    world = filled(tmp_path, 1, 0)
    applied(world, MODEL)
    deployed(world, MODEL)
    stale = asyncio.run(selected(world))
    asyncio.run(world.push(tmp_path))

    assert stale == [conversation_id(0)]
    assert asyncio.run(selected(world)) == []
    asked = [selector.issue_models for _, selector in world.insights.selectors]
    assert asked == [frozenset(), {"1"}]


def test_the_plan_compares_with_the_model_that_analyses_use() -> None:
    world = World()
    applied(world, MODEL)
    deployed(world, MODEL)

    (change,) = asyncio.run(plan_topics(world.insights, world.attempts(), [CHANGED]))

    assert (change.kind.value, change.added, change.removed) == (
        "update",
        (),
        (MODEL.topics[0].name,),
    )


async def selected(world: World) -> list[str]:
    flow = world.new_reanalyze()
    found = await flow.select(Selection(only_stale=True), await flow.profile())
    return [target.conversation_id for target in found.targets]
