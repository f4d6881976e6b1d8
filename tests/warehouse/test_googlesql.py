"""Every compiled statement is GoogleSQL that BigQuery would take, judged offline."""

from __future__ import annotations

import copy
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from ingest.domain.declarations import FieldType
from tests.warehouse.dbt_runs import ROOT, DbtProject
from tests.warehouse.googlesql import GoogleSql, SqlError
from tests.warehouse.manifest_walk import Walk, declared_types, infer_columns, place_of, walk
from tests.warehouse.reference import Reference

OFFLINE = ("compile", "--no-introspect", "--no-populate-cache")
CUSTOM_FIELDS = [
    {"name": f"own_{data_type}", "data_type": data_type, "description": "A field of each type."}
    for data_type in FieldType
]
_ROWS = "(select 'a' as a, 1 as b, true as c)"
_JOINED = f"from {_ROWS} as x {{}} join {_ROWS} as y on"
_COUNTED = (
    "with recursive c as (select 1 as n union all select n + 1 from c where n < 3) select n from c"
)
FAULTS = {
    "unknown column": "select no_such_column from (select 1 as a)",
    "types of case branches": "select case when true then 1 else 'a' end as a",
    "function of DuckDB": "select list_filter([1], x -> x > 1) as a",
    "function of ZetaSQL alone": "select array_transform([1], x -> x) as a",
    "cast with colons": "select '1'::int64 as a",
    "comparison of types": "select timestamp '2025-01-01' >= date '2025-01-01' as a",
    "aggregate in where": "select 1 as a from (select 1 as b) where sum(b) > 0",
    "alias in where": "select 1 as a from (select 1 as b) where a > 0",
    "ilike": "select 'a' ilike 'A' as a",
    "interval in quotes": "select current_timestamp() - interval '1 day' as a",
    "grouping by json": "select count(*) as n from (select json '1' as j) group by j",
    "columns of a union": "select 1 as a union all select 'x' as a",
    "column without a name": "select 1 + 1",
    "left join by a prefix": f"select x.a {_JOINED.format('left')} starts_with(x.a, y.a)",
    "right join by one of two": f"select x.a {_JOINED.format('right')} x.a = y.a or x.b = y.b",
    "full join by an order": f"select x.a {_JOINED.format('full outer')} x.b < y.b and x.b = 1",
    "left join by one side": f"select x.a {_JOINED.format('left')} y.a = 'a' and x.b = x.b",
    "left join by a constant too": f"select x.a {_JOINED.format('left')} x.a = y.a and false",
    "left join in a subquery": (
        f"select (select count(*) {_JOINED.format('left')} x.b > y.b) as n from unnest([1])"
    ),
    "recursion in a subquery": f"select n from ({_COUNTED})",
    "recursion in a cte": f"with numbers as ({_COUNTED}) select n from numbers",
    "recursion in an expression": f"select array({_COUNTED}) as numbers",
    "recursion in a part of a union": f"({_COUNTED}) union all select 9",
    "table that is not there": "select 1 as a from `p`.`d`.`t`",
}


@pytest.fixture(scope="module")
def analyzer() -> GoogleSql:
    return GoogleSql()


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the project compiled as a first run and as an incremental run, without a warehouse."""
    compiled = []
    for mode in ("full", "incremental"):
        variables = {"offline_compile": mode, "conversation_custom_fields": CUSTOM_FIELDS}
        project = DbtProject(tmp_path_factory.mktemp(mode), variables=variables)
        project.run(*OFFLINE)
        compiled.append(project.manifest())
    return compiled[0], compiled[1]


def test_every_model_test_and_merge_is_valid_googlesql(
    manifests: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    result = walk(*manifests, ROOT)

    assert result.failures == []
    assert result.statements >= 150


def test_an_empty_build_is_valid_and_filters_the_partitions_of_raw_tables(tmp_path: Path) -> None:
    project = DbtProject(tmp_path, variables={"offline_compile": "full"})
    project.run(*OFFLINE, "--empty")
    judged = Walk()

    infer_columns(GoogleSql(), judged, project.manifest(), ROOT)

    statements = [node.get("compiled_code") or "" for node in project.manifest()["nodes"].values()]
    reads = [read for sql in statements for read in re.findall(r"`coach_raw`\.`\w+`.{0,30}", sql)]
    assert judged.failures == []
    assert len(reads) >= 8
    assert [read for read in reads if " where _landed_at < timestamp" not in read] == []


LABELLED = 4_000
NOISE = {"clean": 0.0, "five": 0.05, "ten": 0.10, "twenty": 0.20}


def test_agreement_finds_the_rate_of_noise_in_labels(
    manifests: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    """A question a rate: the machine answers, and people answer the same but for the noise."""
    rng, answers, labels = random.Random(21), [], []
    for question, rate in NOISE.items():
        for number in range(LABELLED):
            keys = ["yes", "no", "na"]
            machine = rng.choices(keys, [6, 3, 1])[0]
            keys.remove(machine)
            person = rng.choice(keys) if rng.random() < rate else machine
            common = {"conversation_id": f"c{number}", "scorecard_id": "s", "question_id": question}
            answers.append(common | {"revision_id": "r", "machine_answer": machine})
            labels.append(common | {"answer": person, "feedback_label_id": f"{question}{number}"})
    nodes = {node["name"]: node for node in manifests[0]["nodes"].values()}
    reference = Reference()
    for name, rows in (("ci_qa_answers", answers), ("ci_feedback_labels", labels)):
        columns = reference.sql.types_of(declared_types(nodes[name]))
        empty = {column.name: None for column in columns}
        reference.add(place_of(nodes[name]), columns, [empty | row for row in rows])

    found = {
        row["question_id"]: row
        for row in map(json.loads, reference.rows(nodes["qa_agreement"]["compiled_code"]))
    }

    assert {name: row["label_count"] for name, row in found.items()} == dict.fromkeys(
        NOISE, LABELLED
    )
    for name, rate in NOISE.items():
        row = found[name]
        assert abs(row["disagreement_share"] - rate) < 0.02, (name, row)
        assert row["kappa_low"] <= row["kappa"] <= row["kappa_high"]
        assert abs(row["kappa"] - (1 - rate / (1 - row["chance_share"]))) < 0.05
        assert sum(cell["label_count"] for cell in row["confusion"]) == LABELLED
    assert (found["clean"]["kappa"], found["clean"]["kappa_low"]) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("model", "right", "wrong", "expected"),
    [
        ("int_conversations_forgotten", "max(", "least_of(", "Function not found: least_of"),
        ("int_version_files", "generation desc", "generations desc", "generations"),
        ("int_ci_states", "as conversation_version_id", "as version_id", "columns differ"),
    ],
)
def test_a_fault_in_a_model_is_found(
    manifests: tuple[dict[str, Any], dict[str, Any]],
    model: str,
    right: str,
    wrong: str,
    expected: str,
) -> None:
    full, incremental = copy.deepcopy(manifests[0]), manifests[1]
    node = full["nodes"][f"model.conversation_coach.{model}"]
    assert right in node["compiled_code"]
    node["compiled_code"] = node["compiled_code"].replace(right, wrong)

    result = walk(full, incremental, ROOT)

    assert any(model in failure and expected in failure for failure in result.failures)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_analyzer_refuses_what_bigquery_refuses(analyzer: GoogleSql, fault: str) -> None:
    with pytest.raises(SqlError):
        analyzer.columns_of(FAULTS[fault])


@pytest.mark.parametrize(
    "condition",
    [
        "x.a = y.a and x.b > y.b",
        "concat(y.a, 'c') = x.a",
        "x.b < 1 and (y.b > 1 and x.b = y.b)",
        "x.a = y.a and x.c",
    ],
)
def test_the_analyzer_takes_an_outer_join_with_an_equality(
    analyzer: GoogleSql, condition: str
) -> None:
    for kind in ("left", "right", "full outer"):
        analyzer.columns_of(f"select x.a {_JOINED.format(kind)} {condition}")
    analyzer.columns_of(f"select x.a {_JOINED.format('inner')} starts_with(x.a, y.a)")
    analyzer.columns_of(f"select a from {_ROWS} left join {_ROWS} using (a)")


@pytest.mark.parametrize(
    ("before", "is_taken"),
    [
        ("", True),
        ("create or replace table `p`.`d`.`t` as ", True),
        ("create or replace view `p`.`d`.`t` as ", True),
        ("insert into `p`.`d`.`numbers` ", True),
        ("export data options(uri = 'gs://b/*.csv', format = 'csv') as ", True),
        ("create or replace table `p`.`d`.`t` as select n from ", False),
        ("create or replace view `p`.`d`.`t` as select n from ", False),
        ("delete from `p`.`d`.`numbers` where n in ", False),
    ],
)
def test_the_analyzer_takes_recursion_at_the_top_of_a_statement_alone(
    analyzer: GoogleSql, before: str, is_taken: bool
) -> None:
    analyzer.add_table(("p", "d", "numbers"), analyzer.types_of({"n": "int64"}))

    if is_taken:
        analyzer.check(f"{before}({_COUNTED})")
    else:
        with pytest.raises(SqlError, match="WITH RECURSIVE"):
            analyzer.check(f"{before}({_COUNTED})")


def test_the_analyzer_refuses_recursion_in_what_a_merge_reads(analyzer: GoogleSql) -> None:
    analyzer.add_table(("p", "d", "numbers"), analyzer.types_of({"n": "int64"}))

    with pytest.raises(SqlError, match="WITH RECURSIVE"):
        analyzer.check(
            f"merge into `p`.`d`.`numbers` as t using ({_COUNTED}) as s on t.n = s.n "
            "when not matched then insert (n) values (n)"
        )


def test_the_analyzer_takes_what_the_project_uses(analyzer: GoogleSql) -> None:
    columns = analyzer.columns_of(
        "select max_by(x, y) as m, array_agg(struct(x as k) order by y limit 1) as a "
        "from unnest([struct(1 as x, 'a' as y)]) group by all"
    )

    assert [(column.name, column.type_name) for column in columns] == [
        ("m", "int64"),
        ("a", "array<struct<k int64>>"),
    ]
