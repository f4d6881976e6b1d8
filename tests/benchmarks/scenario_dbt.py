"""dbt: what an increment costs against a full refresh, and as the base doubles."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.harness import LONGEST_COMMAND_SEC, Bench, Row, Scale, Scenario, growth_row

ROOT = Path(__file__).parents[2]
SIZES = {
    Scale.QUICK: (50, 100, 200),
    Scale.DEFAULT: (10_000, 100_000, 200_000),
    Scale.FULL: (10_000, 200_000, 400_000),
}
PROMISED_FROM = 100_000
"""Below that a build's own seconds weigh more than what it builds."""
_TIMES = re.compile(r"^\s*([\d,]+) versions: full\s+([\d.]+) s, \+1 %\s+([\d.]+) s", re.MULTILINE)
_PROMISE = re.compile(r"^(increment.*): ([+-]?[\d.]+ ?%) \(promised: (.*)\)$", re.MULTILINE)


class UnreadableFiguresError(Exception):
    """`dbt_builds` printed no figures."""


def run(bench: Bench) -> Iterator[Row]:
    """Yield the rows."""
    sizes = [str(size) for size in SIZES[bench.scale]]
    command = [sys.executable, "-m", "tests.benchmarks.dbt_builds", "--sizes", *sizes]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=2 * LONGEST_COMMAND_SEC,
        check=False,
    )
    bench.say(done.stdout)
    yield from rows_of(done.stdout, done.stderr)


def rows_of(printed: str, errors: str = "") -> Iterator[Row]:
    """Yield the rows of what `dbt_builds` printed; raise UnreadableFiguresError without figures."""
    found = _TIMES.findall(printed)
    if len(found) < 2:
        raise UnreadableFiguresError(f"no figures of two sizes in:\n{printed}\n{errors[-2000:]}")
    sizes = [(int(size.replace(",", "")), float(full), float(more)) for size, full, more in found]
    for size, full, more in sizes:
        yield Row(
            f"{size:,} versions, 1 % more",
            f"increment: {more:.1f} s",
            f"full refresh: {full:.1f} s",
            f"{more / full:.1%} of it",
        )
    for what, value, promise in _PROMISE.findall(printed):
        most = float(re.findall(r"[\d.]+", promise)[0])
        met = float(value.rstrip("% ")) <= most
        is_judged = sizes[-2][0] >= PROMISED_FROM
        goal = f"{promise} (from {PROMISED_FROM:,} versions)"
        yield Row(what, value, goal=goal, is_met=met if is_judged else None)
    yield growth_row("full refresh", {size: full for size, full, _ in sizes}, "s")
    yield growth_row("increment", {size: more for size, _, more in sizes}, "s")


SCENARIO = Scenario(
    "dbt",
    "dbt: full refresh and increment",
    "Every incremental model on the BigQuery emulator: built in full, then 1 % more conversations "
    "landed on the next day and built, with the overlap of 48 hours. A build has a cost of its own "
    "of some seconds (parsing, some statements a model), so an increment is cheap against a large "
    "base only.",
    run,
)
