"""A literal filter on a partition column reads few rows of a table, as in BigQuery.

The emulator has no partitions, but it skips those blocks of rows in which no value can match. That
helps only where the rows of a partition stand together, so CREATE TABLE AS SELECT writes them so.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

type Split = Callable[[exp.Expression], list[exp.Expression]]


def with_partitions_in_order(split: Split) -> Split:
    """Return `split`, statements to be run for one, that orders the rows of a new table."""

    def corrected(tree: exp.Expression) -> list[exp.Expression]:
        return split(_ordered(tree))

    return corrected


def _ordered(tree: exp.Expression) -> exp.Expression:
    partitioning = tree.find(exp.PartitionedByProperty) if isinstance(tree, exp.Create) else None
    column = partitioning.find(exp.Identifier) if partitioning is not None else None
    query = tree.expression
    if column is None or not isinstance(query, exp.Query) or column.name.startswith("_PARTITION"):
        return tree
    ordered = tree.copy()
    name = exp.TableAlias(this=exp.to_identifier("rows_of_table"))
    rows = exp.Subquery(this=query.copy().unnest(), alias=name)
    ordered.set("expression", exp.select("*").from_(rows).order_by(exp.column(column.name)))
    return ordered
