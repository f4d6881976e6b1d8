"""`ingest scorecards …`: scorecards as code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from ingest.cli._as_code import (
    ExitCodeOption,
    Yes,
    alone,
    ask,
    show_parts,
    write_seeds,
)
from ingest.cli._console import table
from ingest.cli._context import (
    Running,
    landing_of,
    new_run_id,
    open_services,
    resolved_ids,
    run,
    say,
    say_target,
)
from ingest.cli._options import AsJson, DryRun
from ingest.cli._output import print_json, printable, show_failures
from ingest.domain.annotators import AnnotatorProfile
from ingest.domain.as_code import ChangeKind, FieldChange
from ingest.domain.costs import Estimate
from ingest.domain.scorecards import (
    ANSWER_COLUMNS,
    FILES,
    QUESTION_COLUMNS,
    SCORECARD_COLUMNS,
    LiveScorecard,
    Scorecard,
    is_marked,
    unmarked,
)
from ingest.errors import ExitCode
from ingest.flows.reanalyze import Reanalyze, Selected, Selection
from ingest.flows.scorecards import (
    ApplyingScorecards,
    ScorecardOutcome,
    ScorecardPlan,
    ScoredByRevision,
    Scores,
    check_ready,
    held_scorecards,
    plan_scorecards,
    read_scorecards,
    scores_of,
)
from ingest.flows.services import Silent
from ingest.settings import Settings, load_settings

_REASON = "scorecards test"
app = typer.Typer(
    no_args_is_help=True,
    help="Scorecards as code: plan, apply, test, activate, list, pull, destroy.",
)


@app.command()
def plan(exit_code: ExitCodeOption = False, as_json: AsJson = False) -> None:
    """Show what apply would change, question by question, and what older revisions have scored.

    Example: ingest scorecards plan
    """

    settings, definitions = _begin()
    planned = run(_planned(settings, definitions))
    _show_plan(planned, as_json=as_json)
    differs = any(change.is_drift for change in planned.changes)
    raise typer.Exit(int(ExitCode.DRIFT if exit_code and differs else ExitCode.OK))


@app.command()
def apply(dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Make a ready revision of each changed scorecard; no analysis uses it before activate.

    Example: ingest scorecards apply
    """

    settings, definitions = _begin()
    if dry_run:
        _show_changes(run(_planned(settings, definitions)), as_json=as_json)
        return

    async def work() -> list[ScorecardOutcome]:
        run_id = new_run_id()
        async with alone(settings.at(settings.home), "scorecards", run_id) as real:
            attempts, _ = landing_of(real, settings, run_id)
            applying = ApplyingScorecards(real.quality, real.clock, attempts, run_id)
            return await applying.apply(definitions, settings.analysis_timeout_sec)

    outcomes = run(work())
    _show_outcomes(outcomes, as_json=as_json)
    waiting = [o for o in outcomes if o.change.definition and not o.change.is_deployed]
    if waiting and not as_json:
        say("no analysis uses a new revision before `ingest scorecards activate`")
    raise typer.Exit(int(_code(outcomes)))


@app.command()
def activate(yes: Yes = False, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Let analyses use the revisions of the seeds; each score of a conversation is billed.

    Example: ingest scorecards activate --yes
    """

    settings, definitions = _begin()
    planned = run(_planned(settings, definitions))
    if dry_run:
        _show_changes(planned, as_json=as_json)
        return
    if any(not change.is_deployed for change in planned.changes) and not yes:
        _show_older(planned.older)
        ask("scores are billed, so this", "Activate?")

    async def work() -> list[ScorecardOutcome]:
        run_id = new_run_id()
        async with alone(settings.at(settings.home), "scorecards", run_id) as real:
            attempts, _ = landing_of(real, settings, run_id)
            applying = ApplyingScorecards(real.quality, real.clock, attempts, run_id)
            return await applying.activate(definitions)

    outcomes = run(work())
    _show_outcomes(outcomes, as_json=as_json)
    if planned.older and not as_json:
        say("`ingest reanalyze --stale` scores again what older revisions have scored")
    raise typer.Exit(int(_code(outcomes)))


@app.command("test")
def try_on(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Conversations to score.")],
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Have Insights score conversations by the revisions of the seeds, active or not.

    Each is analysed anew and billed; its scores are landed as those of any analysis.

    Example: ingest scorecards test 317675af --yes
    """

    raise typer.Exit(int(_try_on(tuple(ids), yes=yes, as_json=as_json)))


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the scorecards that Insights holds, ours and others.

    Example: ingest scorecards list
    """

    settings = load_settings()
    say_target(settings)
    held = tuple(_listed(one) for one in run(_held(settings)))
    if as_json:
        print_json(held)
        return
    cells = [
        (
            printable(one.scorecard_id),
            printable(one.display_name),
            str(one.question_count),
            one.state or "-",
            one.deployed_revision_id or "-",
            "ours" if one.is_ours else "other",
        )
        for one in held
    ]
    header = ("SCORECARD", "DISPLAY_NAME", "QUESTIONS", "STATE", "DEPLOYED", "OWNER")
    typer.echo(table(header, cells, "  r") if cells else "Insights holds no scorecards")


@app.command()
def pull(
    out: Annotated[Path, typer.Option(help=f"Folder for {', '.join(FILES)}.")],
    as_json: AsJson = False,
) -> None:
    """Write the scorecards that Insights holds, ours and others, as seeds.

    Example: ingest scorecards pull --out .local/scorecards
    """

    settings = load_settings()
    say_target(settings)
    held = run(_held(settings))
    files = write_seeds(out, _seeds(held))
    if as_json:
        print_json(PulledScorecards(len(held), files))
    else:
        typer.echo(f"{len(held)} scorecards written to {', '.join(files)}")


@app.command()
def destroy(yes: Yes = False, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Delete our scorecards from Insights; those of others and all scores stay.

    Example: ingest scorecards destroy --yes
    """

    if not yes and not dry_run:
        ask("deleting scorecards", "Delete this project's scorecards from Insights?")
    settings = load_settings()
    say_target(settings)
    if dry_run:
        _show_changes(run(_planned(settings, ())), as_json=as_json)
        return

    async def work() -> list[ScorecardOutcome]:
        run_id = new_run_id()
        async with alone(settings.at(settings.home), "scorecards", run_id) as real:
            attempts, _ = landing_of(real, settings, run_id)
            applying = ApplyingScorecards(real.quality, real.clock, attempts, run_id)
            return await applying.apply((), settings.analysis_timeout_sec)

    outcomes = run(work())
    _show_outcomes(outcomes, as_json=as_json)
    raise typer.Exit(int(_code(outcomes)))


@dataclass(frozen=True)
class PlannedScorecard:
    """What apply does to one scorecard, or why it failed; parts are ids of questions."""

    change: ChangeKind
    scorecard_id: str
    revision_id: str | None
    is_deployed: bool
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[FieldChange, ...]
    error: str | None


@dataclass(frozen=True)
class OlderScores:
    """Landed conversations that another revision has scored, and what scoring them again costs."""

    scorecard_id: str
    revision_id: str
    conversation_count: int
    usd: float


@dataclass(frozen=True)
class PlannedScorecards:
    """What `plan` prints."""

    changes: tuple[PlannedScorecard, ...]
    older: tuple[OlderScores, ...]


@dataclass(frozen=True)
class HeldScorecard:
    """A scorecard that Insights holds; state and questions are of the revision that counts."""

    scorecard_id: str
    display_name: str
    is_ours: bool
    deployed_revision_id: str | None
    state: str | None
    question_count: int
    revision_count: int


@dataclass(frozen=True)
class PulledScorecards:
    """How many scorecards were written to which files."""

    scorecard_count: int
    files: tuple[str, ...]


@dataclass(frozen=True)
class ScorecardTrial:
    """What Insights answered, and what it was estimated at before."""

    estimate: Estimate
    scores: tuple[Scores, ...]


def _begin() -> tuple[Settings, tuple[Scorecard, ...]]:
    settings = load_settings()
    say_target(settings)
    return settings, read_scorecards(settings.seeds_dir)


async def _planned(settings: Settings, definitions: Sequence[Scorecard]) -> ScorecardPlan:
    async with open_services(settings.at(settings.home), Silent()) as real:
        attempts, _ = landing_of(real, settings, new_run_id())
        return await plan_scorecards(real.quality, real.sink, attempts, definitions)


async def _held(settings: Settings) -> list[LiveScorecard]:
    async with open_services(settings.at(settings.home), Silent()) as real:
        attempts, _ = landing_of(real, settings, new_run_id())
        return await held_scorecards(real.quality, attempts)


def _try_on(ids: tuple[str, ...], *, yes: bool, as_json: bool) -> ExitCode:
    settings, definitions = _begin()
    selection = Selection(ids=resolved_ids(settings, ids))
    wanted = frozenset(f"{one.scorecard_id}/{one.revision_id}" for one in definitions)

    cost, selected, profile = run(_to_try(settings, definitions, selection, wanted))
    say(f"{cost.conversation_count} conversations, US${cost.usd:.2f}")
    if selected.targets and not yes:
        ask("analyses are billed, so this", "Start?")

    async def work() -> tuple[tuple[Scores, ...], ExitCode]:
        running = Running("scorecards", new_run_id())
        async with open_services(settings.at(settings.home), Silent(), running=running) as real:
            attempts, landing = landing_of(real, settings, running.run_id)
            flow = Reanalyze(real, settings, attempts, landing, running.run_id, _REASON)
            report = await flow.run(selected, profile)
            show_failures(report)
            found = [
                await scores_of(real.insights, attempts, target.conversation_id, wanted)
                for target in selected.targets
            ]
            return tuple(one for each in found for one in each), report.exit_code

    scores, code = run(work())
    if as_json:
        print_json(ScorecardTrial(cost, scores))
    else:
        for one in scores:
            typer.echo(f"{one.conversation_id}  {one.scorecard_id}  {one.score_text}")
            for answer in one.answers:
                typer.echo(f"        {answer.question_id}: {printable(answer.answer_key or 'n/a')}")
    return code


async def _to_try(
    settings: Settings,
    definitions: Sequence[Scorecard],
    selection: Selection,
    wanted: frozenset[str],
) -> tuple[Estimate, Selected, AnnotatorProfile]:
    async with open_services(settings.at(settings.home), Silent()) as real:
        attempts, landing = landing_of(real, settings, new_run_id())
        check_ready(definitions, await held_scorecards(real.quality, attempts, ()))
        flow = Reanalyze(real, settings, attempts, landing, "", None)
        profile = replace(await flow.profile(), scorecard_revisions=wanted)
        selected = await flow.select(selection, profile)
        return flow.estimate(selected), selected, profile


def _seeds(held: Sequence[LiveScorecard]) -> list[tuple[str, Sequence[str], list[list[str]]]]:
    cards = [[one.scorecard_id, one.display_name, unmarked(one.description)] for one in held]
    asked = [(one.scorecard_id, question) for one in held for question in one.questions]
    questions = [
        [id_, str(q.order), q.question_id, q.abbreviation, q.body, q.instructions, ";".join(q.tags)]
        for id_, q in asked
    ]
    answers = [
        [
            id_,
            q.question_id,
            a.key,
            a.type.value,
            a.value,
            "" if a.score is None else f"{a.score:g}",
        ]
        for id_, q in asked
        for a in q.answers
    ]
    columns = (SCORECARD_COLUMNS, QUESTION_COLUMNS, ANSWER_COLUMNS)
    return list(zip(FILES, columns, (cards, questions, answers), strict=True))


def _points(score: float | None) -> str:
    return "" if score is None else f"{score:g}"


def _listed(one: LiveScorecard) -> HeldScorecard:
    return HeldScorecard(
        one.scorecard_id,
        one.display_name,
        is_marked(one.description),
        one.deployed.revision_id if one.deployed else None,
        one.counting.state.value if one.counting else None,
        len(one.questions),
        len(one.revisions),
    )


def _row(outcome: ScorecardOutcome) -> PlannedScorecard:
    change = outcome.change
    return PlannedScorecard(
        change.kind,
        change.scorecard_id,
        change.revision_id,
        change.is_deployed,
        change.added,
        change.removed,
        change.changed,
        None if outcome.error is None else str(outcome.error),
    )


def _show_plan(planned: ScorecardPlan, *, as_json: bool) -> None:
    outcomes = [ScorecardOutcome(change) for change in planned.changes]
    if as_json:
        older = tuple(
            OlderScores(one.scorecard_id, one.revision_id, one.conversation_count, one.usd)
            for one in planned.older
        )
        print_json(PlannedScorecards(tuple(map(_row, outcomes)), older))
        return
    _show_outcomes(outcomes, as_json=False)
    _show_older(planned.older)


def _show_changes(planned: ScorecardPlan, *, as_json: bool) -> None:
    """Print what a dry run has instead of outcomes."""
    _show_outcomes([ScorecardOutcome(change) for change in planned.changes], as_json=as_json)
    if not as_json:
        _show_older(planned.older)


def _show_older(older: Sequence[ScoredByRevision]) -> None:
    for one in older:
        typer.echo(
            f"{one.conversation_count} conversations show scores of {one.scorecard_id} by the "
            f"revision {one.revision_id}; scoring them again costs US${one.usd:.2f} beside their "
            "analyses"
        )


def _show_outcomes(outcomes: Sequence[ScorecardOutcome], *, as_json: bool) -> None:
    if as_json:
        print_json(tuple(map(_row, outcomes)))
        return
    for outcome in outcomes:
        change = outcome.change
        failed = " (failed)" if outcome.error else ""
        state = "active" if change.is_deployed else "not active"
        revision = f" {change.revision_id}, {state}" if change.revision_id else ""
        typer.echo(f"{change.kind.value:<7} {change.scorecard_id}{revision}{failed}")
        if change.kind is ChangeKind.UPDATE:
            show_parts(change.added, change.removed, change.changed)
    for outcome in outcomes:
        if outcome.error is not None:
            say(f"failed: {outcome.change.scorecard_id}: {outcome.error}")


def _code(outcomes: Sequence[ScorecardOutcome]) -> ExitCode:
    failed = any(outcome.error is not None for outcome in outcomes)
    return ExitCode.SOME_FAILED if failed else ExitCode.OK
