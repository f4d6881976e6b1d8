"""Bad rows of the coaching rubric are named with row, rule and cure."""

from __future__ import annotations

import csv
import datetime as dt
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from ingest.cli import app
from ingest.cli.rubric import text_of
from ingest.domain.rubric import (
    PARAMETERS,
    POLICY_COLUMNS,
    RUBRIC_COLUMNS,
    RowFault,
    RuleKind,
    Words,
    rubric_faults,
)
from ingest.errors import InputError
from ingest.flows.rubric_impact import (
    SEEDS,
    VIEWS,
    ChangedCheck,
    impact_sql,
    plan_of,
    read_impact,
)
from tests.unit.flows.warehouse_fake import FakeWarehouse

ROOT = Path(__file__).parents[3]
WORDS = Words(
    frozenset({"empathy", "empathy.support", "cues"}),
    {"direction": frozenset({"INBOUND", "OUTBOUND"}), "queue": frozenset()},
    frozenset({"PROMISE_TO_PAY"}),
    frozenset({"PROMISE_TO_PAY", "notice"}),
)
POLICY = {"policy": "care", "version": "1", "valid_from": "2020-01-01", "title": "Care"}
CHECK = {
    "check_id": "empathy_said",
    "dimension": "care",
    "rule": "said",
    "phrases": "empathy",
    "severity": "low",
    "policy": "care",
    "valid_from": "2020-01-01",
    "advice": "Thank.",
}


def table(columns: tuple[str, ...], *rows: dict[str, str]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def faults(*checks: dict[str, str], policies: tuple[dict[str, str], ...] = (POLICY,)) -> list[str]:
    found = rubric_faults(table(RUBRIC_COLUMNS, *checks), table(POLICY_COLUMNS, *policies), WORDS)
    return [f"{fault.file} {fault.row} {fault.rule}: {fault.cure}" for fault in found]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"check_id": "No id"}, ["check_id: write 3 to 63 of a-z, 0-9, _"]),
        ({"dimension": " "}, ["missing: give the check its dimension"]),
        ({"advice": ""}, ["missing: give the check its advice"]),
        ({"severity": "hihg"}, ["unknown_severity: did you mean high?"]),
        ({"policy": "caer"}, ["unknown_policy: did you mean care?"]),
        ({"rule": "sayd"}, ["unknown_rule: did you mean said?"]),
        ({"direction": "INBOND"}, ["unknown_direction: did you mean INBOUND?"]),
        ({"queue": "any"}, []),
        ({"phrases": "empaty"}, ["unknown_phrases: did you mean empathy?"]),
        ({"phrases": ""}, ["parameter_missing: fill in phrases"]),
        ({"cue": "cues"}, ["parameter_unused: leave cue empty"]),
        ({"valid_from": ""}, ["date: write it as 2025-12-28"]),
        ({"valid_to": "2020-02-30"}, ["date: write it as 2025-12-28"]),
        (
            {"valid_to": "2019-12-31"},
            ["dates_reversed: valid_to is the last day, not before valid_from"],
        ),
        ({"tenure_from_days": "-1"}, ["tenure: write whole days, or leave it empty"]),
        (
            {"tenure_from_days": "9", "tenure_to_days": "8"},
            ["tenure_reversed: exchange the two"],
        ),
        (
            {"rule": "said_for_outcome", "subject": "PROMISE_TO_PAY|PROMIS_TO_PAY"},
            ["unknown_subject: did you mean PROMISE_TO_PAY?"],
        ),
        (
            {"rule": "qa_score_at_least", "phrases": "", "subject": "notic", "limit_value": "1"},
            ["unknown_subject: did you mean notice?"],
        ),
        (
            {"rule": "qa_score_at_least", "phrases": "", "subject": "notice", "limit_value": "2"},
            ["limit_value: write a share above 0 and up to 1"],
        ),
        ({"rule": "disclosure_said"}, ["disclosure: write matcher.group"]),
        (
            {"rule": "talk_share_at_most", "phrases": "", "limit_value": "1.1"},
            ["limit_value: write a share above 0 and up to 1"],
        ),
        (
            {"rule": "said_before_turn", "limit_value": "0"},
            ["limit_value: write a whole number"],
        ),
    ],
)
def test_a_bad_value_is_named_with_its_cure(change: dict[str, str], expected: list[str]) -> None:
    assert faults(CHECK | change) == [f"coaching_rubric.csv 2 {fault}" for fault in expected]


def test_a_bad_version_of_a_policy_is_named() -> None:
    cure = "write 1 for the first version, 2 for the next"

    assert faults(CHECK, policies=(POLICY | {"version": "0"},)) == [
        f"policies.csv 2 version: {cure}"
    ]


def test_other_columns_are_named_and_a_row_of_other_length_too() -> None:
    policies = table(POLICY_COLUMNS, POLICY)
    header = ",".join(RUBRIC_COLUMNS)

    assert rubric_faults("check,rule\n", policies, WORDS) == (
        RowFault(
            "coaching_rubric.csv",
            1,
            "header",
            "the columns aren't those of the file",
            f"write the header {header}",
        ),
    )
    assert rubric_faults(f"{header}\na,b\n", policies, WORDS) == (
        RowFault(
            "coaching_rubric.csv",
            2,
            "columns",
            "2 values for 18 columns",
            "put values with a comma in quotes",
        ),
    )


DAYS = st.dates(dt.date(2020, 1, 1), dt.date(2020, 1, 20))


@given(st.lists(st.tuples(DAYS, DAYS).map(sorted), min_size=1, max_size=4))
def test_rows_of_one_check_overlap_where_a_day_has_two(spans: list[list[dt.date]]) -> None:
    rows = [CHECK | {"valid_from": str(first), "valid_to": str(last)} for first, last in spans]
    days = [
        first + dt.timedelta(n) for first, last in spans for n in range((last - first).days + 1)
    ]

    assert any("overlap" in fault for fault in faults(*rows)) == (len(days) > len(set(days)))


VALUES = {
    "phrases": "empathy.support",
    "cue": "cues",
    "subject": "PROMISE_TO_PAY",
    "limit_value": "1",
}


@given(st.sampled_from(list(RuleKind)), st.sets(st.sampled_from(sorted(VALUES))))
def test_a_rule_takes_its_parameters_and_no_others(kind: RuleKind, given_: set[str]) -> None:
    row = CHECK | {"rule": kind.value, "phrases": ""} | {name: VALUES[name] for name in given_}

    assert (faults(row) == []) == (given_ == PARAMETERS[kind])


def test_the_seeds_have_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(app, ["rubric", "check"])

    assert (result.exit_code, result.stdout) == (0, "0 bad rows or values\n")


def test_a_bad_row_is_refused_with_row_rule_and_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    for seed in (ROOT / "seeds").glob("*.csv"):
        (tmp_path / seed.name).write_bytes(seed.read_bytes())
    rubric = tmp_path / "coaching_rubric.csv"
    rubric.write_text(rubric.read_text("utf-8").replace(",critical,", ",critcal,"), "utf-8")
    monkeypatch.setenv("INGEST_SEEDS_DIR", str(tmp_path))
    result = CliRunner().invoke(app, ["rubric", "check"])

    assert (result.exit_code, result.stdout) == (
        1,
        "coaching_rubric.csv row 5: there is no severity 'critcal' (unknown_severity)\n"
        "  did you mean critical?\n1 bad rows or values\n",
    )
    built = CliRunner().invoke(app, ["build"])
    assert (built.exit_code, built.stdout) == (2, "")
    assert built.stderr == (
        "error: coaching_rubric.csv row 5: there is no severity 'critcal' (unknown_severity)\n"
        "hint:  did you mean critical?; `ingest rubric check` names all 1\n"
    )


def test_a_plan_counts_cards_by_what_they_would_tell() -> None:
    planned = plan_of(
        9,
        (
            ChangedCheck("c1", "talk_share", "pass", "pass", is_changed=False),
            ChangedCheck("c1", "notice", "pass", "fail", is_changed=True),
            ChangedCheck("c2", "notice", "pass", "fail", is_changed=True),
            ChangedCheck("c3", "notice", None, "pass", is_changed=True),
            ChangedCheck("c3", "purpose", "fail", "fail", is_changed=True),
            ChangedCheck("c4", "notice", "pass", "pass", is_changed=False),
        ),
    )

    assert text_of(planned, with_cards=True) == (
        "3 of 9 cards would change, 1 more have another rule and the same verdicts\n"
        "  notice: not due becomes pass in 1 card\n"
        "  notice: pass becomes fail in 2 cards\n"
        "  purpose: fail, told otherwise in 1 card\n"
        "c1  notice: pass becomes fail\n"
        "c2  notice: pass becomes fail\n"
        "c3  notice: not due becomes pass\n"
        "c3  purpose: fail, told otherwise"
    )


def test_views_judge_by_the_edited_seeds_wherever_they_read_them() -> None:
    views = dict.fromkeys(VIEWS, "select 1 from `p`.`d_staging`.`policies` as policies")
    views["int_coaching_judged"] = (
        "select 1 from `p`.`d_staging`.`int_coaching_due`, `p`.d_staging.int_coaching_findings, "
        "p.d_staging.coaching_rubric, `p`.`d_staging`.`coaching_rubric_old`, `p`.`d`.`policies`"
    )
    sql = impact_sql(views, dict.fromkeys(SEEDS, "select 2"), "d_staging", "`p.d.coaching_checks`")

    assert "planned_int_coaching_due as (\nselect 1 from planned_policies as policies\n)" in sql
    assert (
        "select 1 from planned_int_coaching_due, planned_int_coaching_findings, "
        "planned_coaching_rubric, `p`.`d_staging`.`coaching_rubric_old`, `p`.`d`.`policies`"
    ) in sql


def test_without_built_marts_there_is_no_plan() -> None:
    with pytest.raises(InputError, match="never built"):
        read_impact(FakeWarehouse(), ROOT / "seeds", ROOT / "dbt_project.yml")
