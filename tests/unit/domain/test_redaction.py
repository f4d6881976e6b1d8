"""The redactor: what it finds, what it leaves, and how well on talks whose details are known."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.domain.redaction.numbers import (
    is_business_number,
    is_medicare_number,
    is_tax_file_number,
    passes_luhn,
)
from ingest.domain.redaction.redactor import Redactor
from ingest.domain.redaction.turn import Kind, built_in

ANSWERS = {
    "What's the best number for you?": {
        "Oh four nine one, five seven oh, one double one.": "[PHONE_1].",
        "0491 570 110, mornings.": "[PHONE_1], mornings.",
        "It's four, no, five two oh, nine one six.": "It's [PHONE_1].",
        "The one ending in 158.": "The one ending in [PHONE_1].",
    },
    "Could I get your date of birth?": {
        "The sixth of the eleventh, seventy-two.": "[BIRTH_DATE_1].",
        "Twelfth of... twelfth of May, ninety-six.": "[BIRTH_DATE_1].",
        "November six, nineteen seventy-two": "[BIRTH_DATE_1]",
        "6/11/72": "[BIRTH_DATE_1]",
    },
    "And your address?": {
        "Forty-five Federation Road, Launceston.": "[ADDRESS_1].",
        "Unit 7, 32 Saltbush Parade, Port Merrin.": "[ADDRESS_1].",
        "Quandary Rocks. It's small.": "[ADDRESS_1]. It's small.",
        "12 smith st fitzroy 3065": "[ADDRESS_1]",
    },
    "Who am I speaking with?": {
        "Pieter van der Linden.": "[NAME_1].",
        "Grant.": "[NAME_1].",
        "tamika rowntree": "[NAME_1]",
        "Nguyen, N-G-U-Y-E-N.": "[NAME_1], [NAME_2].",
    },
    "What's a good email for that?": {
        "eleni dot loughnan two nine at example dot com": "[EMAIL_1]",
        "jo.bloggs@example.com is it": "[EMAIL_1] is it",
    },
    "What account will it come out of?": {
        "BSB oh oh four, oh eight six, account oh five seven, two nine eight.": "[BANK_ACCOUNT_1].",
    },
    "Read me the card number?": {
        "Four one one one, one one one one, one one one one, one one one one.": "[CARD_1].",
    },
    "Anything else?": {
        "I paid three hundred and thirty dollars on the fifth of June.": None,
        "Two oh nine on Thursday the eighth, and two oh nine after.": None,
        "I don't know. Don't worry.": None,
        "It's a Toyota Hilux from Dubbo, and I ring the Ombudsman Friday.": None,
        "Thanks, my son Will pays it.": "Thanks, my son [NAME_1] pays it.",
        "yeah it says rent aunty deb": "yeah it says rent [NAME_1]",
        "Mrs Young lives there.": "[NAME_1] lives there.",
        'An email that starts "sowerbyfamily".': 'An email that starts "[EMAIL_1]".',
    },
}


@pytest.mark.parametrize(
    ("question", "answer", "wanted"),
    [
        (question, answer, answer if wanted is None else wanted)
        for question, answers in ANSWERS.items()
        for answer, wanted in answers.items()
    ],
)
def test_an_answer_is_read_with_its_question(question: str, answer: str, wanted: str) -> None:
    assert Redactor([question, answer]).redacted_turn(1) == wanted


def test_what_is_personal_once_is_personal_in_the_whole_talk() -> None:
    redactor = Redactor(
        [
            "Okay Clarrie, have you got the number?",
            "Five five one, eight eight oh, two oh three.",
            "Two oh three. Thanks, Clarrie.",
        ]
    )

    assert [redactor.redacted_turn(place) for place in range(3)] == [
        "Okay [NAME_1], have you got the number?",
        "[ACCOUNT_1].",
        "[ACCOUNT_2]. Thanks, [NAME_1].",
    ]
    assert redactor.redacted("Clarrie rang; 551880203.") == "[NAME_1] rang; [ACCOUNT_1]."


def test_what_metadata_names_goes_even_in_lower_case() -> None:
    redactor = Redactor([], [(Kind.NAME, "Kirra Nolan"), (Kind.ADDRESS, "9 Low St")])

    assert redactor.redacted("thanks kirra, at 9 low st") == "thanks [NAME_1], at [ADDRESS_1]"


def test_own_firms_are_no_names() -> None:
    text = "I'm calling about Brightacre, is that right?"

    assert Redactor([text]).redacted_turn(0) != text
    assert Redactor([text], (), built_in().with_own(["Brightacre Solar"])).redacted_turn(0) == text


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (passes_luhn, "4111111111111111", "4111111111111112"),
        (is_tax_file_number, "123456782", "123456789"),
        (is_business_number, "51824753556", "51824753557"),
        (is_medicare_number, "2123456701", "2123456711"),
    ],
)
def test_check_digits_are_checked(check: object, good: str, bad: str) -> None:
    assert callable(check)
    assert (check(good), check(bad), check(good[:-2])) == (True, False, False)


TALK = st.lists(
    st.one_of(
        st.text(max_size=40),
        st.sampled_from([*ANSWERS, *(answer for each in ANSWERS.values() for answer in each)]),
    ),
    max_size=6,
)


@settings(deadline=None)
@given(TALK)
def test_spans_are_in_order_and_the_rest_stays(texts: list[str]) -> None:
    redactor = Redactor(texts)

    for place, text in enumerate(texts):
        spans = redactor.turn_spans(place)
        assert all(0 <= span.start < span.end <= len(text) for span in spans)
        assert all(one.end <= two.start for one, two in pairwise(spans))
        edges = [0, *(edge for span in spans for edge in (span.start, span.end)), len(text)]
        kept = [text[edges[at] : edges[at + 1]] for at in range(0, len(edges), 2)]
        marks = [redactor.placeholder(span.kind, text[span.start : span.end]) for span in spans]
        whole = "".join(part for pair in zip(kept, [*marks, ""], strict=True) for part in pair)
        assert redactor.redacted_turn(place) == whole


@settings(deadline=None)
@given(TALK)
def test_a_talk_is_redacted_the_same_each_time(texts: list[str]) -> None:
    one, two = Redactor(texts), Redactor(list(texts))

    assert [one.turn_spans(at) for at in range(len(texts))] == [
        two.turn_spans(at) for at in range(len(texts))
    ]


@settings(deadline=None)
@given(TALK)
def test_redacting_a_redacted_talk_changes_no_placeholder(texts: list[str]) -> None:
    once = [Redactor(texts).redacted_turn(place) for place in range(len(texts))]
    again = Redactor(once)

    for place, text in enumerate(once):
        for span in again.turn_spans(place):
            assert "_" not in text[span.start : span.end] or "[" not in text[: span.start]
