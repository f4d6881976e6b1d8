"""Text for a terminal is safe and aligned."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.cli._bq_view import parameter
from ingest.cli._records import Format, print_rows
from ingest.cli._terminal import age, aligned, counted, safe
from ingest.cli._transcript_view import marked
from ingest.errors import InputError
from ingest.flows.inspection.talk import Match


@given(st.text())
def test_safe_text_holds_no_control_or_format_character(text: str) -> None:
    held = {unicodedata.category(character) for character in safe(text)}

    assert held.isdisjoint({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


@given(st.text(alphabet=st.characters(codec="ascii", min_codepoint=32, max_codepoint=126)))
def test_printable_text_stays_as_it_is(text: str) -> None:
    assert safe(text) == text


def test_an_escape_sequence_does_not_reach_the_terminal() -> None:
    assert safe("a\x1b]0;owned\x07b\u202ec") == "a?]0;owned?b?c"


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    table = aligned(("NAME", "COUNT"), [("a", "1"), ("longer", "1000")], " r")

    assert table == "NAME    COUNT\na           1\nlonger   1000"


def test_wide_characters_count_twice() -> None:
    assert aligned(("A", "B"), [("語", "x"), ("ab", "y")]) == "A   B\n語  x\nab  y"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (172800, "2 d"),
    ],
)
def test_an_age_is_told_in_one_unit(seconds: float, text: str) -> None:
    assert age(seconds) == text


def test_a_count_says_its_noun() -> None:
    assert (counted(1, "run"), counted(1000, "match", "matches")) == ("1 run", "1,000 matches")


def test_overlapping_matches_are_marked_as_one() -> None:
    matches = [Match("m", "b c", 2, 5), Match("n", "c d", 4, 7), Match("o", None, None, None)]

    assert marked("a b c d e", matches) == "a «b c d» e"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1", ("a", "1")),
        ("a:INT64=1", ("a", 1)),
        ("b:BOOL=true", ("b", True)),
        ("c==", ("c", "=")),
    ],
)
def test_a_parameter_is_read_with_its_type(text: str, expected: tuple[str, object]) -> None:
    assert parameter(text) == expected


@pytest.mark.parametrize("text", ["a", "=1", "a b=1", "a:INT64=x", "a:NOPE=1", "a:BOOL=perhaps"])
def test_a_bad_parameter_is_a_usage_error(text: str) -> None:
    with pytest.raises(InputError):
        parameter(text)


def test_csv_quotes_what_must_be_quoted(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"a": 'x,"y"', "b": None}, {"a": {"k": [1]}, "b": True}]

    print_rows(["a", "b"], rows, Format.CSV)

    assert capsys.readouterr().out == 'a,b\n"x,""y""",\n"{""k"": [1]}",true\n'
