"""Answers that the service itself would never give, such as a login page, are errors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from answering_server import reply, serving

from ingest.errors import ExitCode, RemoteError
from ingest.gcp.bigquery import BigQueryRawSink, BigQueryWarehouse
from ingest.gcp.storage import GcsObjectStore
from ingest.settings import Settings
from tests.fakes.world import fake_settings

PAGE = b"<!DOCTYPE html><html><head><title>Log in</title></head></html>"
NOT_JSON = "a body that isn't JSON came back"
ANOTHER_SHAPE = "the body that came back isn't JSON of this service"
BROKEN_OFF = "the answer broke off before its end"
ODD = {
    "page": (reply(PAGE, content_type="text/html"), NOT_JSON),
    "empty body": (reply(b""), ANOTHER_SHAPE),
    "empty object": (reply(b"{}"), ANOTHER_SHAPE),
    "list": (reply(b"[]"), ANOTHER_SHAPE),
    "text": (reply(b'"ok"'), ANOTHER_SHAPE),
    "null": (reply(b"null"), ANOTHER_SHAPE),
    "another service's object": (reply(b'{"access_token": "x"}'), ANOTHER_SHAPE),
    "half of the JSON": (reply(b'{"kind": "stor'), NOT_JSON),
    "half of the body": (reply(b'{"kind": "stor', length=700), BROKEN_OFF),
    "no HTTP": (b"\x00\xff\xfegarbage\r\n" * 50, "what came back isn't HTTP, let alone JSON"),
}
SINK_CALLS: dict[str, Callable[[BigQueryRawSink], Awaitable[Any]]] = {
    "check": lambda sink: sink.check(["pipeline_events"]),
    "load": lambda sink: sink.load("pipeline_events", "gs://b/batches/1.json.gz", "job-1"),
    "query": lambda sink: sink.query("select 1", {}),
    "erase": lambda sink: sink.erase("pipeline_events", "a"),
}
WAREHOUSE_CALLS: dict[str, Callable[[BigQueryWarehouse], Any]] = {
    "query": lambda warehouse: warehouse.query("select @n", {"n": 1}),
    "query some": lambda warehouse: warehouse.query("select 1", max_rows=5, max_bytes=10),
    "estimate": lambda warehouse: warehouse.estimate("select 1"),
    "tables": lambda warehouse: warehouse.tables("coach_raw"),
    "table": lambda warehouse: warehouse.table("coach_raw", "pipeline_events"),
}
STORE_CALLS: dict[str, Callable[[GcsObjectStore], Awaitable[Any]]] = {
    "check": lambda store: store.check(),
    "put": lambda store: put(store),
    "stat": lambda store: store.stat("a.json"),
    "list": lambda store: store.list("2026-01-05/"),
    "generations": lambda store: store.generations("2026-01-05/"),
    "folders": lambda store: store.folders(""),
    "delete all": lambda store: store.delete_all_generations("2026-01-05/"),
}
odd_answers = pytest.mark.parametrize(("answer", "told"), ODD.values(), ids=ODD)


def put(store: GcsObjectStore) -> Awaitable[Any]:
    return store.put(
        "a.json",
        b"{}",
        content_type="application/json",
        content_sha256="ab" * 32,
        if_generation_match=0,
    )


def of_sink(settings: Settings, call: Callable[[BigQueryRawSink], Awaitable[Any]]) -> Any:
    async def work() -> Any:
        sink = BigQueryRawSink(settings)
        try:
            return await call(sink)
        finally:
            sink.close()

    return asyncio.run(work())


def of_store(settings: Settings, call: Callable[[GcsObjectStore], Awaitable[Any]]) -> Any:
    async def work() -> Any:
        store = GcsObjectStore(settings)
        try:
            return await call(store)
        finally:
            store.close()

    return asyncio.run(work())


def refused(
    answer: bytes, setting: str, call: Callable[[Settings], Any], **changes: Any
) -> RemoteError:
    with serving(lambda _: answer) as service, pytest.raises(RemoteError) as caught:
        call(fake_settings(**{setting: service.address, "bucket": "bucket-1"}, **changes))
    return caught.value


@odd_answers
@pytest.mark.parametrize("call", SINK_CALLS.values(), ids=SINK_CALLS)
def test_the_raw_tables_take_no_odd_answer_for_their_own(
    answer: bytes, told: str, call: Callable[[BigQueryRawSink], Awaitable[Any]]
) -> None:
    error = refused(answer, "bigquery_endpoint", lambda settings: of_sink(settings, call))

    assert error.message == f"BigQuery: UNAVAILABLE: {told}"
    assert (error.code, error.exit_code) == ("UNAVAILABLE", ExitCode.REMOTE)
    assert "a proxy or a login page" in error.hint


@odd_answers
@pytest.mark.parametrize("call", WAREHOUSE_CALLS.values(), ids=WAREHOUSE_CALLS)
def test_what_people_read_takes_no_odd_answer_for_an_empty_table(
    answer: bytes, told: str, call: Callable[[BigQueryWarehouse], Any]
) -> None:
    error = refused(answer, "bigquery_endpoint", lambda settings: call(BigQueryWarehouse(settings)))

    assert error.message == f"BigQuery: UNAVAILABLE: {told}"
    assert (error.code, error.exit_code) == ("UNAVAILABLE", ExitCode.REMOTE)


@odd_answers
@pytest.mark.parametrize("call", STORE_CALLS.values(), ids=STORE_CALLS)
def test_the_bucket_takes_no_odd_answer_for_its_own(
    answer: bytes, told: str, call: Callable[[GcsObjectStore], Awaitable[Any]]
) -> None:
    error = refused(answer, "gcs_endpoint", lambda settings: of_store(settings, call))

    # Only for uploads does the client parse an empty body, too.
    is_parsed = answer == reply(b"") and call is STORE_CALLS["put"]
    assert error.message == f"GCS: UNAVAILABLE: {NOT_JSON if is_parsed else told}"
    assert (error.code, error.exit_code) == ("UNAVAILABLE", ExitCode.REMOTE)


def test_a_page_is_not_the_bytes_of_an_object() -> None:
    error = refused(
        reply(PAGE, content_type="text/html"),
        "gcs_endpoint",
        lambda settings: of_store(settings, lambda store: store.read("a.json")),
    )

    assert error.message == "GCS: UNAVAILABLE: what came back isn't an object of the bucket"


def test_bytes_that_break_off_are_not_an_object() -> None:
    error = refused(
        reply(b'{"half": ', length=700, X_Goog_Generation="7"),
        "gcs_endpoint",
        lambda settings: of_store(settings, lambda store: store.read("a.json")),
    )

    assert error.message == f"GCS: UNAVAILABLE: {BROKEN_OFF}"


def test_bytes_that_differ_from_their_checksum_are_data_loss() -> None:
    error = refused(
        reply(b"{}", X_Goog_Generation="7", X_Goog_Hash="crc32c=AAAAAA=="),
        "gcs_endpoint",
        lambda settings: of_store(settings, lambda store: store.read("a.json")),
    )

    assert error.code == "DATA_LOSS"


def test_a_page_in_answer_to_a_deletion_is_an_error() -> None:
    error = refused(
        reply(PAGE, content_type="text/html"),
        "gcs_endpoint",
        lambda settings: of_store(settings, lambda store: store.delete("a.json", 7)),
    )

    assert error.message == f"GCS: UNAVAILABLE: {NOT_JSON}"


@pytest.mark.parametrize(("status", "code"), [(502, "UNAVAILABLE"), (403, "PERMISSION_DENIED")])
def test_the_page_of_an_error_is_not_shown(status: int, code: str) -> None:
    error = refused(
        reply(PAGE, status, "text/html"),
        "bigquery_endpoint",
        lambda settings: BigQueryWarehouse(settings).query("select 1"),
    )

    told = f"HTTP status {status} with a page in place of a reason"
    assert error.message == f"BigQuery: {code}: {told}"


MISSED_CALLS: dict[str, tuple[str, Callable[[Settings], Any]]] = {
    "stat": ("gcs_endpoint", lambda settings: of_store(settings, STORE_CALLS["stat"])),
    "delete": (
        "gcs_endpoint",
        lambda settings: of_store(settings, lambda store: store.delete("a.json", 7)),
    ),
    "list": ("gcs_endpoint", lambda settings: of_store(settings, STORE_CALLS["list"])),
    **{
        name: ("bigquery_endpoint", lambda settings, call=call: call(BigQueryWarehouse(settings)))
        for name, call in WAREHOUSE_CALLS.items()
    },
}


@pytest.mark.parametrize(("setting", "call"), MISSED_CALLS.values(), ids=MISSED_CALLS)
def test_a_page_that_says_404_is_not_the_services_word(
    setting: str, call: Callable[[Settings], Any]
) -> None:
    error = refused(reply(PAGE, 404, "text/html"), setting, call)

    told = "HTTP status 404 with a page in place of a reason"
    assert (error.code, error.exit_code) == ("UNAVAILABLE", ExitCode.REMOTE)
    assert error.message.endswith(f"UNAVAILABLE: {told}")
    assert "a proxy or a login page" in error.hint


def test_rows_that_did_not_come_are_missed() -> None:
    answer = {
        "kind": "bigquery#queryResponse",
        "jobReference": {"projectId": "p", "jobId": "j", "location": "US"},
        "jobComplete": True,
        "totalRows": "3",
        "schema": {"fields": [{"name": "n", "type": "INTEGER"}]},
        "rows": [{"f": [{"v": "1"}]}, {"f": [{"v": "2"}]}],
    }

    error = refused(
        reply(json.dumps(answer).encode()),
        "bigquery_endpoint",
        lambda settings: BigQueryWarehouse(settings).query("select n from t"),
    )

    assert error.message == "BigQuery: UNAVAILABLE: 2 rows came of 3"


def test_a_load_job_that_goes_on_in_another_shape_is_an_error() -> None:
    running = {
        "kind": "bigquery#job",
        "jobReference": {"projectId": "p", "jobId": "job-1", "location": "US"},
        "configuration": {"load": {}},
        "status": {"state": "RUNNING"},
    }
    answers = iter([reply(json.dumps(running).encode()), reply(b"{}")])

    with serving(lambda _: next(answers)) as service, pytest.raises(RemoteError) as caught:
        of_sink(fake_settings(bigquery_endpoint=service.address), SINK_CALLS["load"])

    assert caught.value.message == f"BigQuery: UNAVAILABLE: {ANOTHER_SHAPE}"
