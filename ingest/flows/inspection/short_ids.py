"""The whole id that a beginning of it stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ingest.domain.conversation import ConversationId
from ingest.domain.object_paths import checked_id
from ingest.errors import InputError
from ingest.flows.pages import items_of
from ingest.hops import CiReader
from ingest.warehouse import ANY_PARTITION, Warehouse

MOST_LISTED = 1_000
"""Conversations of CI that are looked through, newest first: CI has no filter on ids."""
_MOST_AMBIGUOUS = 5
_UUID_CHARS = 36
_TABLES = ("conversation_files", "ci_conversations", "pipeline_events")


@dataclass(frozen=True)
class FoundInCi:
    """Ids of CI that begin alike; `is_all` is false where CI holds more than was looked through."""

    ids: frozenset[str]
    is_all: bool


async def find_in_ci(ci: CiReader, beginning: str) -> FoundInCi:
    """Return the id itself if CI holds it, else those of the newest that begin so."""
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
    ask_ci: Callable[[ConversationId], FoundInCi],
    source: Path | None = None,
) -> ConversationId:
    """Return the one id that begins as given; a whole id is returned as it is.

    Looked for in the raw tables, where an erased conversation still has its tombstone, and among
    the date folders of `source`; what neither knows, in CI. What nobody knows is returned as it
    is, if all of CI was looked through. Raises InputError when it's no id, when several begin so,
    or when it may be one of those that were not looked through.
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
            f"the {MOST_LISTED:,} newest of CI",
            "give the whole id: CI holds older ones, and can't be asked for a beginning",
        )
    return checked


def _only(beginning: ConversationId, ids: Iterable[str]) -> ConversationId:
    several = sorted(ids)
    if beginning in several:
        return beginning
    if len(several) > 1:
        more = " …" if len(several) > _MOST_AMBIGUOUS else ""
        shown = ", ".join(several[:_MOST_AMBIGUOUS]) + more
        raise InputError(f"several conversations begin with {beginning}: {shown}", "add letters")
    return checked_id(several[0])
