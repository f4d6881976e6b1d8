"""`ingest ls …`: what lies where, by the page."""

from __future__ import annotations

from typing import Annotated

import typer

from ingest.cli._reading_options import After, AsJson, DateOption, Limit

app = typer.Typer(
    no_args_is_help=True,
    help="List what lies where: gcs, ci, raw, marts, matchers.\n\nExample: ingest ls raw",
)


def _statuses() -> list[str]:
    """Return what a shell offers behind --status."""
    from ingest.flows.inspection.standing import STATUSES

    return list(STATUSES)


Status = Annotated[
    str | None, typer.Option("--status", help="Only this status.", autocompletion=_statuses)
]


@app.command()
def gcs(
    date: DateOption = None,
    prefix: Annotated[str, typer.Option("--prefix", help="Only names that begin so.")] = "",
    limit: Limit = 50,
    after: After = None,
    as_json: AsJson = False,
) -> None:
    """List live objects of the bucket, by name.

    Example: ingest ls gcs --date 2025-12-28 --limit 10
    """
    from ingest.cli import _ls_view

    _ls_view.gcs(date, prefix, limit, after, as_json=as_json)


@app.command()
def ci(
    date: DateOption = None,
    where: Annotated[str, typer.Option("--where", help="Only what this CI filter admits.")] = "",
    limit: Limit = 50,
    after: After = None,
    as_json: AsJson = False,
) -> None:
    """List conversations that CI holds, in CI's order.

    Example: ingest ls ci --where 'medium="CHAT"'
    """
    from ingest.cli import _ls_view

    _ls_view.ci(date, where, limit, after, as_json=as_json)


@app.command()
def raw(
    date: DateOption = None,
    status: Status = None,
    limit: Limit = 50,
    after: After = None,
    as_json: AsJson = False,
) -> None:
    """List conversations by the facts in the raw tables, with their status.

    Example: ingest ls raw --status failed
    """
    from ingest.cli import _ls_view

    _ls_view.raw(date, status, limit, after, as_json=as_json)


@app.command()
def marts(
    date: DateOption = None,
    status: Status = None,
    limit: Limit = 50,
    after: After = None,
    as_json: AsJson = False,
) -> None:
    """List current versions in dbt's registry.

    Example: ingest ls marts --date 2025-12-28
    """
    from ingest.cli import _ls_view

    _ls_view.marts(date, status, limit, after, as_json=as_json)


@app.command()
def matchers(as_json: AsJson = False) -> None:
    """List phrase matchers of CI, with precision and recall where dbt has judged them.

    Example: ingest ls matchers
    """
    from ingest.cli import _ls_view

    _ls_view.matchers(as_json=as_json)
