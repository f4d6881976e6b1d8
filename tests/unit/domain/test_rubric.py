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
from ingest.domain.rubric import (
    PARAMETERS,
    POLICY_COLUMNS,
    RUBRIC_COLUMNS,
    RowFault,
    RuleKind,
    Words,
    rubric_faults,
)

ROOT = Path(__file__).parents[3]
WORDS = Words(
    frozenset({"empathy", "empathy.support", "cues"}),
    {"direction": frozenset({"INBOUND", "OUTBOUND"}), "queue": frozenset()},
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
            "2 values for 15 columns",
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


@given(st.sampled_from(list(RuleKind)), st.sets(st.sampled_from(["phrases", "cue", "limit_value"])))
def test_a_rule_takes_its_parameters_and_no_others(kind: RuleKind, given_: set[str]) -> None:
    values = {"phrases": "empathy.support", "cue": "cues", "limit_value": "1"}
    row = CHECK | {"rule": kind.value, "phrases": ""} | {name: values[name] for name in given_}

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
