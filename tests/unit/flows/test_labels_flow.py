from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ingest.domain.labels import WantedLabel, question_resource
from ingest.domain.outcome import Step
from ingest.flows.labels import import_labels, land_labels, sheet, truth_sheet
from ingest.flows.scorecards import (
    ApplyingScorecards,
    held_scorecards,
    read_scorecards,
)
from tests.fakes.folders import conversation_id, write_many
from tests.fakes.world import World

(CARD,) = read_scorecards(Path(__file__).parents[3] / "seeds")
QUESTION = CARD.questions[0]
FIRST, SECOND = (conversation_id(number) for number in range(2))
GONE = conversation_id(99)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world of two conversations and our scorecard."""
    made = World()
    write_many(tmp_path, 2)
    asyncio.run(made.push(tmp_path))
    applying = ApplyingScorecards(made.insights, made.clock, made.attempts(), "run")
    asyncio.run(applying.apply([CARD], 60.0))
    return made


def label(id_: str, answer: int = 0) -> WantedLabel:
    resource = question_resource("call-quality", CARD.revision_id, QUESTION.question_id)
    return WantedLabel(id_, resource, QUESTION.answers[answer])


def imported(world: World, *labels: WantedLabel) -> dict[str, int]:
    done = asyncio.run(import_labels(world.insights, world.attempts(), labels, 4, "run"))
    assert [(f.conversation_id, f.step, f.code) for f in done.failures] == [
        (GONE, Step.SUBMIT, "NOT_FOUND")
    ] * done.states["failed"]
    return dict(done.states)


def landed(world: World) -> int:
    work = land_labels(world.insights, world.sink, world.attempts(), world.landing())
    return asyncio.run(work)[1]


def test_labels_are_made_once_changed_where_they_differ_and_a_failure_is_one(world: World) -> None:
    first = imported(world, label(FIRST), label(SECOND), label(GONE))
    second = imported(world, label(FIRST), label(SECOND, 1))

    assert first == {"created": 2, "failed": 1}
    assert second == {"kept": 1, "changed": 1}
    held = asyncio.run(world.insights.list_labels())
    assert sorted((each.conversation_id, each.answer_key) for each in held) == sorted(
        [(FIRST, "yes"), (SECOND, "no")]
    )


@pytest.mark.parametrize("after_effect", [False, True])
def test_a_label_whose_create_got_no_answer_is_made_once(world: World, after_effect: bool) -> None:
    world.insights.trouble.fail("create_label", times=2, after_effect=after_effect)

    assert imported(world, label(FIRST)) == {"created": 1}
    assert len(asyncio.run(world.insights.list_labels())) == 1


def test_each_state_of_a_label_is_landed_once_and_its_end_too(world: World) -> None:
    imported(world, label(FIRST), label(SECOND))
    counts = [landed(world), landed(world)]
    imported(world, label(FIRST, 1))
    counts.append(landed(world))
    (name,) = (
        each.name
        for each in asyncio.run(world.insights.list_labels())
        if each.conversation_id == SECOND
    )
    world.insights.drop_label(name)
    counts += [landed(world), landed(world)]

    assert counts == [2, 0, 1, 1, 0]
    rows = world.sink.rows["feedback_labels"]
    assert [(row["conversation_id"], row["is_deleted"]) for row in rows[2:]] == [
        (FIRST, False),
        (SECOND, True),
    ]


def test_labels_of_whom_was_forgotten_are_not_landed_again(world: World) -> None:
    imported(world, label(FIRST), label(SECOND))
    landed(world)

    asyncio.run(world.forget(FIRST))

    assert landed(world) == 0
    assert {row["conversation_id"] for row in world.sink.rows["feedback_labels"]} == {SECOND}


def test_a_sheet_holds_so_many_conversations_of_a_filter(world: World) -> None:
    (card,) = asyncio.run(held_scorecards(world.insights, world.attempts()))

    rows = asyncio.run(sheet(world.insights, world.attempts(), card, "", 1))

    assert [(row[0], row[3], row[4]) for row in rows] == [
        (min(FIRST, SECOND), question.question_id, "") for question in CARD.questions
    ]


def test_the_truth_fills_in_the_questions_that_it_knows(world: World) -> None:
    (card,) = asyncio.run(held_scorecards(world.insights, world.attempts()))
    rules = {
        ("call-quality", "recording-notice"): "said:call_recording",
        ("call-quality", "no-threats"): "said:call_recording",
    }

    rows = truth_sheet([(FIRST, {"missing_disclosures": []})], card, rules)

    # "na" isn't among the answers of the third.
    assert [row[4] for row in rows] == ["na", "", "", "", ""]
