"""`ingest rubric …`: the coaching rubric as code."""

from __future__ import annotations

from typing import Annotated

import typer

from ingest.cli._console import counted, safe
from ingest.cli._options import AsJson
from ingest.cli._output import opened, print_json
from ingest.errors import ExitCode
from ingest.flows.rubric import ensure_sound_rubric, read_rubric_faults
from ingest.flows.rubric_impact import RubricPlan, read_impact
from ingest.settings import load_declared_places

app = typer.Typer(no_args_is_help=True)


@app.callback()
def rubric() -> None:
    """The coaching rubric as code: check its rows, and say which cards an edit changes.

    Example: ingest rubric check
    """


@app.command()
def check() -> None:
    """Name each bad row of rubric and policies with its cure; exit with 1 where there is one.

    Example: ingest rubric check
    """

    faults = read_rubric_faults(*load_declared_places())
    for fault in faults:
        typer.echo(safe(f"{fault.file} row {fault.row}: {fault.message} ({fault.rule})"))
        typer.echo(safe(f"  {fault.cure}"))
    typer.echo(f"{len(faults)} bad rows or values")
    raise typer.Exit(int(ExitCode.SOME_FAILED if faults else ExitCode.OK))


@app.command()
def plan(
    impact: Annotated[
        bool, typer.Option("--impact", help="Say which cards it changes; without it, how many.")
    ] = False,
    exit_code: Annotated[
        bool,
        typer.Option("--exit-code", help="Exit with 5 where a card would be judged otherwise."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what the edited rubric, policies, agents and disclosures change before dbt builds it.

    The conversations of the last build are judged again by the seeds of this folder; nothing is
    written.

    Example: ingest rubric plan --impact
    """

    places = load_declared_places()
    ensure_sound_rubric(*places)
    _, warehouse = opened()
    planned = read_impact(warehouse, *places)
    if as_json:
        print_json(planned)
    else:
        typer.echo(text_of(planned, with_cards=impact))
    if exit_code and planned.rejudged_card_count:
        raise typer.Exit(int(ExitCode.DRIFT))


def text_of(planned: RubricPlan, *, with_cards: bool) -> str:
    """Return the plan for a terminal: cards by check and verdict, and with `cards` each."""
    of_all = f"{planned.changed_card_count} of {counted(planned.card_count, 'card')} would change"
    rest = planned.rejudged_card_count - planned.changed_card_count
    lines = [f"{of_all}, {rest} more have another rule and the same verdicts"]
    for change in planned.changes:
        if change.is_changed:
            told = _verdicts(change.verdict, change.planned_verdict)
            lines.append(f"  {change.check_id}: {told} in {counted(change.card_count, 'card')}")
    for check in planned.checks if with_cards else ():
        if check.is_changed:
            told = _verdicts(check.verdict, check.planned_verdict)
            lines.append(f"{check.conversation_id}  {check.check_id}: {told}")
    return "\n".join(lines)


def _verdicts(before: str | None, after: str | None) -> str:
    if before == after:
        return f"{before}, told otherwise"
    return f"{before or 'not due'} becomes {after or 'not due'}"
