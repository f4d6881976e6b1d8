"""Precision and recall of phrase matchers, as dbt's mart phrase_matcher_evaluation has them."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.warehouse import Warehouse

EVALUATION = "phrase_matcher_evaluation"


@dataclass(frozen=True)
class MatcherQuality:
    """How a matcher did on labelled data; shares are None where there was nothing to judge."""

    phrase_matcher: str
    judged_conversation_count: int
    true_positive_count: int
    false_positive_count: int
    false_negative_count: int
    precision_share: float | None
    recall_share: float | None


def read_matcher_quality(warehouse: Warehouse) -> tuple[MatcherQuality, ...] | None:
    """Return the evaluation by matcher, or None before the mart was built."""
    if all(table.name != EVALUATION for table in warehouse.tables(warehouse.marts_dataset)):
        return None
    rows = warehouse.query(
        "select phrase_matcher, judged_conversation_count, true_positive_count, "
        "false_positive_count, false_negative_count, precision_share, recall_share "
        f"from {warehouse.mart(EVALUATION)} order by phrase_matcher"
    ).rows
    return tuple(MatcherQuality(**row) for row in rows)
