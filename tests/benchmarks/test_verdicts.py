"""What each goal is judged by: on its limit met, and missed just beyond it."""

from __future__ import annotations

import pytest

from ingest.domain.costs import USD_PER_UNIT
from ingest.domain.outcome import ItemState
from ingest.local.layout import Service
from tests.benchmarks import scenario_landing, scenario_upload
from tests.benchmarks.end_to_end import Again
from tests.benchmarks.harness import Row, Usage
from tests.benchmarks.scenario_end_to_end import cpu_row, rows_of_a_second_run
from tests.benchmarks.scenario_modelled_cloud import ROOT, day_row, pace, quota_hours
from tests.benchmarks.scenario_startup import HELP, READY, limited
from tests.benchmarks.scenario_upload import Phases
from tests.fakes.modelled_cloud import ModelledRun

Verdicts = list[tuple[str, bool | None]]
LOOP, GCLOUD = "google-cloud-storage loop", "gcloud storage cp -r"
PHASES = Phases(2.0, 10.0, 3.0, {Service.GCS: 7.0, Service.BIGQUERY: 2.0, Service.INSIGHTS: 0.0})


def verdicts(rows: list[Row]) -> Verdicts:
    """Return what each row is against, and its verdict, of the rows that have one."""
    return [(row.against.split(":")[0], row.is_met) for row in rows if row.is_met is not None]


def seconds(wall_sec: float) -> Usage:
    return Usage(wall_sec, wall_sec, 1.0)


@pytest.mark.parametrize(
    ("ours", "ceiling", "loop", "gcloud", "expected"),
    [
        pytest.param(10, 1, 30, 40, [(LOOP, True), ("bare HTTP", False)], id="three times"),
        pytest.param(10, 1, 29.9, 40, [(LOOP, False), ("bare HTTP", False)], id="not quite"),
        pytest.param(10, 1, 40, 29.9, [(GCLOUD, False), ("bare HTTP", False)], id="the fastest"),
        pytest.param(12, 10, 13, 40, [(LOOP, True), ("bare HTTP", True)], id="at the ceiling"),
        pytest.param(12.1, 10, 13, 40, [(LOOP, False), ("bare HTTP", False)], id="below it"),
    ],
)
def test_an_upload_is_judged_by_the_fastest_of_the_others_or_the_ceiling(
    ours: float, ceiling: float, loop: float, gcloud: float, expected: Verdicts
) -> None:
    medians = {
        scenario_upload.OURS: seconds(ours),
        scenario_upload.CEILING: seconds(ceiling),
        LOOP: seconds(loop),
        GCLOUD: seconds(gcloud),
    }

    assert verdicts(list(scenario_upload.comparisons(20, medians, PHASES, 2))) == expected


def test_an_upload_says_what_is_to_be_had_and_where_its_time_goes() -> None:
    medians = {
        scenario_upload.OURS: seconds(15),
        scenario_upload.CEILING: Usage(8, 2, 0),
        LOOP: seconds(16),
    }

    rows = list(scenario_upload.comparisons(20, medians, PHASES, 2))

    bare = "bare HTTP: 8.00 s, 2.00 s of the client's CPU"
    assert [(row.ours, row.against, row.ratio) for row in rows] == [
        ("15.00 s", f"{LOOP}: 16.00 s", "1.07x"),
        ("15.00 s", bare, "1.88 of it"),
        (bare, f"{LOOP}: 16.00 s", "2.00x"),
        ("2.00 s", "bare HTTP: 8.00 s", "0.25 of it"),
        ("10.00 s", "bare HTTP: 8.00 s", "1.25 of it"),
        ("3.00 s", "bare HTTP: 8.00 s", "0.38 of it"),
        ("15.00 s + Cloud Storage 7.00 s + BigQuery 2.00 s", "2 cores for 15.00 s", "80% of them"),
        ("15.00 s", f"{LOOP}: 16.00 s", "1.07x"),
    ]


NESTED, FLAT = scenario_landing.DLT_DEFAULT, scenario_landing.DLT_FLAT


@pytest.mark.parametrize(
    ("nested", "flat", "expected"),
    [
        pytest.param((50, 300), (60, 200), [(NESTED, True), (FLAT, True)], id="on the limits"),
        pytest.param((49.9, 300), (60, 200), [(NESTED, False), (FLAT, True)], id="too slow"),
        pytest.param((50, 300), (60, 199), [(NESTED, True), (FLAT, False)], id="too much memory"),
        pytest.param((60, 200), (50, 300), [(NESTED, True), (FLAT, True)], id="the other best"),
    ],
)
def test_a_landing_is_judged_by_the_better_time_and_the_better_memory_of_dlt(
    nested: tuple[float, float], flat: tuple[float, float], expected: Verdicts
) -> None:
    medians = {
        scenario_landing.OURS: Usage(10, 1, 100),
        scenario_landing.INSERT: Usage(1, 1, 1),
        NESTED: Usage(nested[0], 1, nested[1]),
        FLAT: Usage(flat[0], 1, flat[1]),
    }

    assert sorted(verdicts(list(scenario_landing.comparisons("payloads", medians)))) == sorted(
        expected
    )


@pytest.mark.parametrize(
    ("count", "last_create_sec", "most", "expected"),
    [
        pytest.param(3_000, 565.0, 300, [True, True], id="96 % of the quota"),
        pytest.param(3_000, 600.0, 300, [False, True], id="91 % of the quota"),
        pytest.param(2_700, 600.0, 300, [None, True], id="too short to judge"),
        pytest.param(3_000, 565.0, 301, [True, False], id="more than the quota in a minute"),
    ],
)
def test_a_modelled_run_is_judged_by_its_share_of_the_quota(
    count: int, last_create_sec: float, most: int, expected: list[bool | None]
) -> None:
    creates = [*([0.0] * most), last_create_sec]
    done = ModelledRun({ItemState.DONE: count}, {"create_conversation": creates}, 700.0, {}, {})

    assert [row.is_met for row in pace(count, done)] == expected


@pytest.mark.parametrize(("last_sec", "is_met"), [(720.0, True), (721.0, False)])
def test_a_run_over_regions_is_judged_by_a_day_at_its_pace(last_sec: float, is_met: bool) -> None:
    creates = [[0.0] * 3_000, [0.0] * 3_000, [0.0] * 3_000, [*([0.0] * 27), last_sec]]
    every = [moment for own in creates for moment in own]
    done = ModelledRun({}, {"create_conversation": every}, 800.0, {}, {}, creates)

    assert day_row(done).is_met is is_met


def test_three_regions_admit_a_tenth_of_a_million_in_a_tenth_of_a_day_and_two_do_not() -> None:
    assert quota_hours(100_000, ["a", "b", "c"]) == pytest.approx(1.9, abs=0.05)
    assert quota_hours(100_000, ["a", "b"]) > 2.4


@pytest.mark.parametrize(
    ("a_day", "regions", "within"),
    [(500, 1, "2 min"), (50_000, 1, "2.8 h"), (1_000_000, 3, "18.8 h")],
)
def test_the_readme_says_how_long_a_day_takes_and_what_insights_charges(
    a_day: int, regions: int, within: str
) -> None:
    cells = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
        if line.startswith(f"| {a_day:,} |")
    ]
    # Regions take alike, so a hundredth of a large day takes a hundredth of its time.
    part = max(1, a_day // 10_000)
    hours = quota_hours(a_day // part, [f"r{n}" for n in range(regions)]) * part
    found = f"{hours:.1f} h" if hours >= 1 else f"{hours * 60 + 1:.0f} min"

    assert [row[:4] for row in cells] == [
        [f"{a_day:,}", str(regions), within, f"{a_day * USD_PER_UNIT:,.0f}"]
    ]
    assert found.split()[1] == within.split()[1]
    assert float(found.split()[0]) == pytest.approx(float(within.split()[0]), rel=0.05)


@pytest.mark.parametrize(
    ("name", "wall_sec", "is_met"),
    [(HELP, 0.5, True), (HELP, 0.51, False), (READY, 10.0, True), (READY, 10.1, False)],
)
def test_a_command_is_judged_by_its_own_limit(name: str, wall_sec: float, is_met: bool) -> None:
    assert limited(name, seconds(wall_sec)).is_met is is_met


@pytest.mark.parametrize(
    ("before", "after", "is_met"),
    [(20, 20, True), (20, 21, False), (20, 19, False), (19, 19, False)],
)
def test_a_new_run_over_what_is_there_adds_no_row(before: int, after: int, is_met: bool) -> None:
    again = Again(seconds(1), {"ci_conversations": before}, {"ci_conversations": after})

    (row,) = rows_of_a_second_run(20, again)

    assert (row.what, row.is_met) == (
        "20 conversations pushed again, a new run: ci_conversations",
        is_met,
    )


def test_the_cpu_of_a_service_is_shown_by_the_conversation_and_grows_as_a_whole() -> None:
    assert cpu_row("CPU of the CI emulator", {10: 0.05, 100: 0.5}) == Row(
        "CPU of the CI emulator, a conversation",
        "10: 5.0 ms, 100: 5.0 ms",
        "all of it: size^k",
        "k = 1.00",
    )
