"""The seed of paths that models read is what their SQL opens: drift is no more and no less."""

from __future__ import annotations

import csv

import pytest

from tests.warehouse.dbt_runs import ROOT
from tests.warehouse.json_reads import opened_paths

STAGING = ROOT / "dbt_project" / "models" / "staging" / "ci"


def test_paths_that_models_read_are_those_that_the_staging_sql_opens() -> None:
    texts = {path.stem: path.read_text("utf-8") for path in STAGING.glob("*.sql")}
    opened = {
        (path, name)
        for name, text in texts.items()
        if "source('coach_raw', 'ci_conversations')" in text and name != "stg_ci__payload_paths"
        for path in opened_paths(text)
    }
    with (ROOT / "seeds" / "ci_read_paths.csv").open(encoding="utf-8", newline="") as file:
        rows = [tuple(row) for row in csv.reader(file)][1:]

    assert len(opened) >= 45
    assert opened == {(path, reader) for path, reader in rows if reader.startswith("stg_ci__")}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("json_value(payload, '$.a.b[0].c')", {"a.b[].c"}),
        ("json_query(payload, '$.a') as x json_value(x, '$.b')", {"a.b"}),
        ("json_query_array(payload, '$.a') as x unnest(x) as y json_value(y, '$.b')", {"a[].b"}),
        ("unnest(json_query_array(payload, '$.a.b')) as y json_value(y, '$.c')", {"a.b[].c"}),
        (
            "json_query(payload, '$.entities') as x s.x[k] as e json_value(e, '$.t')",
            {"entities.*.t"},
        ),
        (
            "json_query(payload, '$.labels') as x json_value(x, '$.b'), json_value(x[k])",
            {"labels.*"},
        ),
        ("json_value(elsewhere, '$.b')", None),
        ("json_value(payload, path)", None),
        ("json_extract_scalar(payload, '$.b')", None),
    ],
)
def test_a_path_is_read_off_the_sql_or_refused(sql: str, expected: set[str] | None) -> None:
    if expected is None:
        with pytest.raises(ValueError, match=r"JSON is opened|no path is known"):
            opened_paths(sql)
    else:
        assert opened_paths(sql) == expected
