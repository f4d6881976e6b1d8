"""Long-running operations at rest: what was promised is finished after a restart too."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ingest.emulator.store.database import Database

_COLUMNS = (
    "seq, parent_id, operation_id, kind, conversation_id, create_us, due_us, is_done,"
    " status_code, analysis_seq, metadata, request, response, error"
)


@dataclass(frozen=True, slots=True)
class StoredOperation:
    """One operation; blobs are serialized: metadata and response as Any, error as Status."""

    seq: int
    parent_id: int
    operation_id: str
    kind: str
    conversation_id: str
    create_us: int
    due_us: int
    is_done: bool = False
    status_code: int = 0
    analysis_seq: int | None = None
    """The analysis that is the response, kept once only."""
    metadata: bytes = b""
    request: bytes = b""
    response: bytes = b""
    error: bytes = b""


class OperationStore:
    """Reads and writes operations; callers own the transactions."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def insert(self, operation: StoredOperation) -> StoredOperation:
        """Store an operation and return it with its seq."""
        values = _values(operation)[1:]
        cursor = self._db.execute(
            f"insert into operations ({_COLUMNS.removeprefix('seq, ')})"
            f" values ({', '.join('?' * len(values))})",
            values,
        )
        return replace(operation, seq=int(cursor.lastrowid or 0))

    def update(self, operation: StoredOperation) -> None:
        """Keep the operation's state."""
        self._db.execute(
            "update operations set is_done = ?, status_code = ?, analysis_seq = ?, metadata = ?,"
            " response = ?, error = ? where seq = ?",
            (
                operation.is_done,
                operation.status_code,
                operation.analysis_seq,
                operation.metadata,
                operation.response,
                operation.error,
                operation.seq,
            ),
        )

    def count_done(self, operation_id: str) -> None:
        """Count one more item that the operation is done with, in the item's own transaction."""
        self._db.execute(
            "update operations set done_count = done_count + 1 where operation_id = ?",
            (operation_id,),
        )

    def done_count(self, operation_id: str) -> int:
        """Return how many items were done, by earlier processes too."""
        row = self._db.execute(
            "select done_count from operations where operation_id = ?", (operation_id,)
        ).fetchone()
        return int(row[0])

    def find(self, parent_id: int, operation_id: str) -> StoredOperation | None:
        """Return the operation, or None."""
        found = self._select("where parent_id = ? and operation_id = ?", (parent_id, operation_id))
        return found[0] if found else None

    def open(self) -> list[StoredOperation]:
        """Return the operations that aren't done, the next due first."""
        return self._select("where is_done = 0 order by due_us, seq", ())

    def page(
        self, parent_id: int, where: str, parameters: tuple[Any, ...], limit: int, before: int
    ) -> list[StoredOperation]:
        """Return operations newest first (assumed), from behind seq `before`."""
        return self._select(
            f"where parent_id = ? and seq < ? and ({where}) order by seq desc limit ?",
            (parent_id, before, *parameters, limit),
        )

    def _select(self, condition: str, parameters: tuple[Any, ...]) -> list[StoredOperation]:
        rows = self._db.execute(
            f"select {_COLUMNS} from operations {condition}",
            parameters,
        )
        return [StoredOperation(*row) for row in rows]


def _values(operation: StoredOperation) -> tuple[Any, ...]:
    return tuple(getattr(operation, column.strip()) for column in _COLUMNS.split(","))
