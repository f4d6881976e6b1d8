"""What Insights charges and how long its quota takes, before anything is started.

Prices by Insights' price page: US$2 for 100 conversations; a conversation is 120 turns at most, a
turn 1,000 characters at most, so a longer talk counts as several. Scores of a scorecard and
topics come on top.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

TURN_CHARS = 1_000
UNIT_TURNS = 120
USD_PER_UNIT = 0.02
USD_PER_SUMMARY = 0.006
USD_PER_SCORE = 0.005
"""Of one scorecard for one conversation."""
USD_PER_TOPICS = 0.02
"""Of one conversation labelled by a topic model: US$2 for 100."""


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


def extra_usd(*, has_summary: bool, score_count: int, has_topics: bool) -> float:
    """Return what is charged for one conversation beside the units of its analysis."""
    summary = USD_PER_SUMMARY if has_summary else 0.0
    return summary + score_count * USD_PER_SCORE + (USD_PER_TOPICS if has_topics else 0.0)


def estimate(
    unit_counts: Iterable[int], analyses_per_min: int, extras_usd: Iterable[float] = ()
) -> Estimate:
    """Return the estimate for conversations of these billing units and extras."""
    units = list(unit_counts)
    usd = sum(units) * USD_PER_UNIT + sum(extras_usd)
    return Estimate(len(units), sum(units), len(units) / analyses_per_min, round(usd, 2))
