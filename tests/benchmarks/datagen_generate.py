"""How fast conversations are made and validated, on one core, with how much memory.

    python tests/benchmarks/datagen_generate.py [--count 10000] [--out DIR]

Targets for 10,000: made and written in 15 s, 200 MB at most, 20,000 distinct utterances, at most
5 % of customer utterances of six or more words twice; 2,000 conversations a second validated.
Prints CPU and wall time, since a busy machine stretches both. Exit code 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import orjson

from ingest.cli._measures import walk_set
from ingest.datagen.dataset_check import ConversationFiles, check_files
from ingest.datagen.generate import DataSetRequest, generate
from ingest.datagen.profile import load_profile
from ingest.domain.faults import Fault

SEEDS = Path(__file__).parents[2] / "seeds"
MAX_SECONDS_PER_10K = 15.0
MAX_MEMORY_MB = 200
MIN_DISTINCT = 20_000
MAX_REPEATED = 0.05
MIN_VALIDATED_PER_SECOND = 2_000


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        out = arguments.out or Path(scratch)
        results = [*made(arguments.count, out), *variety(out), *validated(out)]
    for name, value, target, is_met in results:
        verdict = "met" if is_met else "MISSED"
        sys.stdout.write(f"{name:<42}{value:>14}   target {target:<12}{verdict}\n")
    return 0 if all(is_met for *_, is_met in results) else 1


def made(count: int, out: Path) -> list[tuple[str, str, str, bool]]:
    """Make the set."""
    wall, cpu = time.perf_counter(), time.process_time()
    request = DataSetRequest(count, 42, dt.date(2026, 1, 5), 3, out)
    generate(request, load_profile(), SEEDS, {})
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    limit = MAX_SECONDS_PER_10K * count / 10_000
    memory = peak_memory_mb()
    return [
        (f"{count:,} made: wall s", f"{wall:.1f}", f"<= {limit:.1f}", wall <= limit),
        (f"{count:,} made: CPU s", f"{cpu:.1f}", f"<= {limit:.1f}", cpu <= limit),
        ("peak memory MB", f"{memory:.0f}", f"<= {MAX_MEMORY_MB}", memory <= MAX_MEMORY_MB),
    ]


def variety(out: Path) -> list[tuple[str, str, str, bool]]:
    """Count utterances."""
    distinct: set[int] = set()
    customer: Counter[int] = Counter()
    for path in out.glob("*/*/transcription.json"):
        for turn in orjson.loads(path.read_bytes())["turns"]:
            key = hash(turn["text"])
            distinct.add(key)
            if turn["speaker"] == "CUSTOMER" and len(turn["text"].split()) >= 6:
                customer[key] += 1
    repeated = sum(number for number in customer.values() if number > 1) / customer.total()
    return [
        (
            "distinct utterances",
            f"{len(distinct):,}",
            f">= {MIN_DISTINCT:,}",
            len(distinct) >= MIN_DISTINCT,
        ),
        (
            "customer utterances of 6+ words repeated",
            f"{repeated:.2%}",
            f"<= {MAX_REPEATED:.0%}",
            repeated <= MAX_REPEATED,
        ),
    ]


def peak_memory_mb() -> float:
    """Return the most memory this process has held, in MB; getrusage would count its parent's."""
    status = Path("/proc/self/status")
    for line in status.read_text(encoding="ascii").splitlines() if status.exists() else ():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def validated(out: Path) -> list[tuple[str, str, str, bool]]:
    """Validate the set, reading included; a clean set has no fault."""

    async def check() -> tuple[int, int]:
        count = faults = 0
        async for found in walk_set(out):
            count += 1
            if isinstance(found, Fault):
                faults += 1
            elif isinstance(found, ConversationFiles):
                faults += len(check_files(found))
        return count, faults

    wall, cpu = time.perf_counter(), time.process_time()
    count, faults = asyncio.run(check())
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    floor = f">= {MIN_VALIDATED_PER_SECOND:,}"
    rate = count / cpu
    return [
        ("validated per CPU second", f"{rate:,.0f}", floor, rate >= MIN_VALIDATED_PER_SECOND),
        ("validated per wall second", f"{count / wall:,.0f}", "-", True),
        ("faults and warnings", str(faults), "0", faults == 0),
    ]


if __name__ == "__main__":
    sys.exit(main())
