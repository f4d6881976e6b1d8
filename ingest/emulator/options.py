"""The command line of `insights-emulator`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from urllib.parse import urlsplit

from ingest.emulator.context import ANALYSES
from ingest.emulator.export import DEFAULT_VERSION, EXPORT_VERSIONS
from ingest.emulator.faults import parse_duration
from ingest.emulator.methods import METHOD_NAMES, OPERATION_KINDS, check_name
from ingest.errors import InputError

_LAST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class EmulatorOptions:
    """How to run the emulator; latencies in microseconds."""

    data_dir: Path
    gcs_endpoint: str
    host: str = "127.0.0.1"
    port: int = 0
    rest_port: int = 0
    bigquery_endpoint: str | None = None
    pubsub_endpoint: str | None = None
    export_version: int = DEFAULT_VERSION
    project_number: str | None = None
    project_id: str | None = None
    seed: str | None = None
    quotas: str = "none"
    fault_plan: Path | None = None
    qa_rubric: Path | None = None
    call_latency: dict[str, int] = field(default_factory=dict)
    operation_latency: dict[str, int] = field(default_factory=dict)
    record: Path | None = None
    replay: Path | None = None


def parse_options(arguments: Sequence[str]) -> EmulatorOptions:
    """Return the options of a command line; exit with a message when it is wrong."""
    given = _parser().parse_args(arguments)
    operation_latency = dict(given.operation_latency)
    if given.analysis_latency is not None:
        operation_latency |= dict.fromkeys(ANALYSES, given.analysis_latency)
    return EmulatorOptions(
        data_dir=given.data_dir,
        gcs_endpoint=given.gcs_endpoint,
        host=str(given.host),
        port=given.port,
        rest_port=given.rest_port,
        bigquery_endpoint=given.bigquery_endpoint,
        pubsub_endpoint=given.pubsub_endpoint,
        export_version=int(given.export_version.removeprefix("V")),
        project_number=given.project_number,
        project_id=given.project_id,
        seed=given.seed,
        quotas=given.quotas,
        fault_plan=given.fault_plan,
        qa_rubric=given.qa_rubric,
        call_latency=dict(given.latency),
        operation_latency=operation_latency,
        record=given.record,
        replay=given.replay,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="insights-emulator", description="Emulates Conversational Insights over gRPC and REST."
    )
    where = parser.add_argument_group("where")
    where.add_argument(
        "--host", type=IPv4Address, default="127.0.0.1",
        help="address to listen on; 0.0.0.0 in a container, since there are no credentials",
    )  # fmt: skip
    where.add_argument("--port", type=_port, default=0, help="port of gRPC; 0 picks one")
    where.add_argument("--rest-port", type=_port, default=0, help="port of REST; 0 picks one")
    where.add_argument("--data-dir", type=Path, required=True, help="folder that keeps the data")
    where.add_argument(
        "--gcs-endpoint", type=_endpoint, required=True, help="Cloud Storage, http://host:port"
    )
    where.add_argument(
        "--bigquery-endpoint", type=_endpoint, help="BigQuery for exports, http://host:port"
    )
    where.add_argument(
        "--pubsub-endpoint", type=_endpoint, help="Pub/Sub for notifications, http://host:port"
    )
    where.add_argument(
        "--project-number", type=_project_number, help="number that replies carry for a project id"
    )
    where.add_argument("--project-id", help="the only project id that is let in")
    how = parser.add_argument_group("behaviour")
    how.add_argument("--analysis-latency", type=_duration, help="how long an analysis runs")
    how.add_argument(
        "--operation-latency", type=_operation_latency, action="append", default=[],
        metavar="KIND=DURATION",
        help="how long operations run, by the RPC that starts them or *",
    )  # fmt: skip
    how.add_argument(
        "--latency", type=_call_latency, action="append", default=[], metavar="METHOD=DURATION",
        help="how long a call takes at least, by RPC or *",
    )  # fmt: skip
    how.add_argument("--quotas", choices=("none", "real"), default="none", help="calls a minute")
    how.add_argument("--qa-rubric", type=Path, help="YAML file that answers scorecards' questions")
    how.add_argument("--fault-plan", type=Path, help="YAML file of faults")
    how.add_argument(
        "--export-version", choices=[f"V{number}" for number in EXPORT_VERSIONS],
        default=f"V{DEFAULT_VERSION}", metavar="V3…V18",
        help="columns of an export that names no version itself; V3, as documented",
    )  # fmt: skip
    how.add_argument("--seed", help="makes server-made ids reproducible")
    how.add_argument("--record", type=Path, help="append every call to this file")
    how.add_argument("--replay", type=Path, help="answer from a recorded file")
    return parser


def _duration(text: str) -> int:
    try:
        return parse_duration(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(f"{error.message}; {error.hint}") from error


def _call_latency(text: str) -> tuple[str, int]:
    return _latency(text, METHOD_NAMES, "method")


def _operation_latency(text: str) -> tuple[str, int]:
    return _latency(text, OPERATION_KINDS, "operation")


def _latency(text: str, known: Collection[str], what: str) -> tuple[str, int]:
    name, separator, duration = text.partition("=")
    if not separator or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=DURATION")
    try:
        check_name(name, known, what)
    except InputError as error:
        raise argparse.ArgumentTypeError(f"{error.message}; {error.hint}") from error
    return name, _duration(duration)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text[:6]) > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port from 0 to {_LAST_PORT}")
    return int(text)


def _endpoint(text: str) -> str:
    try:
        url = urlsplit(text)
        is_whole = bool(url.scheme == "http" and url.hostname and url.port != 0)
    except ValueError:
        is_whole = False
    if not is_whole or text.rstrip("/") != f"http://{url.netloc}" or "@" in text:
        raise argparse.ArgumentTypeError(f"{text!r} is not http://host:port (no TLS, no path)")
    return text.rstrip("/")


def _project_number(text: str) -> str:
    if not re.fullmatch(r"[0-9]{1,20}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no project number: use digits")
    return text
