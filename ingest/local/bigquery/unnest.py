"""A filter on a table reaches it, also where the query takes arrays of its rows apart.

The database joins an array's elements back to their row by a number that it gives to every row, so
that it reads all rows whatever is filtered above. Elements that a SELECT makes need no such join.
"""

from __future__ import annotations

from typing import Any

import duckdb
from sqlglot import exp

_ELEMENTS = "_elements"
_EACH, _OFFSETS = "bq.main._each_element", "bq.main._offset_of_each"
_MACROS = f"""
    CREATE OR REPLACE MACRO {_EACH}(elements) AS unnest(elements);
    CREATE OR REPLACE MACRO {_OFFSETS}(elements) AS generate_subscripts(elements, 1) - 1
"""


def register(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the functions known that `elements_made_in_select` writes into statements."""
    connection.execute(_MACROS)


def elements_made_in_select(tree: exp.Expression, _context: Any) -> exp.Expression:
    """Return the statement with `FROM t CROSS JOIN UNNEST(array)` rewritten, the first join of a
    SELECT, where the columns of `t` are named in the statement and none of them would be hidden."""
    for select in list(tree.find_all(exp.Select)):
        _rewrite(select)
    return tree


def _rewrite(select: exp.Select) -> None:
    source = select.args.get("from_")
    joins: list[exp.Join] = select.args.get("joins") or []
    if source is None or not joins or not isinstance(source.this, exp.Table):
        return
    table, unnest = source.this, joins[0].this
    columns = _named_columns(table)
    alias = table.alias_or_name
    if columns is None or not _is_plain_unnest(joins[0]) or _has_whole_rows(select, alias):
        return
    element, offset = _names(unnest)
    if not element or {element.lower(), offset.lower(), _ELEMENTS} & columns:
        return
    with_elements = exp.select(
        exp.Column(this=exp.Star(), table=exp.to_identifier(alias)),
        exp.alias_(unnest.expressions[0].copy(), _ELEMENTS),
    ).from_(table.copy())
    made = [
        exp.Star(except_=[exp.to_identifier(_ELEMENTS)]),
        *(
            exp.alias_(exp.Anonymous(this=call, expressions=[exp.column(_ELEMENTS)]), name)
            for call, name in ((_EACH, element), (_OFFSETS, offset))
            if name
        ),
    ]
    rows = exp.select(*made).from_(with_elements.subquery("rows_with_array"))
    source.set("this", rows.subquery(alias))
    select.set("joins", joins[1:])


def _has_whole_rows(select: exp.Select, alias: str) -> bool:
    """Tell whether the query asks for all columns, or for a row of the table as one value: either
    would have the element in it."""
    stars = (star for star in select.find_all(exp.Star) if not isinstance(star.parent, exp.Count))
    names = (each for each in select.find_all(exp.Column) if not each.table)
    return any(stars) or any(each.name.lower() == alias.lower() for each in names)


def _is_plain_unnest(join: exp.Join) -> bool:
    is_cross = join.args.get("kind") in (None, "", "CROSS") and not join.args.get("side")
    has_condition = join.args.get("on") is not None or join.args.get("using") is not None
    return (
        is_cross
        and not has_condition
        and isinstance(join.this, exp.Unnest)
        and len(join.this.expressions) == 1
        and not isinstance(join.this.expressions[0], exp.Array)
    )


def _names(unnest: exp.Unnest) -> tuple[str, str]:
    alias = unnest.args.get("alias")
    columns = alias.columns if alias else []
    element = columns[0].name if columns else alias.name if alias else ""
    offset = unnest.args.get("offset")
    if isinstance(offset, exp.Identifier):
        return element, offset.name
    return ("", "") if offset else (element, "")


def _named_columns(table: exp.Table) -> set[str] | None:
    """Return the columns, in lower case, of a table that the same statement defines; None where
    they aren't all named in it."""
    if table.db or table.args.get("pivots"):
        return None
    scope = table.parent
    while scope is not None:
        for cte in scope.args["with_"].expressions if scope.args.get("with_") else ():
            if cte.alias.lower() == table.name.lower():
                is_select = isinstance(cte.this, exp.Select) and not cte.args["alias"].columns
                names = [each.alias_or_name.lower() for each in cte.this.selects]
                is_whole = is_select and all(names) and "*" not in names
                return set(names) if is_whole else None
        scope = scope.parent
    return None
