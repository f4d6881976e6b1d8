"""Pages: text stays text, personal details go, and the page is whole."""

from __future__ import annotations

import datetime as dt
import json
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.flows.show import Trace
from ingest.flows.transcript import Match, SpokenTurn, Talk
from ingest.flows.why import Explanation
from ingest.site.pages import conversation_page, pieces
from ingest.site.redaction import Redactor, Span

SEEDS = Path(__file__).parents[3] / "seeds" / "conversations"
T0 = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
NAMESPACES = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
_MOST_TAKEN = 0.12


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

    page = conversation_page(trace, None, explanation)

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


DETAILS = {
    "My number is 0491 570 110.": "0491 570 110",
    "It's four double oh, seven two one.": "seven",
    "jo.bloggs@example.com is it": "jo.bloggs@example.com",
    "jo dot bloggs at example dot com": "bloggs",
    "That's S, M, Y, T, H.": "M, Y",
    "I was born on the twelfth of June, eighty-eight.": "twelfth of June",
    "She said Kettlewell would ring.": "Kettlewell",
    "Mrs Rose lives there.": "Rose",
    "It's TU-4471-0926 I think": "4471",
    "yeah it says rent aunty deb": "aunty deb",
    "The twenty-sixth.": "twenty-sixth",
    'And an email that starts "sowerbyfamily".': "sowerbyfamily",
}


@pytest.mark.parametrize("text", DETAILS)
def test_a_personal_detail_is_taken_out_and_shown_only_when_asked_for(text: str) -> None:
    assert DETAILS[text] not in page_of(text)
    assert DETAILS[text] in page_of(text, with_pii=True)


def test_ordinary_words_stay() -> None:
    text = "Good morning, thanks for ringing. What can I do for you today?"

    assert Redactor([text]).redacted(text) == text


def test_what_metadata_names_goes_even_in_lower_case() -> None:
    redactor = Redactor([], [("name", "Kirra Nolan"), ("address", "9 Low St")])

    assert redactor.redacted("thanks kirra, at 9 low st") == "thanks [name], at [address]"


@settings(deadline=None)
@given(st.text(max_size=80))
def test_spans_are_in_order_and_apart(text: str) -> None:
    spans = Redactor([text]).spans(text)

    assert all(span.start < span.end for span in spans)
    assert all(one.end <= two.start for one, two in pairwise(spans))


@given(
    st.text(max_size=40), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=4)
)
def test_pieces_put_together_are_the_text(text: str, places: list[tuple[int, int]]) -> None:
    matches = tuple(
        Match("m", "p", min(start, len(text)), min(max(start, end), len(text)))
        for start, end in places
    )
    turn = SpokenTurn(0, "AGENT", 0.0, text, None, matches)

    assert "".join(piece.text for piece in pieces(turn, ())) == text


def test_a_match_within_a_redaction_shows_no_letter_of_it() -> None:
    turn = SpokenTurn(0, "AGENT", 0.0, "hi Ann Lee", None, (Match("m", "Ann", 3, 6),))

    found = pieces(turn, [Span("name", 3, 10)])

    assert [(piece.text, piece.matchers) for piece in found] == [("hi ", ()), ("[name]", ("m",))]


def test_rules_take_out_every_planted_detail_and_leave_most_of_the_talk() -> None:
    planted = letters = taken = 0
    whole: list[tuple[str, int, str]] = []
    for folder in sorted(SEEDS.glob("*/*")):
        truth = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
        file = json.loads((folder / "transcription.json").read_text(encoding="utf-8"))
        metadata = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
        texts = [turn["text"] for turn in file["turns"]]
        redactor = Redactor(texts, [("name", metadata["agent_name"])])
        spans = [redactor.spans(text) for text in texts]
        shown = " ".join(map(redactor.redacted, texts))
        letters += sum(map(len, texts))
        taken += sum(span.end - span.start for own in spans for span in own)
        for detail in truth["pii_spans"]:
            planted += 1
            text = texts[detail["turn_index"]][detail["start_char"] : detail["end_char"]]
            if text in shown:
                whole.append((folder.name, detail["turn_index"], text))

    assert planted > 400
    assert whole == []
    assert taken / letters <= _MOST_TAKEN
