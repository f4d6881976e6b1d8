"""WITH RECURSIVE where BigQuery takes it: at the top level of a statement, and nowhere else.

Statements and views are judged. Expressions of a script (DECLARE, SET, IF, WHILE) and the query of
FOR aren't: the emulator parses them elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable

from local_bigquery.errors import BigQueryError
from sqlglot import exp

Parse = Callable[[str], list[exp.Expression]]
REFUSAL = (
    "WITH RECURSIVE is only allowed at the top level of the SELECT, CREATE TABLE AS SELECT, "
    "CREATE VIEW, INSERT, EXPORT DATA statements."
)


def with_recursion_at_the_top(parse: Parse) -> Parse:
    """Return the parser of statements that refuses WITH RECURSIVE inside of one, as BigQuery."""

    def corrected(sql: str) -> list[exp.Expression]:
        trees = parse(sql)
        if any(_has_recursion_inside(tree) for tree in trees):
            raise BigQueryError("invalidQuery", REFUSAL)
        return trees

    return corrected


def _has_recursion_inside(tree: exp.Expression) -> bool:
    top = _query(tree)
    clauses = (each for each in tree.find_all(exp.With) if each.args.get("recursive"))
    return any(clause.parent is not top for clause in clauses)


def _query(tree: exp.Expression) -> exp.Expression | None:
    """Return the query that a statement is or takes its rows from, without parentheses."""
    query: exp.Expression | None = None
    if isinstance(tree, exp.Query):
        query = tree
    elif isinstance(tree, exp.Export):
        query = tree.this
    elif isinstance(tree, exp.Insert) or (
        isinstance(tree, exp.Create) and tree.args.get("kind") in ("TABLE", "VIEW")
    ):
        query = tree.args.get("expression")
    while isinstance(query, exp.Subquery) and _is_bare(query):
        query = query.this
    return query


def _is_bare(parentheses: exp.Subquery) -> bool:
    """Tell whether nothing but a query stands in or behind the parentheses."""
    return not any(value for name, value in parentheses.args.items() if name != "this")
