"""CREATE TABLE with columns AS SELECT happens at once, as in BigQuery.

The emulator makes the table and fills it in two steps: between them a reader meets it empty, and a
SELECT that fails leaves it so, in place of the rows that CREATE OR REPLACE was to follow."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from local_bigquery.catalog import names
from sqlglot import exp

from ingest.local.bigquery.catalog import Objects
from ingest.local.bigquery.jobs import transaction

type Parts = Generator[exp.Expression]


@dataclass
class _Running:
    cursor: Any
    place: tuple[str, str | None]
    """Project and dataset of what a statement names without them."""
    parts: Parts | None = None
    creates: tuple[str, str, str] | None = None


_running: ContextVar[_Running | None] = ContextVar("running", default=None)


def with_end_of_parts(run: Callable[..., Any]) -> Callable[..., Any]:
    """Return the runner of a statement that ends the transaction of `with_parts_at_once`.

    Statements of a script or a session are left as they are: it may have a transaction of its own.
    """

    def corrected(cursor: Any, tree: exp.Expression, context: Any, *args: Any) -> Any:
        *_, is_of_many = args
        if is_of_many:
            return run(cursor, tree, context, *args)
        running = _Running(cursor, (context.project_id, context.dataset_id))
        token = _running.set(running)
        try:
            return run(cursor, tree, context, *args)
        finally:
            _running.reset(token)
            if running.parts is not None:
                running.parts.close()

    return corrected


def with_parts_at_once(
    split: Callable[[exp.Expression], list[exp.Expression]],
) -> Callable[[exp.Expression], Iterable[exp.Expression]]:
    """Return what splits a statement into parts, those of a creation within one transaction."""

    def corrected(tree: exp.Expression) -> Iterable[exp.Expression]:
        parts = split(tree)
        running, target = _running.get(), tree.find(exp.Table)
        if running is None or target is None or len(parts) == 1 or not isinstance(tree, exp.Create):
            return parts
        running.creates = names.reference(target, *running.place)
        running.parts = _in_one_transaction(parts, running)
        return running.parts

    return corrected


def _in_one_transaction(parts: Iterable[exp.Expression], running: _Running) -> Parts:
    with transaction(running.cursor):
        yield from parts
    running.creates = None


def with_table_in_creation(objects: Objects) -> Objects:
    """Return `objects` that knows the table of a creation before its transaction has ended."""

    def corrected(
        project_id: str, dataset_id: str, table_id: str | None = None
    ) -> list[tuple[str, str, int]]:
        running = _running.get()
        if (
            table_id is not None
            and running is not None
            and running.creates == (project_id, dataset_id, table_id)
        ):
            return [(table_id, "TABLE", 0)]
        return objects(project_id, dataset_id, table_id)

    return corrected
