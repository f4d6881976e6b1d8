"""The bytes that BigQuery would bill for a statement, by the rules of its on-demand pricing.

A statement is billed the logical bytes of the columns that it names, in the partitions that
literals leave, and 10 MiB at the least of every table that it reads anything of; nothing where its
condition is `false`, as that of dbt's question for a query's columns. A view is what it selects. A
column that is read twice in one statement is billed once. MERGE, UPDATE and DELETE are billed all
columns of the target's partitions besides; INSERT and CREATE TABLE AS are billed as their query is.
Pruning is told more narrowly than BigQuery may do it: only a comparison of the partition column
itself with a constant prunes, and a filter but `false` passes into a view or CTE where no window or
limit stands between, and into an aggregation by its keys alone. Clustering prunes nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import sqlglot
from sqlglot import exp
from sqlglot.optimizer.pushdown_projections import pushdown_projections
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope

MIB = 1024**2
LEAST_OF_A_TABLE = 10 * MIB
DIALECT = "bigquery"
Name = tuple[str, str, str]
"""Project, dataset, table."""


@dataclass(frozen=True)
class Table:
    """What is in a table: mean logical bytes of each column, all rows, and its partitions' days."""

    widths: Mapping[str, float]
    rows: float
    partition: str | None = None
    days: Sequence[dt.date] = ()
    """The newest first. Each holds as many rows, but for the newest."""
    newest_share: float = 1.0
    """How much of its rows the newest day has so far."""

    def size(self, columns: Iterable[str], days: set[dt.date] | None = None) -> float:
        """Return the bytes of the columns in those days, or in all."""
        return sum(self.widths.get(column, 0.0) for column in columns) * self._rows(days)

    def _rows(self, days: set[dt.date] | None) -> float:
        if days is None or not self.days:
            return self.rows
        missing = (1 - self.newest_share) * (self.days[0] in days)
        return self.rows / len(self.days) * (len(days) - missing)


@dataclass
class Catalog:
    """What a statement may read. Its days are those of one history; `now` is when it runs (UTC)."""

    tables: Mapping[Name, Table]
    views: Mapping[Name, str]
    now: dt.datetime
    reads_day_before: bool = False
    """Whether conditions that leave the newest day leave the one before, too: so it is while a
    window of hours begins before midnight."""


@dataclass(frozen=True)
class Read:
    """One read of a table in a statement: the columns, and the conditions that every row meets."""

    table: Name
    columns: frozenset[str]
    conditions: Sequence[exp.Expression]
    is_target: bool = False
    """Whether the statement changes rows there."""


@dataclass
class _Found:
    """Of one table in one statement: which days of which column, and of its whole rows."""

    columns: dict[str, set[dt.date]] = field(default_factory=dict)
    target: set[dt.date] = field(default_factory=set)


_ALL = dt.date.min
"""Stands for the one partition of a table without partitions."""


def billed(reads: Iterable[Read], catalog: Catalog) -> dict[Name, float]:
    """Return the billed bytes of a statement's reads by table, if anything is read of it."""
    found: dict[Name, _Found] = {}
    for read in reads:
        kept = _kept(catalog.tables[read.table], read.conditions, catalog)
        of_table = found.setdefault(read.table, _Found())
        for column in read.columns:
            of_table.columns.setdefault(column, set()).update(kept)
        if read.is_target:
            of_table.target |= kept
    bytes_of = {name: _bytes(of_table, catalog.tables[name]) for name, of_table in found.items()}
    return {name: max(size, LEAST_OF_A_TABLE) for name, size in bytes_of.items() if size}


def reads_of(statement: str, catalog: Catalog) -> list[Read]:
    """Return what a statement reads; nothing for DDL. A table's days don't matter here."""
    trees = sqlglot.parse(statement, read=DIALECT)
    return [read for tree in trees if tree is not None for read in _statement(tree, catalog)]


def is_pruned(read: Read, catalog: Catalog) -> bool:
    """Whether literals leave out any day of a table that has partitions."""
    table = catalog.tables[read.table]
    return len(_kept(table, read.conditions, catalog)) < len(table.days)


def _bytes(reads: _Found, table: Table) -> float:
    def days(kept: set[dt.date]) -> set[dt.date] | None:
        return kept if table.partition else None

    total = sum(table.size([column], days(kept)) for column, kept in reads.columns.items() if kept)
    if reads.target:
        total += table.size(table.widths, days(reads.target))
    return total


def _statement(tree: exp.Expression, catalog: Catalog) -> Iterator[Read]:
    if isinstance(tree, (exp.Create, exp.Insert)):
        if isinstance(tree.expression, exp.Query) and tree.args.get("kind") != "VIEW":
            yield from _query(tree.expression.unnest(), catalog)
    elif isinstance(tree, (exp.Delete, exp.Update)):
        where = tree.args.get("where")
        yield from _query(_reading(tree.this, where.this if where else None), catalog, tree.this)
    elif isinstance(tree, exp.Merge):
        query = exp.select(exp.Literal.number(1)).from_(tree.args["using"].copy())
        query = query.join(tree.this.copy(), on=tree.args["on"].copy(), join_type="left")
        changes = any(
            not isinstance(when.args["then"], exp.Insert) for when in tree.args["whens"].expressions
        )
        yield from _query(query, catalog, tree.this if changes else None)
    elif isinstance(tree, exp.Query):
        yield from _query(tree, catalog)


def _reading(table: exp.Expression, condition: exp.Expression | None) -> exp.Select:
    """Return a query that reads of the table what a condition of DML does."""
    query = exp.select(exp.Literal.number(1)).from_(table.copy())
    return query.where(condition.copy()) if condition is not None else query


def _query(
    query: exp.Expression, catalog: Catalog, target: exp.Expression | None = None
) -> Iterator[Read]:
    whole = _expanded(query, catalog)
    schema = _schema(whole, catalog)
    qualified = qualify(
        whole,
        schema=schema,
        dialect=DIALECT,
        validate_qualify_columns=False,
        quote_identifiers=False,
        identify=False,
    )
    scope = build_scope(pushdown_projections(qualified))
    assert scope is not None
    changed = target.alias_or_name.lower() if target is not None else None
    for table, columns, filters, is_own in _reads(scope, [], is_top=True):
        name = _full_name(table)
        if name not in catalog.tables:
            raise KeyError(f"no table {'.'.join(name)}")
        is_target = is_own and changed is not None and table.alias_or_name.lower() == changed
        yield Read(name, frozenset(columns), filters, is_target)


def _expanded(query: exp.Expression, catalog: Catalog) -> exp.Expression:
    """Return the query with the SQL of views in their places."""
    whole = exp.maybe_parse(query.copy())
    while tables := [t for t in whole.find_all(exp.Table) if _full_name(t) in catalog.views]:
        for table in tables:
            view = sqlglot.parse_one(catalog.views[_full_name(table)], read=DIALECT)
            assert isinstance(view, exp.Query)
            table.replace(view.subquery(table.alias or table.name))
    return whole


def _full_name(table: exp.Table) -> Name:
    return table.catalog, table.db, table.name


def _schema(
    query: exp.Expression, catalog: Catalog
) -> dict[str, dict[str, dict[str, dict[str, str]]]]:
    schema: dict[str, dict[str, dict[str, dict[str, str]]]] = {}
    for project, dataset, name in {_full_name(table) for table in query.find_all(exp.Table)}:
        if (table := catalog.tables.get((project, dataset, name))) is not None:
            columns = dict.fromkeys(table.widths, "string")
            schema.setdefault(project, {}).setdefault(dataset, {})[name] = columns
    return schema


_TableRead = tuple[exp.Table, set[str], list[exp.Expression], bool]


def _reads(
    scope: Scope, outer: list[exp.Expression], *, is_top: bool = False
) -> Iterator[_TableRead]:
    """Yield each read of a table: columns, conditions, whether the top query does it."""
    if isinstance(scope.expression, exp.SetOperation):
        for side in scope.set_operation_scopes:
            yield from _reads(side, _renamed(outer, scope, side))
        return
    is_select = isinstance(scope.expression, exp.Select)
    conditions = _where(scope.expression) + _passed(outer, scope.expression) if is_select else []
    for child in [*scope.subquery_scopes, *scope.udtf_scopes]:
        yield from _reads(child, [each for each in conditions if _is_false(each)])
    if not is_select:
        return
    for name, (_, source) in scope.selected_sources.items():
        own = [each for each in conditions + _joined(scope.expression, name) if _is_of(each, name)]
        if isinstance(source, exp.Table):
            columns = {column.name for column in scope.columns if column.table == name}
            yield source, columns, own, is_top
        elif not isinstance(source.expression, exp.UDTF):
            yield from _reads(source, own)


def _conjuncts(condition: exp.Expression) -> list[exp.Expression]:
    bare = condition.unnest()
    if not isinstance(bare, exp.And):
        return [bare]
    return [each for side in (bare.left, bare.right) for each in _conjuncts(side)]


def _where(select: exp.Select) -> list[exp.Expression]:
    """Return the conditions that every row of the query meets."""
    where = select.args.get("where")
    found = _conjuncts(where.this) if where else []
    for join in select.args.get("joins") or []:
        if join.args.get("on") and join.side not in ("LEFT", "RIGHT", "FULL"):
            found += _conjuncts(join.args["on"])
    return found


def _joined(select: exp.Select, name: str) -> list[exp.Expression]:
    """Return what an outer join asks of the source at its right."""
    for join in select.args.get("joins") or []:
        if join.side == "LEFT" and join.alias_or_name == name and join.args.get("on"):
            return _conjuncts(join.args["on"])
    return []


def _is_of(condition: exp.Expression, name: str) -> bool:
    """Whether a condition names that source alone, or none: `false` is everybody's."""
    if condition.find(exp.Query) is not None:
        return False
    return all(column.table == name for column in condition.find_all(exp.Column))


def _passed(outer: list[exp.Expression], select: exp.Select) -> list[exp.Expression]:
    """Return conditions on a query's output as conditions on what it reads, where they pass."""
    windows = (each for each in select.find_all(exp.Window) if each.parent_select is select)
    if select.args.get("limit") or select.args.get("qualify") or any(windows):
        return [condition for condition in outer if _is_false(condition)]
    made = {each.alias_or_name: each.unalias() for each in select.selects}
    group = select.args.get("group")
    keys = {key.sql() for key in group.expressions} if group else None
    passed = []
    for condition in outer:
        sources = [made.get(column.name) for column in condition.find_all(exp.Column)]
        if all(
            isinstance(source, exp.Column) and (keys is None or source.sql() in keys)
            for source in sources
        ):
            passed.append(_with_columns(condition, made))
    return passed


def _is_false(condition: exp.Expression) -> bool:
    """Whether nothing at all is wanted, as where dbt asks a query for its columns alone."""
    bare = condition.unnest()
    return isinstance(bare, exp.Boolean) and not bare.this


def _renamed(outer: list[exp.Expression], union: Scope, side: Scope) -> list[exp.Expression]:
    """Return conditions on a union by the names that a side of it has for its columns."""
    names = zip(union.expression.named_selects, side.expression.named_selects, strict=False)
    columns = {of_union: exp.column(of_side) for of_union, of_side in names}
    return [_with_columns(condition, columns) for condition in outer]


def _with_columns(
    condition: exp.Expression, columns: Mapping[str, exp.Expression]
) -> exp.Expression:
    return condition.copy().transform(
        lambda node: columns[node.name].copy() if isinstance(node, exp.Column) else node
    )


Verdict = Callable[[dt.date], bool | None]
"""Whether rows of a day's partition may meet a condition; None where it doesn't say."""


def _kept(table: Table, filters: Sequence[exp.Expression], catalog: Catalog) -> set[dt.date]:
    """Return the days that the conditions leave."""
    verdicts = [_verdict(each, table.partition, catalog.now) for each in filters]
    days = table.days if table.partition else [_ALL]
    kept = {day for day in days if not any(verdict(day) is False for verdict in verdicts)}
    if catalog.reads_day_before and table.days and table.days[0] in kept:
        kept |= set(table.days[1:2])
    return kept


def _verdict(condition: exp.Expression, partition: str | None, now: dt.datetime) -> Verdict:
    bare = condition.unnest()
    if isinstance(bare, exp.Boolean):
        return lambda _: bool(bare.this)
    if isinstance(bare, (exp.And, exp.Or)):
        one, other = (_verdict(side, partition, now) for side in (bare.left, bare.right))
        if isinstance(bare, exp.And):
            return lambda day: False if False in (one(day), other(day)) else None
        return lambda day: False if one(day) is False and other(day) is False else None
    if isinstance(bare, exp.Between):
        low = exp.GTE(this=bare.this, expression=bare.args["low"])
        high = exp.LTE(this=bare.this, expression=bare.args["high"])
        return _verdict(exp.and_(low, high), partition, now)
    if isinstance(bare, exp.In) and bare.expressions:
        equal = [exp.EQ(this=bare.this, expression=each) for each in bare.expressions]
        each_day = [_compared(each, partition, now) for each in equal]
        return lambda day: False if all(verdict(day) is False for verdict in each_day) else None
    if isinstance(bare, (exp.GT, exp.GTE, exp.LT, exp.LTE, exp.EQ)):
        return _compared(bare, partition, now)
    return lambda _: None


def _compared(condition: exp.Binary, partition: str | None, now: dt.datetime) -> Verdict:
    column, constant = condition.left.unnest(), _constant(condition.right, now)
    if not isinstance(column, exp.Column) or column.name != partition or constant is None:
        return lambda _: None
    span = dt.timedelta(days=1, microseconds=-1)
    if not isinstance(constant, dt.datetime):
        constant, span = _midnight(constant), dt.timedelta()
    limit = constant
    if isinstance(condition, exp.GT):
        return lambda day: _midnight(day) + span > limit
    if isinstance(condition, exp.GTE):
        return lambda day: _midnight(day) + span >= limit
    if isinstance(condition, exp.LT):
        return lambda day: _midnight(day) < limit
    if isinstance(condition, exp.LTE):
        return lambda day: _midnight(day) <= limit
    return lambda day: _midnight(day) <= limit <= _midnight(day) + span


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)


def _constant(node: exp.Expression, now: dt.datetime) -> dt.date | dt.datetime | None:
    """Return what a constant expression is: a date, or a time."""
    bare = node.unnest()
    if isinstance(bare, exp.CurrentTimestamp):
        return now
    if isinstance(bare, exp.Cast) and isinstance(bare.this, exp.Literal):
        read = dt.datetime.fromisoformat(bare.this.name)
        if bare.is_type("date"):
            return read.date()
        return read if read.tzinfo else read.replace(tzinfo=dt.UTC)
    if isinstance(bare, exp.TimestampSub):
        base, unit = _constant(bare.this, now), str(bare.args["unit"].name).lower()
        return base - dt.timedelta(**{f"{unit}s": int(bare.expression.name)}) if base else None
    if isinstance(bare, exp.TimestampTrunc):
        base = _constant(bare.this, now)
        return _midnight(base) if base else None
    if isinstance(bare, exp.Date) and isinstance(base := _constant(bare.this, now), dt.datetime):
        return base.date()
    return None
