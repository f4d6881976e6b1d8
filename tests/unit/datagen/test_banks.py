from __future__ import annotations

import csv
import datetime as dt
import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from ingest.datagen.grammar import (
    Alternatives,
    Bank,
    Marked,
    NoisyLabel,
    Phrasing,
    Template,
    load_banks,
)
from ingest.datagen.maker import Maker
from ingest.datagen.profile import load_profile
from ingest.datagen.scenarios import Group, Move, Say, Use, load_script
from ingest.datagen.slots import SLOTS
from ingest.datagen.talk import Talk
from ingest.datagen.truth import load_phrase_truth
from ingest.domain.conversation import Direction, Medium
from ingest.errors import InputError

SEEDS = Path(__file__).parents[3] / "seeds"
BANKS = load_banks(SLOTS)
UNCLEAN = re.compile(
    r"[{}|<>\[\]]|  | ,|\.\.(?!\.)|,,|\?\.|,[.?]|\b(the|a|my|on|of|in|at|when|is|since|about) \1\b"
)
SCRIPT = load_script()


def says(moves: tuple[Move, ...]) -> Iterator[str]:
    for move in moves:
        if isinstance(move, Say):
            yield from move.banks
        elif isinstance(move, Group):
            yield from says(move.moves)


def marks_of(template: Template) -> Iterator[Marked]:
    for node in template:
        if isinstance(node, Marked):
            yield node
        elif isinstance(node, Alternatives):
            for choice in node.choices:
                yield from marks_of(choice)


NOISY = [
    (bank.name, number, marked)
    for bank in BANKS.values()
    for number, template in enumerate(bank.templates)
    for marked in marks_of(template)
]


def test_every_bank_that_a_scenario_names_exists_and_has_templates() -> None:
    moves = [
        *SCRIPT.fragments.values(),
        *(state.moves for s in SCRIPT.scenarios.values() for state in s.states.values()),
    ]
    named = {name for each in moves for name in says(each)}

    assert {name for name in named if name not in BANKS or not BANKS[name].templates} == set()


def test_every_fragment_has_a_variant_for_every_kind_of_conversation() -> None:
    used = {
        move.name
        for scenario in SCRIPT.scenarios.values()
        for state in scenario.states.values()
        for move in state.moves
        if isinstance(move, Use)
    }
    for name in used:
        for direction in Direction:
            assert SCRIPT.fragment(name, direction, Medium.PHONE_CALL)
        assert SCRIPT.fragment(name, Direction.INBOUND, Medium.CHAT)


def test_noisy_labels_name_phrases_of_the_seeds() -> None:
    with (SEEDS / "phrase_matcher_rules.csv").open() as file:
        known = {(r["display_name"], r["group_name"], r["query"]) for r in csv.DictReader(file)}

    unknown = {(m.label.matcher, m.label.group, m.label.phrase) for _, _, m in NOISY} - known

    assert unknown == set()


def test_noisy_twins_hold_a_label_in_every_template() -> None:
    unlabelled = [
        f"{bank.name}:{number}"
        for bank in BANKS.values()
        if bank.name.endswith(".noisy")
        for number, template in enumerate(bank.templates)
        if not list(marks_of(template))
    ]

    assert unlabelled == []


@cache
def maker() -> Maker:
    return Maker(1, load_profile(), dt.date(2026, 1, 5), 1, SEEDS)


def a_talk(rng: random.Random) -> Talk:
    talk, _ = maker()._prepare(rng)
    return talk


@pytest.mark.parametrize("name", sorted({name for name, _, _ in NOISY}))
def test_what_is_said_in_other_words_is_never_the_phrase_itself(name: str) -> None:
    truth = load_phrase_truth(SEEDS)
    talk = a_talk(random.Random(name))
    for template in BANKS[name].templates * 3:
        phrasing = Phrasing()
        phrasing.say(template, talk, set())
        text, marks = phrasing.text()
        labels = {(m.matcher, m.group) for _, _, m in marks if isinstance(m, NoisyLabel)}
        for speaker in ("AGENT", "CUSTOMER"):
            found = {(hit.matcher, hit.group) for hit in truth.find([(speaker, text)])}
            assert not found & labels, text


def test_planted_phrases_are_found_in_every_template() -> None:
    truth = load_phrase_truth(SEEDS)
    talk = a_talk(random.Random("planted"))
    missing: list[str] = []
    speakers = {"plant.violation": "AGENT", "care.": "AGENT", "disc.": "AGENT"}
    for bank in BANKS.values():
        if bank.name.endswith(".noisy") or not bank.name.startswith(("plant.", "disc.", "care.")):
            continue
        speaker = next((s for key, s in speakers.items() if bank.name.startswith(key)), "CUSTOMER")
        for template in bank.templates * 5:
            phrasing = Phrasing()
            phrasing.say(template, talk, set())
            text, _ = phrasing.text()
            missing += [] if truth.find([(speaker, text)]) else [text]
    assert missing == []


def test_texts_are_clean() -> None:
    talk = a_talk(random.Random("clean"))
    unclean: list[tuple[str, str]] = []
    for bank in BANKS.values():
        for template in bank.templates * 8:
            phrasing = Phrasing()
            phrasing.say(template, talk, set())
            text, _ = phrasing.text()
            if UNCLEAN.search(text):
                unclean.append((bank.name, text))
    assert unclean == []


def load_text(tmp_path: Path, text: str) -> dict[str, Bank]:
    (tmp_path / "bank.txt").write_text(text)
    return load_banks({}, tmp_path)


class _Speech:
    def __init__(self) -> None:
        self.rng = random.Random(5)


def said(template: Template) -> tuple[str, list[tuple[int, int, object]]]:
    phrasing = Phrasing()
    phrasing.say(template, _Speech(), set())
    text, marks = phrasing.text()
    return text, list(marks)


def test_a_template_says_one_of_its_alternatives(tmp_path: Path) -> None:
    banks = load_text(tmp_path, "## a\n{x|y {b}|z}[!]\n## b\nbee\n")

    texts = set()
    speech = _Speech()
    for _ in range(60):
        phrasing = Phrasing()
        phrasing.say(banks["a"].templates[0], speech, set())
        texts.add(phrasing.text()[0])

    assert texts == {"X", "X!", "Y bee", "Y bee!", "Z", "Z!"}


def test_sentence_starts_are_capitals_and_marks_count_code_points(tmp_path: Path) -> None:
    banks = load_text(
        tmp_path, "## a\n\u2026 oh. {b} <m.g.some phrase::caf\u00e9 {b}>, {b}\n## b\nbee\n"
    )

    text, marks = said(banks["a"].templates[0])

    assert text == "\u2026 oh. Bee caf\u00e9 bee, bee"
    ((start, end, label),) = marks
    assert (text[start:end], label) == ("caf\u00e9 bee", NoisyLabel("m", "g", "some phrase"))


@pytest.mark.parametrize(
    "text", ["orphan\n", "## a\n{b}\n", "## a\n{x|y\n", "## a\nx}\n", "## a\n<m.g.p::x\n"]
)
def test_a_faulty_bank_names_file_and_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"bank\.txt:\d"):
        load_text(tmp_path, text)
