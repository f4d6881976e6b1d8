"""The BigQuery emulator refuses what BigQuery refuses, seen through the official client."""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, storage

pytestmark = pytest.mark.stack

TIMEOUT_SEC = 20
MATCHER = {
    "matcher_id": "1",
    "revision_id": "r1",
    "display_name": "threats",
    "content_sha256": "x",
    "payload": {"name": "m", "groups": [{"n": "1"}]},
    "revised_at": "2025-12-28T00:00:00Z",
    "_run_id": "run",
    "_landed_at": "2025-12-28T01:02:03Z",
}


@dataclass(frozen=True)
class Warehouse:
    """The raw tables and the bucket that load jobs read from."""

    client: bigquery.Client
    bucket: storage.Bucket
    raw: str

    def put(self, *rows: Mapping[str, Any] | str) -> str:
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        blob = self.bucket.blob(f"batches/test/{uuid.uuid4().hex}.json.gz")
        blob.upload_from_string(gzip.compress("\n".join(lines).encode()), timeout=TIMEOUT_SEC)
        return f"gs://{self.bucket.name}/{blob.name}"

    def load(
        self, table: str, uri: str, job_id: str | None = None, **options: Any
    ) -> bigquery.LoadJob:
        defaults = {"write_disposition": "WRITE_APPEND", "create_disposition": "CREATE_NEVER"}
        config = bigquery.LoadJobConfig(
            source_format="NEWLINE_DELIMITED_JSON", **{**defaults, **options}
        )
        job = self.client.load_table_from_uri(
            uri,
            table,
            job_id=job_id or f"test-{uuid.uuid4().hex}",
            job_config=config,
            retry=None,
            timeout=TIMEOUT_SEC,
        )
        job.result(timeout=TIMEOUT_SEC, retry=None)
        return job

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        job = self.client.query(sql, timeout=TIMEOUT_SEC, retry=None, job_retry=None)
        return [tuple(row) for row in job.result(timeout=TIMEOUT_SEC, retry=None)]


@pytest.fixture
def warehouse(stack) -> Iterator[Warehouse]:
    settings = stack.settings
    options = {"project": settings.project_id, "credentials": AnonymousCredentials()}
    client = bigquery.Client(client_options={"api_endpoint": settings.bigquery_endpoint}, **options)
    objects = storage.Client(client_options={"api_endpoint": settings.gcs_endpoint}, **options)
    yield Warehouse(
        client,
        objects.bucket(settings.bucket),
        f"{settings.project_id}.{settings.raw_dataset}",
    )
    client.close()
    objects.close()


@pytest.fixture
def table(warehouse: Warehouse) -> Iterator[str]:
    """A fresh table with the schema of phrase_matchers."""
    name = f"{warehouse.raw}.test_{uuid.uuid4().hex}"
    declared = warehouse.client.get_table(f"{warehouse.raw}.phrase_matchers", timeout=TIMEOUT_SEC)
    fresh = bigquery.Table(name, schema=declared.schema)
    fresh.time_partitioning = declared.time_partitioning
    fresh.require_partition_filter = declared.require_partition_filter
    warehouse.client.create_table(fresh, timeout=TIMEOUT_SEC)
    yield name
    warehouse.client.delete_table(name, timeout=TIMEOUT_SEC)


def test_raw_tables_have_the_declared_layout(warehouse: Warehouse) -> None:
    live = warehouse.client.get_table(f"{warehouse.raw}.conversation_files", timeout=TIMEOUT_SEC)

    assert live.time_partitioning.type_ == "DAY"
    assert live.time_partitioning.field == "_landed_at"
    assert live.require_partition_filter is True
    assert live.clustering_fields == ["conversation_id"]
    assert {f.name: f.field_type for f in live.schema}["payload"] == "JSON"


def test_a_batch_of_gzipped_json_lands_once_under_its_job_id(
    warehouse: Warehouse, table: str
) -> None:
    uri, job_id = warehouse.put(MATCHER, {**MATCHER, "matcher_id": "2"}), f"t-{uuid.uuid4().hex}"

    first = warehouse.load(table, uri, job_id)
    with pytest.raises(exceptions.Conflict):
        warehouse.load(table, uri, job_id)

    held = warehouse.bucket.get_blob(uri.split("/", 3)[3], timeout=TIMEOUT_SEC)
    assert held is not None
    assert (first.output_rows, first.input_files, first.input_file_bytes) == (2, 1, held.size)
    assert warehouse.rows(
        f"select matcher_id, json_value(payload, '$.groups[0].n') from `{table}` "
        "where _landed_at >= '2025-12-28' order by 1"
    ) == [("1", "1"), ("2", "1")]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ({**MATCHER, "surprise": 1}, "No such field: surprise."),
        ({**MATCHER, "display_name": None}, "Field: display_name; Value: NULL."),
        (
            {name: value for name, value in MATCHER.items() if name != "payload"},
            "Missing required field: payload.",
        ),
        ({**MATCHER, "revised_at": "yesterday"}, "too many errors"),
        ("{broken", "Error while reading data"),
    ],
    ids=["unknown field", "null in required", "required missing", "wrong type", "broken JSON"],
)
def test_one_bad_row_fails_the_whole_load(
    warehouse: Warehouse, table: str, row: Mapping[str, Any] | str, fault: str
) -> None:
    uri = warehouse.put(MATCHER, row)

    with pytest.raises(exceptions.BadRequest, match=fault):
        warehouse.load(table, uri)

    assert warehouse.rows(f"select count(*) from `{table}` where _landed_at > '2000-01-01'") == [
        (0,)
    ]


def test_a_source_that_is_no_gzip_fails_the_load(warehouse: Warehouse, table: str) -> None:
    blob = warehouse.bucket.blob(f"batches/test/{uuid.uuid4().hex}.json.gz")
    blob.upload_from_string(json.dumps(MATCHER), timeout=TIMEOUT_SEC)
    uri = f"gs://{warehouse.bucket.name}/{blob.name}"

    with pytest.raises(exceptions.BadRequest, match="Error while reading data") as refused:
        warehouse.load(table, uri)

    assert blob.name in str(refused.value)


def test_unknown_fields_are_dropped_where_the_job_asks_for_it(
    warehouse: Warehouse, table: str
) -> None:
    job = warehouse.load(
        table, warehouse.put({**MATCHER, "surprise": 1}), ignore_unknown_values=True
    )

    assert job.output_rows == 1


def test_unknown_fields_inside_records_are_refused(warehouse: Warehouse) -> None:
    schema = [
        bigquery.SchemaField("one", "RECORD", fields=[bigquery.SchemaField("known", "STRING")]),
        bigquery.SchemaField(
            "many", "RECORD", "REPEATED", fields=[bigquery.SchemaField("known", "STRING")]
        ),
    ]
    name = f"{warehouse.raw}.test_{uuid.uuid4().hex}"
    good = {"one": {"known": "a"}, "many": [{"known": "b"}, {}], "MANY": None}
    options = {"schema": schema, "create_disposition": "CREATE_IF_NEEDED"}

    faults = []
    for row in ({"one": {"x": 1}}, {"many": [{"known": "b"}, {"y": 1}]}):
        with pytest.raises(exceptions.BadRequest) as caught:
            warehouse.load(name, warehouse.put(row), **options)
        faults.append(str(caught.value))
    job = warehouse.load(name, warehouse.put({k: good[k] for k in ("one", "many")}), **options)

    assert "No such field: x." in faults[0]
    assert "No such field: y." in faults[1]
    assert job.output_rows == 1


def test_a_schema_that_contradicts_the_table_is_refused(warehouse: Warehouse, table: str) -> None:
    live = warehouse.client.get_table(table, timeout=TIMEOUT_SEC).schema
    retyped = [
        bigquery.SchemaField("payload", "STRING") if f.name == "payload" else f for f in live
    ]
    relaxed = [bigquery.SchemaField(f.name, f.field_type) for f in live]
    uri = warehouse.put(MATCHER)

    for schema, fault in [
        (retyped, "Field payload has changed type from JSON to STRING"),
        (relaxed, "Field matcher_id has changed mode from REQUIRED to NULLABLE"),
        (live[1:], "Field matcher_id is missing in new schema"),
    ]:
        with pytest.raises(exceptions.BadRequest, match=fault):
            warehouse.load(table, uri, schema=schema)
    assert warehouse.load(table, uri, schema=live).output_rows == 1


def test_a_new_field_comes_in_only_where_the_job_allows_it(
    warehouse: Warehouse, table: str
) -> None:
    live = warehouse.client.get_table(table, timeout=TIMEOUT_SEC).schema
    wider = [*live, bigquery.SchemaField("note", "STRING")]
    uri = warehouse.put({**MATCHER, "note": "new"})

    with pytest.raises(exceptions.BadRequest, match="Cannot add fields"):
        warehouse.load(table, uri, schema=wider)
    warehouse.load(table, uri, schema=wider, schema_update_options=["ALLOW_FIELD_ADDITION"])

    assert warehouse.rows(f"select note from `{table}` where _landed_at > '2000-01-01'") == [
        ("new",)
    ]


def test_a_load_never_makes_a_table_that_it_may_not_make(warehouse: Warehouse) -> None:
    with pytest.raises(exceptions.NotFound):
        warehouse.load(f"{warehouse.raw}.nobody_made_this", warehouse.put(MATCHER))


def test_a_missing_object_fails_the_load(warehouse: Warehouse, table: str) -> None:
    uri = f"gs://{warehouse.bucket.name}/batches/test/nobody-put-this.json.gz"

    with pytest.raises(exceptions.NotFound, match="Not found: URI"):
        warehouse.load(table, uri)


def test_a_job_id_outside_the_alphabet_is_refused(warehouse: Warehouse, table: str) -> None:
    with pytest.raises(exceptions.BadRequest, match="Invalid job ID"):
        warehouse.load(table, warehouse.put(MATCHER), job_id="land.phrase_matchers")


def test_a_query_without_a_partition_filter_is_refused(warehouse: Warehouse, table: str) -> None:
    with pytest.raises(exceptions.BadRequest, match="without a filter over column"):
        warehouse.rows(f"select count(*) from `{table}`")


def test_create_table_as_names_the_table_and_has_no_rows(warehouse: Warehouse) -> None:
    name = f"{warehouse.raw}.test_{uuid.uuid4().hex}"

    job = warehouse.client.query(f"create table `{name}` as select 1 as a", timeout=TIMEOUT_SEC)
    rows = list(job.result(timeout=TIMEOUT_SEC))

    assert (f"{job.destination}", rows) == (name, [])
    assert warehouse.rows(f"select a from `{name}`") == [(1,)]


def test_a_table_is_replaced_whole_or_not_at_all(warehouse: Warehouse) -> None:
    name = f"{warehouse.raw}.test_{uuid.uuid4().hex}"
    replaced = f"create or replace table `{name}` (a int64 not null) as select"
    warehouse.rows(f"{replaced} 1 as a")

    with pytest.raises(exceptions.BadRequest, match="no such number"):
        warehouse.rows(f"{replaced} if(n > 1, error('no such number'), n) from unnest([1, 2]) as n")
    left = warehouse.rows(f"select a from `{name}`")
    warehouse.rows(f"{replaced} 2 as a union all select 3")

    assert left == [(1,)]
    assert sorted(warehouse.rows(f"select a from `{name}`")) == [(2,), (3,)]


def test_no_reader_meets_a_table_while_it_is_replaced(warehouse: Warehouse) -> None:
    name = f"{warehouse.raw}.test_{uuid.uuid4().hex}"
    statement = f"create or replace table `{name}` (a int64) as select a from unnest([1, 2]) as a"
    warehouse.rows(statement)

    with ThreadPoolExecutor(1) as pool:
        ended = [pool.submit(warehouse.rows, statement) for _ in range(10)]
        counts = [warehouse.rows(f"select count(*) from `{name}`")]
        while not all(each.done() for each in ended):
            counts.append(warehouse.rows(f"select count(*) from `{name}`"))
        for each in ended:
            each.result()

    assert set(map(tuple, counts)) == {((2,),)}


def test_recursion_is_taken_at_the_top_of_a_statement_and_refused_inside(
    warehouse: Warehouse,
) -> None:
    counted = "with recursive c as (select 1 as n union all select n + 1 from c where n < 3)"
    query, name = f"{counted} select n from c", f"{warehouse.raw}.test_{uuid.uuid4().hex}"
    merge = f"merge into `{name}` as t using ({query}) as s on t.n = s.n"

    warehouse.rows(f"create table `{name}` as ({query})")
    for inside in (f"select * from ({query})", f"{merge} when matched then delete"):
        with pytest.raises(exceptions.BadRequest, match="WITH RECURSIVE is only allowed at") as at:
            warehouse.rows(inside)
        assert at.value.errors[0]["reason"] == "invalidQuery"

    assert warehouse.rows(f"select n from `{name}` order by n") == [(1,), (2,), (3,)]
    warehouse.client.delete_table(name, timeout=TIMEOUT_SEC)


def test_recursion_in_a_view_made_by_the_api_is_taken_at_its_top_alone(
    warehouse: Warehouse,
) -> None:
    counted = "with recursive c as (select 1 as n union all select n + 1 from c where n < 3)"
    query, name = f"{counted} select n from c", f"{warehouse.raw}.test_{uuid.uuid4().hex}"
    view, inside = bigquery.Table(name), bigquery.Table(f"{name}_inside")
    view.view_query, inside.view_query = query, f"select n from ({query})"

    warehouse.client.create_table(view, timeout=TIMEOUT_SEC)
    with pytest.raises(exceptions.BadRequest, match="WITH RECURSIVE is only allowed at"):
        warehouse.client.create_table(inside, timeout=TIMEOUT_SEC)

    assert warehouse.rows(f"select n from `{name}` order by n") == [(1,), (2,), (3,)]
    warehouse.client.delete_table(name, timeout=TIMEOUT_SEC)


def test_json_keys_are_those_of_bigquery(warehouse: Warehouse) -> None:
    value = """json '{"a.b": 1, "c": [{"d": 2}], "[": {}}'"""

    assert warehouse.rows(
        f"select json_keys({value}, 1), json_keys({value}, mode => 'lax recursive'),"
        " json_keys(json '[]', 1)"
    ) == [(['"a.b"', "[", "c"], ['"a.b"', "[", "c", "c.d"], [])]
