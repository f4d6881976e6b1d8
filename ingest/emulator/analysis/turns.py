"""A transcript as the annotators read it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ingest.domain.phrase_matching import Role, SegmentText, prepare
from ingest.emulator import protos


@dataclass(frozen=True)
class Turn:
    """One segment; `index` is its 0-based place in the transcript."""

    index: int
    text: str
    role: Role
    channel: int

    @property
    def is_customer(self) -> bool:
        """True for the end user, the only one whose sentiment is scored (documented)."""
        return self.role is Role.END_USER

    @cached_property
    def segment(self) -> SegmentText:
        """The text made ready for phrases."""
        return prepare(self.text)

    def word_at(self, char: int) -> int:
        """Return the 0-based index of the word that holds this character."""
        return max(len(self.text[: char + 1].split()) - 1, 0)

    @property
    def last_word(self) -> int:
        """Index of the last word."""
        return max(len(self.text.split()) - 1, 0)


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a turn, by words, both ends inclusive."""

    turn: Turn
    first_word: int
    last_word: int


def whole(turn: Turn) -> Span:
    """Return the span of the whole turn."""
    return Span(turn, 0, turn.last_word)


def chars(turn: Turn, start: int, end: int) -> Span:
    """Return the words that the characters [start, end) touch."""
    return Span(turn, turn.word_at(start), turn.word_at(max(end - 1, start)))


def read_turns(transcript: bytes) -> list[Turn]:
    """Return the turns of a serialized Conversation.Transcript."""
    segments = protos.Transcript.FromString(transcript).transcript_segments
    return [
        Turn(index, segment.text, _ROLES[segment.segment_participant.role], segment.channel_tag)
        for index, segment in enumerate(segments)
    ]


def annotation_at(span: Span) -> protos.Pb:
    """Return a CallAnnotation with channel and boundaries; the caller adds its data.

    Word index 0 is kept (a oneof has presence), transcript index 0 vanishes in JSON (observed).
    """
    annotation = protos.CallAnnotation(channel_tag=span.turn.channel)
    start, end = annotation.annotation_start_boundary, annotation.annotation_end_boundary
    start.transcript_index = end.transcript_index = span.turn.index
    start.word_index, end.word_index = span.first_word, span.last_word
    return annotation


_ROLES = {
    1: Role.HUMAN_AGENT,
    2: Role.AUTOMATED_AGENT,
    3: Role.END_USER,
}
