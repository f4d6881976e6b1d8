"""BigQuery's rule about WITH RECURSIVE, which the analyzer doesn't know.

BigQuery: "WITH RECURSIVE is only allowed at the top level of the SELECT, CREATE TABLE AS SELECT,
CREATE VIEW, INSERT, EXPORT DATA statements." Parentheses around the whole query don't count.
"""

from __future__ import annotations

from typing import Any

from tests.warehouse.outer_joins import messages

_WITH = "ResolvedWithScanProto"


def inner_recursive_withs(statement: Any) -> int:
    """Return how many WITH RECURSIVE of a resolved statement aren't at its top level."""
    withs = (m for m in messages(statement) if m.DESCRIPTOR.name == _WITH)
    top = _query(statement)
    return sum(each.recursive for each in withs) - (top is not None and top.recursive)


def _query(statement: Any) -> Any:
    """Return the WITH that is the query of the statement, or None."""
    node = statement
    while node.DESCRIPTOR.name != _WITH:
        if "node" in node.DESCRIPTOR.oneofs_by_name:
            chosen = node.WhichOneof("node")
        else:
            chosen = next((n for n in ("query", "parent") if hasattr(node, n)), None)
        if chosen is None:
            return None
        node = getattr(node, chosen)
    return node
