"""`ingest settings …`: CI's settings as code."""

from __future__ import annotations

from typing import Annotated

import typer

from ingest.cli._options import AsJson

app = typer.Typer(no_args_is_help=True, help="CI's settings of the location: plan, apply.")

SettingsFile = Annotated[
    str, typer.Argument(help="YAML or JSON file; - reads standard input.", metavar="FILE")
]


@app.command()
def plan(
    file: SettingsFile,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 2 when CI differs from the file.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show which of CI's settings differ from the file.

    Example: ingest settings plan terraform/insights_settings.yaml
    """
    from ingest.cli import _settings_run

    raise typer.Exit(int(_settings_run.plan(file, exit_code=exit_code, as_json=as_json)))


@app.command()
def apply(file: SettingsFile, as_json: AsJson = False) -> None:
    """Make CI's settings of the location equal to the file.

    Example: ingest settings apply terraform/insights_settings.yaml
    """
    from ingest.cli import _settings_run

    raise typer.Exit(int(_settings_run.apply(file, as_json=as_json)))
