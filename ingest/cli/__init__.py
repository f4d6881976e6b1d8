"""The `ingest` command: every command builds a context, calls one flow, renders, exits."""

from __future__ import annotations

import typer

from ingest.cli import local, matchers, push
from ingest.cli._errors import ErrorGroup

app = typer.Typer(
    cls=ErrorGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Take contact-centre conversations through Cloud Storage and CI into BigQuery.",
)
app.command("push")(push.push)
app.add_typer(matchers.app, name="matchers")
app.add_typer(local.app, name="local")


def main() -> None:
    """Run the command line."""
    app(prog_name="ingest")
