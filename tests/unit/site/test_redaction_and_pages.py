"""Pages: text stays text, personal details go, and the page is whole."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.domain.redaction.turn import Kind, Span
from ingest.flows.show import Trace
from ingest.flows.transcript import Match, SpokenTurn, Talk
from ingest.flows.why import Explanation
from ingest.site.pages import conversation_page, pieces

T0 = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
NAMESPACES = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def page_of(*texts: str, with_pii: bool = False, score: float | None = None) -> str:
    turns = tuple(
        SpokenTurn(i, "CUSTOMER", float(i), text, score, ()) for i, text in enumerate(texts)
    )
    talk = Talk("conv-1", T0, 9.0, "CHAT", {"queue": "<q>"}, ("Ann Lee",), (), "a/1", 0.5, turns)
    explanation = Explanation("conv-1", "done", T0, None, None, "Fine <b>so far</b>.")
    return conversation_page(Trace("conv-1", T0), talk, explanation, with_pii=with_pii)


@pytest.mark.parametrize("with_pii", [True, False])
def test_markup_in_a_transcript_stays_text(with_pii: bool) -> None:
    page = page_of('<script>alert("x")</script><img src=x onerror=y>', with_pii=with_pii)

    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(" in page
    assert "&lt;b&gt;so far&lt;/b&gt;" in page
    assert "&lt;q&gt;" in page


def test_no_character_of_a_page_steers_a_terminal_or_reverses_the_reading() -> None:
    page = page_of("\x1b]0;owned\x07 \u202egnirts\u2066 \u200fx\nnext", with_pii=True)

    assert "\ufffd]0;owned\ufffd \ufffdgnirts\ufffd \ufffdx\nnext" in page
    assert not {"\x1b", "\x07", "\u202e", "\u2066", "\u200f"} & set(page)


def test_a_page_without_a_talk_shows_what_else_is_known_and_what_was_not_read() -> None:
    trace = Trace("conv-1", T0, problems={"ci": "Insights: UNAVAILABLE"})
    explanation = Explanation("conv-1", "unknown", None, "Insights", "ingest doctor", "Not known.")

    page = conversation_page(trace, None, explanation, is_emulated=True)
    assert "<strong>Emulated.</strong>" in page

    assert "No transcript of it is known" in page
    assert "Run: <code>ingest doctor</code>" in page
    assert (
        page.split("Analyses that Insights holds</caption>")[1]
        .split("</table>")[0]
        .count("not read")
        == 1
    )
    assert "Insights was not read." in page


@settings(deadline=None, max_examples=40)
@given(st.text(max_size=60))
def test_no_text_of_a_turn_can_open_an_element(text: str) -> None:
    plain, page = page_of("hello", with_pii=True), page_of(text, with_pii=True)

    assert page.count("<") == plain.count("<")


def test_a_page_fetches_nothing() -> None:
    page = page_of("hello", score=0.5)

    assert "default-src 'none'" in page
    assert re.findall(r"\bsrc=|@import|url\((?!#)|<link|<script|<iframe", page) == []
    assert set(re.findall(r"https?://[^\"\s]+", page)) <= NAMESPACES


def test_a_personal_detail_is_taken_out_and_shown_only_when_asked_for() -> None:
    text = "She said Kettlewell would ring."

    assert "Kettlewell" not in page_of(text)
    assert "She said [NAME_1] would ring." in re.sub(r"<[^>]+>", "", page_of(text))
    assert "Kettlewell" in page_of(text, with_pii=True)


def test_labels_are_redacted_by_their_names_and_by_their_values() -> None:
    labels = {
        "customer_name": "jane doe",
        "dob": "1988-06-12",
        "note": "ring 0491 570 110",
        "0491570110": "x",
        "queue": "loans",
    }
    talk = Talk("conv-1", T0, 9.0, "CHAT", labels, ("Ann Lee",), (), "a/1", 0.5, ())
    explanation = Explanation("conv-1", "done", T0, None, None, "Fine.")

    page = conversation_page(Trace("conv-1", T0), talk, explanation)

    shown = dict(re.findall(r"<dt>([^<]*)</dt><dd>([^<]*)</dd>", page))
    assert shown["customer_name"] == "[NAME_1]"
    assert shown["dob"] == "[BIRTH_DATE_1]"
    assert shown["note"] == "ring [PHONE_1]"
    assert shown["[PHONE_1]"] == "x"
    assert shown["queue"] == "loans"


@given(
    st.text(max_size=40), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=4)
)
def test_pieces_put_together_are_the_text(text: str, places: list[tuple[int, int]]) -> None:
    matches = tuple(
        Match("m", "p", min(start, len(text)), min(max(start, end), len(text)))
        for start, end in places
    )
    turn = SpokenTurn(0, "AGENT", 0.0, text, None, matches)

    assert "".join(piece.text for piece in pieces(turn, (), "{}{}".format)) == text


def test_a_match_within_a_redaction_shows_no_letter_of_it() -> None:
    turn = SpokenTurn(0, "AGENT", 0.0, "hi Ann Lee", None, (Match("m", "Ann", 3, 6),))

    found = pieces(turn, [Span(Kind.NAME, 3, 10)], lambda kind, text: f"[{kind}: {len(text)}]")

    assert [(piece.text, piece.matchers) for piece in found] == [("hi ", ()), ("[NAME: 7]", ("m",))]
