"""Phrase matchers over segments: one annotation per (matcher, segment).

Observed: the number of annotations is that of matching segments, and they name the matcher, with
its revision, never the phrase. Assumed: the annotation spans from the first word to the last word
of the phrases found, or the whole segment when only missing phrases made the match.
"""

from __future__ import annotations

from collections.abc import Sequence

from ingest.domain.phrase_matching import (
    CompiledMatcher,
    SegmentText,
    find_in_segments,
    segment_of_words,
)
from ingest.domain.remembered import Remembered
from ingest.emulator.analysis.tokens import Token
from ingest.emulator.analysis.turns import Span, Turn, chars, whole

_NOTHING = frozenset[str]()


class PhraseFinder:
    """Finds the phrases of the same matchers in many conversations."""

    def __init__(self, matchers: Sequence[CompiledMatcher]) -> None:
        self._matchers = matchers
        self._wanted = frozenset[str]().union(*(matcher.words for matcher in matchers))
        self._said = Remembered(self._wanted_of)

    def find(self, turns: Sequence[Turn]) -> list[tuple[int, Span]]:
        """Return (index of the matcher, where) for every segment that a matcher hits."""
        found: list[tuple[int, Span]] = []
        segments = [(self._segment(turn), turn.role) for turn in turns]
        for index, place, hits in find_in_segments(self._matchers, segments):
            turn = turns[place]
            if hits:
                end = max(hit.end_char for hit in hits)
                found.append((index, chars(turn, hits[0].start_char, end)))
            else:
                found.append((index, whole(turn)))
        return found

    def _segment(self, turn: Turn) -> SegmentText:
        remembered = self._said
        said = {remembered[token] for token in turn.tokens}
        if None in said:
            return segment_of_words(turn.text, None)
        return segment_of_words(turn.text, _NOTHING.union(*filter(None, said)))

    def _wanted_of(self, token: Token) -> frozenset[str] | None:
        """Return what a token adds to the segment's words that matter; few add anything."""
        if token.phrase_words is None:
            return None
        return self._wanted.intersection(token.phrase_words) or _NOTHING
