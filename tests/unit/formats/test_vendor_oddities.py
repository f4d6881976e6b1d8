"""What vendors' files are like beside the plain case: each was read wrongly, or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from ingest.errors import InputError
from ingest.formats.detecting import proposal
from ingest.formats.engine import Draft, Engine, FileName
from ingest.formats.mapping_files import load_bundled
from ingest.formats.reading import How, Record, Unread, records_of

WORDS = [
    {"word": "hello", "punctuated_word": "Hello.", "start": 0.0, "end": 0.5},
    {"word": "hi", "start": 1.0, "end": 1.5},
    {"word": "there", "punctuated_word": "there.", "start": 1.5, "end": 2.0},
]


def drafted(name: str, record: dict[str, Any], speakers: str) -> Draft:
    engine = Engine(load_bundled(name))
    return engine.draft(record, engine.scope(FileName("a.json"), record, None, speakers))


def said(draft: Draft) -> list[tuple[Any, ...]]:
    fields = ("speaker", "participant_id", "start_offset_sec", "text")
    return [tuple(turn.get(name) for name in fields) for turn in draft.turns]


def deepgram(channels: int, **results: Any) -> dict[str, Any]:
    return {"metadata": {"request_id": "r", "duration": 9.0, "channels": channels}} | {
        "results": {"channels": [], **results}
    }


def utterance(channel: int, speaker: int, start: float, text: str) -> dict[str, Any]:
    return {
        "channel": channel,
        "speaker": speaker,
        "start": start,
        "end": start + 1,
        "transcript": text,
    }


def paragraphs(speaker: int, start: float, text: str) -> dict[str, Any]:
    paragraph = {
        "speaker": speaker,
        "start": start,
        "end": start + 1,
        "sentences": [{"text": text}],
    }
    return {"alternatives": [{"paragraphs": {"paragraphs": [paragraph]}}]}


def test_speakers_that_deepgram_counts_on_each_channel_are_told_by_channel() -> None:
    spoken = [(0, 0, 0.0, "Hello"), (1, 0, 2.0, "Hi"), (0, 1, 4.0, "I take over")]

    several = drafted(
        "deepgram",
        deepgram(2, utterances=[utterance(*each) for each in spoken]),
        "0=AGENT 1=CUSTOMER",
    )
    one = drafted(
        "deepgram",
        deepgram(1, utterances=[utterance(0, 1, 0.0, "Hi"), utterance(0, 0, 2.0, "Hello")]),
        "0=AGENT 1=CUSTOMER",
    )

    assert said(several) == [
        ("AGENT", "0.0", 0.0, "Hello"),
        ("CUSTOMER", "1.0", 2.0, "Hi"),
        ("AGENT", "0.1", 4.0, "I take over"),
    ]
    assert said(one) == [("CUSTOMER", "1", 0.0, "Hi"), ("AGENT", "0", 2.0, "Hello")]


def test_paragraphs_of_deepgram_are_told_by_channel_too() -> None:
    record = deepgram(2)
    record["results"]["channels"] = [paragraphs(0, 0.0, "Hello"), paragraphs(0, 2.0, "Hi")]

    made = drafted("deepgram", record, "0=AGENT 1=CUSTOMER")

    assert said(made) == [("AGENT", "0.0", 0.0, "Hello"), ("CUSTOMER", "1.0", 2.0, "Hi")]


def test_words_of_deepgram_become_turns_where_nothing_else_was_asked_for() -> None:
    record = deepgram(1)
    words = [word | {"speaker": int(index > 0)} for index, word in enumerate(WORDS)]
    record["results"]["channels"] = [{"alternatives": [{"words": words}]}]

    made = drafted("deepgram", record, "0=AGENT 1=CUSTOMER")

    assert said(made) == [("AGENT", "0", 0.0, "Hello."), ("CUSTOMER", "1", 1.0, "hi there.")]


@pytest.mark.parametrize(
    ("content", "hint"),
    [(b"a;b\n1;2\n", "say `delimiter: ';'` in the mapping"),
     (b"a\tb\n1\t2\n", 'say `delimiter: "\\t"` in the mapping')],
)  # fmt: skip
def test_a_table_of_another_delimiter_is_told_it(content: bytes, hint: str) -> None:
    with pytest.raises(InputError) as raised:
        records_of(How("csv"), {"calls.csv": content})

    assert raised.value.hint == hint


def test_a_tsv_is_read_by_tabs_and_a_table_of_one_column_as_it_is() -> None:
    assert records_of(How("csv"), {"x.tsv": b"a\tb\n1\t2\n"}) == [
        Record("line 2", {"a": "1", "b": "2"})
    ]
    assert records_of(How("csv"), {"x.csv": b"a\n1\n"}) == [Record("line 2", {"a": "1"})]


def test_a_row_without_its_group_is_told_the_column_that_is_written_otherwise() -> None:
    read = records_of(How("csv", group="call_id"), {"x.csv": b"CALL_ID,b\n1,2\n"})

    assert read == [
        Unread(
            "line 2",
            "the row has no call_id",
            "its column is CALL_ID: say `group: COLUMN` in the mapping, the column that tells "
            "calls apart",
        )
    ]


def test_json_of_two_bytes_a_letter_is_told_so() -> None:
    with pytest.raises(InputError, match="the file is UTF-16 or UTF-32"):
        records_of(How("json"), {"x.json": '{"a": 1}'.encode("utf-16")})


def test_a_proposal_takes_neither_sentiment_nor_equal_numbers_for_a_time() -> None:
    items = [{"speaker": "A", "sentiment": "x", "confidence": 0.9, "text": "words said so"}] * 2

    assert [line for line in proposal({"items": items}) if "start" in line] == []
