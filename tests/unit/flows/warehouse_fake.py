"""A warehouse that answers what it was told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ingest.ports.inspect import Estimate, QueryResult, TableDetails, TableSummary


@dataclass
class FakeWarehouse:
    """`answer` gives the rows of a statement; every statement that ran is kept."""

    answer: Callable[[str], Sequence[Mapping[str, Any]]] = lambda sql: ()
    listed: Sequence[TableSummary] = ()
    details: Mapping[tuple[str, str], TableDetails] = field(default_factory=dict)
    statement: Estimate = field(default_factory=lambda: Estimate("SELECT", 0))
    ran: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    raw_dataset: str = "coach_raw"
    marts_dataset: str = "coach"

    def raw(self, table: str) -> str:
        return self.full_name(self.raw_dataset, table)

    def mart(self, table: str) -> str:
        return self.full_name(self.marts_dataset, table)

    def full_name(self, dataset: str, table: str) -> str:
        return f"`p.{dataset}.{table}`"

    def query(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        max_rows: int | None = None,
        max_bytes: int | None = None,
    ) -> QueryResult:
        self.ran.append((sql, dict(parameters or {})))
        rows = tuple(self.answer(sql))
        return QueryResult((), rows[:max_rows], len(rows), 0)

    def estimate(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Estimate:
        return self.statement

    def tables(self, dataset: str) -> Sequence[TableSummary]:
        return [table for table in self.listed if table.dataset == dataset]

    def pages(
        self, dataset: str, name: str, columns: Sequence[str], size: int
    ) -> Iterator[Sequence[Mapping[str, Any]]]:
        rows = self.answer(f"{dataset}.{name}")
        for first in range(0, len(rows), size):
            yield rows[first : first + size]

    def table(self, dataset: str, name: str) -> TableDetails | None:
        return self.details.get((dataset, name))
