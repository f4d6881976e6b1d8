"""What is true of a conversation's coaching, rule by rule, and how verdicts are measured by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.cli._measures import text_of_coaching
from ingest.datagen.coaching_measure import (
    CheckMeasure,
    CoachingMeasure,
    CoachingTally,
    CoachingTruth,
    Given,
    TrueVerdict,
    given_of,
)
from ingest.datagen.truth import ExpectedCoaching, ExpectedTruth, RequiredDisclosure
from ingest.domain.conversation import Metadata, Transcription
from ingest.domain.rubric import POLICY_COLUMNS, RUBRIC_COLUMNS

POLICIES = [
    dict(zip(POLICY_COLUMNS, row, strict=True))
    for row in (
        ("care", "1", "2020-01-01", "2025-12-27", "Old"),
        ("care", "2", "2025-12-28", "", "New"),
    )
]
METADATA = {
    "schema_version": "1.0",
    "conversation_id": "c-1",
    "started_at": "2025-12-28T00:30:00+10:00",
    "ended_at": "2025-12-28T00:31:00+10:00",
    "duration_sec": 60,
    "direction": "INBOUND",
    "business_line": "LOANS",
    "medium": "PHONE_CALL",
    "language_code": "en-AU",
    "queue": "loans",
    "agent_id": "A-1",
    "agent_name": "Ann",
    "agent_team": "North",
    "agent_site": "Perth",
    "call_outcome": "NO_AGREEMENT",
}
"""On the 27th by UTC, on the 28th where the call was."""
TURNS = (
    ("AGENT", "this call is recorded"),
    ("CUSTOMER", "i lost my job and i am sad"),
    ("AGENT", "pay now"),
    ("CUSTOMER", "please"),
    ("AGENT", "i am sorry to hear that"),
)


def check(rule: str, **values: str) -> dict[str, str]:
    row = dict.fromkeys(RUBRIC_COLUMNS, "")
    return (
        row | {"check_id": "c", "policy": "care", "valid_from": "2020-01-01", "rule": rule} | values
    )


def answered(unit: str, limit: str, cue: str = "cues") -> dict[str, str]:
    return check(f"said_after_cue_{unit}", phrases="empathy", cue=cue, limit_value=limit)


def phrase(matcher: str, group: str, turn: int, *, noisy: bool = False) -> dict[str, Any]:
    return {
        "matcher": matcher, "group": group, "turn_index": turn, "phrase": "p",
        "start_char": 0, "end_char": 1, "is_noisy": noisy,
    }  # fmt: skip


SAID = (
    phrase("disclosures", "recording", 0),
    phrase("cues", "job", 1),
    phrase("empathy", "sorry", 4),
    phrase("empathy", "thanks", 2, noisy=True),
)


def verdict(
    row: dict[str, str],
    turns: tuple[tuple[str, str], ...] = TURNS,
    coaching: Sequence[ExpectedCoaching] = (),
    **timed: list[float],
) -> TrueVerdict | None:
    known = CoachingTruth(
        [row],
        POLICIES,
        [RequiredDisclosure("recording", "LOANS", "INBOUND", "PHONE_CALL", frozenset({"X"}))],
    )
    ends = timed.get("ends")
    talk = {
        "schema_version": "2.0",
        "conversation_id": "c-1",
        "turns": [
            {
                "turn_index": place, "speaker": speaker, "text": text,
                "start_offset_sec": place * 10.0,
                **({"end_offset_sec": ends[place]} if ends else {}),
            }
            for place, (speaker, text) in enumerate(turns)
        ],
    }  # fmt: skip
    truth = {
        "schema_version": "1.0", "conversation_id": "c-1", "scenario": "s", "flags": [],
        "phrase_matches": SAID, "next_actions": [], "coaching": coaching,
    }  # fmt: skip
    found = known.verdicts(
        Metadata.model_validate(METADATA),
        Transcription.model_validate(talk),
        ExpectedTruth.model_validate(truth),
    )
    return found.get("c")


@pytest.mark.parametrize(
    ("row", "by_words", "by_ear"),
    [
        (check("said", phrases="empathy"), False, False),
        (check("said", phrases="empathy.thanks"), True, False),
        (check("not_said", phrases="empathy.sorry"), True, True),
        (check("not_said", phrases="threats"), False, False),
        (check("said_before_turn", phrases="empathy", limit_value="4"), True, False),
        (check("said_before_turn", phrases="empathy", limit_value="5"), False, False),
        (answered("turns", "2"), True, False),
        (answered("turns", "3"), False, False),
        (answered("turns", "3", cue="none"), None, None),
        (answered("seconds", "29"), True, False),
        (answered("seconds", "30"), False, False),
        (answered("seconds", "9"), None, None),
        (check("disclosure_said", phrases="disclosures.recording"), False, False),
        (check("outcome_after_cue", cue="cues.job", subject="A|NO_AGREEMENT"), False, False),
        (check("outcome_after_cue", cue="cues.job", subject="A|B"), True, True),
        (check("outcome_after_cue", cue="cues.else", subject="A"), None, None),
        (check("said_for_outcome", phrases="none", subject="NO_AGREEMENT"), True, True),
        (check("talk_share_at_most", limit_value="0.6"), False, False),
        (check("talk_share_at_most", limit_value="0.5"), True, True),
        (check("interruptions_at_most", limit_value="2"), None, None),
    ],
    ids=lambda value: " ".join(filter(None, value.values())) if isinstance(value, dict) else None,
)  # fmt: skip
def test_what_a_rule_asks_is_true_by_words_and_by_ear(
    row: dict[str, str], by_words: bool | None, by_ear: bool | None
) -> None:
    assert verdict(row) == TrueVerdict(by_words, by_ear, 2)


@pytest.mark.parametrize(
    "row",
    [
        check("said", phrases="empathy", queue="other"),
        check("said", phrases="empathy", valid_to="2025-12-27"),
        check("said", phrases="empathy", policy="none"),
        check("said_for_outcome", phrases="empathy", subject="SETTLED"),
        check("disclosure_said", phrases="disclosures.identity"),
    ],
    ids=["queue", "before", "policy", "outcome", "not required"],
)
def test_a_check_that_does_not_hold_for_the_call_is_not_due(row: dict[str, str]) -> None:
    assert verdict(row) is None


def plant(verdict: str, *, noisy: bool = False, of: str = "c") -> ExpectedCoaching:
    return ExpectedCoaching(
        behaviour="b", check_id=of, verdict=verdict, turn_index=None, is_noisy=noisy
    )


@pytest.mark.parametrize(
    "row",
    [
        check("sentiment_met_turns", phrases="empathy", limit_value="2"),
        check("qa_score_at_least", subject="notice", limit_value="1"),
    ],
    ids=lambda row: row["rule"],
)
def test_of_moods_and_answers_only_what_was_planted_in_exact_words_is_known(
    row: dict[str, str],
) -> None:
    met, noisy = plant("pass"), plant("fail", noisy=True)

    assert verdict(row) == TrueVerdict(None, None, 2, has_truth=False)
    assert verdict(row, coaching=[noisy, met]) == TrueVerdict(False, False, 2, planted=met)
    assert verdict(row, coaching=[noisy]) == TrueVerdict(
        True, True, 2, has_truth=False, planted=noisy
    )


def test_what_was_planted_comes_with_the_verdict_of_its_check_alone() -> None:
    row = check("said", phrases="empathy")
    mine, other = plant("pass"), plant("fail", of="another")

    assert verdict(row, coaching=[other, mine]) == TrueVerdict(False, False, 2, planted=mine)
    assert verdict(row, coaching=[other]) == TrueVerdict(False, False, 2)


def test_an_interruption_begins_before_the_customer_ends_and_outlasts_them() -> None:
    row = check("interruptions_at_most", limit_value="0")
    ends = [9.0, 21.0, 29.0, 39.0, 49.0]

    interrupted = verdict(row, ends=ends)
    within = verdict(row, ends=[9.0, 30.0, 29.0, 39.0, 49.0])

    assert (interrupted, within) == (TrueVerdict(True, True, 2), TrueVerdict(False, False, 2))


MISS, DONE, NEITHER = (
    TrueVerdict(by_words, by_ear, 1)
    for by_words, by_ear in ((True, False), (False, False), (None, None))
)


def test_verdicts_are_counted_by_check() -> None:
    tally = CoachingTally()
    tally.add({"a": MISS, "b": DONE}, {"a": Given(True, 1, True), "b": Given(True, 2, False)})
    tally.add({"a": MISS, "b": NEITHER}, {"a": Given(False, 1, True), "c": Given(True, 1, True)})

    assert tally.measure() == CoachingMeasure(
        conversations=2,
        checks=(
            CheckMeasure("a", 2, 1, 1.0, 0.5, 0.0, None, 0, 0, 0, 0, 0, 0),
            CheckMeasure("b", 1, 1, 0.0, None, 0.0, None, 0, 0, 0, 0, 0, 0),
        ),
        quotes_astray=1,
        versions_astray=1,
        not_due=2,
    )


def test_what_was_planted_is_counted_by_what_the_marts_say_of_it() -> None:
    fault, shown, noisy = plant("fail"), plant("pass"), plant("fail", noisy=True)
    tally = CoachingTally()
    for planted, is_miss in (
        (fault, True), (fault, False), (fault, None), (shown, False), (shown, True), (noisy, True),
        (noisy, None), (None, True),
    ):  # fmt: skip
        unknown = replace(NEITHER, has_truth=False, planted=planted)
        tally.add({"a": unknown}, {"a": Given(is_miss, 1, True)})

    (check,) = tally.measure().checks

    assert check == CheckMeasure("a", 6, 4, None, None, None, None, 3, 1, 2, 1, 2, 1)


@given(st.dictionaries(st.text(max_size=3), st.sampled_from([True, False, None]), max_size=8))
def test_verdicts_that_are_true_have_no_miss_of_their_own(true: dict[str, bool | None]) -> None:
    tally = CoachingTally()
    tally.add(
        {name: TrueVerdict(missed, missed, 3) for name, missed in true.items()},
        {name: Given(missed, 3, True) for name, missed in true.items()},
    )

    found = tally.measure()

    values = {v for c in found.checks for v in (c.precision, c.recall, c.ear_recall)}
    assert values <= {1.0, None}
    assert (found.quotes_astray, found.versions_astray, found.not_due) == (0, 0, 0)


@pytest.mark.parametrize(
    ("quote", "is_there"), [("call is", True), ("call i", False), (None, True)]
)
def test_a_quote_stands_at_its_span_or_is_astray(quote: str | None, is_there: bool) -> None:
    row = {
        "quote": quote, "turn_index": 0, "start_char": 5, "end_char": 12, "verdict": "fail",
        "policy_version": 2,
    }  # fmt: skip

    assert given_of(row, [TURNS[0][1]]) == Given(True, 2, is_there)


def test_the_report_counts_plants_apart_and_fits_80_columns() -> None:
    checks = (
        CheckMeasure(
            "empathy_where_it_is_hard", 3201, 118, 1.0, 0.875, 0.5, None, 0, 0, 0, 0, 0, 0
        ),
        CheckMeasure("vulnerability_met", 9, 4, None, 1.0, 1.0, 1.0, 3, 2, 1, 1, 4, 0),
    )

    assert text_of_coaching(CoachingMeasure(10_000, checks, 1, 2, 3)) == (
        "CHECK                     JUDGED  MISSED  PRECISION  RECALL  BY EAR  RECALL\n"
        "empathy_where_it_is_hard   3,201     118      1.000   0.875   0.500       -\n"
        "vulnerability_met              9       4          -   1.000   1.000   1.000\n"
        "\n"
        "PLANTED            FAULTS  FOUND  SHOWN  FOUND  NOISY  FOUND\n"
        "vulnerability_met       3      2      1      1      4      0\n"
        "\n"
        "10,000 conversations; 1 quotes not at their span, 2 policy versions of another\n"
        "day, 3 checks judged though not due or left out though due"
    )
