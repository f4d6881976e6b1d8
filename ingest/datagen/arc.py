"""The name of the way that a customer's mood went."""

from __future__ import annotations

from collections.abc import Sequence


def sentiment_arc(moods: Sequence[int]) -> str:
    """Return the name of the way from the customer's first three turns to the last three.

    Moods are -2 to 2; within half a point of zero is neutral.
    """
    if not moods:
        return "steady_neutral"
    first, last = (sum(part) / len(part) for part in (moods[:3], moods[-3:]))
    return {
        (-1, 1): "negative_to_positive",
        (1, -1): "positive_to_negative",
        (-1, -1): "steady_negative",
        (0, 0): "steady_neutral",
        (1, 1): "steady_positive",
    }.get((_side(first), _side(last)), "mixed")


def _side(mood: float) -> int:
    return 0 if abs(mood) < 0.5 else (1 if mood > 0 else -1)
