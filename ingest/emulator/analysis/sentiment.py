"""Sentiment of customer turns, and of the customer over the whole conversation.

A turn's compound score of the VADER lexicon is laid on the documented pairs of score and
magnitude (sentiment analysis page). The conversation's formula is published nowhere; ours leans on
the end as the two real conversations do, and is an assumption.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ingest.emulator.analysis.lexicon import analyzer
from ingest.emulator.analysis.turns import Turn


class Sentiment(NamedTuple):
    """Score from -1 to 1 and magnitude from 0."""

    score: float
    magnitude: float


NEUTRAL = Sentiment(0.0, 0.0)
MIXED = Sentiment(0.0, 0.75)

_PAIRS = ((0.6, 1.0, 1.0), (0.3, 0.5, 0.5), (0.05, 0.25, 0.75))
"""Least absolute compound score, then the pair's score and magnitude."""
_MIXED_SHARE = 0.12
"""Share of positive and of negative words that makes a balanced turn mixed."""
_DECAY = 1 / 3
"""Weight of a turn relative to the customer's next one."""


def turn_sentiment(turn: Turn) -> Sentiment:
    """Return the documented pair nearest to what the lexicon says about a turn."""
    scores = analyzer().scores(turn.text, turn.tokens)
    compound = scores["compound"]
    for least, score, magnitude in _PAIRS:
        if abs(compound) >= least:
            return Sentiment(score if compound > 0 else -score, magnitude)
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
