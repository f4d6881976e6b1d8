"""The command line of `python -m ingest.emulator`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
_UNITS = {"ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, None: 1_000_000}


@dataclass(frozen=True, slots=True)
class EmulatorOptions:
    """How to run the emulator; durations in microseconds."""

    data_dir: Path
    gcs_endpoint: str
    port: int = 0
    bigquery_endpoint: str | None = None
    project_number: str | None = None
    project_id: str | None = None
    analysis_latency_us: int = 0
    lro_latency_us: int = 0
    method_latency_us: dict[str, int] = field(default_factory=dict)
    seed: str | None = None


def parse_duration(text: str) -> int:
    """Return the microseconds of `14s`, `250ms`, `2m`, `1h` or `1.5` (seconds)."""
    found = _DURATION.fullmatch(text.strip())
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write 250ms, 14s, 2m or 1h")
    return round(float(found[1]) * _UNITS[found[2]])


def parse_options(arguments: Sequence[str]) -> EmulatorOptions:
    """Return the options of a command line; exit with a message when it is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m ingest.emulator", description="Emulates Conversational Insights over gRPC."
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 picks one")
    parser.add_argument("--data-dir", type=Path, required=True, help="folder that keeps the data")
    parser.add_argument("--gcs-endpoint", required=True, help="Cloud Storage, http://host:port")
    parser.add_argument("--bigquery-endpoint", help="BigQuery for exports, http://host:port")
    parser.add_argument("--project-number", help="number that replies carry for every project id")
    parser.add_argument("--project-id", help="the only project id that is let in")
    parser.add_argument(
        "--analysis-latency", type=parse_duration, default=0, help="how long an analysis runs"
    )
    given = parser.parse_args(arguments)
    return EmulatorOptions(
        data_dir=given.data_dir,
        gcs_endpoint=given.gcs_endpoint,
        port=given.port,
        bigquery_endpoint=given.bigquery_endpoint,
        project_number=given.project_number,
        project_id=given.project_id,
        analysis_latency_us=given.analysis_latency,
    )
