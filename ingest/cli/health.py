"""`ingest health`."""

from __future__ import annotations

import typer

from ingest.cli._options import AsJson


def health(as_json: AsJson = False) -> None:
    """Tell how many conversations wait or failed, since when, and when anything last landed.

    With --json one line, which a Cloud Run job logs and the alerts compare.

    Example: ingest health --json
    """
    from ingest.cli import _health_run

    raise typer.Exit(int(_health_run.show(as_json=as_json)))
