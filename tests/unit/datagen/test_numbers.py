from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.datagen import numbers


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (21, "twenty-one"),
        (105, "one hundred and five"),
        (4186, "four thousand one hundred and eighty-six"),
        (12_040, "twelve thousand and forty"),
        (300_000, "three hundred thousand"),
    ],
)
def test_numbers_in_words(number: int, words: str) -> None:
    assert numbers.in_words(number) == words


@given(st.lists(st.integers(0, 999_999), min_size=2, max_size=30, unique=True))
def test_different_numbers_have_different_words(values: list[int]) -> None:
    assert len({numbers.in_words(value) for value in values}) == len(values)


@given(st.integers(0, 10**11 - 1), st.sampled_from(["4", "52"]))
def test_cards_have_sixteen_digits_and_fail_luhn(serial: int, prefix: str) -> None:
    digits = [int(c) for c in numbers.card_number_that_fails_luhn(prefix, serial) if c != " "]
    doubled = [d if i % 2 else (d * 2 - 9 if d > 4 else d * 2) for i, d in enumerate(digits)]

    assert len(digits) == 16
    assert sum(doubled) % 10 != 0


@pytest.mark.parametrize(
    ("minutes", "said", "typed"),
    [
        (480, "eight o'clock", "8am"),
        (735, "quarter past twelve", "12:15pm"),
        (945, "quarter to four", "3:45pm"),
        (750, "half past twelve", "12:30pm"),
    ],
)
def test_times(minutes: int, said: str, typed: str) -> None:
    assert (numbers.spoken_time(minutes), numbers.typed_time(minutes)) == (said, typed)


def test_money_dates_digits_and_letters() -> None:
    assert numbers.spoken_money(125_050) == (
        "one thousand two hundred and fifty dollars and fifty cents"
    )
    assert numbers.typed_money(125_050) == "$1,250.50"
    assert numbers.spoken_money(100) == "one dollar"
    assert numbers.spoken_birthday(dt.date(1991, 2, 9)) == "ninth of February, ninety-one"
    assert numbers.spoken_birthday(dt.date(2001, 2, 9)) == "ninth of February, two thousand and one"
    assert numbers.spoken_digits("0491 570") == "oh four nine one, five seven oh"
    assert numbers.spelled("O'Brien", with_names=False) == "O-B-R-I-E-N"
