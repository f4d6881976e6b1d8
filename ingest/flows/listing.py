"""Pages of what lies where. A page goes on behind the key of the last row of the one before."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.domain.conversation import checked_id
from ingest.domain.raw_records import ANY_PARTITION
from ingest.errors import InputError
from ingest.flows.attempts import admitted, items_of
from ingest.flows.show import REGISTRY
from ingest.flows.status import judged_sql
from ingest.ports.inspect import Bucket, CiReader, Warehouse
from ingest.ports.move import InsightsApi

MOST_LISTED = 1_000
"""Conversations of Insights that are searched, newest first: Insights has no filter on ids."""
_MOST_AMBIGUOUS = 5
_UUID_CHARS = 36
_TABLES = ("conversation_files", "ci_conversations", "pipeline_events")


@dataclass(frozen=True)
class FoundInCi:
    """Ids of Insights that begin alike; `is_all` is false where more remain than were searched."""

    ids: frozenset[str]
    is_all: bool


async def find_in_ci(ci: CiReader, beginning: str) -> FoundInCi:
    """Return the id itself if Insights holds it, else those of the newest that begin so."""
    if await ci.get_conversation(beginning) is not None:
        return FoundInCi(frozenset({beginning}), is_all=True)
    found: set[str] = set()
    listed = 0
    async for conversation_id in items_of(ci.list_ids):
        if listed == MOST_LISTED:
            return FoundInCi(frozenset(found), is_all=False)
        listed += 1
        if conversation_id.startswith(beginning):
            found.add(conversation_id)
    return FoundInCi(frozenset(found), is_all=True)


def full_id(
    warehouse: Warehouse,
    given: str,
    ask_ci: Callable[[str], FoundInCi],
    source: Path | None = None,
) -> str:
    """Return the one id that begins as given; a whole id is returned as it is.

    Looked for in the raw tables, where an erased conversation still has its tombstone, and among
    the date folders of `source`; what neither knows, in Insights. What nobody knows is returned as
    it is, if all of Insights was searched. Raises InputError when it's no id, several begin so,
    or it may be one of those that were not looked through.
    """
    checked = checked_id(given)
    if len(checked) >= _UUID_CHARS:
        return checked
    found = " union distinct ".join(
        f"select conversation_id from {warehouse.raw(table)} "
        f"where {ANY_PARTITION} and starts_with(conversation_id, @beginning)"
        for table in _TABLES
    )
    sql = f"{found} order by conversation_id limit {_MOST_AMBIGUOUS + 1}"
    ids = {row["conversation_id"] for row in warehouse.query(sql, {"beginning": checked}).rows}
    if source is not None:
        ids |= {path.name for path in source.glob(f"*/{checked}*") if path.is_dir()}
    if ids:
        return _only(checked, ids)
    in_ci = ask_ci(checked)
    if in_ci.ids:
        return _only(checked, in_ci.ids)
    if not in_ci.is_all:
        raise InputError(
            f"no conversation that begins with {checked} is known to the raw tables, or is among "
            f"the {MOST_LISTED:,} newest of Insights",
            "give the whole id: Insights holds older ones, and can't be asked for a beginning",
        )
    return checked


def _only(beginning: str, ids: Iterable[str]) -> str:
    several = sorted(ids)
    if beginning in several:
        return beginning
    if len(several) > 1:
        more = " …" if len(several) > _MOST_AMBIGUOUS else ""
        shown = ", ".join(several[:_MOST_AMBIGUOUS]) + more
        raise InputError(f"several conversations begin with {beginning}: {shown}", "add letters")
    return checked_id(several[0])


_LAST_CHARACTER = "\x7f"


@dataclass(frozen=True)
class ListedObject:
    """An object of the bucket."""

    name: str
    generation: int
    size_bytes: int
    content_sha256: str | None


@dataclass(frozen=True)
class ListedCiConversation:
    """A conversation that Insights holds, without its talk."""

    conversation_id: str
    batch_date: str | None
    turn_count: int
    analysis_id: str | None
    updated_at: dt.datetime


@dataclass(frozen=True)
class ListedConversation:
    """A conversation by the facts in the raw tables; of an erased one no date is kept."""

    conversation_id: str
    batch_date: dt.date | None
    status: str
    error_code: str | None
    since: dt.datetime


@dataclass(frozen=True)
class ListedVersion:
    """The current version of a conversation in the registry."""

    conversation_id: str
    batch_date: dt.date
    version_number: int
    status: str
    business_line: str | None
    direction: str | None
    call_outcome: str | None
    turn_count: int | None
    ci_analysis_id: str | None


async def list_objects(
    bucket: Bucket, prefix: str, after: str | None, limit: int
) -> tuple[ListedObject, ...]:
    """Return live objects under the prefix, by name."""
    found: list[ListedObject] = []
    # A name that follows another one directly is that name with a space added.
    start = f"{after} " if after else ""
    async for held in items_of(lambda token: bucket.list(prefix, start, page_token=token)):
        found.append(ListedObject(held.name, held.generation, held.size_bytes, held.content_sha256))
        if len(found) == limit:
            break
    return tuple(found)


async def list_ci(
    ci: InsightsApi, batch_date: dt.date | None, where: str, after: str | None, limit: int
) -> tuple[ListedCiConversation, ...]:
    """Return conversations that the filter admits, in Insights' order, behind the id `after`.

    Raises InputError when `after` is not among them, and when Insights refuses `where`.
    """
    of_date = f'labels.batch_date="{batch_date}"' if batch_date else ""
    filter_ = " AND ".join(part for part in (of_date, where) if part)
    found: list[ListedCiConversation] = []
    is_behind = after is None
    listed = items_of(lambda token: ci.list_conversations(filter_, token))
    async for held in admitted(listed, where):
        if not is_behind:
            is_behind = held.conversation_id == after
            continue
        latest = held.latest_analysis
        found.append(
            ListedCiConversation(
                held.conversation_id,
                held.labels.get("batch_date"),
                int(held.payload.get("turnCount", 0)),
                latest.name.rsplit("/", 1)[-1] if latest else None,
                held.updated_at,
            )
        )
        if len(found) == limit:
            break
    if not is_behind:
        raise InputError(
            f"Insights lists no conversation {after} here", "give the last id of the page before"
        )
    return tuple(found)


def list_raw(
    warehouse: Warehouse,
    batch_date: dt.date | None,
    status: str | None,
    after: str | None,
    limit: int,
) -> tuple[ListedConversation, ...]:
    """Return conversations of the raw tables, by id."""
    conditions, parameters = _page(batch_date, status, after, limit)
    sql = f"""
{judged_sql(warehouse)}
select conversation_id, batch_date, status, error_code, since
from judged
where {conditions}
order by conversation_id
limit @limit
"""
    return tuple(ListedConversation(**row) for row in warehouse.query(sql, parameters).rows)


def list_marts(
    warehouse: Warehouse,
    batch_date: dt.date | None,
    status: str | None,
    after: str | None,
    limit: int,
) -> tuple[ListedVersion, ...]:
    """Return the registry's current versions, by id; raise InputError before its first build."""
    if all(table.name != REGISTRY for table in warehouse.tables(warehouse.marts_dataset)):
        raise InputError("the marts were never built", "run `dbt build`")
    conditions, parameters = _page(batch_date, status, after, limit)
    sql = f"""
select
    conversation_id, batch_date, version_number, status, business_line, direction, call_outcome,
    turn_count, ci_analysis_id
from {warehouse.mart(REGISTRY)}
where is_current and {conditions}
order by conversation_id
limit @limit
"""
    return tuple(ListedVersion(**row) for row in warehouse.query(sql, parameters).rows)


def _page(
    batch_date: dt.date | None, status: str | None, after: str | None, limit: int
) -> tuple[str, dict[str, Any]]:
    conditions = ["conversation_id > @after"]
    parameters: dict[str, Any] = {"after": after or "", "limit": limit}
    if batch_date is not None:
        conditions.append("batch_date = @batch_date")
        parameters["batch_date"] = batch_date
    if status is not None:
        conditions.append("status = @status")
        parameters["status"] = status
    return " and ".join(conditions), parameters
