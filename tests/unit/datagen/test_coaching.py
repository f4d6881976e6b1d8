"""What is planted of agents is true of the talk, as a judge of its own finds; the rest stays."""

from __future__ import annotations

import csv
import datetime as dt
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ingest.datagen.coaching import CHECKS
from ingest.datagen.coaching_measure import CoachingTruth, TrueVerdict
from ingest.datagen.maker import MadeConversation, Maker
from ingest.datagen.profile import load_profile
from ingest.datagen.truth import ExpectedTruth, load_required_disclosures
from ingest.domain.conversation import Metadata, Transcription

SEEDS = Path(__file__).parents[3] / "seeds"
COUNT = 700


def maker(faults: float, exemplary: float) -> Maker:
    own = load_profile()
    scenarios = own.scenarios | {"complaint_contact_frequency": 12}
    shares = {"coaching_fault_share": faults, "exemplary_share": exemplary}
    profile = own.model_copy(update={"scenarios": scenarios, **shares})
    return Maker(5, profile, dt.date(2026, 1, 5), 7, SEEDS)


@cache
def made() -> tuple[MadeConversation, ...]:
    busy = maker(0.6, 0.4)
    return tuple(busy.make(index) for index in range(COUNT))


def rows(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader((SEEDS / f"{name}.csv").read_text().splitlines()))


def judged() -> Iterator[tuple[MadeConversation, dict[str, Any], TrueVerdict]]:
    """Yield what was planted for checks that are due, with what the judge says."""
    judge = CoachingTruth(
        rows("coaching_rubric"), rows("policies"), load_required_disclosures(SEEDS)
    )
    for each in made():
        verdicts = judge.verdicts(
            Metadata.model_validate(each.metadata),
            Transcription.model_validate(each.transcription),
            ExpectedTruth.model_validate(each.expected),
        )
        for planted in each.expected["coaching"]:
            if planted["check_id"] in verdicts:
                yield each, planted, verdicts[planted["check_id"]]


def test_every_kind_is_planted_and_the_judge_agrees_but_on_moods() -> None:
    seen: Counter[str] = Counter()
    for _, planted, verdict in judged():
        seen[planted["behaviour"]] += 1
        is_miss = planted["verdict"] == "fail"
        assert (planted, verdict.by_ear) == (planted, is_miss)
        if not planted["is_noisy"]:
            assert (planted, verdict.by_words) == (planted, is_miss)
    assert seen.keys() == CHECKS.keys()


def test_what_is_planted_in_other_words_is_marked_as_noisy() -> None:
    noisy = [planted for _, planted, verdict in judged() if planted["is_noisy"]]
    unheard = [
        planted["behaviour"]
        for _, planted, verdict in judged()
        if planted["is_noisy"]
        and planted["check_id"] != "fall_met"
        and verdict.by_words is not (planted["verdict"] == "fail")
    ]
    assert len(noisy) > 20
    assert len(unheard) > 10


def test_the_mood_falls_from_delight_to_anger_at_the_turn_that_is_named() -> None:
    for conversation, planted, _ in judged():
        if planted["check_id"] == "fall_met":
            turns = conversation.transcription["turns"]
            at = planted["turn_index"]
            speakers = [turn["speaker"] for turn in turns[at - 2 : at + 2]]
            assert speakers == ["CUSTOMER", "AGENT", "CUSTOMER", "AGENT"]
            assert "thank you" in turns[at - 2]["text"].lower()


def test_a_talk_without_a_plant_is_what_it_would_be_without_any() -> None:
    plain, some = maker(0, 0), maker(0.2, 0.1)
    same = 0
    for index in range(60):
        one, other = plain.make(index), some.make(index)
        if one.transcription == other.transcription:
            same += 1
            assert one == other
    assert 35 <= same <= 50


@pytest.mark.parametrize("index", range(5))
def test_a_plant_is_the_same_whatever_was_made_before_it(index: int) -> None:
    assert maker(0.6, 0.4).make(index) == made()[index]
