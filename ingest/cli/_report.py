"""Shows what became of a batch: faults and failures on stderr, the result on stdout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import typer

from ingest.cli._context import say
from ingest.cli._terminal import counted
from ingest.domain.fault import Fault
from ingest.domain.outcome import BatchReport, Failure, ItemState
from ingest.errors import ExitCode


@dataclass(frozen=True)
class BatchResult:
    """What became of a batch: conversations by state, effects by name, and every failure.

    A failed batch of rows is a failure without a conversation id.
    """

    exit_code: ExitCode
    states: Mapping[ItemState, int]
    effects: Mapping[str, int]
    failures: tuple[Failure, ...]


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


def batch_result(report: BatchReport) -> BatchResult:
    """Return the report as it is printed."""
    return BatchResult(
        exit_code=report.exit_code,
        states={state: report.states[state] for state in ItemState},
        effects=dict(sorted(report.effects.items())),
        failures=tuple(report.failures),
    )


def printable(text: str) -> str:
    """Return the text without control characters, which could steer a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)
