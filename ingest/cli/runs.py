"""`ingest runs` and `ingest errors`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from ingest.cli._console import (
    ago,
    counted,
    moment_text,
    safe,
    table,
    terminal_width,
    wrapped,
)
from ingest.cli._options import AsJson, DateOption, Limit
from ingest.cli._output import now, opened, parsed_date, print_json, with_runs_in_bucket
from ingest.errors import ExitCode
from ingest.flows.runs import (
    FailedStep,
    FailureGroup,
    Run,
    StepCounts,
    read_failure_groups,
    read_failures,
    read_runs,
    with_states,
)


def runs(date: DateOption = None, limit: Limit = 20, as_json: AsJson = False) -> None:
    """Show the latest runs, and what each step of them came to.

    Exits with 4 where the bucket, which knows what runs now, can't be read.

    Example: ingest runs --limit 5
    """

    raise typer.Exit(int(show_runs(date, limit, as_json=as_json)))


def errors(
    date: DateOption = None,
    group: Annotated[bool, typer.Option("--group", help="Count by step and code.")] = False,
    only_open: Annotated[
        bool, typer.Option("--open", help="Only where no later step went well.")
    ] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List failed steps, newest first, and whether the conversation got over them.

    Example: ingest errors --group
    """

    show_errors(date, limit, group=group, only_open=only_open, as_json=as_json)


_SHORT_ID = 8


def show_runs(date: str | None, limit: int, *, as_json: bool) -> ExitCode:
    """Print the latest runs; return the exit code."""
    batch_date = parsed_date(date)
    settings, warehouse = opened()
    found, in_bucket, code = with_runs_in_bucket(
        settings, lambda: read_runs(warehouse, batch_date, limit)
    )
    found = with_states(found, in_bucket, limit, are_of_one_date=batch_date is not None)
    if as_json:
        print_json(found)
    elif not found:
        typer.echo("no run has left an event yet")
    else:
        typer.echo("\n\n".join(_run(run) for run in found))
    return code


def show_errors(
    date: str | None, limit: int, *, group: bool, only_open: bool, as_json: bool
) -> None:
    """Print failed steps, one by one or by step and code."""
    batch_date = parsed_date(date)
    _, warehouse = opened()
    if group:
        groups = read_failure_groups(warehouse, batch_date, only_open=only_open, limit=limit)
        _print(groups, group_table(groups), as_json=as_json)
    else:
        failures = read_failures(warehouse, batch_date, only_open=only_open, limit=limit)
        _print(failures, "\n\n".join(map(_failure, failures)), as_json=as_json)


def _print(found: tuple[object, ...], text: str, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
    else:
        typer.echo(text if found else "no failed step")


def _run(run: Run) -> str:
    dates = " to ".join(date.isoformat() for date in run.batch_dates) or "no date"
    head = (
        f"{safe(run.run_id)}  {ago(run.ended_at, now())}, took {run.took_sec:.1f} s: "
        f"{counted(run.conversation_count, 'conversation')} of {dates}, {run.failed_count} failed"
        + ("" if run.state == "ended" else f"; {run.state}")
    )
    steps = table(
        ("STEP", "SUCCEEDED", "ADOPTED", "WAITING", "FAILED", "RETRIED"),
        [_step(step) for step in run.steps],
        " rrrrr",
        indent=2,
    )
    return "\n".join([*wrapped(head, terminal_width(), "  "), steps])


def _step(step: StepCounts) -> tuple[str, ...]:
    counts = (step.succeeded, step.adopted, step.waiting, step.failed, step.retried)
    return (step.step, *(str(count or "-") for count in counts))


def _failure(failure: FailedStep) -> str:
    state = "open" if failure.is_open else "got over"
    attempts = counted(failure.attempts, "attempt")
    message = wrapped(safe(failure.error_message or "no message"), terminal_width() - 2)
    return "\n".join(
        [
            f"{failure.conversation_id}  {failure.step}: {safe(failure.error_code)}  ({state})",
            f"  {moment_text(failure.failed_at)}, {attempts}, run {safe(failure.run_id)}",
            *(f"  {line}" for line in message),
        ]
    )


def group_table(groups: Iterable[FailureGroup], indent: int = 0) -> str:
    """Return failures by step and code as a table."""
    return table(
        ("STEP", "CODE", "FAILURES", "CONVERSATIONS", "OPEN", "LATEST", "EXAMPLE"),
        [
            (
                group.step,
                group.error_code,
                str(group.failure_count),
                str(group.conversation_count),
                str(group.open_count or "-"),
                ago(group.last_at, now()),
                group.example_id[:_SHORT_ID],
            )
            for group in groups
        ],
        "  rrrr",
        indent,
    )
