"""`make bench`: run every scenario, print the ratios, write RESULTS.md.

    python -m tests.benchmarks [--scale quick|default|full] [--only NAME …] [--peers FOLDER]

Exit code 1 when a goal is missed, and with `--only` the page isn't touched unless --out is given.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.harness import Bench, Row, Scale
from tests.benchmarks.page import RESULTS, ScenarioResult, facts_of, page_text, verdict
from tests.benchmarks.scenarios import SCENARIOS

DEFAULT_ROUNDS = 5
QUICK_ROUNDS = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; return 0 when every goal is met."""
    chosen = _parser().parse_args(arguments)
    # Whoever is measured keeps its byte code, as installed programs do.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    scale = Scale(chosen.scale)
    rounds = chosen.rounds or (QUICK_ROUNDS if scale is Scale.QUICK else DEFAULT_ROUNDS)
    wanted = [scenario for scenario in SCENARIOS if not chosen.only or scenario.name in chosen.only]
    out = chosen.out or (RESULTS if not chosen.only and scale is not Scale.QUICK else None)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        peers = chosen.peers.absolute() if chosen.peers else None
        bench = Bench(scale, rounds, Path(folder), peers, chosen.with_100k, _say)
        facts = facts_of(bench, dt.datetime.now(dt.UTC))
        results = []
        for number, scenario in enumerate(wanted, 1):
            _say(f"{scenario.title} ({number} of {len(wanted)}) …")
            began = time.monotonic()
            results.append(ScenarioResult(scenario, list(scenario.run(bench))))
            _say(f"{scenario.title}: {time.monotonic() - began:.0f} s")
    _print(results)
    if out is not None:
        command = "make bench" + ("" if scale is Scale.DEFAULT else f" SCALE={scale}")
        out.write_text(page_text(results, facts, command, rounds), encoding="utf-8")
        _say(f"written: {out}")
    is_missed = any(row.is_met is False for result in results for row in result.rows)
    return int(is_missed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--scale", choices=[scale.value for scale in Scale], default="default")
    parser.add_argument("--only", nargs="+", choices=[scenario.name for scenario in SCENARIOS])
    parser.add_argument("--rounds", type=int, help="default 5, or 2 at quick scale")
    parser.add_argument("--peers", type=Path, help="virtual environment with dlt and gsutil")
    parser.add_argument("--out", type=Path, help="page to write, default RESULTS.md")
    parser.add_argument("--with-100k", action="store_true", help="a run of 100,000 too (an hour)")
    return parser


def _print(results: Sequence[ScenarioResult]) -> None:
    table = Table("scenario", "what", "ours", "against", "ratio", "goal", "")
    for result in results:
        for row in result.rows:
            table.add_row(result.scenario.name, *_cells(row))
        table.add_section()
    Console(width=200).print(table)


def _cells(row: Row) -> tuple[str, ...]:
    return row.what, row.ours, row.against, row.ratio, row.goal, verdict(row).replace("*", "")


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
