"""`ingest matchers …`: phrase matchers as code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ingest.cli._options import AsJson, DryRun

app = typer.Typer(no_args_is_help=True, help="Phrase matchers as code: plan, apply, list, destroy.")


@app.command()
def plan(
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 2 when CI differs from the seeds.")
    ] = False,
    impact: Annotated[
        bool,
        typer.Option("--impact", help="Also which landed conversations gain or lose which match."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what apply would change, rule by rule.

    Example: ingest matchers plan --impact
    """
    from ingest.cli import _matchers_run

    code = _matchers_run.plan(exit_code=exit_code, with_impact=impact, as_json=as_json)
    raise typer.Exit(int(code))


@app.command()
def apply(dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Make CI's phrase matchers equal to the seeds, and land every revision.

    Example: ingest matchers apply
    """
    from ingest.cli import _matchers_run

    raise typer.Exit(int(_matchers_run.apply(dry_run=dry_run, as_json=as_json)))


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the phrase matchers that CI holds, ours and others.

    Example: ingest matchers list
    """
    from ingest.cli import _matchers_run

    _matchers_run.list_all(as_json=as_json)


@app.command("test")
def try_on(
    folder: Annotated[str, typer.Argument(help="A date folder or a folder of date folders.")],
    as_json: AsJson = False,
) -> None:
    """Run the matchers of the seeds over transcripts, by the rule that CI's results follow.

    Example: ingest matchers test seeds/conversations/2025-12-28
    """
    from ingest.cli import _matcher_trials_run

    raise typer.Exit(int(_matcher_trials_run.try_on(folder, as_json=as_json)))


@app.command()
def pull(
    out: Annotated[
        Path, typer.Option(help="Folder for phrase_matchers.csv and phrase_matcher_rules.csv.")
    ],
    as_json: AsJson = False,
) -> None:
    """Write the phrase matchers that CI holds, ours and others, as seeds.

    Example: ingest matchers pull --out .local/matchers
    """
    from ingest.cli import _matcher_trials_run

    _matcher_trials_run.pull(out, as_json=as_json)


@app.command()
def destroy(
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Delete our phrase matchers from CI; those of others stay.

    Example: ingest matchers destroy --yes
    """
    from ingest.cli import _matchers_run

    raise typer.Exit(int(_matchers_run.destroy(yes=yes, dry_run=dry_run, as_json=as_json)))
