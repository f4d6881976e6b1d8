"""One push into the modelled cloud, in a process of its own, so that its CPU and memory are too.

    python -m tests.benchmarks.modelled_run CONVERSATIONS FOLDER [REGIONS]

Writes what the push came to as JSON into FOLDER/run.json. Exit code 1 when it didn't end well.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path

from ingest.domain.outcome import ItemState
from ingest.emulator.control_client import Control
from ingest.emulator.options import EmulatorOptions
from ingest.emulator.testing import EmulatorThread, ObjectServer
from tests.fakes.modelled_cloud import (
    NOT_AT_A_MINUTES_BEGINNING,
    Latencies,
    ModelledRun,
    modelled_push,
)

ANALYSIS_SEC = 14.0
LATENCIES = Latencies(bucket_sec=0.05, ci_sec=0.2, bigquery_sec=1.0)
RUN_FILE = "run.json"


def main() -> None:
    """Push, and write what came of it."""
    count, folder = int(sys.argv[1]), Path(sys.argv[2])
    done = pushed(folder / "ci", count, *sys.argv[3:])
    (folder / RUN_FILE).write_text(json.dumps(asdict(done)), encoding="utf-8")


def pushed(folder: Path, count: int, regions: str = "") -> ModelledRun:
    """Push into a CI emulator of this process, its clock stopped."""
    with ObjectServer() as objects:
        options = EmulatorOptions(
            data_dir=folder, gcs_endpoint=objects.endpoint, project_number="123456789012"
        )
        with EmulatorThread(options) as thread, Control(thread.address) as control:
            control.freeze(NOT_AT_A_MINUTES_BEGINNING)
            control.set_quotas("real")
            control.set_operation_latency("CreateAnalysis", ANALYSIS_SEC)
            push = modelled_push(thread.address, control, objects, count, LATENCIES, regions)
            done = asyncio.run(push)
            refused = [m for m, by in control.calls().items() if "RESOURCE_EXHAUSTED" in by]
    if done.states != {ItemState.DONE: count} or refused:
        raise SystemExit(f"the modelled run ended in {done.states}; refused: {refused}")
    return done


def run_of(folder: Path) -> ModelledRun:
    """Return what the process wrote."""
    held = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    held["states"] = {ItemState(state): count for state, count in held["states"].items()}
    return ModelledRun(**held)


if __name__ == "__main__":
    main()
