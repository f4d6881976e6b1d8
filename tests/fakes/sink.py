"""Raw tables in memory: load jobs with ids, rows checked against the declared schemas."""

from __future__ import annotations

import datetime as dt
import gzip
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from ingest.domain.raw_records import OPTIONAL_TABLES, RAW_TABLES
from ingest.errors import RemoteError
from ingest.flows.landing import raw_schema
from ingest.ports.move import LoadResult
from tests.fakes.sink_answers import Row, answer
from tests.fakes.store import FakeObjectStore
from tests.fakes.trouble import Trouble


@dataclass
class FakeSink:
    """The raw dataset; `refused` holds tables whose load jobs fail, as after a schema drift.

    `missing` holds tables that nobody created; `registry` is what `dbt build` made, None before.
    """

    store: FakeObjectStore
    trouble: Trouble = field(default_factory=Trouble)
    rows: dict[str, list[Row]] = field(
        default_factory=lambda: {name: [] for name in (*RAW_TABLES, *OPTIONAL_TABLES)}
    )
    jobs: dict[str, LoadResult | RemoteError] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    registry: list[Row] | None = None

    async def load(self, table: str, uri: str, job_id: str) -> LoadResult:
        async with self.trouble.call("load"):
            is_new = job_id not in self.jobs
            if is_new:
                self.jobs[job_id] = self._run(table, uri, job_id)
            done = self.jobs[job_id]
            if isinstance(done, LoadResult):
                return done
            code = "JOB_FAILED" if is_new else "JOB_FAILED_BEFORE"
            raise RemoteError(done.message, code=code)

    def _run(self, table: str, uri: str, job_id: str) -> LoadResult | RemoteError:
        try:
            content = self.store.content(uri.removeprefix(f"gs://{self.store.bucket}/"))
        except RemoteError as error:
            return error
        lines = gzip.decompress(content).splitlines()
        rows = [orjson.loads(line) for line in lines]
        if table in self.refused or not all(_fits(table, row) for row in rows):
            return RemoteError(f"fake: {table} refuses the rows")
        self.rows[table] += [_typed(table, row) for row in rows]
        return LoadResult(job_id, len(rows))

    async def query(
        self, sql: str, parameters: Mapping[str, Any], max_rows: int | None = None
    ) -> Sequence[Mapping[str, Any]]:
        async with self.trouble.call("query"):
            return answer(self, sql, parameters)[:max_rows]

    async def erase(self, table: str, conversation_id: str) -> int:
        async with self.trouble.call("erase"):
            if table in self.missing:
                raise RemoteError(f"fake: no table {table}", code="NOT_FOUND")
            kept = [
                row
                for row in self.rows[table]
                if row.get("conversation_id") != conversation_id or row.get("step") == "forget"
            ]
            gone = len(self.rows[table]) - len(kept)
            self.rows[table] = kept
            return gone

    def table(self, name: str) -> str:
        return f"`local-project.coach_raw.{name}`"

    def mart(self, name: str) -> str:
        return f"`local-project.coach.{name}`"

    def facts(self) -> dict[str, list[Row]]:
        """Return all rows without what differs from run to run by nature."""
        return {table: [dict(row) for row in rows] for table, rows in self.rows.items()}


def _fits(table: str, row: Row) -> bool:
    schema = raw_schema(table)
    has_required = all(
        row.get(name) is not None
        for name, declared in schema.items()
        if declared["mode"] == "REQUIRED"
    )
    return not row.keys() - schema.keys() and has_required


def _typed(table: str, row: Row) -> Row:
    readers: dict[str, Callable[[Any], Any]] = {
        "TIMESTAMP": dt.datetime.fromisoformat,
        "DATE": dt.date.fromisoformat,
        "INTEGER": int,
        "BOOLEAN": bool,
        "STRING": str,
        "JSON": lambda value: value,
    }
    schema = raw_schema(table)
    return {
        name: None if row.get(name) is None else readers[schema[name]["type"]](row[name])
        for name in schema
    }
