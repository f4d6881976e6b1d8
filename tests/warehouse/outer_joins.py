"""BigQuery's rule about outer joins, which the analyzer doesn't know.

BigQuery refuses "LEFT OUTER JOIN … without a condition that is an equality of fields from both
sides of the join"; the same goes for RIGHT and FULL. A constant beside the equality is refused
here too: `… and false` may be folded to `false` before BigQuery looks for the equality.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zetasql.wasi._pb2.zetasql.resolved_ast import resolved_ast_enums_pb2

_INNER = resolved_ast_enums_pb2.ResolvedJoinScanEnums.INNER


def loose_outer_joins(statement: Any) -> int:
    """Return how many outer joins of a resolved statement have no equality of both sides."""
    joins = (m for m in messages(statement) if m.DESCRIPTOR.name == "ResolvedJoinScanProto")
    return sum(1 for join in joins if join.join_type != _INNER and not _is_tied(join))


def _is_tied(join: Any) -> bool:
    left, right = _outputs(join.left_scan), _outputs(join.right_scan)
    conditions = list(_conjuncts(join.join_expr))
    if not all(_columns_read(condition) for condition in conditions):
        return False
    for condition in map(_call, conditions):
        if condition.function.name != "ZetaSQL:$equal":
            continue
        one, other = (_columns_read(argument) for argument in condition.argument_list)
        if not one or not other:
            continue
        if (one <= left and other <= right) or (one <= right and other <= left):
            return True
    return False


def _conjuncts(expression: Any) -> Iterator[Any]:
    call = _call(expression)
    if call.function.name != "ZetaSQL:$and":
        yield expression
        return
    for argument in call.argument_list:
        yield from _conjuncts(argument)


def _call(expression: Any) -> Any:
    return expression.resolved_function_call_base_node.resolved_function_call_node.parent


def _outputs(scan: Any) -> set[int]:
    node = scan
    while not hasattr(node, "column_list"):
        is_choice = "node" in node.DESCRIPTOR.oneofs_by_name
        node = getattr(node, node.WhichOneof("node")) if is_choice else node.parent
    return {column.column_id for column in node.column_list}


def _columns_read(expression: Any) -> set[int]:
    return {
        m.column.column_id
        for m in messages(expression)
        if m.DESCRIPTOR.name == "ResolvedColumnRefProto"
    }


def messages(message: Any) -> Iterator[Any]:
    """Yield a protobuf message and all that lie in it."""
    yield message
    for description, value in message.ListFields():
        if description.message_type is None:
            continue
        if description.is_repeated:
            for element in value:
                yield from messages(element)
        else:
            yield from messages(value)
