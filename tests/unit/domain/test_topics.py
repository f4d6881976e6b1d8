from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from ingest.domain.as_code import ChangeKind
from ingest.domain.topics import (
    LiveModel,
    ModelChange,
    ModelState,
    Topic,
    TopicModel,
    deployed_models,
    exchanges,
    parse_topics,
    plan,
    trained_name,
)
from ingest.errors import InputError

TEXT = (Path(__file__).parents[3] / "seeds" / "topics.csv").read_text(encoding="utf-8")
(MODEL,) = parse_topics(TEXT)
NAMES = tuple(topic.name for topic in MODEL.topics)
OTHER = replace(MODEL, topics=(Topic("Complaint", "other"), Topic("Old", ""), *MODEL.topics[:4]))


def live(of: TopicModel, id_: str, state: ModelState = ModelState.DEPLOYED) -> LiveModel:
    return LiveModel(id_, of.display_name, state, of.language_code, of.topics)


def test_a_models_name_says_whose_it_is_and_what_it_looks_for() -> None:
    held = live(MODEL, "1")

    assert (held.name, held.is_ours, held.is_trained) == ("call-reasons", True, False)
    assert MODEL.display_name != OTHER.display_name
    trained = replace(held, display_name=trained_name("found"))
    assert (trained.name, trained.is_ours, trained.is_trained) == ("found", True, True)
    theirs = replace(held, display_name="call-reasons")
    assert (theirs.name, theirs.is_ours) == ("call-reasons", False)
    assert deployed_models([held, theirs, live(OTHER, "2", ModelState.UNDEPLOYED)]) == {"1"}


def test_the_file_has_the_issues() -> None:
    assert orjson.loads(MODEL.file())["issues"][1] == {
        "displayName": "Payment plan",
        "displayDescription": MODEL.topics[1].description,
    }


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ([], [ModelChange(ChangeKind.CREATE, "call-reasons", MODEL, None, False, NAMES)]),
        (
            [live(MODEL, "1")],
            [ModelChange(ChangeKind.KEEP, "call-reasons", MODEL, "1", True)],
        ),
        (
            [live(OTHER, "1")],
            [
                ModelChange(
                    ChangeKind.UPDATE,
                    *("call-reasons", MODEL, None, False),
                    added=(),
                    removed=("Old",),
                    changed=("Complaint",),
                )
            ],
        ),
        (
            [live(MODEL, "1"), live(OTHER, "2", ModelState.UNDEPLOYED)],
            [
                ModelChange(ChangeKind.KEEP, "call-reasons", MODEL, "1", True),
                ModelChange(
                    ChangeKind.DELETE,
                    *("call-reasons", None, "2", False),
                    removed=tuple(topic.name for topic in OTHER.topics),
                ),
            ],
        ),
    ],
    ids=["new", "equal", "changed", "old one left"],
)
def test_the_plan_makes_insights_equal_to_the_seed(
    held: list[LiveModel], expected: list[ModelChange]
) -> None:
    changes = plan([MODEL], held)

    assert list(changes) == expected
    assert changes[0].is_drift is (changes[0].kind is not ChangeKind.KEEP)


def test_trained_deployed_and_foreign_models_stay() -> None:
    trained = replace(live(MODEL, "1", ModelState.UNDEPLOYED), display_name=trained_name("found"))
    theirs = replace(live(MODEL, "3", ModelState.UNDEPLOYED), display_name="theirs")

    assert plan([], [trained, live(MODEL, "2"), theirs]) == ()


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("call-reasons,en-AU,Dispute", ",en-AU,Dispute", "line 4: '' can't be the name"),
        ("call-reasons,en-AU,Dispute", "a [b],en-AU,Dispute", "can't be the name"),
        ("Dispute,", ",", "line 4: a row has no topic"),
        ("Dispute,", "Complaint,", "line 6: the model has the topic 'Complaint' twice"),
        ("en-AU,Dispute", "en-US,Dispute", "line 4: the model has two languages"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(before: str, after: str, message: str) -> None:
    with pytest.raises(InputError, match=message.replace("[", r"\[")):
        parse_topics(TEXT.replace(before, after, 1))


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        ([], 0),
        (["HUMAN_AGENT"], 0),
        (["HUMAN_AGENT", "END_USER"], 1),
        (["HUMAN_AGENT", "AUTOMATED_AGENT", "END_USER", "END_USER"], 1),
        (["HUMAN_AGENT", "END_USER"] * 5, 5),
        (["END_USER"] * 10, 0),
    ],
)
def test_an_exchange_is_a_turn_of_both_sides(roles: list[str], expected: int) -> None:
    assert exchanges(roles) == expected
