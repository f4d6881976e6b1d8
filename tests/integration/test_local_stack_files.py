"""No statement and no job on the stack opens the machine's files; extracts are objects."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, storage

pytestmark = pytest.mark.stack

CALL = {"timeout": 30, "retry": None}
SECRET = "a machine's file"
READS = [
    "select * from read_text('{file}')",
    "select * from read_blob('{file}')",
    "select * from read_csv('{file}')",
    "select * from read_json_auto('{file}')",
    "select * from read_parquet('{file}')",
    "select * from parquet_scan('{file}')",
    "select * from sniff_csv('{file}')",
    "select * from st_read('{file}')",
    "select * from glob('{folder}/*')",
    "select * from main.read_text('{file}')",
    "select * from `main.read_text`('{file}')",
    "select * from system.main.read_text('{file}')",
    "select * from `local-project`.main.read_text('{file}')",
    "select * from coach.read_text('{file}')",
    "select * from query('select * from read_text(''{file}'')')",
    "select * from unnest([1]) as n, lateral read_text('{file}')",
    "select * from `{file}`",
    "select * from '{file}'",
    "from read_text('{file}')",
    "select (select content from read_text('{file}')) as content",
    "with t as (select * from read_text('{file}')) select * from t",
    "select 1 as n union all (select size from read_text('{file}'))",
    "declare x string default (select content from read_text('{file}')); select x",
    "declare x string; set x = (select content from read_text('{file}')); select x",
    "if exists (select 1 from read_text('{file}')) then select 1; end if",
    "for r in (select * from read_text('{file}')) do select r.content; end for",
    "execute immediate \"select * from read_text('{file}')\"",
    "create table coach.stolen as select * from read_text('{file}')",
    "create view coach.stolen as select * from read_text('{file}')",
    "create table function coach.stolen() as (select * from read_text('{file}'))",
    "create function coach.stolen() as ((select content from read_text('{file}')))",
    "create table coach.stolen options(description=(select content from read_text('{file}')))"
    " as select 1 as n",
    "alter schema coach set options(description=(select content from read_text('{file}')))",
    "create external table coach.stolen options(format='CSV', uris=['{file}'])",
    "load data into coach.stolen from files(format='CSV', uris=['{file}'])",
    "select * from external_query('us.default', 'select 1')",
]
WRITES = [
    "copy (select 1) to '{target}'",
    "copy coach.nothing to '{target}' (format csv)",
    "export data options(uri='{target}', format='CSV') as select 1 as n",
    "export data options(uri='file://{target}', format='CSV') as select 1 as n",
    "export data options(uri='gs://{bucket}/../../../..{target}', format='CSV') as select 1 as n",
    "export data options(uri='gs://../{target}', format='CSV') as select 1 as n",
    "export database '{target}'",
    "attach '{target}' as stolen",
    "attach 'ducklake:{target}' as stolen",
    "install httpfs",
    "load httpfs",
    "pragma enable_profiling",
    "set enable_external_access = true",
    "create secret stolen (type s3)",
    "call enable_logging()",
    "checkpoint",
    "import database '{folder}'",
    "explain analyze select 1",
]


@dataclass(frozen=True)
class Clients:
    """The official clients on the stack."""

    warehouse: bigquery.Client
    bucket: storage.Bucket

    def run(self, sql: str) -> list[tuple[object, ...]]:
        job = self.warehouse.query(sql, job_retry=None, **CALL)
        return [tuple(row) for row in job.result(**CALL)]

    def names(self, prefix: str) -> list[str]:
        return [blob.name for blob in self.bucket.list_blobs(prefix=prefix, **CALL)]


@pytest.fixture(scope="module")
def clients(stack) -> Iterator[Clients]:
    settings = stack.settings
    options = {"project": settings.project_id, "credentials": AnonymousCredentials()}
    warehouse = bigquery.Client(
        client_options={"api_endpoint": settings.bigquery_endpoint}, **options
    )
    objects = storage.Client(client_options={"api_endpoint": settings.gcs_endpoint}, **options)
    yield Clients(warehouse, objects.bucket(settings.bucket))
    warehouse.close()
    objects.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that is none of the stack's."""
    path = tmp_path_factory.mktemp("machine") / "secret.csv"
    path.write_text(f"said\n{SECRET}\n")
    return path


@pytest.mark.parametrize("statement", READS)
def test_no_statement_reads_a_file(clients: Clients, file: Path, statement: str) -> None:
    with pytest.raises(exceptions.ClientError) as refused:
        clients.run(statement.format(file=file, folder=file.parent))

    assert refused.value.code in (400, 404)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("statement", WRITES)
def test_no_statement_writes_a_file_or_changes_the_database(
    clients: Clients, tmp_path: Path, statement: str
) -> None:
    target = tmp_path / "written"

    with pytest.raises(exceptions.ClientError) as refused:
        clients.run(statement.format(target=target, folder=tmp_path, bucket=clients.bucket.name))

    assert refused.value.code == 400
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("statement", "answer"),
    [
        ("select * from read_text('x')", "Table-valued function not found: read_text at [1:15]"),
        ("copy (select 1) to 'x'", "Syntax error: Unexpected keyword COPY at [1:1]"),
        ("install httpfs", 'Syntax error: Unexpected identifier "install" at [1:1]'),
        ("attach 'x' as y", 'Syntax error: Unexpected identifier "attach" at [1:1]'),
        ("explain select 1", "Statement not supported: ExplainStatement at [1:1]"),
    ],
)
def test_they_are_refused_in_the_words_of_googlesql(
    clients: Clients, statement: str, answer: str
) -> None:
    with pytest.raises(exceptions.BadRequest) as refused:
        clients.run(statement)

    error = refused.value.errors[0]
    assert (error["reason"], error["message"]) == ("invalidQuery", answer)


BEHIND = """
import json, sys
from pathlib import Path
from ingest.local.bigquery import server
data, gcs, file = map(Path, sys.argv[1:])
server.configure(data, gcs)
server.keep_within(data, gcs)
from local_bigquery.engine import database
database.attach("another-project")
database.execute('create schema "another-project".d')
database.execute('create table "another-project".d.t as select 1 as n')
refused = []
for statement in (
    f"select * from read_text('{file}')",
    f"select * from '{file}'",
    f"copy (select 1) to '{file}.copy'",
    f"attach '{file}.db' as stolen",
    "load httpfs",
    "set enable_external_access = true",
    "set allowed_directories = ['/']",
    "reset allowed_directories",
):
    try:
        database.fetch(statement)
    except Exception as error:
        refused.append(type(error).__name__)
    else:
        refused.append(f"taken: {statement}")
print()  # a bar of DuckDB's may stand in the line
memory = database.fetch("select current_setting('memory_limit')")[0][0]
print(json.dumps([refused, database.fetch('select n from "another-project".d.t'), memory]))
"""


def test_behind_the_rules_of_statements_the_database_opens_no_file_and_bounds_its_memory(
    tmp_path: Path, file: Path
) -> None:
    folders = [str(tmp_path / "data"), str(tmp_path / "gcs")]

    run = subprocess.run(
        [sys.executable, "-c", BEHIND, *folders, str(file)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )

    refused = ["PermissionException"] * 5 + ["InvalidInputException"] * 3
    half = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**31
    told, rows, memory = json.loads(run.stdout.splitlines()[-1])
    assert (told, rows) == (refused, [[1]])
    assert float(memory.removesuffix(" GiB")) == pytest.approx(half, abs=0.11)


@pytest.mark.parametrize(
    "uri",
    [
        "{file}",
        "file://{file}",
        "gs://../{name}",
        "gs://{bucket}/../../../../../../../../../..{file}",
        "gs://*/{name}",
        "https://127.0.0.1/{name}",
    ],
)
def test_no_load_reads_a_file(clients: Clients, file: Path, uri: str) -> None:
    table = f"{clients.warehouse.project}.coach.test_{uuid.uuid4().hex}"
    source = uri.format(file=file, name=file.name, bucket=clients.bucket.name)
    config = bigquery.LoadJobConfig(source_format="CSV", autodetect=True)

    with pytest.raises(exceptions.ClientError) as refused:
        clients.warehouse.load_table_from_uri(source, table, job_config=config, **CALL).result(
            **CALL
        )

    assert refused.value.code in (400, 404)
    with pytest.raises(exceptions.NotFound):
        clients.warehouse.get_table(table, **CALL)


@pytest.mark.parametrize("project", ["../../elsewhere", "/tmp/elsewhere", "a' AS b; --"])
def test_a_projects_id_is_no_path(clients: Clients, project: str) -> None:
    config = bigquery.QueryJobConfig(default_dataset=bigquery.DatasetReference(project, "d"))

    with pytest.raises(exceptions.BadRequest, match="Invalid project ID"):
        clients.warehouse.query("select 1", job_config=config, job_retry=None, **CALL).result(
            **CALL
        )


@pytest.mark.parametrize(
    "statement",
    [
        "select * from unnest([1, 2]) as n",
        "with t as (select [1, 2] as numbers) select n from t, t.numbers as n",
        "create temp function query(x int64) as (x + 1); select query(1)",
        "create or replace table function coach.numbers(x int64) as (select x as n);"
        " select * from coach.numbers(3)",
        "begin transaction; commit transaction",
        "assert 1 = 1",
        "create schema if not exists scratch options(description = 'x');"
        " alter schema scratch set options(description = 'y'); drop schema scratch cascade",
        "select st_astext(st_geogpoint(1, 2))",
        "select table_name from coach.INFORMATION_SCHEMA.TABLES",
        "execute immediate 'select 1'",
        "create or replace table coach.test_partitioned (n int64)"
        " partition by range_bucket(n, generate_array(0, 10, 1)) as select 1;"
        " drop table coach.test_partitioned",
    ],
)
def test_what_bigquery_knows_is_taken(clients: Clients, statement: str) -> None:
    clients.run(statement)


@pytest.fixture
def table(clients: Clients) -> Iterator[str]:
    name = f"{clients.warehouse.project}.coach.test_{uuid.uuid4().hex}"
    clients.run(f"create table `{name}` as select n, 'a' as letter from unnest([1, 2, 3]) as n")
    yield name
    clients.warehouse.delete_table(name, **CALL)


def test_an_extract_is_an_object_as_any_other(clients: Clients, table: str) -> None:
    folder = f"extracts/{uuid.uuid4().hex}"
    uri = f"gs://{clients.bucket.name}/{folder}/rows-*.csv"

    for _ in range(2):  # a second one replaces the object
        clients.warehouse.extract_table(table, uri, **CALL).result(**CALL)

    name = f"{folder}/rows-000000000000.csv"
    assert clients.names(folder) == [name]
    blob = clients.bucket.get_blob(name, **CALL)
    assert blob is not None
    rows = list(csv.reader(io.StringIO(blob.download_as_text(**CALL))))
    assert (rows[0], sorted(rows[1:])) == (["n", "letter"], [["1", "a"], ["2", "a"], ["3", "a"]])
    assert blob.generation > 0


def test_what_was_extracted_can_be_loaded(clients: Clients, table: str) -> None:
    uri = f"gs://{clients.bucket.name}/extracts/{uuid.uuid4().hex}.json"
    copy = f"{table}_copy"
    formats = {"destination_format": "NEWLINE_DELIMITED_JSON"}

    clients.warehouse.extract_table(
        table, uri, job_config=bigquery.ExtractJobConfig(**formats), **CALL
    ).result(**CALL)
    config = bigquery.LoadJobConfig(source_format="NEWLINE_DELIMITED_JSON", autodetect=True)
    clients.warehouse.load_table_from_uri(uri, copy, job_config=config, **CALL).result(**CALL)

    assert clients.run(f"select n, letter from `{copy}` order by n") == [
        (1, "a"),
        (2, "a"),
        (3, "a"),
    ]
    clients.warehouse.delete_table(copy, **CALL)


def test_exported_data_is_an_object(clients: Clients) -> None:
    folder = f"extracts/{uuid.uuid4().hex}"
    uri = f"gs://{clients.bucket.name}/{folder}/*.json"

    clients.run(f"export data options(uri='{uri}', format='JSON') as select 1 as n")

    (name,) = clients.names(folder)
    assert json.loads(clients.bucket.blob(name).download_as_bytes(**CALL)) == {"n": 1}


@pytest.mark.parametrize(
    ("uri", "answer"),
    [
        ("/tmp/rows.csv", "Invalid extract destination URI '/tmp/rows.csv'"),
        ("gs://nobody-made-this-bucket/rows.csv", "Not found: Bucket nobody-made-this-bucket"),
    ],
)
def test_an_extract_goes_to_a_bucket_or_nowhere(
    clients: Clients, table: str, uri: str, answer: str
) -> None:
    with pytest.raises(exceptions.ClientError, match=answer):
        clients.warehouse.extract_table(table, uri, **CALL).result(**CALL)


def test_moved_composed_copied_and_removed_objects_leave_a_bucket_that_works(
    clients: Clients,
) -> None:
    """The requests of `gcloud storage cp`, `mv`, `compose` and `rm`."""
    folder = f"moves/{uuid.uuid4().hex}"
    bucket = clients.bucket
    first = bucket.blob(f"{folder}/in/first.json")
    first.metadata = {"batch": "1"}
    first.upload_from_string('{"n": 1}\n', content_type="application/json", **CALL)

    copied = bucket.copy_blob(first, bucket, f"{folder}/in/second.json", **CALL)
    moved = bucket.rename_blob(copied, f"{folder}/out/second.json", **CALL)
    rewritten, size, total = bucket.blob(f"{folder}/out/third.json").rewrite(first, **CALL)
    both = bucket.blob(f"{folder}/both.json")
    both.compose([first, moved], **CALL)
    first.delete(**CALL)
    with pytest.raises(exceptions.NotFound):
        first.delete(**CALL)

    assert clients.names(folder) == [
        f"{folder}/both.json",
        f"{folder}/out/second.json",
        f"{folder}/out/third.json",
    ]
    held = bucket.get_blob(f"{folder}/out/second.json", **CALL)
    assert held is not None
    assert (held.metadata, held.content_type) == ({"batch": "1"}, "application/json")
    assert (rewritten, size, total) == (None, 9, 9)
    table = f"{clients.warehouse.project}.coach.test_{uuid.uuid4().hex}"
    config = bigquery.LoadJobConfig(source_format="NEWLINE_DELIMITED_JSON", autodetect=True)
    for uri in (f"{folder}/both.json", f"{folder}/out/*"):
        clients.warehouse.load_table_from_uri(
            f"gs://{bucket.name}/{uri}", table, job_config=config, **CALL
        ).result(**CALL)
    assert clients.run(f"select n from `{table}`") == [(1,)] * 4
    clients.warehouse.delete_table(table, **CALL)
    for name in clients.names(folder):
        bucket.blob(name).delete(**CALL)
    assert clients.names(folder) == []
    bucket.blob(f"{folder}/in/first.json").upload_from_string("again", **CALL)
    assert clients.names(folder) == [f"{folder}/in/first.json"]
