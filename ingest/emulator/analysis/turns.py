"""A transcript as the annotators read it: turns of tokens, each looked up once."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from ingest.domain.matchers import Role
from ingest.domain.phrase_matching import words_of_token
from ingest.emulator import protos, wire
from ingest.emulator.analysis import cues
from ingest.emulator.analysis.cues import HIGHLIGHTS
from ingest.emulator.analysis.lexicon import analyzer

NAME_START = re.compile(r"(?<![A-Za-z0-9'\u2019])[A-Z][A-Za-z&]+")


_KEYS = frozenset[str]().union(*(highlight.keys for highlight in HIGHLIGHTS))


@dataclass(slots=True, eq=False)
class Token:
    """One piece of text; it is itself its only equal, and is shared by all turns that say it."""

    bare: str
    lower: str
    is_known: bool
    """For the sentiment; see Word."""
    phrase_words: tuple[str, ...] | None
    """For phrases; see SegmentText.words."""
    highlights: int
    """One bit for each of HIGHLIGHTS, set when its cue may have such a word."""
    may_name: bool
    """For entities: whether a name may begin in it."""
    noun: str
    """For entities: the common noun that it is, in the singular, or nothing."""


@lru_cache(maxsize=20_000)
def token(text: str) -> Token:
    """Return what is known about a piece of text; speech repeats itself."""
    may_name = not all(word in cues.NO_NAMES for word in NAME_START.findall(text))
    words = words_of_token(text)
    word = analyzer().word(text)
    noun = cues.NOUN_FORMS.get(re.sub("['\u2019]s$", "", word.lower), "")
    return Token(*word, words, _highlights(words), may_name, noun)


def _highlights(words: tuple[str, ...] | None) -> int:
    if words is not None and _KEYS.isdisjoint(words):
        return 0
    return sum(
        1 << number
        for number, highlight in enumerate(HIGHLIGHTS)
        if words is None or not highlight.keys.isdisjoint(words)
    )


_WORD = re.compile(r"\S+")


@dataclass(slots=True, eq=False)
class Turn:
    """One segment; `index` is its 0-based place in the transcript."""

    index: int
    text: str
    role: Role
    channel: int
    tokens: Sequence[Token] = field(init=False)
    """What the annotators know about each of its words."""
    _starts: list[int] = field(init=False, default_factory=list)
    """Where each word begins, looked up when first asked for."""

    def __post_init__(self) -> None:
        self.tokens = [token(word) for word in self.text.split()]

    @property
    def is_customer(self) -> bool:
        """True for the end user, the only one whose sentiment is scored (documented)."""
        return self.role is Role.END_USER

    def word_at(self, char: int) -> int:
        """Return the 0-based index of the word that holds this character."""
        if not self._starts:
            self._starts.extend(word.start() for word in _WORD.finditer(self.text))
        return max(bisect_right(self._starts, char) - 1, 0)

    @property
    def last_word(self) -> int:
        """Index of the last word."""
        return max(len(self.tokens) - 1, 0)


class Span(NamedTuple):
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


def annotation_at(span: Span, data: bytes) -> bytes:
    """Return a serialized CallAnnotation with channel, boundaries and the field `data`.

    Word index 0 is kept (a oneof has presence), transcript index 0 vanishes in JSON (observed).
    """
    turn = span.turn
    start = _boundary("annotation_start_boundary", turn.index, span.first_word)
    end = _boundary("annotation_end_boundary", turn.index, span.last_word)
    return b"".join((_channel(turn.channel), start, end, data))


@lru_cache(maxsize=8)
def _channel(tag: int) -> bytes:
    serialized: bytes = protos.CallAnnotation(channel_tag=tag).SerializeToString()
    return serialized


@lru_cache(maxsize=16_384)
def _boundary(name: str, transcript_index: int, word_index: int) -> bytes:
    """Return one boundary field of a CallAnnotation; transcripts share most of them."""
    boundary = protos.AnnotationBoundary(transcript_index=transcript_index, word_index=word_index)
    return wire.field(protos.CallAnnotation, name, boundary.SerializeToString())


_ROLES = {
    1: Role.HUMAN_AGENT,
    2: Role.AUTOMATED_AGENT,
    3: Role.END_USER,
}
