"""Looking one table up gives what listing all of them gives, whatever was done to it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.stack

COMPARE = """
import json, sys
from contextlib import contextmanager
from pathlib import Path
from ingest.local.bigquery.server import configure
configure(Path(sys.argv[1]), Path(sys.argv[1]) / "gcs")
from ingest.local.bigquery.catalog import (
    columns, with_lookup_of_hidden_column, with_lookup_of_one
)
from local_bigquery.catalog import tables
from local_bigquery.engine import database
from local_bigquery.errors import BigQueryError
from local_bigquery.sql.rules import partitions
from sqlglot import exp

P = "local-project"
is_hidden = with_lookup_of_hidden_column(partitions._hidden)
objects, found = with_lookup_of_one(database.objects), {}
names = ("filled", "shrunk", "emptied", "view_of", "gone", "never", "Filled", "renamed")

def fields_of(read, *ids):
    try:
        return [field.dump() for field in read(*ids)]
    except BigQueryError as error:
        return str(error)

def compare(moment):
    for project in (P, "elsewhere"):
        for name in names:
            ids = (project, "marts", name)
            listed = [row[:2] for row in database.objects(*ids)]
            assert [row[:2] for row in objects(*ids)] == listed, (moment, ids)
            table = exp.table_(name, db="marts", catalog=project)
            assert is_hidden(table) == partitions._hidden(table), (moment, ids)
            assert is_hidden(table) == (name == "renamed" and bool(listed)), (moment, ids)
            found[f"{moment} {project} {name}"] = objects(*ids)
            if project == P and objects(*ids):
                assert fields_of(columns, *ids) == fields_of(tables.columns, *ids), (moment, ids)
    ids = ("emulator", "_results", f"{P}:job")
    assert objects(*ids) == database.objects(*ids), moment
    found[f"{moment} results"] = objects(*ids)
    assert objects(P, "marts") == database.objects(P, "marts")
    for name, kind, _ in objects(P, "marts"):
        counted = database.fetch(f'select count(*) from "{P}".marts."{name}"')[0][0]
        assert kind == "VIEW" or objects(P, "marts", name) == [(name, kind, counted)], moment

compare("before")
T = f'"{P}".marts'
database.execute(f'create schema {T}')
for name in ("filled", "shrunk", "emptied", "gone", "moved"):
    database.execute(
        f'create table {T}.{name} (id integer not null, said varchar, parts struct(a integer)[])'
    )
    database.execute(f"insert into {T}.{name} select i, 'x', [] from range(10) as r(i)")
compare("filled")
database.execute(f"delete from {T}.shrunk where id < 4")
database.execute(f"delete from {T}.emptied where id < 3")
database.execute(f"delete from {T}.emptied")
database.execute(f"update {T}.filled set said = 'y' where id = 1")
database.execute(f"create view {T}.view_of as select id from {T}.filled")
database.execute(f"drop table {T}.gone")
database.execute(f'alter table {T}.moved add column "{tables.INGESTION_TIME}" timestamp')
database.execute(f"alter table {T}.moved rename to renamed")
database.execute(f'create table emulator._results."{P}:job" as select 1 as a union all select 2')
compare("changed")
database.execute(f"create or replace table {T}.gone as select 1 as other")
database.execute(f"alter table {T}.filled add column late date")
database.execute(f"drop view {T}.view_of")
database.execute(f"delete from {T}.shrunk where id < 6")
database.execute(f"insert into {T}.shrunk select 1, 'z', [] from range(2)")
database.execute(f"delete from {T}.shrunk where said = 'z'")
compare("changed again")

asked = []
class Asked:
    def __init__(self, cursor):
        self.cursor = cursor
    def execute(self, sql, *args):
        asked.append(sql)
        return self.cursor.execute(sql, *args)
@contextmanager
def recorded():
    with cursor() as own:
        yield Asked(own)
cursor, database.cursor = database.cursor, recorded
objects(P, "marts", "filled"), columns(P, "marts", "filled")
assert len(asked) == 3 and all("max(snapshot_id)" in sql for sql in asked), asked
print()  # a bar of DuckDB's may stand in the line
print(json.dumps({key: rows for key, rows in found.items() if rows}))
"""


def test_one_table_is_found_as_in_the_list_of_all(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", COMPARE, str(tmp_path)], capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 0, ended.stderr
    project, ten = "local-project", 10
    assert json.loads(ended.stdout.splitlines()[-1]) == {
        **{
            f"filled {project} {name}": [[name, "TABLE", ten]]
            for name in ("filled", "shrunk", "emptied", "gone")
        },
        f"changed {project} filled": [["filled", "TABLE", ten]],
        f"changed {project} shrunk": [["shrunk", "TABLE", 6]],
        f"changed {project} emptied": [["emptied", "TABLE", 0]],
        f"changed {project} view_of": [["view_of", "VIEW", 0]],
        f"changed {project} renamed": [["renamed", "TABLE", ten]],
        "changed results": [["local-project:job", "TABLE", 2]],
        f"changed again {project} filled": [["filled", "TABLE", ten]],
        f"changed again {project} shrunk": [["shrunk", "TABLE", 4]],
        f"changed again {project} emptied": [["emptied", "TABLE", 0]],
        f"changed again {project} gone": [["gone", "TABLE", 1]],
        f"changed again {project} renamed": [["renamed", "TABLE", ten]],
        "changed again results": [["local-project:job", "TABLE", 2]],
    }
