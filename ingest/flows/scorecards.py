"""Makes the scorecards of Insights equal to the seeds, and says what a change of them costs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ingest.domain.annotators import scorecard_revision_key
from ingest.domain.as_code import ChangeKind
from ingest.domain.costs import USD_PER_SCORE
from ingest.domain.raw_records import ANY_PARTITION, CI_CONVERSATIONS, PIPELINE_EVENTS
from ingest.domain.scorecards import (
    FILES,
    LiveRevision,
    LiveScorecard,
    RevisionState,
    Scorecard,
    ScorecardChange,
    is_marked,
    parse_scorecards,
    plan,
)
from ingest.errors import InputError, RemoteError
from ingest.flows.analysis import growing_pauses
from ingest.flows.attempts import Attempts
from ingest.flows.steps import log_change
from ingest.ports.move import Clock, InsightsApi, RawSink
from ingest.ports.quality import QualityApi

_TUNABLE = {
    RevisionState.EDITABLE,
    RevisionState.TRAINING_FAILED,
    RevisionState.TRAINING_CANCELLED,
}


@dataclass(frozen=True)
class ScorecardOutcome:
    """What became of one change; `error` is None when Insights holds what was wanted."""

    change: ScorecardChange
    error: RemoteError | None = None


@dataclass(frozen=True)
class ScoredByRevision:
    """How many landed conversations show scores of one revision of a scorecard."""

    scorecard_id: str
    revision_id: str
    conversation_count: int

    @property
    def usd(self) -> float:
        """What it costs to score them again."""
        return round(self.conversation_count * USD_PER_SCORE, 2)


@dataclass(frozen=True)
class ScorecardPlan:
    """What apply does, and what shows scores of other revisions than those wanted."""

    changes: tuple[ScorecardChange, ...]
    older: tuple[ScoredByRevision, ...]


def read_scorecards(seeds_dir: Path) -> tuple[Scorecard, ...]:
    """Return the definitions of the three CSV files of a folder."""
    try:
        texts = [(seeds_dir / name).read_text(encoding="utf-8") for name in FILES]
    except OSError as error:
        raise InputError(
            f"no scorecard definitions in {seeds_dir}",
            "run at the repository root, or set INGEST_SEEDS_DIR",
        ) from error
    return parse_scorecards(*texts)


async def held_scorecards(
    api: QualityApi, attempts: Attempts, wanted: Iterable[str] | None = None
) -> list[LiveScorecard]:
    """Return all scorecards with their revisions, and the questions that count.

    Questions are asked for of ours, of those `wanted` by id, and of all where that is None.
    """
    cards = (await attempts.run(api.list_scorecards)).value
    revisions = (await attempts.run(api.list_scorecard_revisions)).value if cards else ()
    by_card: dict[str, list[LiveRevision]] = {}
    for revision in revisions:
        by_card.setdefault(revision.scorecard_id, []).append(revision)
    asked = None if wanted is None else set(wanted)
    found = []
    for card in cards:
        held = replace(card, revisions=tuple(by_card.get(card.scorecard_id, ())))
        is_asked = asked is None or held.scorecard_id in asked or is_marked(held.description)
        if is_asked and held.counting is not None:
            listing = partial(api.list_questions, held.counting.key)
            held = replace(held, questions=tuple((await attempts.run(listing)).value))
        found.append(held)
    return found


async def plan_scorecards(
    api: QualityApi, sink: RawSink, attempts: Attempts, definitions: Sequence[Scorecard]
) -> ScorecardPlan:
    """Return what apply would do, and how many conversations other revisions have scored."""
    ids = [one.scorecard_id for one in definitions]
    changes = plan(definitions, await held_scorecards(api, attempts, ids))
    touched = {change.scorecard_id: change.revision_id for change in changes}
    return ScorecardPlan(changes, await _older(sink, attempts, touched))


async def _older(
    sink: RawSink, attempts: Attempts, touched: Mapping[str, str | None]
) -> tuple[ScoredByRevision, ...]:
    if not touched:
        return ()
    sql = f"""
        with states as (
            select conversation_id, payload
            from {sink.table(CI_CONVERSATIONS)}
            where {ANY_PARTITION} and conversation_id not in (
                select conversation_id from {sink.table(PIPELINE_EVENTS)}
                where {ANY_PARTITION} and step = 'forget'
            )
            qualify row_number() over (
                partition by conversation_id order by ci_updated_at desc, _landed_at desc
            ) = 1
        )
        select
            json_value(result, '$.qaScorecardRevision') as revision,
            count(distinct conversation_id) as conversation_count
        from states
        cross join unnest(json_query_array(
            payload, '$.latestAnalysis.analysisResult.callAnalysisMetadata.qaScorecardResults'
        )) as result
        group by revision
        order by revision
    """
    rows = (await attempts.run(partial(sink.query, sql, {}))).value
    found = []
    for row in rows:
        parts = str(row["revision"]).split("/")
        scorecard_id, revision_id = parts[-3], parts[-1]
        if scorecard_id in touched and touched[scorecard_id] != revision_id:
            found.append(ScoredByRevision(scorecard_id, revision_id, row["conversation_count"]))
    return tuple(found)


class ApplyingScorecards:
    """Makes Insights equal to definitions; every step may be killed and done again."""

    def __init__(self, api: QualityApi, clock: Clock, attempts: Attempts, run_id: str) -> None:
        self._api = api
        self._clock = clock
        self._attempts = attempts
        self._run_id = run_id
        self._resource = ""

    async def apply(
        self, definitions: Sequence[Scorecard], timeout_sec: float
    ) -> list[ScorecardOutcome]:
        """Make each scorecard and a READY revision of its questions; deploy nothing."""
        ids = [one.scorecard_id for one in definitions]
        held = await held_scorecards(self._api, self._attempts, ids)
        by_id = {one.scorecard_id: one for one in held}

        async def one(change: ScorecardChange) -> None:
            if change.kind is ChangeKind.DELETE:
                delete = partial(self._api.delete_scorecard, change.scorecard_id)
                await self._run("delete scorecard", delete)
            elif change.definition is not None and change.kind is not ChangeKind.KEEP:
                await self._make(change.definition, by_id.get(change.scorecard_id), timeout_sec)

        return [await self._outcome(change, one) for change in plan(definitions, held)]

    async def activate(self, definitions: Sequence[Scorecard]) -> list[ScorecardOutcome]:
        """Deploy the revision of each definition; raise InputError where one isn't READY."""
        ids = [one.scorecard_id for one in definitions]
        held = await held_scorecards(self._api, self._attempts, ids)
        changes = [c for c in plan(definitions, held) if c.kind is not ChangeKind.DELETE]
        check_ready(definitions, held)

        async def one(change: ScorecardChange) -> None:
            if not change.is_deployed:
                key = f"{change.scorecard_id}/{change.revision_id}"
                deploy = partial(self._api.deploy_scorecard_revision, key)
                await self._run("deploy scorecard revision", deploy)

        outcomes = [await self._outcome(change, one) for change in changes]
        return [
            outcome
            if outcome.error
            else ScorecardOutcome(replace(outcome.change, is_deployed=True))
            for outcome in outcomes
        ]

    async def _make(
        self, wanted: Scorecard, held: LiveScorecard | None, timeout_sec: float
    ) -> None:
        api, key = self._api, f"{wanted.scorecard_id}/{wanted.revision_id}"
        made = "ALREADY_EXISTS"
        if held is None:
            create = partial(api.create_scorecard, wanted)
            await self._run("create scorecard", create, made)
        elif (held.display_name, held.description) != (
            wanted.display_name,
            wanted.marked_description,
        ):
            await self._run("update scorecard", partial(api.update_scorecard, wanted))
        revision = held.revision(wanted.revision_id) if held else None
        state = revision.state if revision else RevisionState.EDITABLE
        if revision is None:
            create = partial(api.create_scorecard_revision, key)
            await self._run("create scorecard revision", create, made)
        if state is RevisionState.EDITABLE:
            for question in wanted.questions:
                await self._run(
                    "create question", partial(api.create_question, key, question), made
                )
        if state in _TUNABLE:
            # FAILED_PRECONDITION: an attempt without an answer has begun it.
            tune = partial(api.tune_scorecard_revision, key)
            await self._run("tune scorecard revision", tune, "FAILED_PRECONDITION")
        await self._until_ready(key, timeout_sec)

    async def _until_ready(self, key: str, timeout_sec: float) -> None:
        began, pauses = self._clock.monotonic(), growing_pauses()
        while True:
            revisions = (await self._attempts.run(self._api.list_scorecard_revisions)).value
            state = next((each.state for each in revisions if each.key == key), None)
            if state is RevisionState.READY:
                return
            if state is not RevisionState.TRAINING:
                raise RemoteError(
                    f"Insights: the revision {key} isn't ready: {state or 'it is gone'}",
                    "run `ingest scorecards apply` again",
                    code="FAILED_PRECONDITION",
                )
            if self._clock.monotonic() - began > timeout_sec:
                raise RemoteError(
                    f"Insights: the revision {key} isn't ready after {timeout_sec:.0f} s",
                    "run `ingest scorecards apply` again; it goes on waiting",
                    code="DEADLINE_EXCEEDED",
                )
            await self._clock.sleep(next(pauses))

    async def _outcome(
        self, change: ScorecardChange, work: Callable[[ScorecardChange], Awaitable[None]]
    ) -> ScorecardOutcome:
        self._resource = change.scorecard_id
        try:
            await work(change)
        except RemoteError as error:
            return ScorecardOutcome(change, error)
        return ScorecardOutcome(change)

    async def _run(self, what: str, call: Callable[[], Awaitable[None]], is_made: str = "") -> None:
        """Make a call; an error of the code `is_made` says that an earlier attempt has."""
        try:
            await self._attempts.run(call)
        except RemoteError as error:
            if error.code != is_made:
                raise
        log_change(what, self._run_id, resource=self._resource)


def check_ready(definitions: Iterable[Scorecard], held: Iterable[LiveScorecard]) -> None:
    """Raise InputError unless Insights holds a READY revision of each definition."""
    ready = {
        revision.key
        for scorecard in held
        for revision in scorecard.revisions
        if revision.state is RevisionState.READY
    }
    for one in definitions:
        if f"{one.scorecard_id}/{one.revision_id}" not in ready:
            raise InputError(
                f"Insights has no ready revision of the scorecard {one.scorecard_id!r} as it is "
                "defined now",
                "run `ingest scorecards apply` first",
            )


@dataclass(frozen=True)
class AnsweredQuestion:
    """What a question was answered with: key of the choice, and points, None where not counted."""

    question_id: str
    answer_key: str
    score: float | None


@dataclass(frozen=True)
class Scores:
    """What one revision scores a conversation; both are 0 where nothing counts."""

    conversation_id: str
    scorecard_id: str
    revision_id: str
    score: float
    potential_score: float
    answers: tuple[AnsweredQuestion, ...]

    @property
    def score_text(self) -> str:
        """Points of those that were possible."""
        return f"{self.score:g} of {self.potential_score:g}"


async def scores_of(
    insights: InsightsApi, attempts: Attempts, conversation_id: str, revisions: Container[str]
) -> list[Scores]:
    """Return what the latest analysis of a conversation says of these revisions."""
    held = (await attempts.run(partial(insights.get_conversation, conversation_id))).value
    analysis = held.payload.get("latestAnalysis", {}) if held else {}
    metadata = analysis.get("analysisResult", {}).get("callAnalysisMetadata", {})
    found = []
    for result in metadata.get("qaScorecardResults", ()):
        key = scorecard_revision_key(result["qaScorecardRevision"])
        if key in revisions:
            scorecard_id, _, revision_id = key.partition("/")
            answers = tuple(map(_answered, result.get("qaAnswers", ())))
            score, potential = (float(result.get(n, 0)) for n in ("score", "potentialScore"))
            found.append(
                Scores(conversation_id, scorecard_id, revision_id, score, potential, answers)
            )
    return found


def _answered(answer: Mapping[str, Any]) -> AnsweredQuestion:
    value = answer.get("answerValue", {})
    is_counted = not (value.get("naValue") or value.get("skipValue"))
    return AnsweredQuestion(
        answer["qaQuestion"].rsplit("/", 1)[-1],
        value.get("key", ""),
        float(value.get("score", 0)) if is_counted else None,
    )
