"""The page of results is whole, and the runner that writes it works at its smallest scale."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.benchmarks.__main__ import main
from tests.benchmarks.harness import Bench, Row, Scale, Scenario
from tests.benchmarks.page import (
    COLUMNS,
    REQUIRED_FACTS,
    RESULTS,
    OtherMachineError,
    ReadPage,
    Section,
    completed,
    page_text,
    read_page,
    section_of,
)
from tests.benchmarks.scenarios import SCENARIOS

VERDICTS = {"", "met", "**missed**"}
NOW = "2026-01-02 03:04 UTC at default scale"
MEASURED = r"\d{4}-\d\d-\d\d \d\d:\d\d UTC at (quick|default|full) scale.*"


def faults_of(page: ReadPage, names: list[str]) -> list[str]:
    """Return what a page lacks."""
    faults = [f"no {fact}" for fact in REQUIRED_FACTS if not page.facts.get(fact)]
    found = [section.name for section in page.sections]
    if found != names:
        faults.append(f"scenarios {found}, declared {names}")
    for section in page.sections:
        if not section.rows:
            faults.append(f"{section.name}: no row")
        if not re.fullmatch(MEASURED, section.measured):
            faults.append(f"{section.name}: measured {section.measured!r}")
        faults += [
            f"{section.name}: {row}"
            for row in section.rows
            if len(row) != COLUMNS or not row[0] or not row[1] or row[-1] not in VERDICTS
        ]
    return faults


def test_the_committed_page_has_its_facts_and_a_row_of_every_scenario() -> None:
    page = read_page(RESULTS.read_text(encoding="utf-8"))

    assert faults_of(page, [scenario.name for scenario in SCENARIOS]) == []


def test_a_page_says_what_it_was_given() -> None:
    rows = [
        Row("a", "1 s", "b: 3 s", "3.00x", "≥ 3x", True),
        Row("c", "2 s", goal="≤ 1 s", is_met=False),
    ]
    section = section_of("one", rows, NOW)
    page = ReadPage({fact: f"the {fact}" for fact in REQUIRED_FACTS}, [section])

    assert section.rows == [
        ["a", "1 s", "b: 3 s", "3.00x", "≥ 3x", "met"],
        ["c", "2 s", "", "", "≤ 1 s", "**missed**"],
    ]
    assert read_page(page_text(page, [_scenario("one")])) == page


def test_a_run_of_some_scenarios_keeps_the_others_in_their_order() -> None:
    one, two, newer = (Section(name, NOW, [["a"] * 6]) for name in ("one", "two", "one"))
    kept = ReadPage({"machine": "m"}, [one, two])

    page = completed(kept, ReadPage({"machine": "m"}, [newer]))

    assert page == ReadPage({"machine": "m"}, [two, newer])
    text = page_text(page, [_scenario("one"), _scenario("two")])
    assert [section.name for section in read_page(text).sections] == ["one", "two"]


def test_figures_of_two_machines_make_no_page() -> None:
    kept = ReadPage({"machine": "m"}, [Section("two", NOW, [])])
    measured = ReadPage({"machine": "n"}, [Section("one", NOW, [])])

    with pytest.raises(OtherMachineError, match="two"):
        completed(kept, measured)
    assert completed(ReadPage({"machine": "m"}, measured.sections), measured) == measured


def test_a_page_without_rows_is_faulty() -> None:
    assert faults_of(ReadPage({}, [Section("one", "", [])]), ["one", "two"]) == [
        *(f"no {fact}" for fact in REQUIRED_FACTS),
        "scenarios ['one'], declared ['one', 'two']",
        "one: no row",
        "one: measured ''",
    ]


def test_the_runner_measures_and_writes_its_page(tmp_path: Path) -> None:
    out = tmp_path / "page.md"

    main(["--scale", "quick", "--rounds", "1", "--only", "startup", "--out", str(out)])

    page = read_page(out.read_text(encoding="utf-8"))
    assert faults_of(page, ["startup"]) == []
    assert "ingest --help" in [row[0] for row in page.sections[0].rows]


def test_a_page_of_another_machine_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    out = tmp_path / "page.md"
    kept = ReadPage({"machine": "another"}, [Section("dbt", NOW, [["a"] * 6])])
    out.write_text(page_text(kept, SCENARIOS), encoding="utf-8")

    with pytest.raises(SystemExit, match=r"another machine.*dbt.*make bench"):
        main(["--scale", "full", "--only", "startup", "--out", str(out)])

    assert read_page(out.read_text(encoding="utf-8")) == kept


@pytest.mark.stack
def test_what_is_compared_still_runs(tmp_path: Path) -> None:
    landing = next(scenario for scenario in SCENARIOS if scenario.name == "landing")

    rows = list(landing.run(Bench(Scale.QUICK, 1, tmp_path)))

    kept = [(row.ours, row.is_met) for row in rows if row.what == "JSON paths kept"]
    assert [is_met for _, is_met in kept] == [True]
    assert kept[0][0].endswith("40 of 40 payloads equal")


def _scenario(name: str) -> Scenario:
    return Scenario(name, name.title(), "What it is.", lambda _: iter(()))
