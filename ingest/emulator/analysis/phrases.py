"""Phrase matchers over segments: one annotation per (matcher, segment).

Observed: the number of annotations is that of matching segments, and they name the matcher, with
its revision, never the phrase. Assumed: the annotation spans from the first word to the last word
of the phrases found, or the whole segment when only missing phrases made the match.
"""

from __future__ import annotations

from collections.abc import Sequence

from ingest.domain.phrase_matching import CompiledMatcher, find_in_segments
from ingest.emulator.analysis.turns import Span, Turn, chars, whole


def find_phrases(
    turns: Sequence[Turn], matchers: Sequence[CompiledMatcher]
) -> list[tuple[int, Span]]:
    """Return (index of the matcher, where) for every segment that a matcher hits."""
    found: list[tuple[int, Span]] = []
    segments = [(turn.segment, turn.role) for turn in turns]
    for index, place, hits in find_in_segments(matchers, segments):
        turn = turns[place]
        if hits:
            end = max(hit.end_char for hit in hits)
            found.append((index, chars(turn, hits[0].start_char, end)))
        else:
            found.append((index, whole(turn)))
    return found
