"""What flows need to look: bucket, Insights and BigQuery, read only."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ingest.ports.move import CiAnalysisState as CiAnalysisState
from ingest.ports.move import (
    CiConversation,
    CiMatcher,
    CiOperation,
    DeployedApi,
    Page,
    StoredObject,
)


@dataclass(frozen=True)
class ObjectGeneration:
    """One generation of an object; a noncurrent one was overwritten or deleted."""

    stored: StoredObject
    written_at: dt.datetime
    is_live: bool


class Bucket(Protocol):
    """One bucket, to look at."""

    @property
    def bucket(self) -> str:
        """Name of the bucket."""

    async def generations(self, prefix: str) -> Sequence[ObjectGeneration]:
        """Return every generation under the prefix, live and noncurrent, by name and age."""

    async def folders(self, prefix: str) -> Sequence[str]:
        """Return the names that follow the prefix up to a slash, slash included."""

    async def list(
        self, prefix: str, start: str = "", end: str = "", page_token: str = ""
    ) -> Page[StoredObject]:
        """Return a page of the live objects under the prefix with start <= name < end, by name."""


class CiReader(DeployedApi, Protocol):
    """Insights in one project and location, to look at."""

    async def get_conversation(self, conversation_id: str) -> CiConversation | None:
        """Return it in the FULL view, or None."""

    async def list_ids(self, page_token: str = "") -> Page[str]:
        """Return a page of the ids of all conversations, the newest first."""

    async def list_analyses(self, conversation_id: str) -> Sequence[CiAnalysisState]:
        """Return every analysis of the conversation, newest first."""

    async def running_analysis(self, conversation_id: str) -> CiOperation | None:
        """Return the operation that analyses the conversation now, or None."""

    async def list_matchers(self) -> Sequence[CiMatcher]:
        """Return all phrase matchers of the location."""


@dataclass(frozen=True)
class Column:
    """One column of a table or result; `mode` is NULLABLE, REQUIRED or REPEATED."""

    name: str
    type: str
    mode: str = "NULLABLE"
    description: str = ""


@dataclass(frozen=True)
class QueryResult:
    """Rows as read, at most as many as asked for; `total_count` is how many the query has."""

    columns: tuple[Column, ...]
    rows: tuple[Mapping[str, Any], ...]
    total_count: int
    processed_bytes: int


@dataclass(frozen=True)
class Estimate:
    """What a dry run says; an emulator estimates 0 bytes for everything."""

    statement_type: str
    processed_bytes: int


@dataclass(frozen=True)
class TableSummary:
    """A table or view of a dataset."""

    dataset: str
    name: str
    type: str


@dataclass(frozen=True)
class TableDetails:
    """What BigQuery says about one table; counts are None for views."""

    dataset: str
    name: str
    type: str
    columns: tuple[Column, ...]
    row_count: int | None
    size_bytes: int | None
    partitioned_by: str | None
    requires_partition_filter: bool
    clustered_by: tuple[str, ...]
    modified_at: dt.datetime | None
    description: str


class Warehouse(Protocol):
    """Both datasets, read only unless a statement that writes is sent on purpose.

    Methods raise RemoteError with a gRPC status name in `code`.
    """

    @property
    def raw_dataset(self) -> str:
        """Name of the dataset of raw tables."""

    @property
    def marts_dataset(self) -> str:
        """Name of the dataset of marts."""

    def raw(self, table: str) -> str:
        """Return the full, quoted name of a raw table."""

    def mart(self, table: str) -> str:
        """Return the full, quoted name of a mart."""

    def full_name(self, dataset: str, table: str) -> str:
        """Return the full, quoted name of a table of any dataset of the project."""

    def query(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        max_rows: int | None = None,
        max_bytes: int | None = None,
    ) -> QueryResult:
        """Return the rows of one statement with named parameters.

        Without `max_rows` every row is read. `max_bytes` is BigQuery's own cap on what is billed.
        """

    def estimate(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Estimate:
        """Return what the statement is and would read, without running it."""

    def tables(self, dataset: str) -> Sequence[TableSummary]:
        """Return the dataset's tables and views by name; none when there is no such dataset."""

    def table(self, dataset: str, name: str) -> TableDetails | None:
        """Return one table, or None."""

    def pages(
        self, dataset: str, name: str, columns: Sequence[str], size: int
    ) -> Iterator[Sequence[Mapping[str, Any]]]:
        """Yield the rows of a table, so many at a time; those of the columns that it has.

        No query is run, so nothing is billed. Raises RemoteError NOT_FOUND without a table.
        """
