"""Messages put together from parts are what protobuf would have made."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingest.emulator import protos, wire

TEXTS = st.text(max_size=200)


@given(st.integers(0, 2**53))
def test_a_time_is_the_timestamp_that_protobuf_makes(micros: int) -> None:
    assert wire.timestamp(micros) == protos.timestamp(micros).SerializeToString()


@given(TEXTS)
def test_words_are_the_text_split_at_white_space(text: str) -> None:
    segment = protos.Segment.FromString(wire.words(text))
    assert [word.word for word in segment.words] == text.split()


@given(st.lists(TEXTS, max_size=5))
def test_fields_in_parts_are_a_whole_message(texts: list[str]) -> None:
    segments = [wire.field(protos.Segment, "text", text.encode()) for text in texts]
    built = wire.repeated(protos.Transcript, "transcript_segments", segments)
    expected = protos.Transcript()
    for text in texts:
        expected.transcript_segments.add(text=text)
    assert protos.Transcript.FromString(built) == expected
