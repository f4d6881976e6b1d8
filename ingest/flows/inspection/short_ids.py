"""The whole id that a beginning of it stands for."""

from __future__ import annotations

from pathlib import Path

from ingest.domain.conversation import ConversationId
from ingest.domain.object_paths import checked_id
from ingest.errors import InputError
from ingest.warehouse import ANY_PARTITION, Warehouse

_MOST_AMBIGUOUS = 5
_UUID_CHARS = 36
_TABLES = ("conversation_files", "ci_conversations", "pipeline_events")


def full_id(warehouse: Warehouse, given: str, source: Path | None = None) -> ConversationId:
    """Return the one id that begins as given; a whole id is returned as it is.

    Looked for in the raw tables, where an erased conversation still has its tombstone, and among
    the date folders of `source`. Raises InputError when it's no id, or when several begin so.
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
    if checked in ids or not ids:
        return checked
    if len(ids) > 1:
        several = sorted(ids)
        more = " …" if len(several) > _MOST_AMBIGUOUS else ""
        shown = ", ".join(several[:_MOST_AMBIGUOUS]) + more
        raise InputError(f"several conversations begin with {checked}: {shown}", "add letters")
    return checked_id(ids.pop())
