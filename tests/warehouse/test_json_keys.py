"""The emulator's JSON_KEYS gives what ZetaSQL's own evaluator, BigQuery's dialect, gives."""

from __future__ import annotations

import json

import duckdb
import pytest
import sqlglot
from local_bigquery.sql.dialect import BigQueryDialect
from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2

from ingest.local.bigquery.statements import json_keys_of_bigquery, register
from tests.warehouse.googlesql import GoogleSql

SPECIAL = ("a.b", 'q"x', "b\\s", "n\nl", "\u0001", "a b", "a-b", "a:b", "[", "$", "é", "", "'")


@pytest.fixture(scope="module")
def googlesql() -> GoogleSql:
    return GoogleSql()


@pytest.fixture(scope="module")
def emulator() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("attach ':memory:' as bq")
    register(connection)
    return connection


@pytest.mark.parametrize(
    "value",
    [
        {"b": [[{"c": 1}], {"d": [1], "c": {"e": None}}], "a": {"x": None}},
        [{"a": 1}, {"b": {}}],
        *({key: 1, "z": [{key: {"in": 1}}]} for key in SPECIAL),
        {},
        [1],
        3,
        None,
    ],
)
def test_keys_are_those_of_googlesql(
    value: object, googlesql: GoogleSql, emulator: duckdb.DuckDBPyConnection
) -> None:
    text = json.dumps(value)
    functions = "bq.main._json_keys_lax_recursive($1::json), bq.main._json_keys_of_object($1::json)"

    assert emulator.execute(f"select {functions}", [text]).fetchone() == (
        _evaluated(googlesql, text, "mode => 'lax recursive'"),
        _evaluated(googlesql, text, "1"),
    )


@pytest.mark.parametrize(
    ("call", "run"),
    [
        ("json_keys(j, 1)", "bq.main._json_keys_of_object(j)"),
        ("JSON_KEYS(j, mode => 'lax recursive')", "bq.main._json_keys_lax_recursive(j)"),
        ("json_keys(j)", "bq.main.json_keys(j)"),
        ("json_keys(j, 2)", "bq.main.json_keys(j, 2)"),
        ("json_keys(j, mode => 'lax')", "bq.main.json_keys(j, mode => 'lax')"),
        ("json_query(j, '$.a')", "JSON_QUERY(j, '$.a')"),
    ],
)
def test_calls_are_rewritten_also_where_the_emulator_reads_its_own_text(
    call: str, run: str
) -> None:
    parsed = sqlglot.parse_one(f"select {call}", dialect=BigQueryDialect)
    written = parsed.sql(dialect=BigQueryDialect)
    again = sqlglot.parse_one(written, dialect=BigQueryDialect)

    assert [
        tree.transform(json_keys_of_bigquery, None).sql(dialect=BigQueryDialect).replace("`", "")
        for tree in (parsed, again)
    ] == [f"SELECT {run}"] * 2


def _evaluated(googlesql: GoogleSql, text: str, option: str) -> list[str]:
    request = local_service_pb2.EvaluateRequest(
        sql=f"json_keys(parse_json({json.dumps(text)}), {option})", options=googlesql._options
    )
    response = googlesql._client.call_grpc_func(
        "ZetaSqlLocalService_Evaluate", request, local_service_pb2.EvaluateResponse
    )
    return [element.string_value for element in response.value.array_value.element]
