"""`ingest forget`."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from ingest.cli._context import (
    Running,
    landing_of,
    new_run_id,
    open_services,
    resolved_id,
    run,
    say,
    say_target,
)
from ingest.cli._options import SITE_DIR, AsJson, ConversationArgument, DryRun
from ingest.cli._output import opened, print_json
from ingest.errors import ExitCode, InputError
from ingest.flows.ci_submission import refuse_foreign
from ingest.flows.forget import Forget, Forgotten, Traces, receipt
from ingest.flows.services import Silent
from ingest.settings import Settings


def forget(
    conversation_id: ConversationArgument,
    include_foreign: Annotated[
        bool,
        typer.Option("--include-foreign", help="Even if others made the conversation in Insights."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Erase one conversation from bucket, Insights and raw tables, and prove it.

    The next `dbt build` removes it from the marts, `ingest local vacuum` then from the local
    stack's files; a push of its folder is refused from then on. The receipt names every place.

    Example: ingest forget 317675af-a8f1-49fc-8481-dcefa6dc849e --dry-run
    """

    code = execute(
        conversation_id,
        include_foreign=include_foreign,
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )
    raise typer.Exit(int(code))


@dataclass(frozen=True)
class ToForget:
    """What a dry run prints: what would be erased."""

    conversation_id: str
    before: Traces


def execute(
    conversation_id: str, *, include_foreign: bool, yes: bool, dry_run: bool, as_json: bool
) -> ExitCode:
    """Erase, print the proof, return the exit code."""
    settings, warehouse = opened()
    wanted = resolved_id(settings, warehouse, conversation_id)
    say_target(settings)
    if not include_foreign:
        run(_refuse_foreign(settings, wanted))
    if dry_run:
        before = run(_traces(settings, wanted))
        if as_json:
            print_json(ToForget(wanted, before))
        else:
            typer.echo(f"would erase {wanted}: {_sentence(before)}")
        return ExitCode.OK
    if not yes:
        _ask(wanted)
    forgotten = run(_forget(settings, wanted))
    had_pages = drop_pages(SITE_DIR)
    places = receipt(forgotten, is_local=settings.is_local, had_pages=had_pages)
    forgotten = replace(forgotten, places=places)
    if as_json:
        print_json(forgotten)
    else:
        typer.echo(f"erased {_sentence(forgotten.before)}; left: {_sentence(forgotten.after)}")
        for each in places:
            typer.echo(f"{each.fate:<8} {each.where}" + (f": {each.note}" if each.note else ""))
    for uri in forgotten.not_erased:
        say(f"not erased, since it lies in another bucket: {uri}")
    for name in forgotten.running:
        say(
            f"{name.replace('/', ' ')} is running: what it still brings of this conversation never "
            "lands, and is erased by it, or by the next command if it dies"
        )
    if not forgotten.after.is_clean:
        say("error: something is left")
        say("hint:  run the same command again; if it stays, look at holds and retention")
        return ExitCode.SOME_FAILED
    say("run `dbt build` to remove it from the marts")
    for failure in forgotten.failures:
        say(f"failed: batch: {failure.step.value}: {failure.code}: {failure.message}")
    return ExitCode.SOME_FAILED if forgotten.failures else ExitCode.OK


def drop_pages(site: Path) -> bool:
    """Delete the site that was made here; say whether there was one."""
    if not (site / "pages.json").exists():
        return False
    shutil.rmtree(site)
    return True


async def _refuse_foreign(settings: Settings, conversation_id: str) -> None:
    async with open_services(settings, Silent()) as real:
        attempts, _ = landing_of(real, settings, new_run_id())
        await refuse_foreign(real.insights, attempts, conversation_id)


async def _traces(settings: Settings, conversation_id: str) -> Traces:
    async with open_services(settings, Silent()) as real:
        attempts, landing = landing_of(real, settings, new_run_id())
        flow = Forget(real, attempts, landing, "")
        return await flow.traces(conversation_id, await flow.prefixes(conversation_id))


async def _forget(settings: Settings, conversation_id: str) -> Forgotten:
    run_id = new_run_id()
    running = Running("forget", run_id)
    async with open_services(settings, Silent(), running=running) as real, real.lease.running():
        attempts, landing = landing_of(real, settings, run_id)
        return await Forget(real, attempts, landing, run_id).run(conversation_id)


def _ask(conversation_id: str) -> None:
    if not sys.stdin.isatty():
        raise InputError("erasing can't be undone, so this wants consent", "add --yes")
    if not typer.confirm(f"Erase {conversation_id} for good?", err=True):
        raise typer.Exit(int(ExitCode.USAGE))


def _sentence(traces: Traces) -> str:
    return (
        f"{traces.objects} objects, {traces.ci_conversations} Insights conversations, "
        f"{traces.raw_rows} raw rows"
    )
