"""`ingest reanalyze`."""

from __future__ import annotations

from typing import Annotated

import typer

from ingest.cli._options import AsJson, Concurrency, DryRun, LogFormatOption


def reanalyze(
    ids: Annotated[list[str] | None, typer.Argument(help="Conversations.")] = None,
    stale: Annotated[
        bool, typer.Option("--stale", help="Those whose analysis used an older matcher revision.")
    ] = False,
    where: Annotated[str | None, typer.Option(help="Those that this CI filter admits.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    because: Annotated[
        str | None, typer.Option(help="Why; kept with the event of every new analysis.")
    ] = None,
    summarize: Annotated[
        bool,
        typer.Option(
            "--summarize",
            help="Ask CI for summaries too (billed apart); those that have one keep it anyway.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask before it starts.")] = False,
    concurrency: Concurrency = None,
    log_format: LogFormatOption = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Analyse again conversations that CI holds; says count, minutes and cost first.

    Example: ingest reanalyze --stale --because "new hardship phrases" --yes
    """
    from ingest.cli import _reanalyze_run
    from ingest.flows.reanalyze import Selection

    chosen = Selection(ids=tuple(ids or ()), filter=where or "", only_stale=stale)
    _reanalyze_run.check_choice(chosen, is_all=all_, has_filter=where is not None)
    code = _reanalyze_run.execute(
        chosen,
        because=because,
        summarize=summarize,
        yes=yes,
        concurrency=concurrency,
        log_format=log_format,
        dry_run=dry_run,
        as_json=as_json,
    )
    raise typer.Exit(int(code))
