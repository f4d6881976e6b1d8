"""Runs `forget` and shows what was there and what is left."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import typer

from ingest.cli._context import landing_of, new_run_id, outside, run, say, say_target
from ingest.cli._reading import print_json
from ingest.domain.conversation import ConversationId
from ingest.domain.object_paths import checked_id
from ingest.errors import ExitCode, InputError
from ingest.flows.forget import Forget, Forgotten, Traces
from ingest.flows.progress import Silent
from ingest.settings import Settings, load_settings


@dataclass(frozen=True)
class ToForget:
    """What a dry run prints: what would be erased."""

    conversation_id: str
    before: Traces


def execute(conversation_id: str, *, yes: bool, dry_run: bool, as_json: bool) -> ExitCode:
    """Erase, print the proof, return the exit code."""
    wanted = checked_id(conversation_id)
    settings = load_settings()
    say_target(settings)
    if dry_run:
        before = run(_traces(settings, wanted))
        if as_json:
            print_json(ToForget(wanted, before))
        else:
            typer.echo(f"would erase {_sentence(before)}")
        return ExitCode.OK
    if not yes:
        _ask(conversation_id)
    forgotten = run(_forget(settings, wanted))
    if as_json:
        print_json(forgotten)
    else:
        typer.echo(f"erased {_sentence(forgotten.before)}; left: {_sentence(forgotten.after)}")
    for uri in forgotten.not_erased:
        say(f"not erased, since it lies in another bucket: {uri}")
    if not forgotten.after.is_clean:
        say("error: something is left")
        say("hint:  run the same command again; if it stays, look at holds and retention")
        return ExitCode.SOME_FAILED
    say("run `dbt build` to remove it from the marts")
    for failure in forgotten.failures:
        say(f"failed: batch: {failure.step.value}: {failure.code}: {failure.message}")
    return ExitCode.SOME_FAILED if forgotten.failures else ExitCode.OK


async def _traces(settings: Settings, conversation_id: ConversationId) -> Traces:
    async with outside(settings, Silent()) as real:
        attempts, landing = landing_of(real, settings, new_run_id())
        flow = Forget(real, attempts, landing, "")
        return await flow.traces(conversation_id, await flow.prefixes(conversation_id))


async def _forget(settings: Settings, conversation_id: ConversationId) -> Forgotten:
    run_id = new_run_id()
    async with outside(settings, Silent()) as real:
        attempts, landing = landing_of(real, settings, run_id)
        return await Forget(real, attempts, landing, run_id).run(conversation_id)


def _ask(conversation_id: str) -> None:
    if not sys.stdin.isatty():
        raise InputError("erasing can't be undone, so this wants consent", "add --yes")
    if not typer.confirm(f"Erase {conversation_id} for good?", err=True):
        raise typer.Exit(int(ExitCode.USAGE))


def _sentence(traces: Traces) -> str:
    return (
        f"{traces.objects} objects, {traces.ci_conversations} CI conversations, "
        f"{traces.raw_rows} raw rows"
    )
