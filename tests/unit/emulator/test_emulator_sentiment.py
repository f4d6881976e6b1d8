"""The model behind the emulator's sentiment: its sums, and that what is told of it was measured.

What it makes of a text isn't tested: its numbers stand in the README.
"""

from __future__ import annotations

import math
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.emulator.analysis.sentiment import (
    WEIGHTS_FILE,
    Weights,
    facts,
    shares,
    weights,
    words_of,
)
from tests.sentiment_model import HALVES, LABELS, labelled, learnt, table

SCORES = {"neg": 0.25, "pos": 0.5, "compound": -0.5}
README = Path(__file__).parents[3] / "ingest" / "emulator" / "README.md"


def test_words_and_pairs_count_once_whatever_their_case() -> None:
    assert list(words_of("No, no \u2013 don\u2019t! No don't...")) == [
        "no",
        "don't",
        "!",
        "...",
        "no no",
        "no don't",
        "don't !",
        "! no",
        "don't ...",
    ]


def test_facts_are_the_lexicons_scores_and_the_length() -> None:
    assert facts(SCORES, 3) == [0.25, 0.5, 0.5, 0.0, 0.075, 1.0]
    assert facts({**SCORES, "compound": 0.5}, 80) == [0.25, 0.5, 0.0, 0.5, 1.0, 0.0]


def test_shares_are_the_softmax_of_what_adds_up() -> None:
    model = Weights(
        [0.1, 0.2, 0.3], [[0.0] * 3] * 5 + [[1.0, 0.0, 0.0]], {"hi": [0, 2, 0], "hi you": [0, 0, 4]}
    )
    sums = [1.1, 2.2, 4.3]

    found = shares("Hi you", SCORES, 2, model)

    assert found == pytest.approx([math.exp(each) / sum(map(math.exp, sums)) for each in sums])


@given(st.text(), st.floats(-1, 1))
def test_any_text_has_shares_that_make_one(text: str, compound: float) -> None:
    found = shares(text, SCORES | {"compound": compound}, len(text.split()))

    assert sum(found) == pytest.approx(1)
    assert min(found) >= 0


def test_the_weights_are_those_that_the_tuning_half_gives() -> None:
    made, held = learnt(labelled("tuning")), orjson.loads(WEIGHTS_FILE.read_bytes())

    assert made["words"].keys() == held["words"].keys()
    for name, row in made["words"].items():
        assert row == pytest.approx(held["words"][name], abs=0.002)
    assert made["bias"] == pytest.approx(held["bias"], abs=0.002)
    assert weights().bias == held["bias"]


def test_no_conversation_is_in_both_halves_and_all_are_labelled() -> None:
    halves = orjson.loads(LABELS.read_bytes())

    assert tuple(halves) == ("unseen", "tuning")
    assert not halves["unseen"].keys() & halves["tuning"].keys()
    assert [len(halves[half]) for half in HALVES] == [12, 12]


def test_the_readme_tells_what_was_measured() -> None:
    assert table() in README.read_text(encoding="utf-8"), "run python -m tests.sentiment_model"
