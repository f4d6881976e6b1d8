"""Tables fit the terminal, and say what they had to leave out."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.cli._console import fitted, safe, table, width_of

ID_A = "0b9a6be4-f6a7-4079-bf6d-03e166b9ea60"
ID_B = "0b9a6be4-f6a7-4111-bf6d-03e166b9ea60"
ID_C = "317675af-a8f1-49fc-8481-dcefa6dc849e"
SHA = "720092bbfec4" + "0" * 52


def lines_of(
    header: tuple[str, ...], rows: list[tuple[str, ...]], width: int, right: str = ""
) -> list[str]:
    return fitted(header, rows, right, width).text.split("\n")


def test_a_table_that_fits_stays_as_it_is() -> None:
    row = (ID_A, SHA, "2025-12-28 07:08:09Z", "9225061462541831242")

    header, shown = lines_of(("CONVERSATION_ID", "SHA", "SINCE", "ANALYSIS"), [row], 200)

    assert header.split() == ["CONVERSATION_ID", "SHA", "SINCE", "ANALYSIS"]
    assert shown == "  ".join(row)


def test_names_of_columns_are_split_first() -> None:
    assert lines_of(("IS_ACTIVE", "COUNT"), [("true", "1"), ("false", "22")], 13, " r") == [
        "IS      COUNT",
        "ACTIVE",
        "true        1",
        "false      22",
    ]


@pytest.mark.parametrize(
    ("cell", "width", "expected"),
    [
        (SHA, 63, "720092bbfec4…"),
        (f"a/{SHA}.json", 50, "a/720092bbfec4….json"),
        (ID_C, 35, "317675af"),
        (f"2025-12-28/{ID_C}/metadata.json", 60, "2025-12-28/317675af…/metadata.json"),
        ("2025-12-28 07:08:09Z", 19, "2025-12-28 07:08Z"),
        ("9225061462541831242", 18, "92250614…"),
        ("720092bbfec4", 11, "720092bb…"),
    ],
)
def test_what_names_a_thing_by_less_is_shortened(cell: str, width: int, expected: str) -> None:
    assert lines_of(("A",), [(cell,)], width) == ["A", expected]


def test_short_ids_of_one_column_are_told_apart() -> None:
    rows = [(ID_A,), (ID_B,), (ID_C,)]

    assert lines_of(("ID",), rows, 30) == ["ID", ID_A[:16], ID_B[:16], ID_C[:16]]


def test_numbers_in_a_right_aligned_column_are_never_shortened() -> None:
    found = fitted(("NAME", "GENERATION"), [("a b c d e f", "1795766831416828")], " r", 22)

    assert found.text.split("\n") == [
        "NAME        GENERATION",
        "a b   1795766831416828",
        "c d",
        "e f",
    ]


def test_a_long_cell_goes_on_below_at_a_word_and_at_a_slash() -> None:
    found = lines_of(("A", "B"), [("one two three", "ci-transcripts/2025/x.json")], 24)

    assert found == ["A        B", "one two  ci-transcripts/", "three    2025/x.json"]


def test_columns_without_room_are_left_out_from_the_right_and_named() -> None:
    found = fitted(("A", "B", "C"), [("aaaa", "bbbb", "cccc")], "", 10)

    assert (found.text, found.left_out) == ("A     B\naaaa  bbbb", ("C",))


def test_what_is_left_out_is_said_on_stderr(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "12")

    shown = table(("AA", "BB_CC"), [("aaaa", "bbbbbbbbbb")], indent=2)

    assert shown == "  AA\n  aaaa"
    assert capsys.readouterr().err == "no room for bb_cc: a wider terminal or a pipe shows all\n"


def test_in_a_pipe_nothing_is_shortened_whatever_a_shell_says_of_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "20")

    assert table(("ID", "SHA"), [(ID_A, SHA)]).split("\n")[1] == f"{ID_A}  {SHA}"


def test_what_has_no_columns_is_empty() -> None:
    assert table((), ()) == ""


WORDS = st.text(st.characters(exclude_categories=["Nd"], exclude_characters="abcdef"))
"""Text without what a hash, an id, a time or a number is made of."""


@given(
    st.lists(st.tuples(WORDS, WORDS, WORDS), max_size=4),
    st.integers(12, 60),
)
def test_no_line_is_wider_than_the_terminal_and_no_word_is_lost(
    rows: list[tuple[str, str, str]], width: int
) -> None:
    found = fitted(("A", "B", "C"), rows, "", width)

    assert max(map(width_of, found.text.split("\n"))) <= width
    if not found.left_out:
        shown = sorted(re.sub(r"\s", "", found.text))
        given_ = sorted(re.sub(r"\s", "", "ABC" + "".join(safe("".join(row)) for row in rows)))
        assert shown == given_
