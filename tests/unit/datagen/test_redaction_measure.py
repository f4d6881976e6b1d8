"""How well the redactor does, on generated talks that no rule was written for and on the 24."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest.datagen.redaction_measure import FoundOfType, RedactionMeasure, RedactionTally
from ingest.datagen.truth import ExpectedPiiSpan
from ingest.domain.conversation import Transcription
from ingest.domain.phrase_matching import compile_matchers, find_matches
from ingest.domain.redaction.redactor import Redactor
from ingest.domain.redaction.turn import Kind, built_in
from ingest.flows.declared import read_own_words
from ingest.flows.matchers import read_definitions
from tests.unit.datagen.test_maker import made

SEEDS = Path(__file__).parents[3] / "seeds"
NUMBERS = {
    "ACCOUNT_NUMBER",
    "BANK_ACCOUNT",
    "CARD_NUMBER",
    "EMAIL",
    "PHONE",
    "REFERENCE_NUMBER",
}


def tally() -> RedactionTally:
    return RedactionTally(built_in().with_own(read_own_words(SEEDS)))


@pytest.fixture(scope="module")
def generated() -> RedactionMeasure:
    found = tally()
    for conversation in made():
        texts = [turn["text"] for turn in conversation.transcription["turns"]]
        spans = [
            ExpectedPiiSpan.model_validate(span) for span in conversation.expected["pii_spans"]
        ]
        found.add(texts, conversation.metadata.get("agent_name"), spans)
    return found.measure()


@pytest.fixture(scope="module")
def written_by_hand() -> RedactionMeasure:
    found = tally()
    for folder in sorted((SEEDS / "conversations").glob("*/*")):
        files = {
            name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
            for name in ("metadata", "transcription", "expected")
        }
        texts = [turn["text"] for turn in files["transcription"]["turns"]]
        spans = [ExpectedPiiSpan.model_validate(span) for span in files["expected"]["pii_spans"]]
        found.add(texts, files["metadata"]["agent_name"], spans)
    return found.measure()


TALKS = Path(__file__).parents[2] / "fixtures" / "redaction" / "twelve_talks.txt"
_MARK = re.compile(r"\{([A-Z_]+):([^{}]*)\}")


def marked_talks() -> Iterator[tuple[str, list[str], list[ExpectedPiiSpan]]]:
    """Yield the agent's name, turns and details of each talk; details stand as {TYPE:words}."""
    for block in re.split(r"^## ", TALKS.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        head, *lines = block.strip().split("\n")
        texts: list[str] = []
        spans: list[ExpectedPiiSpan] = []
        for line in filter(None, lines):
            text, end = "", 0
            said = line.partition(": ")[2]
            for mark in _MARK.finditer(said):
                text += said[end : mark.start()]
                start, end = len(text), mark.end()
                text += mark.group(2)
                spans.append(
                    ExpectedPiiSpan(
                        type=mark.group(1),
                        turn_index=len(texts),
                        start_char=start,
                        end_char=len(text),
                    )
                )
            texts.append(text + said[end:])
        yield head.split("|")[1].strip(), texts, spans


@pytest.fixture(scope="module")
def unseen() -> RedactionMeasure:
    found = tally()
    for agent_name, texts, spans in marked_talks():
        found.add(texts, agent_name, spans)
    return found.measure()


REACHED = {
    "ACCOUNT_NUMBER": 0.94,
    "ADDRESS": 0.70,
    "BANK_ACCOUNT": 1.0,
    "CARD_CVV": 1.0,
    "CARD_EXPIRY": 1.0,
    "CARD_NUMBER": 1.0,
    "DATE_OF_BIRTH": 0.77,
    "EMAIL": 0.81,
    "IDENTITY_DOCUMENT": 0.71,
    "PERSON_NAME": 0.83,
    "PHONE": 0.86,
    "REFERENCE_NUMBER": 0.82,
}
"""Whole details of talks that were written without knowledge of the rules, and never tuned on.

SECURITY.md says these numbers; whoever makes the rules better raises both.
"""


def test_talks_that_nobody_tuned_on_keep_what_was_reached(unseen: RedactionMeasure) -> None:
    found = shares(unseen)

    assert found.keys() == REACHED.keys()
    assert {name: share for name, share in found.items() if share < REACHED[name]} == {}
    assert unseen.precision >= 0.87


def shares(measure: RedactionMeasure) -> dict[str, float]:
    return {each.type: each.whole / each.planted for each in measure.types}


def test_generated_talks_lose_their_details_and_nothing_else(generated: RedactionMeasure) -> None:
    found = shares(generated)

    assert {name: share for name, share in found.items() if share < 0.97} == {}
    whole = sum(each.whole for each in generated.types if each.type in NUMBERS)
    planted = sum(each.planted for each in generated.types if each.type in NUMBERS)
    assert whole / planted >= 0.985
    assert generated.precision >= 0.97


def test_the_24_talks_show_no_detail_untouched_but_two_pieces_of_addresses(
    written_by_hand: RedactionMeasure,
) -> None:
    untouched = {each.type: each.planted - each.touched for each in written_by_hand.types}

    assert {name: count for name, count in untouched.items() if count} == {"ADDRESS": 2}
    assert written_by_hand.precision >= 0.9


def test_a_detail_counts_as_whole_by_its_letters_and_digits() -> None:
    found = tally()
    planted = [
        ExpectedPiiSpan(type="PHONE", turn_index=1, start_char=0, end_char=13),
        ExpectedPiiSpan(type="PERSON_NAME", turn_index=1, start_char=15, end_char=23),
    ]

    found.add(["Your number?", "0491 570 110. the lady Kettlewell"], None, planted)

    assert found.measure() == RedactionMeasure(
        redactor_version="1",
        conversations=1,
        characters=45,
        types=(FoundOfType("PERSON_NAME", 1, 0, 0), FoundOfType("PHONE", 1, 1, 1)),
        taken=2,
        false=1,
    )


def talks() -> Iterator[tuple[Transcription, str, list[dict[str, Any]]]]:
    """Yield transcript, agent's name and labelled phrases of generated and hand-written talks."""
    for each in made():
        name = each.metadata.get("agent_name") or ""
        yield (
            Transcription.model_validate(each.transcription),
            name,
            each.expected["phrase_matches"],
        )
    for folder in sorted((SEEDS / "conversations").glob("*/*")):
        said, about, truth = (
            json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
            for name in ("transcription", "metadata", "expected")
        )
        talk = Transcription.model_validate_json(json.dumps(said))
        yield talk, about["agent_name"], truth["phrase_matches"]


def test_matchers_find_as_much_in_a_redacted_talk() -> None:
    matchers = compile_matchers(read_definitions(SEEDS))
    vocabulary = built_in().with_own(read_own_words(SEEDS))
    counts = {is_redacted: Counter[tuple[str, str]]() for is_redacted in (False, True)}
    for talk, name, labels in talks():
        expected = {(each["matcher"], each["turn_index"]) for each in labels}
        redactor = Redactor([turn.text for turn in talk.turns], [(Kind.NAME, name)], vocabulary)
        for is_redacted, counted in counts.items():
            texts = [redactor.redacted_turn(place) for place in range(len(talk.turns))]
            turns = (
                turn.model_copy(update={"text": text})
                for turn, text in zip(talk.turns, texts, strict=True)
            )
            said = talk.model_copy(update={"turns": tuple(turns)}) if is_redacted else talk
            found = {(match.matcher, match.turn_index) for match in find_matches(said, matchers)}
            counted.update(("right", matcher) for matcher, _ in found & expected)
            counted.update(("found", matcher) for matcher, _ in found)
            counted.update(("expected", matcher) for matcher, _ in expected)
    fallen = {
        matcher: _f1(counts[False], matcher) - _f1(counts[True], matcher)
        for matcher in {matcher for _, matcher in counts[False]}
    }

    assert len(fallen) == 5
    assert {matcher: share for matcher, share in fallen.items() if share > 0.01} == {}


def _f1(counts: Counter[tuple[str, str]], matcher: str) -> float:
    return 2 * counts["right", matcher] / (counts["found", matcher] + counts["expected", matcher])
