"""Raw tables in memory: load jobs with ids, rows checked against the declared schemas."""

from __future__ import annotations

import datetime as dt
import gzip
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from ingest.domain.raw_records import (
    CI_CONVERSATIONS,
    CONVERSATION_FILES,
    PHRASE_MATCHERS,
    PIPELINE_EVENTS,
    RAW_TABLES,
)
from ingest.errors import RemoteError
from ingest.flows.landing import raw_schema
from ingest.ports import LoadResult
from tests.fakes.store import FakeObjectStore
from tests.fakes.trouble import Trouble

Row = dict[str, Any]


@dataclass
class FakeSink:
    """The raw dataset; `refused` holds tables whose load jobs fail, as after a schema drift."""

    store: FakeObjectStore
    trouble: Trouble = field(default_factory=Trouble)
    rows: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in RAW_TABLES})
    jobs: dict[str, LoadResult | RemoteError] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)

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
            for mark, answer in _ANSWERS.items():
                if mark in sql:
                    return answer(self, parameters)[:max_rows]
            raise NotImplementedError(sql)

    async def erase(self, table: str, conversation_id: str) -> int:
        async with self.trouble.call("erase"):
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
        "STRING": str,
        "JSON": lambda value: value,
    }
    schema = raw_schema(table)
    return {
        name: None if row.get(name) is None else readers[schema[name]["type"]](row[name])
        for name in schema
    }


def _evidence(sink: FakeSink, parameters: Mapping[str, Any]) -> list[Row]:
    def in_range(table: str) -> list[Row]:
        first, last = parameters["first_id"], parameters["last_id"]
        return [row for row in sink.rows[table] if first <= row["conversation_id"] <= last]

    newest: dict[str, Row] = {}
    for row in in_range(CI_CONVERSATIONS):
        held = newest.get(row["conversation_id"])
        if held is None or _age(held) < _age(row):
            newest[row["conversation_id"]] = row
    forgotten = {
        row["conversation_id"]
        for row in in_range(PIPELINE_EVENTS)
        if (row["step"], row["outcome"]) == ("forget", "succeeded")
    }
    return [
        *(_fact("file", row) for row in in_range(CONVERSATION_FILES)),
        *(_fact("state", row) for row in newest.values()),
        *(_fact("forgotten", {"conversation_id": name}) for name in sorted(forgotten)),
    ]


def _age(row: Row) -> tuple[dt.datetime, dt.datetime]:
    return row["ci_updated_at"], row["_landed_at"]


_FACT_COLUMNS = (
    "conversation_id",
    "kind",
    "uri",
    "generation",
    "batch_date",
    "content_sha256",
    "metadata_sha256",
    "transcript_sha256",
    "annotator_profile_sha256",
)


def _fact(fact: str, row: Row) -> Row:
    columns = {name: row.get(name) for name in _FACT_COLUMNS}
    return {"fact": fact, **columns, "landed_at": row.get("_landed_at")}


def _revisions(sink: FakeSink, parameters: Mapping[str, Any]) -> list[Row]:
    pairs = {(row["matcher_id"], row["revision_id"]) for row in sink.rows[PHRASE_MATCHERS]}
    return [{"matcher_id": m, "revision_id": r} for m, r in sorted(pairs)]


_ANSWERS: dict[str, Callable[[FakeSink, Mapping[str, Any]], list[Row]]] = {
    "'file' as fact": _evidence,
    "select distinct matcher_id": _revisions,
}
