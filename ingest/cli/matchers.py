"""`ingest matchers …`: phrase matchers as code."""

from __future__ import annotations

from typing import Annotated

import typer

from ingest.cli._options import AsJson
from ingest.errors import ExitCode

app = typer.Typer(no_args_is_help=True, help="Phrase matchers as code: plan, apply, list, destroy.")


@app.command()
def plan(
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 2 when CI differs from the seeds.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what apply would change, rule by rule.

    Example: ingest matchers plan
    """
    from ingest.cli import _matchers_run

    raise typer.Exit(int(_matchers_run.plan(exit_code=exit_code, as_json=as_json)))


@app.command()
def apply(as_json: AsJson = False) -> None:
    """Make CI's phrase matchers equal to the seeds, and land every revision.

    Example: ingest matchers apply
    """
    from ingest.cli import _matchers_run

    raise typer.Exit(int(_matchers_run.apply(as_json=as_json)))


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the phrase matchers that CI holds, ours and others.

    Example: ingest matchers list
    """
    from ingest.cli import _matchers_run

    _matchers_run.list_all(as_json=as_json)


@app.command()
def destroy(
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete our phrase matchers from CI; those of others stay.

    Example: ingest matchers destroy --yes
    """
    from ingest.cli import _matchers_run

    if not yes and not typer.confirm("Delete this project's phrase matchers from CI?"):
        raise typer.Exit(int(ExitCode.USAGE))
    raise typer.Exit(int(_matchers_run.destroy(as_json=as_json)))
