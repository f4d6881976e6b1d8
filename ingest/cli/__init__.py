"""The `ingest` command: every command builds a context, calls one flow, renders, exits."""

from __future__ import annotations

from typing import Annotated

import typer

from ingest.cli._console import broken_pipe_guard, prompt_interrupts
from ingest.cli._lazy import CommandPlace, LazyGroup
from ingest.cli._options import PageCommand, PassingCommand

COMMANDS = {
    "push": CommandPlace(
        "ingest.cli.push",
        "push",
        "Validate, upload, submit to Insights, analyse, and land the raw JSON in BigQuery.",
    ),
    "build": CommandPlace(
        "ingest.cli.build",
        "build",
        "Run `dbt build`, one at a time for these marts; show nodes done, running and failed.",
        PassingCommand,
    ),
    "pull": CommandPlace(
        "ingest.cli.pull",
        "pull",
        "Land the state that Insights holds, changing nothing in Insights.",
    ),
    "migrate": CommandPlace(
        "ingest.cli.migrate", "app", "Take over what another pipeline has made: cc-coach."
    ),
    "reanalyze": CommandPlace(
        "ingest.cli.reanalyze",
        "reanalyze",
        "Analyse again conversations that Insights holds, and why.",
    ),
    "verify": CommandPlace(
        "ingest.cli.verify",
        "verify",
        "Compare files, bucket, Insights, raw tables and marts by hash.",
    ),
    "forget": CommandPlace(
        "ingest.cli.forget",
        "forget",
        "Erase one conversation, or a customer's, everywhere; prove it.",
    ),
    "status": CommandPlace(
        "ingest.cli.status", "status", "Show how far every conversation has come, by date."
    ),
    "health": CommandPlace(
        "ingest.cli.health", "health", "Tell what waits or failed, since when, in one line."
    ),
    "runs": CommandPlace(
        "ingest.cli.runs", "runs", "Show the latest runs, and what each step of them came to."
    ),
    "errors": CommandPlace(
        "ingest.cli.runs",
        "errors",
        "List failed steps, newest first, and whether the conversation got over them.",
    ),
    "why": CommandPlace(
        "ingest.cli.show",
        "why",
        "Say where one conversation is, since when, what it waits for and what to run.",
    ),
    "show": CommandPlace(
        "ingest.cli.show",
        "show",
        "Show one conversation at every hop: files, bucket, Insights, raw rows, registry, marts.",
        PageCommand,
    ),
    "transcript": CommandPlace(
        "ingest.cli.transcript",
        "transcript",
        "Print the talk with speaker, time, sentiment and phrase matches.",
    ),
    "coach": CommandPlace(
        "ingest.cli.coach",
        "coach",
        "Show a conversation's coaching card, calls to hear first, or an agent's weeks.",
    ),
    "diff": CommandPlace(
        "ingest.cli.diff",
        "diff",
        "Compare two analyses, or two versions, of one conversation.",
    ),
    "ls": CommandPlace(
        "ingest.cli.ls", "app", "List what lies where: gcs, ci, raw, marts, matchers."
    ),
    "bq": CommandPlace(
        "ingest.cli.bq", "app", "Look into BigQuery: tables, columns, rows, queries."
    ),
    "schema": CommandPlace(
        "ingest.cli.schema", "app", "Compare schemas: declared, planned by Terraform, live."
    ),
    "report": CommandPlace(
        "ingest.cli.report",
        "report",
        "Report funnel, failures, latency, cost, phrase matchers and agents.",
        PageCommand,
    ),
    "site": CommandPlace(
        "ingest.cli.site",
        "site",
        "Make linked pages of calls, agents, teams, queues, topics, coaching and runs, offline.",
    ),
    "matchers": CommandPlace(
        "ingest.cli.matchers", "app", "Phrase matchers as code: plan, apply, list, destroy."
    ),
    "scorecards": CommandPlace(
        "ingest.cli.scorecards",
        "app",
        "Scorecards as code: plan, apply, test, activate, list, pull, destroy.",
    ),
    "rubric": CommandPlace("ingest.cli.rubric", "app", "The coaching rubric as code: check, plan."),
    "topics": CommandPlace(
        "ingest.cli.topics",
        "app",
        "Topic models as code: plan, apply, train, deploy, list, pull, stats.",
    ),
    "labels": CommandPlace(
        "ingest.cli.labels",
        "app",
        "People's answers and topics: import from a CSV, export to one.",
    ),
    "settings": CommandPlace(
        "ingest.cli.settings", "app", "Insights' settings of the location as code: plan, apply."
    ),
    "retention": CommandPlace(
        "ingest.cli.retention", "app", "How long places keep what was said: plan, apply."
    ),
    "data": CommandPlace(
        "ingest.cli.data", "app", "Generate, validate, measure and convert conversation data."
    ),
    "doctor": CommandPlace(
        "ingest.cli.doctor",
        "doctor",
        "Check settings, credentials, APIs, bucket, tables, Insights and clock; name each cure.",
    ),
    "acceptance": CommandPlace(
        "ingest.cli.acceptance",
        "acceptance",
        "Take 10 invented conversations through everything; compare Insights with the emulator.",
    ),
    "local": CommandPlace(
        "ingest.cli.local",
        "app",
        "Run the emulators of Cloud Storage, BigQuery and Insights on this machine.",
    ),
}
"""Every command, in the order of `ingest --help`; the summary is the first line of its help."""

app = typer.Typer(
    cls=type("Commands", (LazyGroup,), {"places": COMMANDS}),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        typer.echo(f"ingest {version('conversation-coach')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Take contact-centre conversations through Cloud Storage and Insights into BigQuery.

    Example: ingest push seeds/conversations/2025-12-28
    """


def main() -> None:
    """Run the command line.

    SIGTERM interrupts as SIGINT does, from the first moment on; flows that land what is in flight
    listen for both themselves.
    """
    with prompt_interrupts(), broken_pipe_guard():
        app(prog_name="ingest")
