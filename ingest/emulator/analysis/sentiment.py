"""Whether a turn sounds negative, neutral or positive, by a small linear model.

A lexicon alone took threats and complaints for praise. The weights of words, pairs of words and of
what the lexicon says were learnt from turns labelled by hand; `python -m tests.sentiment_model`
makes them again and measures them on conversations that nobody tuned on. It stands in for Google's
model, and no test may rest on what it says of a text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import orjson

WEIGHTS_FILE = Path(__file__).with_name("sentiment.json")
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)*|[!?]|\.\.\.|…|[\U0001F300-\U0001FAFF]")
_SHORT_WORDS, _MOST_WORDS = 3, 40


class Shares(NamedTuple):
    """How likely each is; together 1."""

    negative: float
    neutral: float
    positive: float


class Weights(NamedTuple):
    """What adds up for (negative, neutral, positive)."""

    bias: Sequence[float]
    facts: Sequence[Sequence[float]]
    """By place in what `facts` returns."""
    words: Mapping[str, Sequence[float]]
    """By word, and by two words in a row with a blank between."""


def words_of(text: str) -> Iterator[str]:
    """Yield each word and each pair of words that the text has, once."""
    words = _WORD.findall(text.lower().replace("\u2019", "'"))
    pairs = (f"{first} {second}" for first, second in pairwise(words))
    yield from dict.fromkeys((*words, *pairs))


def facts(scores: Mapping[str, float], word_count: int) -> list[float]:
    """Return what counts besides words: the lexicon's scores, and how long the turn is."""
    return [
        scores["neg"],
        scores["pos"],
        max(0.0, -scores["compound"]),
        max(0.0, scores["compound"]),
        min(word_count, _MOST_WORDS) / _MOST_WORDS,
        float(word_count <= _SHORT_WORDS),
    ]


@lru_cache(maxsize=1)
def weights() -> Weights:
    """Return the weights that come with this."""
    return Weights(**orjson.loads(WEIGHTS_FILE.read_bytes()))


def shares(
    text: str, scores: Mapping[str, float], word_count: int, by: Weights | None = None
) -> Shares:
    """Return how the turn sounds, given what the lexicon says of it (neg, pos, compound)."""
    model = by or weights()
    sums = list(model.bias)
    for value, row in zip(facts(scores, word_count), model.facts, strict=True):
        for place, weight in enumerate(row):
            sums[place] += value * weight
    for word in words_of(text):
        for place, weight in enumerate(model.words.get(word, ())):
            sums[place] += weight
    most = max(sums)
    parts = [math.exp(each - most) for each in sums]
    return Shares(*(part / sum(parts) for part in parts))
