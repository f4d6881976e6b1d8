"""What is left in the files of a stack that is down, once they are rewritten."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from ingest.errors import RemoteError
from ingest.local.vacuum import vacuum

WORD = "Zyxomaquillon"
TABLE = '"local-project".coach_raw.calls'
OPEN = """
import sys
from pathlib import Path
from ingest.local.bigquery.server import configure
data = Path(sys.argv[1])
configure(data / "bigquery", data / "gcs")
from local_bigquery.engine import database
"""
FILL = f"""
for statement in (
    'create schema "local-project".coach_raw',
    '''create table {TABLE} (id integer, text varchar)''',
    '''insert into {TABLE} values (1, '{WORD}'), (2, 'Avocado'), (3, 'Zucchini')''',
    "create table emulator._results.answer as select '{WORD}' as text",
    '''insert into emulator.jobs values
        ('p', 'query', null, 'DONE', 1, '{{"configuration": {{"query": {{"query": "{WORD}"}}}}}}'),
        ('p', 'load', null, 'DONE', 1, '{{"configuration": {{"load": {{}}}}}}')''',
    '''delete from {TABLE} where id = 1''',
):
    database.execute(statement)
database.connection().close()
"""
READ = f"""
print(database.fetch('''select text from {TABLE} where text > 'B' or text < 'B' order by id'''))
print(database.fetch("select job_id from emulator.jobs"))
"""


def bigquery(data_dir: Path, script: str) -> list[str]:
    """Run a script in the emulator's process; return the lines that it prints."""
    words = [sys.executable, "-c", OPEN + script, str(data_dir)]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()


def holders(data_dir: Path) -> set[str]:
    """Return the kinds of the files whose bytes have the word."""
    files = [path for path in data_dir.rglob("*") if path.is_file() and "home" not in path.parts]
    return {path.suffix for path in files if WORD.encode() in path.read_bytes()}


def test_deleted_words_are_in_no_file_and_the_rest_is_as_it_was(tmp_path: Path) -> None:
    bigquery(tmp_path, FILL)
    (tmp_path / "ci").mkdir()
    insights = tmp_path / "ci" / "insights.sqlite3"
    with closing(sqlite3.connect(insights, isolation_level=None)) as connection:
        connection.execute("pragma secure_delete = off")
        connection.execute("create table operations (conversation_id, is_done, is_orphan, text)")
        connection.executemany(
            "insert into operations values (?, ?, ?, ?)",
            [
                ("gone", True, True, f"{WORD} of an answer"),
                ("", True, True, "of no conversation"),
                ("held", True, False, "Avocado"),
                ("deleted", True, False, WORD),
            ],
        )
        connection.execute("delete from operations where conversation_id = 'deleted'")
    before = holders(tmp_path)

    vacuum(tmp_path)

    assert before == {".parquet", ".ducklake", ".duckdb", ".sqlite3"}
    assert holders(tmp_path) == set()
    assert bigquery(tmp_path, READ) == ["[('Avocado',), ('Zucchini',)]", "[('load',)]"]
    with closing(sqlite3.connect(insights)) as connection:
        left = connection.execute("select text from operations order by text").fetchall()
        assert left == [("Avocado",), ("of no conversation",)]


def test_files_that_cannot_be_rewritten_are_told_of(tmp_path: Path) -> None:
    (tmp_path / "ci").mkdir()
    (tmp_path / "ci" / "insights.sqlite3").write_bytes(b"no database at all" * 100)

    with pytest.raises(RemoteError) as caught:
        vacuum(tmp_path)

    assert caught.value.code == "VACUUM_FAILED"
    assert "not a database" in caught.value.message
