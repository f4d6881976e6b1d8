"""The SQLite file: schema, pragmas and transactions.

WAL with synchronous=NORMAL: a commit is a write to the WAL without fsync. The pages belong to the
operating system once written, so `kill -9` of this process loses nothing that was acknowledged;
only a crash of the machine may lose the last commits. Every statement runs on the event loop's
thread: a call reads and writes in microseconds and no lock is ever needed.

A conversation's transcript is the last column of its row in `bodies`, so that reading the rest of
the row doesn't touch it.
"""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ingest.errors import SettingsError

FORMAT = 6
_CACHE_KIB = 32 * 1024
_CHECKPOINT_PAGES = 4000
_SCHEMA = """
create table parents (
    parent_id integer primary key, parent text not null unique, settings blob
) strict;
create table conversations (
    seq integer primary key autoincrement,
    parent_id integer not null, conversation_id text not null,
    create_us integer not null, update_us integer not null, start_us integer not null,
    duration_us integer not null, turn_count integer not null, csat integer not null,
    latest_us integer not null default 0, latest_analysis_seq integer, expire_us integer,
    medium integer not null, language_code text not null, agent_id text not null,
    transcript_uri text not null, audio_uri text not null, agents text not null,
    operation_id text not null default '',
    intents text not null default '{}', phrase_matchers text not null default '{}',
    issues text not null default '[]',
    unique (parent_id, conversation_id)
) strict;
create index conversations_by_creation on conversations (parent_id, create_us, seq);
create index conversations_by_start on conversations (parent_id, start_us, seq);
create index conversations_by_analysis on conversations (parent_id, latest_us, seq);
create index conversations_by_transcript on conversations (parent_id, transcript_uri);
create index conversations_by_expiry on conversations (expire_us) where expire_us is not null;
create table labels (
    seq integer not null, key text not null, value text not null, primary key (seq, key)
) strict, without rowid;
create index labels_by_value on labels (key, value, seq);
create table bodies (
    seq integer primary key, body blob not null, summary blob not null, transcript blob not null
) strict;
create table analyses (
    seq integer primary key autoincrement,
    conversation_seq integer not null, analysis_id text not null,
    create_us integer not null, operation_id text not null, body blob not null
) strict;
create index analyses_by_conversation on analyses (conversation_seq, create_us, seq);
create table phrase_matchers (
    seq integer primary key autoincrement,
    parent_id integer not null, matcher_id text not null, is_active integer not null,
    body blob not null,
    unique (parent_id, matcher_id)
) strict;
create table phrase_matcher_revisions (
    matcher_seq integer not null, revision_id text not null, body blob not null,
    primary key (matcher_seq, revision_id)
) strict, without rowid;
create table operations (
    seq integer primary key autoincrement,
    parent_id integer not null, operation_id text not null unique, kind text not null,
    conversation_id text not null, create_us integer not null, due_us integer not null,
    is_done integer not null, status_code integer not null, analysis_seq integer,
    metadata blob not null, request blob not null, response blob not null, error blob not null,
    done_count integer not null default 0, is_orphan integer not null default 0
) strict;
create index operations_open on operations (due_us) where is_done = 0;
"""
_ORPHANS = """
create index operations_by_conversation on operations (parent_id, conversation_id)
where conversation_id != '';
create index operations_orphaned on operations (seq) where is_orphan and is_done;
"""
_RESOURCES = """
create table resources (
    seq integer primary key autoincrement,
    parent_id integer not null, owner text not null, collection text not null,
    resource_id text not null, body blob not null,
    unique (parent_id, owner, collection, resource_id)
) strict;
create table feedback_labels (
    seq integer primary key autoincrement,
    parent_id integer not null, conversation_seq integer not null,
    conversation_id text not null, label_id text not null,
    create_us integer not null, update_us integer not null, type text not null,
    question_id text not null, scorecard_id text not null, model_id text not null,
    body blob not null, unique (conversation_seq, label_id)
) strict;
"""
_TOPICS = """
create table training_labels (
    parent_id integer not null, model_id text not null, conversation_seq integer not null,
    issues text not null, primary key (conversation_seq, parent_id, model_id)
) strict, without rowid;
"""
_NOTIFICATIONS = """
create table notifications (
    seq integer primary key autoincrement, topic text not null, body blob not null
) strict;
"""
_UPGRADES = {
    1: """
alter table conversations add column operation_id text not null default '';
alter table operations add column done_count integer not null default 0;
update operations set analysis_seq = null, status_code = 5, error = x'0805'
where analysis_seq is not null and analysis_seq not in (select seq from analyses);
""",
    2: f"""
alter table operations add column is_orphan integer not null default 0;
update operations set is_orphan = 1 where not exists (
    select 1 from conversations c
    where c.parent_id = operations.parent_id and c.conversation_id = operations.conversation_id
);
{_ORPHANS}
""",
    3: _RESOURCES,
    4: f"""
alter table conversations add column issues text not null default '[]';
{_TOPICS}
""",
    5: _NOTIFICATIONS,
}
"""What makes a store of an earlier format one of the next.

Format 1 lost the response of an operation with its analysis; such a one ends as NOT_FOUND now.
"""


def locked(path: Path) -> IO[bytes]:
    """Return the open file, locked until it is closed; raise BlockingIOError when another has it.

    The lock ends with the process, however it ends.
    """
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        file.close()
        raise
    return file


class Database:
    """One connection; closing it checkpoints the WAL.

    Only one process at a time has the file: two would not see each other's operations. Raises
    SettingsError when another has it, and when it can't be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._depth = 0
        self._parents: dict[str, int] = {}
        self.clearings = 0
        """How often everything was forgotten, so that readers know when what they keep is out of
        date."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = locked(path.with_suffix(".lock"))
            self.connection = sqlite3.connect(path, isolation_level=None, cached_statements=256)
            self._open(path)
        except BlockingIOError as error:
            raise SettingsError(
                f"another Insights emulator uses {path.parent}",
                "end it, or give another --data-dir",
            ) from error
        except (OSError, sqlite3.DatabaseError) as error:
            raise SettingsError(
                f"the store {path} can't be used ({error})", "give another --data-dir"
            ) from error

    def execute(self, sql: str, parameters: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        """Run one statement."""
        return self.connection.execute(sql, parameters)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements inside are stored together or not at all; nests into the outer one."""
        if self._depth == 0:
            self.connection.execute("begin immediate")
        self._depth += 1
        try:
            yield
        except BaseException:
            self._depth -= 1
            if self._depth == 0:
                self.connection.execute("rollback")
                self._parents.clear()
            raise
        self._depth -= 1
        if self._depth == 0:
            self.connection.execute("commit")

    def parent_id(self, parent: str) -> int:
        """Return the number that stands for `projects/…/locations/…`, kept for ever."""
        known = self._parents.get(parent)
        if known is not None:
            return known
        with self.transaction():
            self.execute("insert or ignore into parents (parent) values (?)", (parent,))
            row = self.execute("select parent_id from parents where parent = ?", (parent,))
            found = int(row.fetchone()[0])
        self._parents[parent] = found
        return found

    def parent(self, parent_id: int) -> str:
        """Return the location that a number stands for."""
        for parent, known in self._parents.items():
            if known == parent_id:
                return parent
        row = self.execute("select parent from parents where parent_id = ?", (parent_id,))
        return str(row.fetchone()[0])

    def clear(self) -> None:
        """Forget every resource."""
        self.clearings += 1
        with self.transaction():
            for (table,) in self.execute(
                "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'"
            ).fetchall():
                self.execute(f"delete from {table}")
        self._parents.clear()

    def close(self) -> None:
        """Give the file back."""
        self.connection.close()
        self._lock.close()

    def _open(self, path: Path) -> None:
        for pragma in (
            "journal_mode = wal",
            "synchronous = normal",
            f"cache_size = -{_CACHE_KIB}",
            f"wal_autocheckpoint = {_CHECKPOINT_PAGES}",
            "busy_timeout = 2000",
            "temp_store = memory",
        ):
            self.execute(f"pragma {pragma}")
        found = self.execute("pragma user_version").fetchone()[0]
        if found == 0:
            self._change(_SCHEMA + _ORPHANS + _RESOURCES + _TOPICS + _NOTIFICATIONS, FORMAT)
        while found in _UPGRADES:
            self._change(_UPGRADES[found], found + 1)
            found += 1
        if found not in (0, FORMAT):
            raise SettingsError(
                f"{path} has store format {found}, this emulator writes {FORMAT}",
                "remove the data folder of the Insights emulator, or give another --data-dir",
            )

    def _change(self, script: str, to_format: int) -> None:
        self.connection.executescript(f"begin; {script} pragma user_version = {to_format}; commit;")
