"""The page of results is whole, and the runner that writes it works at its smallest scale."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.benchmarks.__main__ import main
from tests.benchmarks.harness import Bench, FailedCommandError, Row, Scale, Scenario
from tests.benchmarks.page import (
    COLUMNS,
    MISSED,
    REQUIRED_FACTS,
    RESULTS,
    OtherMachineError,
    ReadPage,
    Section,
    completed,
    explained,
    missed,
    page_text,
    read_page,
    section_of,
)
from tests.benchmarks.scenarios import SCENARIOS

VERDICTS = {"", "met", MISSED}
FEWEST_ROUNDS = 5
ROW = ["a", "1 s", "", "", "", "met"]
NOW = "2026-01-02 03:04 UTC at default scale, median of 5, load average 0.1 before"


def faults_of(page: ReadPage, scenarios: Sequence[Scenario]) -> list[str]:
    """Return what a page lacks."""
    faults = [f"no {fact}" for fact in REQUIRED_FACTS if not page.facts.get(fact)]
    names, found = [each.name for each in scenarios], [each.name for each in page.sections]
    if found != names:
        faults.append(f"scenarios {found}, declared {names}")
    for section in page.sections:
        if not section.rows:
            faults.append(f"{section.name}: no row")
        faults += [
            f"{section.name}: {row}"
            for row in section.rows
            if len(row) != COLUMNS or not row[0] or not row[1] or row[-1] not in VERDICTS
        ]
    return faults


def weaknesses_of(page: ReadPage, scenarios: Sequence[Scenario]) -> list[str]:
    """Return what makes a page's figures too weak to be published."""
    weaknesses = []
    for scenario, section in zip(scenarios, page.sections, strict=False):
        said = _measured(scenario, section)
        if said is None or said["scale"] == Scale.QUICK:
            weaknesses.append(f"{section.name}: measured {section.measured!r}")
        elif int(said.groupdict().get("rounds") or FEWEST_ROUNDS) < FEWEST_ROUNDS:
            weaknesses.append(f"{section.name}: {said['rounds']} rounds")
        unexplained = set(missed(section)) - set(explained(scenario, section))
        weaknesses += [f"{section.name}: {what!r} is missed without why" for what in unexplained]
    return weaknesses


def _measured(scenario: Scenario, section: Section) -> re.Match[str] | None:
    """Read when and how a section was measured, as the runner writes it for this scenario."""
    taken = re.escape(scenario.taken).replace(re.escape("{rounds}"), r"(?P<rounds>\d+)")
    written = (
        r"\d{4}-\d\d-\d\d \d\d:\d\d UTC at (?P<scale>quick|default|full) scale, "
        rf"{taken}, load average \d+\.\d before"
    )
    return re.fullmatch(written, section.measured)


def test_the_committed_page_has_its_facts_and_a_row_of_every_scenario() -> None:
    page = read_page(RESULTS.read_text(encoding="utf-8"))

    assert faults_of(page, SCENARIOS) == []


def test_the_committed_page_is_of_full_size_with_enough_rounds_and_every_miss_explained() -> None:
    page = read_page(RESULTS.read_text(encoding="utf-8"))

    assert weaknesses_of(page, SCENARIOS) == []


@pytest.mark.parametrize(
    ("measured", "weaknesses"),
    [
        (NOW, []),
        (NOW.replace("default", "full"), []),
        (NOW.replace("of 5", "of 4"), ["one: 4 rounds"]),
        (NOW.replace("of 5", "of 11"), []),
        *(
            (changed, [f"one: measured {changed!r}"])
            for changed in (
                NOW.replace("default", "quick"),
                f"{NOW}, beside other work",
                NOW.replace("median of 5", "one run a size"),
            )
        ),
    ],
)
def test_a_quick_page_one_of_few_rounds_and_one_with_words_added_are_weak(
    measured: str, weaknesses: list[str]
) -> None:
    page = ReadPage({}, [Section("one", measured, [ROW])])

    assert weaknesses_of(page, [_scenario("one")]) == weaknesses


def test_a_miss_is_explained_below_its_table_or_makes_the_page_weak() -> None:
    section = Section("one", NOW, [[*ROW[:-1], MISSED]])
    page = ReadPage(dict.fromkeys(REQUIRED_FACTS, "-"), [section])
    silent, telling = _scenario("one"), _scenario("one", {"a+": "of the disk."})

    assert weaknesses_of(page, [silent]) == ["one: 'a' is missed without why"]
    assert weaknesses_of(page, [_scenario("one", {"b": "-"})]) == ["one: 'a' is missed without why"]
    assert weaknesses_of(page, [telling]) == []
    assert "\nWhy *a* is missed: of the disk.\n" in page_text(page, [telling])
    assert read_page(page_text(page, [telling])) == page


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
    scenarios = [_scenario("one"), _scenario("two")]

    assert faults_of(ReadPage({}, [Section("one", "", [])]), scenarios) == [
        *(f"no {fact}" for fact in REQUIRED_FACTS),
        "scenarios ['one'], declared ['one', 'two']",
        "one: no row",
    ]


def test_the_runner_measures_and_writes_its_page(tmp_path: Path) -> None:
    out = tmp_path / "page.md"
    scenarios = [_scenario("one"), _scenario("two")]

    done = main(["--scale", "quick", "--rounds", "3", "--out", str(out)], scenarios)

    page = read_page(out.read_text(encoding="utf-8"))
    assert (done, faults_of(page, scenarios)) == (0, [])
    assert weaknesses_of(page, scenarios) == [
        f"{section.name}: measured {section.measured!r}" for section in page.sections
    ]
    assert [" scale, median of 3, load" in section.measured for section in page.sections] == [
        True,
        True,
    ]


def test_a_goal_that_is_missed_is_the_runners_exit_code(tmp_path: Path) -> None:
    scenario = replace(
        _scenario("one"), run=lambda _: iter([Row("a", "2 s", goal="≤ 1 s", is_met=False)])
    )

    assert main(["--out", str(tmp_path / "page.md")], [scenario]) == 1


@pytest.mark.parametrize("is_of_this_machine", [True, False])
def test_a_late_failure_loses_no_section_that_is_measured(
    tmp_path: Path, is_of_this_machine: bool
) -> None:
    out, aside = tmp_path / "page.md", tmp_path / "aside" / "page.md"
    scenarios = [_scenario("one"), replace(_scenario("two"), run=_failing)]
    if is_of_this_machine:
        main(["--out", str(out)], [_scenario("one"), _scenario("two")])
    else:
        kept = ReadPage({"machine": "another"}, [Section(n, "then", [ROW]) for n in ("one", "two")])
        out.write_text(page_text(kept, scenarios), encoding="utf-8")

    with pytest.raises(FailedCommandError):
        main(["--rounds", "7", "--out", str(out)], scenarios, aside)

    written = read_page((out if is_of_this_machine else aside).read_text(encoding="utf-8"))
    ours = [section.name for section in written.sections if "of 7" in section.measured]
    assert ours == ["one"]
    if not is_of_this_machine:
        assert read_page(out.read_text(encoding="utf-8")) == kept


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


def _scenario(name: str, reasons: Mapping[str, str] | None = None) -> Scenario:
    def run(_: Bench) -> Iterator[Row]:
        yield Row("a", "1 s", is_met=True)

    return Scenario(
        name, name.title(), "What it is.", run, "median of {rounds}", dict(reasons or {})
    )


def _failing(_: Bench) -> Iterator[Row]:
    raise FailedCommandError("the server has ended")
