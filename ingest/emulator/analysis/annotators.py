"""The annotators that need few words: sentiment, smart highlights, phrase matchers, summary.

Sentiment: a small model's sign of a turn is laid on the documented pairs of score and magnitude
(sentiment analysis page), the surer the further from 0. The conversation's formula is published
nowhere; ours leans on the end as the two real conversations do, and is an assumption.

Highlights: the three that exist, one annotation per sentence of an agent.

Phrases: one annotation per (matcher, segment). Observed: the number of annotations is that of
matching segments, and they name the matcher, with its revision, never the phrase. Assumed: the
annotation spans from the first word to the last word of the phrases found, or the whole segment
when only missing phrases made the match.

Summary: the transcript's own sentences. Section names and the Y/N of `resolution` are observed; the
choice of sentences is an assumption.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from ingest.domain.phrase_matching import (
    CompiledMatcher,
    SegmentText,
    find_in_segments,
    segment_of_words,
)
from ingest.emulator.analysis.cues import HIGHLIGHTS, Highlight
from ingest.emulator.analysis.lexicon import analyzer
from ingest.emulator.analysis.sentiment import Shares, shares
from ingest.emulator.analysis.turns import Span, Token, Turn, chars, whole


class Sentiment(NamedTuple):
    """Score from -1 to 1 and magnitude from 0."""

    score: float
    magnitude: float


NEUTRAL = Sentiment(0.0, 0.0)
MIXED = Sentiment(0.0, 0.75)

_PAIRS = ((0.9, 1.0, 1.0), (0.7, 0.5, 0.5), (0.0, 0.25, 0.75))
"""Least share of the model for its sign, then the pair's score and magnitude."""
_MIXED_SHARE = 0.12
"""Share of positive and of negative words that makes a balanced turn mixed."""
_DECAY = 1 / 3
"""Weight of a turn relative to the customer's next one."""


def turn_sentiment(turn: Turn) -> Sentiment:
    """Return the documented pair nearest to how a turn sounds."""
    scores = analyzer().scores(turn.text, turn.tokens)
    return pair_of(shares(turn.text, scores, len(turn.tokens)), scores)


def pair_of(found: Shares, scores: Mapping[str, float]) -> Sentiment:
    """Return the documented pair, given the model's shares and the lexicon's (neg, pos)."""
    surest = max(found)
    if surest > found.neutral:
        _, score, magnitude = next(pair for pair in _PAIRS if surest >= pair[0])
        return Sentiment(score if surest == found.positive else -score, magnitude)
    if scores["pos"] >= _MIXED_SHARE and scores["neg"] >= _MIXED_SHARE:
        return MIXED
    return NEUTRAL


def conversation_sentiment(turns: Sequence[Sentiment]) -> Sentiment:
    """Return the customer's overall sentiment: a mean in which each turn weighs a third of the
    next, on the grid of the documented scores; its magnitude is the strongest turn's."""
    total = weights = 0.0
    weight = 1.0
    for turn in reversed(turns):
        total += weight * turn.score
        weights += weight
        weight *= _DECAY
    if not weights:
        return NEUTRAL
    mean = total / weights
    score = min((0.0, 0.25, 0.5, 1.0), key=lambda step: (abs(abs(mean) - step), step))
    return Sentiment(score if mean >= 0 else -score, max(turn.magnitude for turn in turns))


_SENTENCE = re.compile(r"[^.!?]*[.!?]+(?=\s|$)|[^.!?]+(?=$)|[^.!?]*[.!?]+")


def find_highlights(turns: Sequence[Turn]) -> list[tuple[Highlight, Span]]:
    """Return the highlighted sentences of human and automated agents, in transcript order."""
    found: list[tuple[Highlight, Span]] = []
    for turn in turns:
        if turn.is_customer:
            continue
        possible = 0
        for token in turn.tokens:
            possible |= token.highlights
        if not possible:
            continue
        shown = [
            highlight
            for number, highlight in enumerate(HIGHLIGHTS)
            if possible >> number & 1 and highlight.cue.search(turn.text)
        ]
        if not shown:
            continue
        for start, end in sentences(turn.text):
            sentence = turn.text[start:end]
            found.extend(
                (highlight, chars(turn, start, end))
                for highlight in shown
                if highlight.cue.search(sentence)
            )
    return found


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Yield the character spans of sentences without surrounding white space."""
    for match in _SENTENCE.finditer(text):
        raw = match.group()
        stripped = raw.strip()
        if stripped:
            start = match.start() + len(raw) - len(raw.lstrip())
            yield start, start + len(stripped)


_NOTHING = frozenset[str]()


class PhraseFinder:
    """Finds the phrases of the same matchers in many conversations."""

    def __init__(self, matchers: Sequence[CompiledMatcher]) -> None:
        self._matchers = matchers
        self._wanted = frozenset[str]().union(*(matcher.words for matcher in matchers))
        self._said = lru_cache(maxsize=20_000)(self._wanted_of)

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
        said = {self._said(token) for token in turn.tokens}
        if None in said:
            return segment_of_words(turn.text, None)
        return segment_of_words(turn.text, _NOTHING.union(*filter(None, said)))

    def _wanted_of(self, token: Token) -> frozenset[str] | None:
        """Return what a token adds to the segment's words that matter; few add anything."""
        if token.phrase_words is None:
            return None
        return self._wanted.intersection(token.phrase_words) or _NOTHING


_ACTION = re.compile(
    r"\b(?:(?:I|we)['\u2019](?:ll|ve)|I will|I can|I have|we can|we will|let me)\b",
    re.IGNORECASE,
)
_RESOLVED = re.compile(
    r"\b(?:that works|sounds good|thank you so much|thanks for your help|perfect|great, thanks"
    r"|that's fine|that\u2019s fine|all good|agreed|i can do that|i appreciate)\b",
    re.IGNORECASE,
)
_LONG = 6
"""Words that make a sentence worth quoting."""


def summarize(turns: Sequence[Turn]) -> dict[str, str]:
    """Return the sections; `resolution` is Y when the customer agrees near the end."""
    customer = [turn for turn in turns if turn.is_customer]
    agent = [turn for turn in turns if not turn.is_customer]
    agreed = any(_RESOLVED.search(turn.text) for turn in customer[-4:])
    return {
        "situation": _first_long_sentence(customer),
        "action": _last_matching_sentence(agent),
        "resolution": "Y" if agreed else "N",
    }


def as_text(sections: dict[str, str]) -> str:
    """Return the sections as one text, each as name, line break, content (documented)."""
    return "\n\n".join(f"{name}\n{content}" for name, content in sections.items())


def _first_long_sentence(turns: Sequence[Turn]) -> str:
    every = [turn.text[start:end] for turn in turns for start, end in sentences(turn.text)]
    long = [sentence for sentence in every if len(sentence.split()) >= _LONG]
    return (long or every or [""])[0]


def _last_matching_sentence(turns: Sequence[Turn]) -> str:
    every = [turn.text[start:end] for turn in turns for start, end in sentences(turn.text)]
    matching = [sentence for sentence in every if _ACTION.search(sentence)]
    return (matching or every or [""])[-1]
