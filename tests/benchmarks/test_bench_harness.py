"""The benchmarks' own rules: turns, medians, growth, and what a command took."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks.dbt_builds import Builds
from tests.benchmarks.harness import (
    FailedCommandError,
    Row,
    Usage,
    finished,
    fitted_exponent,
    growth_row,
    paired,
    run_command,
    serving,
)
from tests.benchmarks.scenario_dbt import UnreadableFiguresError, rows_of
from tests.benchmarks.scenario_landing import leaf_paths


def test_variants_take_turns_and_the_median_of_each_is_kept() -> None:
    turns: list[str] = []

    def runner(name: str, seconds: list[float]):
        def run(number: int) -> Usage:
            turns.append(f"{name}{number}")
            return Usage(seconds[number], 2 * seconds[number], 10.0)

        return run

    medians = paired({"a": runner("a", [3, 1, 2]), "b": runner("b", [9, 9, 1])}, 3, lambda _: None)

    assert turns == ["a0", "b0", "a1", "b1", "a2", "b2"]
    assert medians == {"a": Usage(2, 4, 10.0), "b": Usage(9, 18, 10.0)}


@given(
    st.floats(0.01, 100),
    st.floats(-1, 3),
    st.lists(st.integers(1, 100_000), min_size=2, max_size=5, unique=True),
)
def test_growth_is_the_exponent_that_the_costs_were_made_with(
    factor: float, exponent: float, sizes: list[int]
) -> None:
    costs = {size: factor * size**exponent for size in sizes}

    assert fitted_exponent(costs) == pytest.approx(exponent, abs=1e-6)


def test_growth_above_linear_misses_its_goal() -> None:
    linear = growth_row("time", {10: 1.0, 20: 2.0, 40: 4.0}, "s")
    square = growth_row("time", {10: 1.0, 20: 4.0, 40: 16.0}, "s")

    assert (linear.ratio, linear.is_met) == ("k = 1.00", True)
    assert (square.ratio, square.is_met) == ("k = 2.00", False)


def test_a_command_is_charged_with_its_own_memory_and_not_with_the_callers() -> None:
    held = bytearray(200_000_000)
    idle = run_command([sys.executable, "-I", "-S", "-c", "pass"])
    greedy = run_command([sys.executable, "-I", "-S", "-c", "x = bytes(range(256)) * 400_000"])

    assert len(held) == 200_000_000
    assert idle.peak_mb < 50
    assert 90 < greedy.peak_mb - idle.peak_mb < 130
    assert idle.wall_sec > 0


def test_a_command_that_fails_is_an_error_with_its_own_words() -> None:
    with pytest.raises(FailedCommandError, match=r"(?s)exit 3.*no such thing"):
        run_command([sys.executable, "-c", "print('no such thing'); raise SystemExit(3)"])


def test_paths_of_leaves_name_every_list_once() -> None:
    payload = {"a": [{"b": 1}, {"b": 2, "c": {}}], "d": {"e": None}}

    assert leaf_paths(payload) == {".a[].b", ".a[].c", ".d.e"}


BUILDS = (
    Builds(100_000, 1_000, 20.0, 5.0, [4.0, 1.0, 9.0], [2.0, 2.0, 3.0], [1.0, 1.0, 1.0]),
    Builds(200_000, 1_000, 40.0, 10.0, [4.4, 4.4, 4.4], [4.0, 4.0, 4.0], [1.1, 1.1, 1.1]),
)


PROMISES = (
    "increment / full refresh: 20.0% (promised: at most 10 %)\n"
    "increment when the base doubles: +10.0% (promised: at most +20 %)\n"
)


def test_figures_of_the_builds_are_read_from_what_they_print() -> None:
    rows = list(rows_of(f"{BUILDS[0]}\n{BUILDS[1]}\n{PROMISES}"))

    assert rows[0] == Row(
        "100,000 versions, 1,000 more: incremental models",
        "increment: 4.0 s (median of 3)",
        "full refresh: 20.0 s (n = 1)",
        "20.0% of it",
    )
    assert [(row.ratio, row.is_met) for row in rows] == [
        ("20.0% of it", None),
        ("24.0% of it", None),
        ("25.0% of it", None),
        ("11.0% of it", None),
        ("16.8% of it", None),
        ("25.0% of it", None),
        ("", False),
        ("", True),
        ("k = 1.00", True),
        ("k = 0.14", True),
        ("k = 1.00", True),
    ]


@pytest.mark.parametrize(
    "printed",
    [
        pytest.param("nothing", id="nothing"),
        pytest.param(f"{BUILDS[0]}\n{PROMISES}", id="one size"),
        pytest.param(f"{BUILDS[0]}\n{BUILDS[1]}\n", id="ended before the promises"),
        pytest.param(f"{BUILDS[0]}\n{BUILDS[1]}\n{PROMISES.splitlines()[0]}", id="half of them"),
    ],
)
def test_builds_that_ended_early_have_no_figures(printed: str) -> None:
    with pytest.raises(UnreadableFiguresError):
        list(rows_of(printed))


def test_a_small_base_is_no_judge_of_the_promises() -> None:
    printed = f"{replace(BUILDS[0], versions=99_999)}\n{BUILDS[1]}\n{PROMISES}"

    promise = next(row for row in rows_of(printed) if row.what == "increment / full refresh")

    assert promise.is_met is None


def test_a_server_that_does_not_end_when_told_to_is_killed(tmp_path: Path) -> None:
    is_deaf = tmp_path / "is-deaf"
    deaf = "import pathlib, signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    deaf += "; pathlib.Path(sys.argv[1]).touch(); signal.pause()"
    with serving([sys.executable, "-c", deaf, str(is_deaf)], patience_sec=0.1) as server:
        while not is_deaf.exists() and server.poll() is None:
            pass

    assert server.returncode == -signal.SIGKILL


def test_a_command_given_up_takes_along_what_it_started(tmp_path: Path) -> None:
    told = tmp_path / "server.pid"
    script = (
        "import pathlib, subprocess, sys;"
        "server = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
        "pathlib.Path(sys.argv[1]).write_text(str(server.pid));"
        "server.wait()"
    )

    with pytest.raises(subprocess.TimeoutExpired):
        finished([sys.executable, "-I", "-S", "-c", script, str(told)], timeout_sec=3)

    assert _is_ended(int(told.read_text()))


def _is_ended(pid: int) -> bool:
    """Wait for the end of a process; one that nobody has waited for has ended too."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        _, alive = psutil.wait_procs([process], timeout=5)
        return not alive or process.status() == psutil.STATUS_ZOMBIE
    return True
