"""dbt: what an increment costs against a full refresh, and as the base doubles."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.benchmarks.harness import Bench, Row, Scale, Scenario, finished, growth_row

ROOT = Path(__file__).parents[2]
BASES = {
    Scale.QUICK: (300,),
    Scale.DEFAULT: (10_000, 100_000),
    Scale.FULL: (10_000, 100_000, 200_000),
}
"""The last is measured with twice the history too."""
PROMISED_FROM = 100_000
"""Below that a build's own seconds weigh more than what it builds."""
PROMISES = 2
LONGEST_SEC = 4 * 3600.0
_TIMES = re.compile(
    r"^ *(?P<versions>[\d,]+) versions: full +(?P<full>[\d.]+) s, \+(?P<more>[\d,]+) +"
    r"(?P<increment>[\d.]+) s \(incremental models\); rebuilt tables (?P<full_tables>[\d.]+) s, "
    r"then (?P<tables>[\d.]+) s; nothing new (?P<idle>[\d.]+) s; "
    r"full n = 1, others median of (?P<rounds>\d+)$",
    re.MULTILINE,
)
_PROMISE = re.compile(r"^(increment.*): ([+-]?[\d.]+ ?%) \(promised: (.*)\)$", re.MULTILINE)


class UnreadableFiguresError(Exception):
    """`dbt_builds` didn't print all of its figures."""


def run(bench: Bench) -> Iterator[Row]:
    """Yield the rows."""
    command = [sys.executable, "-m", "tests.benchmarks.dbt_builds"]
    command += ["--bases", *map(str, BASES[bench.scale]), "--rounds", str(bench.rounds)]
    done = finished(command, ROOT, LONGEST_SEC)
    bench.say(done.stdout)
    yield from rows_of(done.stdout, done.stderr)


def rows_of(printed: str, errors: str = "") -> Iterator[Row]:
    """Yield the rows of what `dbt_builds` printed.

    Raises UnreadableFiguresError where it ended before its last lines, which are the promises.
    """
    found = [match.groupdict() for match in _TIMES.finditer(printed)]
    promises = _PROMISE.findall(printed)
    if len(found) < 2 or len(promises) != PROMISES:
        raise UnreadableFiguresError(
            f"{len(found)} sizes and {len(promises)} promises in:\n{printed}\n{errors[-2000:]}"
        )
    sizes = {
        int(size["versions"].replace(",", "")): {
            name: float(size[name])
            for name in ("full", "increment", "full_tables", "tables", "idle")
        }
        for size in found
    }
    for size in found:
        yield from _size_rows(size)
    for what, value, promise in promises:
        most = float(re.findall(r"[\d.]+", promise)[0])
        met = float(value.rstrip("% ")) <= most
        is_judged = list(sizes)[-2] >= PROMISED_FROM
        goal = f"{promise} (from {PROMISED_FROM:,} versions)"
        yield Row(what, value, goal=goal, is_met=met if is_judged else None)
    yield growth_row("full refresh", {n: took["full"] for n, took in sizes.items()}, "s")
    yield growth_row("increment", {n: took["increment"] for n, took in sizes.items()}, "s")
    tables = {n: took["tables"] for n, took in sizes.items()}
    yield growth_row("tables rebuilt each time", tables, "s")


def _size_rows(size: Mapping[str, str]) -> Iterator[Row]:
    what = f"{size['versions']} versions, {size['more']} more"
    full, took, idle = (float(size[name]) for name in ("full", "increment", "idle"))
    rounds = size["rounds"]
    yield Row(
        f"{what}: incremental models",
        f"increment: {took:.1f} s (median of {rounds})",
        f"full refresh: {full:.1f} s (n = 1)",
        f"{took / full:.1%} of it",
    )
    whole, whole_full = took + float(size["tables"]), full + float(size["full_tables"])
    yield Row(
        f"{what}: with the tables rebuilt each time",
        f"increment: {whole:.1f} s (median of {rounds})",
        f"full refresh: {whole_full:.1f} s (n = 1)",
        f"{whole / whole_full:.1%} of it",
    )
    yield Row(
        f"{what}: incremental models, nothing new",
        f"{idle:.1f} s (median of {rounds})",
        f"increment: {took:.1f} s",
        f"{idle / took:.1%} of it",
    )


SCENARIO = Scenario(
    "dbt",
    "dbt: full refresh and increment",
    "On the BigQuery emulator, of analysed conversations of 43 KB: 300 days of them built in full, "
    "then increments of 1 % each, three days apart, so that each reads what is new and another 1 % "
    "within the overlap of 48 hours. The last size has twice the history of the one before, and "
    "increments of the same size. The promises are judged on the incremental models; the rows "
    "below each say what a build costs with the tables that are rebuilt each time, and what it "
    "costs when nothing is new: parsing, each model's statements, and the overlap once more. "
    "That cost hardly depends on the base, so an increment is cheap against a large base only.",
    run,
    "full refreshes once, other builds the median of {rounds}",
)
