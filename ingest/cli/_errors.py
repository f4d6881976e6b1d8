"""Prints our own errors as two lines and exits with their code; anything else is a bug."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from ingest.cli._terminal import safe
from ingest.errors import ExitCode, IngestError


class ErrorGroup(TyperGroup):
    """A group whose commands may raise IngestError."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; turn an IngestError into its message, hint and exit code.

        An interrupt that no flow has taken up ends in 130, as a shell expects.
        """
        try:
            return super().invoke(ctx)
        except IngestError as error:
            typer.echo(f"error: {safe(error.message)}", err=True)
            if error.hint:
                typer.echo(f"hint:  {safe(error.hint)}", err=True)
            raise typer.Exit(int(error.exit_code)) from error
        except KeyboardInterrupt as error:
            raise typer.Exit(int(ExitCode.INTERRUPTED)) from error
