"""The page of results is whole, and the runner that writes it works at its smallest scale."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from tests.benchmarks.__main__ import main
from tests.benchmarks.harness import Bench, Row, Scale, Scenario
from tests.benchmarks.page import (
    COLUMNS,
    REQUIRED_FACTS,
    RESULTS,
    ReadPage,
    ScenarioResult,
    page_text,
    read_page,
)
from tests.benchmarks.scenarios import SCENARIOS

VERDICTS = {"", "met", "**missed**"}


def faults_of(page: ReadPage, names: list[str]) -> list[str]:
    """Return what a page lacks."""
    faults = [f"no {fact}" for fact in REQUIRED_FACTS if not page.facts.get(fact)]
    if list(page.rows) != names:
        faults.append(f"scenarios {list(page.rows)}, declared {names}")
    for name, rows in page.rows.items():
        if not rows:
            faults.append(f"{name}: no row")
        faults += [
            f"{name}: {row}"
            for row in rows
            if len(row) != COLUMNS or not row[0] or not row[1] or row[-1] not in VERDICTS
        ]
    return faults


def test_the_committed_page_has_its_facts_and_a_row_of_every_scenario() -> None:
    page = read_page(RESULTS.read_text(encoding="utf-8"))

    assert faults_of(page, [scenario.name for scenario in SCENARIOS]) == []
    written = dt.datetime.strptime(page.facts["date"], "%Y-%m-%d %H:%M UTC").replace(tzinfo=dt.UTC)
    assert f"{written:%Y-%m-%d %H:%M UTC}" == page.facts["date"]


def test_a_page_says_what_it_was_given() -> None:
    scenario = Scenario("one", "One", "What it is.", lambda _: iter(()))
    rows = [
        Row("a", "1 s", "b: 3 s", "3.00x", "≥ 3x", True),
        Row("c", "2 s", goal="≤ 1 s", is_met=False),
    ]
    facts = {fact: f"the {fact}" for fact in REQUIRED_FACTS}

    page = read_page(page_text([ScenarioResult(scenario, rows)], facts, "make bench", 5))

    assert page == ReadPage(
        facts,
        {
            "one": [
                ["a", "1 s", "b: 3 s", "3.00x", "≥ 3x", "met"],
                ["c", "2 s", "", "", "≤ 1 s", "**missed**"],
            ]
        },
    )


def test_a_page_without_rows_is_faulty() -> None:
    assert faults_of(ReadPage({}, {"one": []}), ["one", "two"]) == [
        *(f"no {fact}" for fact in REQUIRED_FACTS),
        "scenarios ['one'], declared ['one', 'two']",
        "one: no row",
    ]


def test_the_runner_measures_and_writes_its_page(tmp_path: Path) -> None:
    out = tmp_path / "page.md"

    main(["--scale", "quick", "--rounds", "1", "--only", "startup", "--out", str(out)])

    page = read_page(out.read_text(encoding="utf-8"))
    assert faults_of(page, ["startup"]) == []
    assert "ingest --help" in [row[0] for row in page.rows["startup"]]


@pytest.mark.stack
def test_what_is_compared_still_runs(tmp_path: Path) -> None:
    landing = next(scenario for scenario in SCENARIOS if scenario.name == "landing")

    rows = list(landing.run(Bench(Scale.QUICK, 1, tmp_path)))

    kept = [(row.ours, row.is_met) for row in rows if row.what == "JSON paths kept"]
    assert [is_met for _, is_met in kept] == [True]
    assert kept[0][0].endswith("40 of 40 payloads equal")
