"""`ingest doctor`."""

from __future__ import annotations

import typer

from ingest.cli._options import AsJson


def doctor(as_json: AsJson = False) -> None:
    """Check settings, credentials, APIs, bucket, datasets, tables, CI and clock; name each cure.

    Exits with 3 when anything has to be cured.

    Example: ingest doctor
    """
    from ingest.cli import _doctor_run

    raise typer.Exit(int(_doctor_run.execute(as_json=as_json)))
