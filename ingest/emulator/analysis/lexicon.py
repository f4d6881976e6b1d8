"""The VADER lexicon, asked only about the words that it knows.

vaderSentiment walks through every word of a text with a dozen tests each and compares every
character with its emojis. Most words of a call are in no lexicon; leaving those out, and looking
at the neighbours of a word instead of the whole text, gives the same scores in a third of the
time. The tests hold both against each other.
"""

from __future__ import annotations

from vaderSentiment.vaderSentiment import BOOSTER_DICT, SentimentIntensityAnalyzer, SentiText

_BEFORE = 3
_BEHIND = 3
"""No rule of the lexicon looks further than three words back or two ahead."""


class QuickAnalyzer(SentimentIntensityAnalyzer):
    """Scores as SentimentIntensityAnalyzer does."""

    def polarity_scores(self, text: str) -> dict[str, float]:
        """Return neg, neu and pos from 0 to 1 and compound from -1 to 1."""
        if not self.emojis.keys().isdisjoint(text):  # emojis are spelled out first
            scores: dict[str, float] = super().polarity_scores(text)
            return scores
        sentence = SentiText(text.strip())
        words = sentence.words_and_emoticons
        lower = [word.lower() for word in words]
        if self.lexicon.keys().isdisjoint(lower):
            return {"neg": 0.0, "neu": float(bool(words)), "pos": 0.0, "compound": 0.0}
        valences: list[float] = []
        for place, word in enumerate(lower):
            if self._counts(lower, place, word):
                self.sentiment_valence(0, sentence, words[place], place, valences)
            else:
                valences.append(0)
        if "but" in lower:
            valences = self._but_check(words, valences)
        result: dict[str, float] = self.score_valence(valences, sentence.text)
        return result

    def _counts(self, lower: list[str], place: int, word: str) -> bool:
        """Return whether a word has a valence of its own where it stands."""
        if word not in self.lexicon or word in BOOSTER_DICT:
            return False
        return not (word == "kind" and lower[place + 1 : place + 2] == ["of"])

    @staticmethod
    def _negation_check(valence: float, words: list[str], start: int, place: int) -> float:
        first = max(0, place - _BEFORE)
        near = words[first : place + 1]
        checked: float = SentimentIntensityAnalyzer._negation_check(
            valence, near, start, place - first
        )
        return checked

    @staticmethod
    def _special_idioms_check(valence: float, words: list[str], place: int) -> float:
        near = words[place - _BEFORE : place + _BEHIND]
        checked: float = SentimentIntensityAnalyzer._special_idioms_check(valence, near, _BEFORE)
        return checked
