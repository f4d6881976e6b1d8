"""`make bench`: run every scenario, print the ratios, write RESULTS.md.

    python -m tests.benchmarks [--scale quick|default|full] [--only NAME …] [--peers FOLDER]

Exit code 1 when a goal is missed. Each scenario's section is replaced as soon as it is measured. A
page of another machine, or of other versions, is only replaced as a whole: with `--only` it is
refused, and a whole run keeps what it has by then in .cache/bench-results.md. At quick scale the
page isn't touched unless --out is given.
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

from tests.benchmarks.harness import Bench, Scale, Scenario
from tests.benchmarks.page import (
    RESULTS,
    OtherMachineError,
    ReadPage,
    Section,
    completed,
    explained,
    facts_of,
    measured_now,
    missed,
    page_text,
    read_page,
    section_of,
)
from tests.benchmarks.scenarios import SCENARIOS

ASIDE = Path(__file__).parents[2] / ".cache" / "bench-results.md"
DEFAULT_ROUNDS = 5
QUICK_ROUNDS = 2


def main(
    arguments: Sequence[str] | None = None,
    scenarios: Sequence[Scenario] = SCENARIOS,
    aside: Path = ASIDE,
) -> int:
    """Run what is asked for; return 0 when every goal is met.

    `aside` is the page of a whole run that isn't at its end and can't complete the page yet.
    """
    chosen = _parser(scenarios).parse_args(arguments)
    # Whoever is measured keeps its byte code, as installed programs do.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    scale = Scale(chosen.scale)
    rounds = chosen.rounds or (QUICK_ROUNDS if scale is Scale.QUICK else DEFAULT_ROUNDS)
    wanted = [scenario for scenario in scenarios if not chosen.only or scenario.name in chosen.only]
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
        for number, scenario in enumerate(wanted, 1):
            _say(f"{scenario.title} ({number} of {len(wanted)}) …")
            began = time.monotonic()
            measured = measured_now(bench, scenario, dt.datetime.now(dt.UTC))
            section = section_of(scenario.name, list(scenario.run(bench)), measured)
            sections.append(section)
            _say(f"{scenario.title}: {time.monotonic() - began:.0f} s")
            for what in set(missed(section)) - set(explained(scenario, section)):
                _say(f"missed, and {scenario.name} doesn't say why (Scenario.reasons): {what}")
            _write(out, aside, ReadPage(facts, sections), scenarios)
    _print(sections)
    return int(any(missed(section) for section in sections))


def _write(
    out: Path | None, aside: Path, measured: ReadPage, scenarios: Sequence[Scenario]
) -> None:
    """Write what is measured by now into the page, or aside until the page can be all new."""
    if out is None:
        return
    try:
        page, where = completed(_kept(out), measured), out
    except OtherMachineError:
        page, where = measured, aside
    where.parent.mkdir(parents=True, exist_ok=True)
    where.write_text(page_text(page, scenarios), encoding="utf-8")
    _say(f"written: {where}")


def _kept(out: Path | None) -> ReadPage:
    is_there = out is not None and out.exists()
    return read_page(out.read_text(encoding="utf-8")) if is_there else ReadPage({}, [])


def _parser(scenarios: Sequence[Scenario]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--scale", choices=[scale.value for scale in Scale], default="default")
    parser.add_argument("--only", nargs="+", choices=[each.name for each in scenarios])
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
