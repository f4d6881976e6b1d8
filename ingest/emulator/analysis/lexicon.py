"""The VADER lexicon and its rules, asked only about the words that it knows.

vaderSentiment walks through every word of a text with a dozen tests each, copies the text for
each of them and compares every character with its emojis. Most words of a call are in no lexicon.
Here only those that are get judged, by their neighbours: the same scores in a fifth of the time.
The tests hold both against each other.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

from vaderSentiment.vaderSentiment import (
    BOOSTER_DICT,
    C_INCR,
    N_SCALAR,
    NEGATE,
    SPECIAL_CASES,
    SentimentIntensityAnalyzer,
)

_NEGATIONS = frozenset(NEGATE)
_INTENSE = frozenset({"so", "this"})
_DAMPING = (1.0, 0.95, 0.9)
"""A booster counts less the further it stands from its word."""
_NEVER = 1.25


class Word(NamedTuple):
    """A token as the lexicon looks it up."""

    bare: str
    """Without punctuation, unless hardly a letter would be left."""
    lower: str
    is_known: bool


class LikeWord(Protocol):
    """What has the attributes of a Word."""

    @property
    def bare(self) -> str: ...

    @property
    def lower(self) -> str: ...

    @property
    def is_known(self) -> bool: ...


class QuickAnalyzer(SentimentIntensityAnalyzer):
    """Scores as SentimentIntensityAnalyzer does."""

    def word(self, token: str) -> Word:
        """Return what the lexicon sees in a token: a piece of text without white space."""
        bare = _bare(token)
        lower = bare.lower()
        return Word(bare, lower, lower in self.lexicon)

    def polarity_scores(self, text: str) -> dict[str, float]:
        """Return neg, neu and pos from 0 to 1 and compound from -1 to 1."""
        return self.scores(text, list(map(self.word, text.split())))

    def scores(self, text: str, tokens: Sequence[LikeWord]) -> dict[str, float]:
        """Return the same, given the text's tokens."""
        # Emojis are spelled out first; none of them is ASCII.
        if not text.isascii() and not self.emojis.keys().isdisjoint(text):
            scores: dict[str, float] = super().polarity_scores(text)
            return scores
        known = [place for place, token in enumerate(tokens) if token.is_known]
        if not known:
            return {"neg": 0.0, "neu": float(bool(tokens)), "pos": 0.0, "compound": 0.0}
        words = [token.bare for token in tokens]
        lower = [token.lower for token in tokens]
        loud = sum(map(str.isupper, words))
        some_loud = 0 < loud < len(words)
        valences: list[float] = [0] * len(words)
        for place in known:
            if self._counts(lower, place):
                valences[place] = self._valence(words, lower, place, some_loud)
        if "but" in lower:
            valences = self._but_check(words, valences)
        result: dict[str, float] = self.score_valence(valences, text)
        return result

    def _sift_sentiment_scores(self, sentiments: list[float]) -> tuple[float, float, int]:
        """Return the sums of the positive and of the negative valences, and how many are neither.

        Each counts one more than it is, since a neutral word counts as one (the library's rule).
        """
        positive = sum(valence + 1 for valence in sentiments if valence > 0)
        negative = sum(valence - 1 for valence in sentiments if valence < 0)
        return float(positive), float(negative), sentiments.count(0)

    def _counts(self, lower: list[str], place: int) -> bool:
        """Return whether a word has a valence of its own where it stands."""
        word = lower[place]
        if word in BOOSTER_DICT:
            return False
        return not (word == "kind" and lower[place + 1 : place + 2] == ["of"])

    def _valence(self, words: list[str], lower: list[str], place: int, some_loud: bool) -> float:
        """Return the word's valence after its own case and the three words before it."""
        word = lower[place]
        valence: float = self.lexicon[word]
        if word == "no" and place + 1 < len(lower) and lower[place + 1] in self.lexicon:
            valence = 0.0
        before = lower[max(0, place - 3) : place][::-1]
        if _follows_no(before):
            valence = self.lexicon[word] * N_SCALAR
        if some_loud and words[place].isupper():
            valence += C_INCR if valence > 0 else -C_INCR
        for back, neighbour in enumerate(before):
            if neighbour in self.lexicon:
                continue
            boost = _boost(words[place - back - 1], neighbour, valence, some_loud)
            valence = _negated(valence + boost * _DAMPING[back], before, back)
            if back == 2 and _may_be_idiom(lower, place):
                valence = self._special_idioms_check(valence, lower[place - 3 : place + 3], 3)
        return self._least(valence, before)

    def _least(self, valence: float, before: list[str]) -> float:
        if before[:1] != ["least"] or "least" in self.lexicon:
            return valence
        return valence if before[1:2] in (["at"], ["very"]) else valence * N_SCALAR


@lru_cache(maxsize=1)
def analyzer() -> QuickAnalyzer:
    """Return the analyzer; its lexicon takes a quarter of a second to read, and only once."""
    return QuickAnalyzer()


def _bare(token: str) -> str:
    """Return a token without punctuation, or as it is when hardly a letter would be left."""
    stripped = token.strip(string.punctuation)
    return token if len(stripped) <= 2 else stripped


def _follows_no(before: list[str]) -> bool:
    if "no" in before[:2]:
        return True
    return before[2:] == ["no"] and before[0] in ("or", "nor")


def _boost(word: str, lower: str, valence: float, some_loud: bool) -> float:
    boost: float = BOOSTER_DICT.get(lower, 0.0)
    if boost == 0.0:
        return boost
    if valence < 0:
        boost = -boost
    if some_loud and word.isupper():
        boost += C_INCR if valence > 0 else -C_INCR
    return boost


def _negated(valence: float, before: list[str], back: int) -> float:
    """Return the valence after the word `back` + 1 places before, if that one negates."""
    word = before[back]
    if back == 1 and word == "never" and before[0] in _INTENSE:
        return valence * _NEVER
    if back == 1 and word == "without" and before[0] == "doubt":
        return valence
    if back == 2:
        if (word == "never" and before[1] in _INTENSE) or before[0] in _INTENSE:
            return valence * _NEVER
        if word == "without" and "doubt" in before[:2]:
            return valence
    return valence * N_SCALAR if word in _NEGATIONS or "n't" in word else valence


_IDIOM_WORDS = frozenset(
    word for phrase in (*SPECIAL_CASES, *BOOSTER_DICT) if " " in phrase for word in phrase.split()
)


def _may_be_idiom(lower: list[str], place: int) -> bool:
    """Return whether two words of an idiom stand near enough to ask the library about it."""
    return sum(word in _IDIOM_WORDS for word in lower[place - 3 : place + 3]) > 1
