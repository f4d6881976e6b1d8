"""What an acceptance run found, as a page that can be sent to somebody else.

It holds no project, bucket, id or word of a conversation: replies are scrubbed as they are
recorded (`ingest.domain.replies`), and logs of the steps stay where the run was made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ingest.domain.replies import ReplyDifference
from ingest.errors import ExitCode


class StepVerdict(StrEnum):
    """How a step ended."""

    OK = "ok"
    FAILED = "failed"
    LEFT_OUT = "left out"


@dataclass(frozen=True)
class AcceptanceStep:
    """One step: how it ended, how long it took, and what to look at."""

    name: str
    verdict: StepVerdict
    seconds: float
    detail: str = ""


@dataclass(frozen=True)
class AcceptanceReport:
    """What an acceptance run found; `usd` is the most that its analyses cost.

    `cases` counts the contract's cases at the service by outcome (passed, failed, skipped);
    `failed_cases` are those that fail at the service and hold at the emulator.
    """

    exit_code: ExitCode
    versions: Mapping[str, str]
    budget_usd: float
    usd: float
    seconds: float
    steps: tuple[AcceptanceStep, ...]
    cases: Mapping[str, int]
    failed_cases: tuple[str, ...]
    replies: int
    differences: tuple[ReplyDifference, ...]


def page(report: AcceptanceReport) -> str:
    """Return the report as Markdown."""
    lines = [
        "# Acceptance run",
        "",
        ", ".join(f"{name} {version}" for name, version in report.versions.items()),
        "",
        f"{report.seconds:.0f} s, at most US${report.usd:.2f} of US${report.budget_usd:.2f}.",
        "",
        "| step | | seconds | |",
        "|---|---|---|---|",
        *(f"| {s.name} | {s.verdict} | {s.seconds:.0f} | {s.detail} |" for s in report.steps),
        "",
        "## Contract",
        "",
        "Cases at the service: "
        + (", ".join(f"{count} {name}" for name, count in report.cases.items()) or "none ran")
        + f"; {report.replies} replies.",
        "",
        *(f"- fails at the service alone: {case}" for case in report.failed_cases),
        "",
        *_differences(report),
    ]
    return "\n".join(lines) + "\n"


def _differences(report: AcceptanceReport) -> list[str]:
    if not report.differences:
        what = "No difference." if report.replies else "Nothing was compared."
        return [what]
    return [
        "| message | field | service | emulator | cases |",
        "|---|---|---|---|---|",
        *(
            f"| {each.message} | {each.field} | {_values(each.service)} | "
            f"{_values(each.emulator)} | {', '.join(each.cases)} |"
            for each in report.differences
        ),
    ]


def _values(shapes: tuple[str, ...]) -> str:
    return ", ".join(shapes) or "not set"
