"""`make bench`: run every scenario, print the ratios, write RESULTS.md.

    python -m tests.benchmarks [--scale quick|default|full] [--only NAME …] [--peers FOLDER]

Exit code 1 when a goal is missed. A whole run makes the page new at its end; with `--only` each
scenario's section is replaced when it is measured, which another machine or other versions than
the page's are refused. At quick scale the page isn't touched unless --out is given.
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

from tests.benchmarks.harness import Bench, Scale
from tests.benchmarks.page import (
    RESULTS,
    OtherMachineError,
    ReadPage,
    Section,
    completed,
    facts_of,
    measured_now,
    page_text,
    read_page,
    section_of,
)
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
    out = chosen.out or (None if scale is Scale.QUICK else RESULTS)
    sections: list[Section] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        peers = chosen.peers.absolute() if chosen.peers else None
        bench = Bench(scale, rounds, Path(folder), peers, _say)
        facts = facts_of(bench)
        try:
            completed(_kept(out), ReadPage(facts, [Section(each.name, "", []) for each in wanted]))
        except OtherMachineError as error:
            raise SystemExit(f"{error}; measure all (make bench), or give --out") from error
        is_missed = False
        for number, scenario in enumerate(wanted, 1):
            _say(f"{scenario.title} ({number} of {len(wanted)}) …")
            began, measured = time.monotonic(), measured_now(bench, dt.datetime.now(dt.UTC))
            rows = list(scenario.run(bench))
            is_missed = is_missed or any(row.is_met is False for row in rows)
            sections.append(section_of(scenario.name, rows, measured))
            _say(f"{scenario.title}: {time.monotonic() - began:.0f} s")
            _write(out, ReadPage(facts, sections), is_whole=len(wanted) == len(SCENARIOS))
    _print(sections)
    return int(is_missed)


def _write(out: Path | None, measured: ReadPage, *, is_whole: bool) -> None:
    """Write what is measured by now; of a whole run only the end of it counts."""
    if out is None or (is_whole and len(measured.sections) < len(SCENARIOS)):
        return
    out.write_text(page_text(completed(_kept(out), measured), SCENARIOS), encoding="utf-8")
    _say(f"written: {out}")


def _kept(out: Path | None) -> ReadPage:
    is_there = out is not None and out.exists()
    return read_page(out.read_text(encoding="utf-8")) if is_there else ReadPage({}, [])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--scale", choices=[scale.value for scale in Scale], default="default")
    parser.add_argument("--only", nargs="+", choices=[scenario.name for scenario in SCENARIOS])
    parser.add_argument("--rounds", type=int, help="default 5, or 2 at quick scale")
    parser.add_argument("--peers", type=Path, help="virtual environment with dlt and gsutil")
    parser.add_argument("--out", type=Path, help="page to write, default RESULTS.md")
    return parser


def _print(sections: Sequence[Section]) -> None:
    table = Table("scenario", "what", "ours", "against", "ratio", "goal", "")
    for section in sections:
        for row in section.rows:
            table.add_row(section.name, *(cell.replace("*", "") for cell in row))
        table.add_section()
    Console(width=200).print(table)


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
