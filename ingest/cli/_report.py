"""Shows what became of a batch: faults and failures on stderr, the result on stdout."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from ingest.cli._context import say
from ingest.cli._terminal import counted
from ingest.domain.fault import Fault
from ingest.domain.outcome import BatchReport, ItemState

_FAULT_LINES = 200
_FAILURE_LINES = 50


def show_faults(faults: Sequence[Fault]) -> None:
    """Print one line a fault: severity, file, pointer, what is wrong, what to do."""
    for fault in faults[:_FAULT_LINES]:
        place = f"{fault.file}{'#' + fault.pointer if fault.pointer else ''}"
        say(f"{fault.severity.value}: {printable(place)}: {fault.message} ({fault.hint})")
    if len(faults) > _FAULT_LINES:
        say(f"… and {len(faults) - _FAULT_LINES} more; --json lists all")


def show_failures(report: BatchReport) -> None:
    """Print one line a conversation that failed."""
    for failure in report.failures[:_FAILURE_LINES]:
        say(
            f"failed: {failure.conversation_id or 'batch'}: {failure.step.value}: "
            f"{failure.code}: {printable(failure.message)}"
        )
    if len(report.failures) > _FAILURE_LINES:
        say(f"… and {len(report.failures) - _FAILURE_LINES} more; --json lists all")


def show_result(report: BatchReport) -> None:
    """Print states and effects in two lines."""
    total = sum(report.states.values())
    if total and report.states[ItemState.UNCHANGED] == total:
        typer.echo(f"{counted(total, 'conversation')}: nothing to do, everything is in place")
        return
    parts = [f"{report.states[state]} {state.value}" for state in ItemState if report.states[state]]
    told = counted(total, "conversation")
    typer.echo(f"{told}: {', '.join(parts)}" if parts else told)
    if report.effects:
        typer.echo(", ".join(f"{name} {count}" for name, count in sorted(report.effects.items())))


def report_json(report: BatchReport, **more: Any) -> dict[str, Any]:
    """Return the report as one JSON object; `more` is added to it."""
    return {
        "exit_code": int(report.exit_code),
        "states": {state.value: report.states[state] for state in ItemState},
        "effects": dict(sorted(report.effects.items())),
        "failures": [
            {
                "conversation_id": failure.conversation_id,
                "step": failure.step.value,
                "code": failure.code,
                "message": failure.message,
            }
            for failure in report.failures
        ],
        **more,
    }


def echo_json(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print JSON on stdout."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    # A file name may hold bytes that are no text.
    typer.echo(text.encode(errors="replace").decode())


def printable(text: str) -> str:
    """Return the text without control characters, which could steer a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)
