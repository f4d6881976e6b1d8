"""What was worked out about a word, kept for its next time: speech repeats itself."""

from __future__ import annotations

from collections.abc import Callable, Hashable

_LIMIT = 20_000


class Remembered[Word: Hashable, Value](dict[Word, Value]):
    """`remembered[word]` is what `make(word)` returns; at most `limit` words are kept.

    When there are too many, all are forgotten: the common ones are soon back, and a look-up stays
    as cheap as a dictionary's. `make` must depend on the word alone.
    """

    def __init__(self, make: Callable[[Word], Value], limit: int = _LIMIT) -> None:
        super().__init__()
        self._make = make
        self._limit = limit

    def __missing__(self, word: Word) -> Value:
        if len(self) >= self._limit:
            self.clear()
        value = self[word] = self._make(word)
        return value
