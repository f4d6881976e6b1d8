"""`ingest topics …`: topic models as code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ingest.cli._as_code import ExitCodeOption, Yes, alone, ask, show_parts, write_seeds
from ingest.cli._console import table
from ingest.cli._context import landing_of, new_run_id, open_services, run, say, say_target
from ingest.cli._options import AsJson, DryRun
from ingest.cli._output import print_json, printable
from ingest.domain.as_code import ChangeKind, FieldChange
from ingest.domain.costs import USD_PER_TOPICS
from ingest.domain.topics import TOPIC_COLUMNS, LiveModel, ModelChange, ModelStats, TopicModel
from ingest.errors import ExitCode
from ingest.flows import topics as flow
from ingest.flows.services import Silent
from ingest.settings import Settings, load_settings

app = typer.Typer(
    no_args_is_help=True,
    help="Topic models as code: plan, apply, train, deploy, list, pull, stats.",
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of one of our topic models.")]


@app.command()
def plan(exit_code: ExitCodeOption = False, as_json: AsJson = False) -> None:
    """Show what apply would change, topic by topic.

    Example: ingest topics plan
    """

    settings, definitions = _begin()
    changes = _planned(settings, definitions)
    _show([flow.ModelOutcome(change) for change in changes], as_json=as_json)
    differs = any(change.is_drift for change in changes)
    raise typer.Exit(int(ExitCode.DRIFT if exit_code and differs else ExitCode.OK))


@app.command()
def apply(dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Make a model of each taxonomy of the seed; no analysis uses it before deploy.

    Example: ingest topics apply
    """

    settings, definitions = _begin()
    if dry_run:
        changes = _planned(settings, definitions)
        _show([flow.ModelOutcome(change) for change in changes], as_json=as_json)
        return

    async def work() -> list[flow.ModelOutcome]:
        run_id = new_run_id()
        async with alone(settings.at(settings.home), "topics", run_id) as real:
            attempts, _ = landing_of(real, settings, run_id)
            timeout = settings.analysis_timeout_sec
            return await flow.ApplyingTopics(real, attempts, run_id, timeout).apply(definitions)

    outcomes = run(work())
    _show(outcomes, as_json=as_json)
    failed = any(outcome.error for outcome in outcomes)
    raise typer.Exit(int(ExitCode.SOME_FAILED if failed else ExitCode.OK))


@app.command()
def train(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call the model.")],
    where: Annotated[str, typer.Option(help="Insights filter of conversations.")] = "",
    language: Annotated[str, typer.Option(help="Language of the conversations.")] = "en-US",
    as_json: AsJson = False,
) -> None:
    """Have Insights find topics by itself; takes 100 conversations of five exchanges or more.

    Example: ingest topics train found --where 'medium="PHONE_CALL"'
    """

    settings = load_settings()
    say_target(settings)

    async def work() -> LiveModel:
        run_id = new_run_id()
        async with alone(settings.at(settings.home), "topics", run_id) as real:
            attempts, _ = landing_of(real, settings, run_id)
            applying = flow.ApplyingTopics(real, attempts, run_id, settings.analysis_timeout_sec)
            made = await applying.train(name, language, where)
            held = await flow.held_models(real.quality, attempts)
            return next(each for each in held if each.model_id == made.model_id)

    made = run(work())
    if as_json:
        print_json(held_row(made))
    else:
        typer.echo(f"{len(made.topics)} topics; training is free, labelling is not: see deploy")
        for topic in made.topics:
            typer.echo(f"        {printable(topic.name)}")


@app.command()
def deploy(
    name: Name,
    off: Annotated[bool, typer.Option("--off", help="Let no analysis use it any more.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Let analyses use a model of ours, in place of an older one of its name; that is billed.

    Example: ingest topics deploy call-reasons --yes
    """

    settings, definitions = _begin()

    async def look() -> tuple[LiveModel, flow.TopicCost]:
        async with open_services(settings.at(settings.home), Silent()) as real:
            attempts, _ = landing_of(real, settings, new_run_id())
            models = await flow.held_models(real.quality, attempts)
            chosen = flow.chosen_model(models, name, definitions)
            return chosen, await flow.with_topics(real.sink, attempts)

    chosen, cost = run(look())
    if not off:
        say(_billed(cost))
    if not (off or yes or chosen.is_deployed):
        ask("topics are billed, so this", "Deploy?")

    async def work() -> list[str]:
        run_id = new_run_id()
        async with alone(settings.at(settings.home), "topics", run_id) as real:
            attempts, _ = landing_of(real, settings, run_id)
            timeout = settings.analysis_timeout_sec
            applying = flow.ApplyingTopics(real, attempts, run_id, timeout)
            if off:
                return [await applying.undeploy(chosen)] if chosen.is_deployed else []
            return await applying.deploy(chosen)

    older = tuple(run(work()))
    if as_json:
        print_json(DeployedModel(name, chosen.model_id, older, cost.conversation_count, cost.usd))
    elif off:
        typer.echo(f"no analysis uses {printable(name)} ({chosen.model_id}) any more")
    else:
        typer.echo(f"analyses use {printable(name)} ({chosen.model_id})")
        say("`ingest reanalyze --stale` finds what was analysed without it")


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the topic models that Insights holds, ours and others.

    Example: ingest topics list
    """

    held = tuple(held_row(one) for one in _all())
    if as_json:
        print_json(held)
        return
    cells = [
        (
            printable(one.name),
            one.model_id,
            str(one.topic_count),
            one.state,
            "ours" if one.is_ours else "other",
        )
        for one in held
    ]
    header = ("MODEL", "ID", "TOPICS", "STATE", "OWNER")
    typer.echo(table(header, cells, "  r") if cells else "Insights holds no topic models")


@app.command()
def pull(
    out: Annotated[Path, typer.Option(help="Folder for topics.csv.")], as_json: AsJson = False
) -> None:
    """Write the topics that Insights holds, ours, trained and others', as a seed.

    Example: ingest topics pull --out .local/topics
    """

    held = _all()
    rows = [
        (one.name, one.language_code, topic.name, topic.description)
        for one in held
        for topic in one.topics
    ]
    files = write_seeds(out, [("topics.csv", TOPIC_COLUMNS, rows)])
    if as_json:
        print_json(PulledTopics(len(held), len(rows), files))
    else:
        typer.echo(f"{len(rows)} topics of {len(held)} models written to {files[0]}")


@app.command()
def stats(as_json: AsJson = False) -> None:
    """Show how many conversations have which topic, by Insights' own count.

    Example: ingest topics stats
    """

    settings = load_settings()
    say_target(settings)

    async def work() -> tuple[NamedStats, ...]:
        async with open_services(settings.at(settings.home), Silent()) as real:
            attempts, _ = landing_of(real, settings, new_run_id())
            found = []
            for one in (await attempts.run(real.quality.list_models)).value:
                count = partial(real.quality.model_stats, one.model_id)
                counted = (await attempts.run(count)).value
                found.append(NamedStats(one.name, one.model_id, counted))
            return tuple(found)

    found = run(work())
    if as_json:
        print_json(found)
        return
    for one in found:
        counts = one.stats
        typer.echo(
            f"{printable(one.name)}: {counts.analysed_count} conversations, "
            f"{counts.unclassified_count} without a topic"
        )
        for topic in counts.topics:
            typer.echo(f"{topic.conversation_count:>8}  {printable(topic.topic)}")


@dataclass(frozen=True)
class PlannedModel:
    """What apply does to one model, or why it failed; parts are topics."""

    change: ChangeKind
    name: str
    model_id: str | None
    is_deployed: bool
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    error: str | None


@dataclass(frozen=True)
class HeldModel:
    """A topic model that Insights holds."""

    name: str
    model_id: str
    state: str
    language_code: str
    is_ours: bool
    is_trained: bool
    topic_count: int


@dataclass(frozen=True)
class DeployedModel:
    """The model that analyses use now, or no longer, and those that they no longer use."""

    name: str
    model_id: str
    undeployed_ids: tuple[str, ...]
    conversations_with_topics: int
    usd_to_label_again: float


@dataclass(frozen=True)
class PulledTopics:
    """How many topics were written to which file."""

    model_count: int
    topic_count: int
    files: tuple[str, ...]


@dataclass(frozen=True)
class NamedStats:
    """Insights' count of one model."""

    name: str
    model_id: str
    stats: ModelStats


def _begin() -> tuple[Settings, tuple[TopicModel, ...]]:
    settings = load_settings()
    say_target(settings)
    return settings, flow.read_topics(settings.seeds_dir)


def _planned(settings: Settings, definitions: Sequence[TopicModel]) -> tuple[ModelChange, ...]:
    async def work() -> tuple[ModelChange, ...]:
        async with open_services(settings.at(settings.home), Silent()) as real:
            attempts, _ = landing_of(real, settings, new_run_id())
            return await flow.plan_topics(real.quality, attempts, definitions)

    return run(work())


def _all() -> list[LiveModel]:
    settings = load_settings()
    say_target(settings)

    async def work() -> list[LiveModel]:
        async with open_services(settings.at(settings.home), Silent()) as real:
            attempts, _ = landing_of(real, settings, new_run_id())
            return await flow.held_models(real.quality, attempts)

    return run(work())


def _billed(cost: flow.TopicCost) -> str:
    return (
        f"each conversation costs US${USD_PER_TOPICS:.2f} more from now on; "
        f"{cost.conversation_count} have topics, and labelling them again costs US${cost.usd:.2f}"
    )


def held_row(one: LiveModel) -> HeldModel:
    """Return what is printed of a model."""
    return HeldModel(
        one.name,
        one.model_id,
        one.state.value,
        one.language_code,
        one.is_ours,
        one.is_trained,
        len(one.topics),
    )


def _show(outcomes: Sequence[flow.ModelOutcome], *, as_json: bool) -> None:
    if as_json:
        print_json(
            tuple(
                PlannedModel(
                    one.change.kind,
                    one.change.name,
                    one.change.model_id,
                    one.change.is_deployed,
                    one.change.added,
                    one.change.removed,
                    one.change.changed,
                    None if one.error is None else str(one.error),
                )
                for one in outcomes
            )
        )
        return
    for outcome in outcomes:
        change = outcome.change
        state = "deployed" if change.is_deployed else "not deployed"
        failed = " (failed)" if outcome.error else ""
        typer.echo(f"{change.kind.value:<7} {printable(change.name)}, {state}{failed}")
        if change.kind is ChangeKind.UPDATE:
            fields = [FieldChange(name, "description", "old", "new") for name in change.changed]
            show_parts(change.added, change.removed, fields)
        if outcome.error is not None:
            say(f"failed: {change.name}: {outcome.error}")
