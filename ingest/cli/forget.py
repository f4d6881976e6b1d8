"""`ingest forget`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
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
from ingest.cli._options import SITE_DIR, AsJson, DryRun
from ingest.cli._output import opened, print_json
from ingest.domain.declarations import CUSTOM_FIELDS_VAR
from ingest.errors import ExitCode, InputError
from ingest.flows.ci_submission import refuse_foreign
from ingest.flows.declared import read_declarations
from ingest.flows.forget import Forget, Forgotten, Place, Traces, receipt
from ingest.flows.services import Silent
from ingest.settings import Settings


def forget(
    conversation_id: Annotated[
        str | None,
        typer.Argument(metavar="[ID]", help="An id, or its first 4 characters or more."),
    ] = None,
    customer: Annotated[
        str | None,
        typer.Option(
            "--customer",
            metavar="KEY",
            help="All conversations whose custom field declared with `customer: true` says this.",
        ),
    ] = None,
    include_foreign: Annotated[
        bool,
        typer.Option("--include-foreign", help="Even if others made the conversation in Insights."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Erase one conversation, or a customer's, from bucket, Insights and raw tables; prove it.

    The next `dbt build` removes it from the marts, `ingest local vacuum` then from the local
    stack's files; a push of its folder is refused from then on. The receipt names every place.

    Example: ingest forget 317675af-a8f1-49fc-8481-dcefa6dc849e --dry-run
    """

    code = execute(
        conversation_id,
        customer,
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
    conversation_id: str | None,
    customer: str | None,
    *,
    include_foreign: bool,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> ExitCode:
    """Erase, print the proof, return the exit code."""
    if (conversation_id is None) == (customer is None):
        raise InputError("nothing or too much is named", "give either an id or --customer KEY")
    settings, warehouse = opened()
    if customer is None:
        wanted = [resolved_id(settings, warehouse, conversation_id or "")]
    else:
        wanted = list(run(_of_customer(settings, customer)))
    say_target(settings)
    if not include_foreign:
        run(_refuse_foreign(settings, wanted))
    if dry_run:
        plans = [ToForget(each, run(_traces(settings, each))) for each in wanted]
        if as_json:
            print_json(plans[0] if customer is None else plans)
            return ExitCode.OK
        for plan in plans:
            typer.echo(f"would erase {plan.conversation_id}: {_sentence(plan.before)}")
        return ExitCode.OK
    if not yes:
        _ask(wanted)
    erased = []
    for each in wanted:
        erased.append(_erased(settings, each))
        if not as_json:
            _print(erased[-1], is_one=customer is None)
    if as_json:
        print_json(erased[0] if customer is None else erased)
    elif customer is not None:
        for place in _common_places(erased):
            typer.echo(_line(place))
    return max(_ending(each) for each in erased)


def _erased(settings: Settings, conversation_id: str) -> Forgotten:
    forgotten = run(_forget(settings, conversation_id))
    had_pages = drop_pages(SITE_DIR)
    places = receipt(forgotten, is_local=settings.is_local, had_pages=had_pages)
    return replace(forgotten, places=places)


def _print(forgotten: Forgotten, *, is_one: bool) -> None:
    which = "" if is_one else f"{forgotten.conversation_id}: "
    after = _sentence(forgotten.after)
    typer.echo(f"{which}erased {_sentence(forgotten.before)}; left: {after}")
    if is_one:
        for place in forgotten.places:
            typer.echo(_line(place))


def _line(place: Place) -> str:
    return f"{place.fate:<8} {place.where}" + (f": {place.note}" if place.note else "")


def _common_places(erased: Sequence[Forgotten]) -> list[Place]:
    """Return the receipt of all together: equal lines once."""
    return list(dict.fromkeys(place for each in erased for place in each.places))


def _ending(forgotten: Forgotten) -> ExitCode:
    """Say what people have to know or do, and return the exit code."""
    for uri in forgotten.not_erased:
        say(f"not erased, since it lies in another bucket: {uri}")
    for name in forgotten.running:
        say(
            f"{name.replace('/', ' ')} is running: what it still brings of this conversation never "
            "lands, and is erased by it, or by the next command if it dies"
        )
    if not forgotten.after.is_clean:
        say(f"error: something of {forgotten.conversation_id} is left")
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


async def _of_customer(settings: Settings, customer: str) -> tuple[str, ...]:
    declared = read_declarations(settings.seeds_dir, settings.dbt_project_file)
    fields = [each.name for each in declared.custom_fields.values() if each.is_customer]
    if not fields:
        raise InputError(
            "no custom field names the customer",
            f"declare one with `customer: true` in {CUSTOM_FIELDS_VAR} of dbt_project.yml",
        )
    async with open_services(settings, Silent()) as real:
        attempts, landing = landing_of(real, settings, new_run_id())
        return await Forget(real, attempts, landing, "").conversations_of(customer, fields)


async def _refuse_foreign(settings: Settings, conversation_ids: Sequence[str]) -> None:
    async with open_services(settings, Silent()) as real:
        attempts, _ = landing_of(real, settings, new_run_id())
        for each in conversation_ids:
            await refuse_foreign(real.insights, attempts, each)


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


def _ask(conversation_ids: Sequence[str]) -> None:
    if not sys.stdin.isatty():
        raise InputError("erasing can't be undone, so this wants consent", "add --yes")
    count = len(conversation_ids)
    what = conversation_ids[0] if count == 1 else f"{count} conversations"
    if not typer.confirm(f"Erase {what} for good?", err=True):
        raise typer.Exit(int(ExitCode.USAGE))


def _sentence(traces: Traces) -> str:
    return (
        f"{traces.objects} objects, {traces.ci_conversations} Insights conversations, "
        f"{traces.raw_rows} raw rows"
    )
