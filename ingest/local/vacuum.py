"""Rewrite what the local stack holds, so that nothing deleted is left in its files.

DuckDB, DuckLake and SQLite keep deleted rows: in old snapshots and unused pages, in logs of writes,
in the least and greatest value noted of a column, in results and texts of past queries; Insights'
operations keep their answers. All of it goes; tables keep their rows, and lose their time travel.
Nothing may have the files open.

`python -m ingest.local.vacuum DATA_DIR` does it, in a process whose HOME has DuckDB's extensions.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from ingest.errors import RemoteError

_PAST_QUERIES = """
    DELETE FROM jobs
    WHERE state = 'DONE' AND json_extract(resource, '$.configuration.load') IS NULL
"""
_ANSWERS_OF_DELETED = """
    delete from operations where is_orphan and is_done and conversation_id != ''
"""
_NO_EXTREMES = "UPDATE ducklake_table_column_stats SET min_value = NULL, max_value = NULL"


def vacuum(data_dir: Path) -> None:
    """Rewrite the files of a stack that is down; raise RemoteError where that fails."""
    done = subprocess.run(
        [sys.executable, "-m", "ingest.local.vacuum", str(data_dir)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        told = done.stderr.strip().splitlines()
        raise RemoteError(
            f"the data of the local stack couldn't be rewritten ({told[-1] if told else 'killed'})",
            "free some space and repeat; tables are whole, deleted words may still be in the files",
            code="VACUUM_FAILED",
        )


def vacuum_bigquery(folder: Path, gcs_root: Path) -> None:
    """Rewrite tables, their catalog and the emulator's own file, without results and past queries.

    Loads stay known by their ids: none may land twice.
    """
    if not folder.is_dir():
        return
    from ingest.local.bigquery.server import configure

    configure(folder, gcs_root)
    _close_interrupted_jobs()
    for catalog in sorted(folder.glob("*.ducklake")):
        _rewrite_tables(catalog)
        _copy(catalog)
    import duckdb

    own = folder / "emulator.duckdb"
    if own.exists():
        with duckdb.connect(str(own)) as connection:
            connection.execute("DROP SCHEMA IF EXISTS _results CASCADE")
            connection.execute(_PAST_QUERIES)
        _copy(own)
    shutil.rmtree(folder / "tmp", ignore_errors=True)


def vacuum_sqlite(file: Path) -> None:
    """Rewrite the Insights emulator's file and empty its log of writes.

    Ended operations of deleted conversations go: their answers are analyses, words and all.
    """
    if not file.exists():
        return
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute(_ANSWERS_OF_DELETED)
        connection.execute("vacuum")
        connection.execute("pragma wal_checkpoint(truncate)")


def _close_interrupted_jobs() -> None:
    """End what a kill left open while the snapshots can still tell how it ended."""
    from local_bigquery.engine import database

    from ingest.local.bigquery.jobs import close_interrupted_jobs

    close_interrupted_jobs()
    database.connection().close()


def _rewrite_tables(catalog: Path) -> None:
    import duckdb

    data = catalog.with_suffix("")
    with duckdb.connect() as connection:
        connection.load_extension("ducklake")
        connection.execute(
            f"ATTACH 'ducklake:{_text(catalog)}' AS lake "
            f"(DATA_PATH '{_text(data)}/', OVERRIDE_DATA_PATH true)"
        )
        for call in (
            "ducklake_rewrite_data_files('lake', delete_threshold => 0)",
            "ducklake_expire_snapshots('lake', older_than => now())",
            "ducklake_cleanup_old_files('lake', cleanup_all => true)",
            "ducklake_delete_orphaned_files('lake', cleanup_all => true)",
        ):
            connection.execute(f"CALL {call}").fetchall()
    with duckdb.connect(str(catalog)) as connection:
        # DuckLake only ever widens them; without them it looks into every file.
        connection.execute(_NO_EXTREMES)


def _copy(file: Path) -> None:
    """Put a copy without unused pages in the place of a DuckDB file."""
    import duckdb

    fresh = file.with_name(f"{file.name}.vacuum")
    fresh.unlink(missing_ok=True)
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{_text(file)}' AS old")
        connection.execute("CHECKPOINT old")
        connection.execute(f"ATTACH '{_text(fresh)}' AS fresh")
        connection.execute("COPY FROM DATABASE old TO fresh")
        connection.execute("CHECKPOINT fresh")
    file.with_name(f"{file.name}.wal").unlink(missing_ok=True)
    fresh.replace(file)


def _text(path: Path) -> str:
    return str(path.resolve()).replace("'", "''")


def main(data_dir: Path) -> None:
    """Rewrite all that the stack of that folder holds."""
    vacuum_bigquery(data_dir / "bigquery", data_dir / "gcs")
    vacuum_sqlite(data_dir / "ci" / "insights.sqlite3")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
