"""`ingest site`."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from ingest.cli._console import counted
from ingest.cli._context import say
from ingest.cli._options import SITE_DIR, DateOption
from ingest.cli._output import now, opened, parsed_date
from ingest.cli.status import quotas_of
from ingest.errors import RemoteError
from ingest.flows.report import read_run_report

_DOCS = Path("target/static_index.html")
"""What `make docs` makes."""


def site(
    date: DateOption = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder to write the site to.")
    ] = SITE_DIR,
    open_: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    with_pii: Annotated[
        bool, typer.Option("--with-pii", help="Leave personal details in, and mark every page.")
    ] = False,
) -> None:
    """Make linked pages of calls, agents, teams, queues, topics, coaching and runs, offline.

    From the marts, so after `dbt build`; only pages whose rows changed are written again. With
    --date the site holds that date folder alone.

    Example: ingest site --open
    """
    from ingest.flows.declared import read_own_words
    from ingest.site.build import build_site
    from ingest.site.pages import Frame
    from ingest.site.reading import SiteReader

    batch_date = parsed_date(date)
    settings, warehouse = opened()
    reader = SiteReader(warehouse, batch_date)
    try:
        report = read_run_report(warehouse, now(), quotas_of(settings), batch_date)
    except RemoteError as error:
        if error.code != "NOT_FOUND":
            raise
        report = None
    own_words = read_own_words(settings.seeds_dir)
    frame = Frame(
        settings.project_id, with_pii, has_docs=_DOCS.exists(), own_words=own_words,
        is_emulated=settings.is_local,
    )  # fmt: skip
    if out == SITE_DIR:
        SITE_DIR.parent.mkdir(mode=0o700, exist_ok=True)
    counts = build_site(reader, report, frame, out, _DOCS)
    for gap in reader.gaps:
        say(f"{gap}; `dbt build` makes it")
    say(
        f"{counted(counts.written, 'file')} written, {counts.kept:,} kept as they were, "
        f"{counts.removed:,} removed"
    )
    page = (out / "index.html").absolute()
    typer.echo(str(page))
    if open_:
        webbrowser.open(page.as_uri())
