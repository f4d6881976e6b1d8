from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from ingest.datagen.figures import DataSetFigures, Tally, figures_page, quantile
from ingest.domain.conversation import Metadata, Transcription

METADATA = Metadata.model_validate(
    {
        "schema_version": "1.0",
        "conversation_id": "call-0001",
        "direction": "INBOUND",
        "business_line": "LOANS",
        "medium": "PHONE_CALL",
        "language_code": "en-AU",
        "queue": "q",
        "agent_id": "a",
        "agent_name": "n",
        "agent_team": "t",
        "agent_site": "s",
        "call_outcome": "INFORMATION_GIVEN",
        "started_at": "2026-01-05T14:00:00+08:00",
        "ended_at": "2026-01-05T14:02:00+08:00",
        "duration_sec": 120,
    }
)


def talk(*turns: tuple[str, str]) -> Transcription:
    return Transcription.model_validate(
        {
            "schema_version": "1.0",
            "conversation_id": "call-0001",
            "turns": [
                {"turn_index": i, "speaker": speaker, "start_offset_sec": i, "text": text}
                for i, (speaker, text) in enumerate(turns)
            ],
        }
    )


def figures(name: str = "set") -> DataSetFigures:
    tally = Tally(name)
    long = ("CUSTOMER", "I really can\u2019t pay it this week")
    tally.add(METADATA, talk(("AGENT", "Um, hello there."), long, ("AGENT", "Okay.")), "mixed")
    tally.add(None, talk(long, ("CUSTOMER", "You said, um, the the other one was fine")), None)
    return tally.figures()


def test_figures_of_a_small_set_are_counted_right() -> None:
    counted = figures()

    assert counted.conversations == 2
    assert counted.turns_per_conversation == {2: 1, 3: 1}
    assert counted.words_per_turn == {1: 1, 3: 1, 7: 2, 9: 1}
    assert counted.talk_shares == {"AGENT": 4 / 27, "CUSTOMER": 23 / 27}
    assert counted.distinct_utterances == 4
    assert counted.repeated_customer_share == pytest.approx(2 / 3)
    assert counted.vocabulary_size == 18
    assert counted.disfluencies_per_100_words == pytest.approx(100 * 2 / 27)
    assert counted.back_channel_share == pytest.approx(1 / 5)
    assert counted.sentiment_arcs == {"mixed": 1}
    assert (counted.outcomes, counted.hours) == ({"INFORMATION_GIVEN": 1}, {14: 1})
    assert counted.duration_minutes == {2: 1}


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 2), (0.51, 10), (1.0, 10)])
def test_a_quantile_is_a_value_of_the_distribution(share: float, value: int) -> None:
    assert quantile({1: 1, 2: 1, 10: 2}, share) == value


def test_no_data_has_a_quantile_of_zero() -> None:
    assert quantile({}, 0.5) == 0


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [
            value or "" for name, value in attrs if name in ("src", "href", "xlink:href")
        ]


def test_the_page_needs_no_other_file_and_escapes_names() -> None:
    page = figures_page([figures("<script>alert(1)</script>"), figures("b")])
    seen = _Page()
    seen.feed(page)

    assert "script" not in seen.tags
    assert all(link.startswith("#") for link in seen.links)
    assert not re.search(r"url\((?!['\"]?#)|@import", page)
    assert seen.tags.count("svg") == 8
    assert "repeated customer utterances" in page


def test_equal_figures_give_an_equal_page() -> None:
    assert figures_page([figures()]) == figures_page([figures()])
