"""The tools beside the pipeline: the data generator and the CI emulator."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.harness import Bench, Row, Scenario, finished

HERE = Path(__file__).parent
_GENERATOR = re.compile(r"^(.+?)\s{2,}(\S+)   target (.+?)\s+(met|MISSED)$", re.MULTILINE)


def run(bench: Bench) -> Iterator[Row]:
    """Yield the rows."""
    count = bench.size(quick=2_000, default=10_000, full=10_000)
    printed, _ = _said(bench, "datagen_generate.py", "--count", str(count))
    for what, value, target, met in _GENERATOR.findall(printed):
        has_goal = target.strip() != "-"
        yield Row(
            f"generator: {what.strip()}",
            value,
            goal=target.strip() if has_goal else "",
            is_met=met == "met" if has_goal else None,
        )
    created = bench.size(quick=100, default=2_000, full=5_000)
    yield _as_row(
        "CI emulator: create and analyse",
        _said(bench, "emulator_throughput.py", "--conversations", str(created)),
        "≥ 300 a second",
    )
    stored = bench.size(quick=1_000, default=10_000, full=100_000)
    yield _as_row(
        f"CI emulator: list pages of {stored:,} conversations",
        _said(bench, "emulator_scale.py", "--conversations", str(stored)),
        "≤ 200 ms, ≤ 500 MB",
    )


def _as_row(what: str, said: tuple[str, bool], goal: str) -> Row:
    printed, is_met = said
    return Row(what, "; ".join(printed.replace("|", "/").splitlines()), goal=goal, is_met=is_met)


def _said(bench: Bench, script: str, *arguments: str) -> tuple[str, bool]:
    done = finished([sys.executable, str(HERE / script), *arguments])
    if not done.stdout:
        raise SystemExit(f"{script} printed nothing:\n{done.stderr[-2000:]}")
    bench.say(done.stdout.rstrip())
    return done.stdout, done.returncode == 0


SCENARIO = Scenario(
    "tools",
    "The generator and the CI emulator",
    "What people wait for on a laptop; the client's time is within the emulator's figures.",
    run,
    "one run",
)
