"""What Insights charges and how long its quota takes, before anything is started.

Prices by Insights' price page: US$2 for 100 conversations; a conversation is 120 turns at most, a
turn 1,000 characters at most, so a longer talk counts as several.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

TURN_CHARS = 1_000
UNIT_TURNS = 120
USD_PER_UNIT = 0.02
USD_PER_SUMMARY = 0.006


def billing_units(turn_lengths: Iterable[int]) -> int:
    """Return how many conversations one talk is billed as; lengths are characters of its turns."""
    turns = sum(max(1, math.ceil(length / TURN_CHARS)) for length in turn_lengths)
    return math.ceil(turns / UNIT_TURNS)


@dataclass(frozen=True)
class Estimate:
    """What a number of analyses comes to."""

    conversation_count: int
    billing_unit_count: int
    minutes_at_quota: float
    usd: float


def estimate(
    unit_counts: Iterable[int], analyses_per_min: int, *, summarization: bool = False
) -> Estimate:
    """Return the estimate for conversations of these billing units."""
    units = list(unit_counts)
    usd = sum(units) * USD_PER_UNIT + (len(units) * USD_PER_SUMMARY if summarization else 0.0)
    return Estimate(len(units), sum(units), len(units) / analyses_per_min, round(usd, 2))
