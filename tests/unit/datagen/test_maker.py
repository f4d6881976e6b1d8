from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ingest.datagen.cast import MOBILES
from ingest.datagen.maker import MadeConversation, Maker, conversation_id_of, sentiment_arc
from ingest.datagen.profile import Greeting, Range, load_profile
from ingest.datagen.truth import load_phrase_truth
from ingest.domain.conversation import UUID_PATTERN
from ingest.domain.matchers import parse_definitions
from ingest.domain.phrase_matching import compile_matchers, role_of_speaker

SEEDS = Path(__file__).parents[3] / "seeds"
DAY = dt.date(2026, 1, 5)
COUNT = 400


@cache
def maker() -> Maker:
    return Maker(11, load_profile(), DAY, 2, SEEDS)


@cache
def made() -> tuple[MadeConversation, ...]:
    return tuple(maker().make(index) for index in range(COUNT))


def texts_of(conversation: MadeConversation) -> list[tuple[str, str]]:
    return [(turn["speaker"], turn["text"]) for turn in conversation.transcription["turns"]]


def test_a_conversation_is_the_same_whatever_was_made_before_it() -> None:
    alone = Maker(11, load_profile(), DAY, 2, SEEDS).make(173)

    assert alone == made()[173]


def test_another_seed_makes_other_conversations() -> None:
    other = Maker(12, load_profile(), DAY, 2, SEEDS).make(0)

    assert other.transcription["turns"] != made()[0].transcription["turns"]


def test_ids_are_uuids_that_differ_and_need_no_making() -> None:
    ids = [conversation.conversation_id for conversation in made()]

    assert ids == [conversation_id_of(11, index) for index in range(COUNT)]
    assert len(set(ids)) == COUNT
    assert all(UUID_PATTERN.fullmatch(each) for each in ids)


def test_exact_labels_are_what_the_matching_engine_finds_in_every_turn() -> None:
    matchers = compile_matchers(
        parse_definitions(
            (SEEDS / "phrase_matchers.csv").read_text(),
            (SEEDS / "phrase_matcher_rules.csv").read_text(),
        )
    )
    for conversation in made():
        found = [
            (m.definition.display_name, h.group_name, index, h.query, h.start_char, h.end_char)
            for index, (speaker, text) in enumerate(texts_of(conversation))
            for m in matchers
            for h in m.find(text, role_of_speaker(speaker)) or ()
        ]
        labelled = [
            tuple(label[key] for key in LABEL_KEYS)
            for label in conversation.expected["phrase_matches"]
            if not label["is_noisy"]
        ]
        assert labelled == found


LABEL_KEYS = ("matcher", "group", "turn_index", "phrase", "start_char", "end_char")


def test_noisy_labels_are_planted_and_the_engine_finds_none_of_them() -> None:
    noisy = 0
    for conversation in made():
        labels = conversation.expected["phrase_matches"]
        exact = [label for label in labels if not label["is_noisy"]]
        for label in (label for label in labels if label["is_noisy"]):
            noisy += 1
            text = conversation.transcription["turns"][label["turn_index"]]["text"]
            assert 0 <= label["start_char"] < label["end_char"] <= len(text)
            assert not [
                other
                for other in exact
                if (other["matcher"], other["group"], other["turn_index"])
                == (label["matcher"], label["group"], label["turn_index"])
                and other["start_char"] < label["end_char"]
                and label["start_char"] < other["end_char"]
            ]
    assert noisy > 50


def test_missing_disclosures_are_those_that_nobody_said() -> None:
    missing = Counter(
        disclosure
        for conversation in made()
        for disclosure in conversation.expected["missing_disclosures"]
    )
    for conversation in made():
        said = {
            label["group"]
            for label in conversation.expected["phrase_matches"]
            if label["matcher"] == "required_disclosures" and not label["is_noisy"]
        }
        assert not said & set(conversation.expected["missing_disclosures"])
        if conversation.metadata["medium"] == "CHAT":
            assert conversation.expected["missing_disclosures"] == []
        flagged = "missing_disclosure" in conversation.expected["flags"]
        assert flagged == bool(conversation.expected["missing_disclosures"])
    assert set(missing) == {"call_recording", "identity_check", "collection_purpose"}


def test_both_sides_greet_in_the_languages_of_the_profile_and_the_rest_stays() -> None:
    words = ("xin chào", "chào bạn")
    greetings = {
        "vi-VN": Greeting(share=0.3, words=words),
        "el-GR": Greeting(share=0.1, words=("γεια σας",)),
    }
    profile = load_profile().model_copy(update={"greetings": greetings})
    other = Maker(11, profile, DAY, 2, SEEDS)
    seen: Counter[str] = Counter()
    for index in range(200):
        greeted, plain = other.make(index), made()[index]
        codes = [name for name in greeted.counts if name.startswith("greeting.")]
        seen.update(codes)
        changed = {
            mine["speaker"]: mine["text"].removesuffix(theirs["text"])
            for mine, theirs in zip(
                greeted.transcription["turns"], plain.transcription["turns"], strict=True
            )
            if mine["text"] != theirs["text"]
        }
        assert changed.keys() == ({"AGENT", "CUSTOMER"} if codes else set())
        said = {"greeting.vi-VN": {"Xin chào. ", "Chào bạn. "}, "greeting.el-GR": {"Γεια σας. "}}
        assert set(changed.values()) <= said.get("".join(codes), set())
        for span in greeted.expected["pii_spans"]:
            text = greeted.transcription["turns"][span["turn_index"]]["text"]
            assert re.fullmatch(
                PII_SHAPES[span["type"]], text[span["start_char"] : span["end_char"]]
            )
    assert 40 <= seen["greeting.vi-VN"] <= 80
    assert 10 <= seen["greeting.el-GR"] <= 35


PII_SHAPES = {
    "PERSON_NAME": r"[A-Z].*",
    "DATE_OF_BIRTH": r"[\d/]{10}|[A-Za-z-]+ of [A-Z][a-z]+, [a-z -]+",
    "ADDRESS": r".+ [A-Z].+, [A-Z].+",
    "EMAIL": r"\S+@example\.com|.+ at example dot com",
    "PHONE": r"[\d ]{12}|[A-Za-z ,]+",
    "CARD_NUMBER": r"[\d ]{19}|[A-Za-z ,]+",
    "BANK_ACCOUNT": r"00\d-\d{3} \d{6}|BSB .+",
    "ACCOUNT_NUMBER": r"[\d ]{9}|[A-Za-z ,]+",
    "REFERENCE_NUMBER": r"[\d ]{7}|[A-Za-z ,\u2014-]+",
}


def test_personal_data_lies_where_the_truth_says() -> None:
    seen = set()
    for conversation in made():
        for span in conversation.expected["pii_spans"]:
            text = conversation.transcription["turns"][span["turn_index"]]["text"]
            value = text[span["start_char"] : span["end_char"]]
            seen.add(span["type"])
            assert re.fullmatch(PII_SHAPES[span["type"]], value), (span["type"], value)
    assert seen == PII_SHAPES.keys()


def test_every_digit_that_could_be_personal_data_is_from_a_fictional_range() -> None:
    allowed = set(MOBILES)
    for conversation in made():
        for _, text in texts_of(conversation):
            for phone in re.findall(r"\b0[2-478]\d{2} \d{3} \d{3}\b|\b0[2378] \d{4} \d{4}\b", text):
                assert phone in allowed or re.fullmatch(r"0[2378] (5550|7010) \d{4}", phone)
            for card in re.findall(r"\b\d{4} \d{4} \d{4} \d{4}\b", text):
                assert not passes_luhn(card)
            assert all(
                mail.endswith("@example.com") for mail in re.findall(r"[\w.]+@[\w.]*\w", text)
            )


def passes_luhn(number: str) -> bool:
    digits = [int(char) for char in reversed(number) if char.isdigit()]
    doubled = [
        digit if place % 2 == 0 else digit * 2 - 9 * (digit > 4)
        for place, digit in enumerate(digits)
    ]
    return sum(doubled) % 10 == 0


def test_calls_have_two_sides_and_chats_too() -> None:
    for conversation in made():
        speakers = {speaker for speaker, _ in texts_of(conversation)}
        assert {"AGENT", "CUSTOMER"} <= speakers


def test_a_transfer_tells_the_two_agents_apart() -> None:
    transferred = [each for each in made() if "transferred" in each.expected["flags"]]
    for conversation in transferred:
        people = {
            turn["participant_id"]
            for turn in conversation.transcription["turns"]
            if turn["speaker"] == "AGENT"
        }
        assert len(people) == 2
        assert conversation.metadata["agent_id"] in people
    assert transferred


def test_the_context_fits_the_business_line() -> None:
    for conversation in made():
        metadata = conversation.metadata
        is_debt = metadata["business_line"] == "COLLECTIONS"
        assert ("portfolio_id" in metadata) == is_debt
        assert ("campaign_id" in metadata) != is_debt
        queues = ("collections", "complaints", "disputes") if is_debt else ("loans",)
        assert metadata["queue"].startswith(queues)
        assert metadata["started_at"].startswith(conversation.batch_date.isoformat())


def test_most_calls_have_ends_of_turns_and_chats_have_none() -> None:
    shares: dict[str, list[bool]] = {"PHONE_CALL": [], "CHAT": []}
    for conversation in made():
        metadata, turns = conversation.metadata, conversation.transcription["turns"]
        facts = {
            frozenset(turn) & {"end_offset_sec", "confidence", "language_code"} for turn in turns
        }
        assert len(facts) == 1
        has_ends = bool(facts.pop())
        shares[metadata["medium"]].append(has_ends)
        if has_ends:
            assert all(
                turn["start_offset_sec"] < turn["end_offset_sec"] < metadata["duration_sec"]
                and 0.85 <= turn["confidence"] < 1
                and turn["language_code"] == "en-AU"
                for turn in turns
            )

    assert not any(shares["CHAT"])
    assert 0.6 < sum(shares["PHONE_CALL"]) / len(shares["PHONE_CALL"]) < 0.8


def test_conversations_speak_the_words_that_the_seeds_list(tmp_path: Path) -> None:
    for name in ("phrase_matchers", "phrase_matcher_rules", "required_disclosures"):
        (tmp_path / f"{name}.csv").write_text((SEEDS / f"{name}.csv").read_text())
    (tmp_path / "business_lines.csv").write_text("business_line,description\nGAS,\nWATER,\n")
    (tmp_path / "call_outcomes.csv").write_text(
        "call_outcome,description\nPAYMENT_TAKEN,\nMOVED,\n"
    )
    profile = load_profile().model_copy(
        update={
            "custom": {
                "tariff": ["day", None],
                "reading": Range.model_validate({"from": 1, "to": 1.2}),
            }
        }
    )
    other = Maker(11, profile, DAY, 2, tmp_path)

    made_now = [other.make(index) for index in range(60)]

    assert {each.metadata["business_line"] for each in made_now} == {"GAS", "WATER"}
    assert {each.metadata["call_outcome"] for each in made_now} == {"PAYMENT_TAKEN", "MOVED"}
    for own, theirs in zip(made_now, made(), strict=False):
        was_taken = theirs.metadata["call_outcome"] == "PAYMENT_TAKEN"
        assert not was_taken or own.metadata["call_outcome"] == "PAYMENT_TAKEN"
        assert own.metadata["queue"] == theirs.metadata["queue"]
        assert own.metadata["call_reason"] == theirs.metadata["call_reason"]
    assert {each.metadata["custom"]["tariff"] for each in made_now} == {"day", None}
    assert {each.metadata["custom"]["reading"] for each in made_now} == {1.0, 1.1, 1.2}


def test_speech_is_as_fast_as_people_speak() -> None:
    rates = []
    for conversation in made():
        if conversation.metadata["medium"] == "PHONE_CALL":
            words = sum(len(text.split()) for _, text in texts_of(conversation))
            rates.append(words / conversation.metadata["duration_sec"] * 60)

    assert 100 < sorted(rates)[len(rates) // 2] < 190
    assert max(rates) < 230


@pytest.mark.parametrize(
    ("moods", "arc"),
    [
        ([], "steady_neutral"),
        ([-1, -1, -1, 0, 1, 1, 2], "negative_to_positive"),
        ([1, 1, 1, -1, -2, -2], "positive_to_negative"),
        ([-2, -1, -1], "steady_negative"),
        ([0, 0], "steady_neutral"),
        ([1, 1, 1], "steady_positive"),
        ([-1, -1, -1, 0, 0, 0], "mixed"),
    ],
)
def test_the_arc_compares_the_first_turns_with_the_last(moods: list[int], arc: str) -> None:
    assert sentiment_arc(moods) == arc


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I\u2019m on workers\u00a0comp", [("workers comp", 7, 19)]),
        ("he said \u201cI lost my job\u201d\u2014really", [("lost my job", 11, 22)]),
        ("gamblings, ungambling and under-gambling", [("gambling", 32, 40)]),
        ("\u8c22\u8c22 chemo", [("chemo", 3, 8)]),
        ("nothing here", []),
    ],
)
def test_the_short_cut_finds_what_the_engine_finds_in_odd_text(
    text: str, expected: list[tuple[Any, ...]]
) -> None:
    found = load_phrase_truth(SEEDS).find([("CUSTOMER", text)])

    assert [(hit.phrase, hit.start_char, hit.end_char) for hit in found] == expected
