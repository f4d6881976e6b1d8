"""dbt: what an increment costs against a full refresh, and as the base doubles."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.harness import LONGEST_COMMAND_SEC, Bench, Row, Scale, Scenario, growth_row

ROOT = Path(__file__).parents[2]
BASES = {
    Scale.QUICK: (300,),
    Scale.DEFAULT: (10_000, 100_000),
    Scale.FULL: (10_000, 100_000, 200_000),
}
"""The last is measured with twice the history too."""
PROMISED_FROM = 100_000
"""Below that a build's own seconds weigh more than what it builds."""
_TIMES = re.compile(
    r"^\s*([\d,]+) versions: full\s+([\d.]+) s, \+([\d,]+)\s+([\d.]+) s", re.MULTILINE
)
_PROMISE = re.compile(r"^(increment.*): ([+-]?[\d.]+ ?%) \(promised: (.*)\)$", re.MULTILINE)


class UnreadableFiguresError(Exception):
    """`dbt_builds` printed no figures."""


def run(bench: Bench) -> Iterator[Row]:
    """Yield the rows."""
    bases = [str(base) for base in BASES[bench.scale]]
    command = [sys.executable, "-m", "tests.benchmarks.dbt_builds", "--bases", *bases]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LONGEST_COMMAND_SEC,
        check=False,
    )
    bench.say(done.stdout)
    yield from rows_of(done.stdout, done.stderr)


def rows_of(printed: str, errors: str = "") -> Iterator[Row]:
    """Yield the rows of what `dbt_builds` printed; raise UnreadableFiguresError without figures."""
    found = _TIMES.findall(printed)
    if len(found) < 2:
        raise UnreadableFiguresError(f"no figures of two sizes in:\n{printed}\n{errors[-2000:]}")
    sizes = [
        (int(size.replace(",", "")), float(full), int(more.replace(",", "")), float(took))
        for size, full, more, took in found
    ]
    for size, full, more, took in sizes:
        yield Row(
            f"{size:,} versions, {more:,} more",
            f"increment: {took:.1f} s",
            f"full refresh: {full:.1f} s",
            f"{took / full:.1%} of it",
        )
    for what, value, promise in _PROMISE.findall(printed):
        most = float(re.findall(r"[\d.]+", promise)[0])
        met = float(value.rstrip("% ")) <= most
        is_judged = sizes[-2][0] >= PROMISED_FROM
        goal = f"{promise} (from {PROMISED_FROM:,} versions)"
        yield Row(what, value, goal=goal, is_met=met if is_judged else None)
    yield growth_row("full refresh", {size: full for size, full, _, _ in sizes}, "s")
    yield growth_row("increment", {size: took for size, _, _, took in sizes}, "s")


SCENARIO = Scenario(
    "dbt",
    "dbt: full refresh and increment",
    "Every incremental model on the BigQuery emulator, of analysed conversations of 43 KB: built "
    "in full, then 1 % more landed on the next day and built, with the overlap of 48 hours. The "
    "last base has twice the history of the one before, and the same increment. A build has a cost "
    "of its own of some ten seconds (parsing, six statements a model), so an increment is cheap "
    "against a large base only.",
    run,
)
