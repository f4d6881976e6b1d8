"""Where long-running operations are kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ingest.emulator import protos
from ingest.emulator.database import Database

KEPT_ORPHANS = 1000
"""How many ended operations without a conversation are kept (Google names no term)."""
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
        is_orphan = not operation.conversation_id
        values = (*_values(operation)[1:], is_orphan)
        cursor = self._db.execute(
            f"insert into operations ({_COLUMNS.removeprefix('seq, ')}, is_orphan)"
            f" values ({', '.join('?' * len(values))})",
            values,
        )
        if is_orphan:
            self._forget_old()
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
        if not operation.conversation_id:
            self._forget_old()

    def analysis(self, seq: int) -> bytes:
        """Return the serialized analysis that is an operation's response."""
        row = self._db.execute("select body from analyses where seq = ?", (seq,)).fetchone()
        return bytes(row[0])

    def keep_analyses(self, condition: str, value: int) -> None:
        """Give operations their own copy of analyses that are about to be deleted.

        What an operation has answered once it answers for ever (assumed). `condition` is over `a`.
        """
        rows = self._db.execute(
            "select o.seq, a.body from analyses a join operations o"
            f" on o.operation_id = a.operation_id and o.analysis_seq = a.seq where {condition}",
            (value,),
        )
        for seq, body in rows.fetchall():
            response = protos.Any_(type_url=protos.ANALYSIS_TYPE_URL, value=body)
            self._db.execute(
                "update operations set response = ?, analysis_seq = null where seq = ?",
                (response.SerializeToString(), seq),
            )

    def leave(self, conversation_seq: int) -> None:
        """Take leave of a conversation that is about to be deleted."""
        self.keep_analyses("a.conversation_seq = ?", conversation_seq)
        self._db.execute(
            "update operations set is_orphan = 1 where conversation_id != '' and"
            " (parent_id, conversation_id) ="
            " (select parent_id, conversation_id from conversations where seq = ?)",
            (conversation_seq,),
        )
        self._forget_old()

    def _forget_old(self) -> None:
        """Forget ended operations of no conversation that is still there, all but the newest."""
        self._db.execute(
            "delete from operations where seq in (select seq from operations"
            " where is_orphan and is_done order by seq desc limit -1 offset ?)",
            (KEPT_ORPHANS,),
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
