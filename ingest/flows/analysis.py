"""One analysis per conversation version and annotator profile: each is billed, none is repeated.

CreateAnalysis is not idempotent, and an answer may be lost after the work was begun. So before
asking again, and before asking at all about a conversation that an earlier run may have left, the
service is asked what it has: a fitting analysis, or one that runs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain

from ingest.domain.annotators import (
    AnnotatorProfile,
    Selector,
    profile_sha256_of_analysis,
    selector_of,
)
from ingest.domain.as_code import is_ours
from ingest.domain.outcome import Outcome
from ingest.domain.raw_records import RawRow, ci_conversation_row
from ingest.domain.scorecards import deployed_of_ours
from ingest.domain.topics import deployed_models
from ingest.errors import RemoteError
from ingest.flows.attempts import Attempts
from ingest.flows.services import Progress, Services
from ingest.flows.steps import log_change
from ingest.ports.move import CiAnalysisState, CiConversation, CiOperation, Clock, InsightsApi


async def annotator_profile(
    insights: InsightsApi, attempts: Attempts, progress: Progress, *, summarization: bool = False
) -> AnnotatorProfile:
    """Return the profile; say so when Insights holds no phrase matchers of this project."""
    held = (await attempts.run(insights.list_matchers)).value
    ours = tuple(matcher.applied for matcher in held if is_ours(matcher.version_tag))
    if not ours:
        progress.note(
            "Insights holds no phrase matchers of this project: run `ingest matchers apply` first "
            "if you want phrase matches"
        )
    revisions = (await attempts.run(insights.list_scorecard_revisions)).value
    models = (await attempts.run(insights.list_models)).value
    return AnnotatorProfile(
        summarization, ours, deployed_of_ours(revisions), deployed_models(models)
    )


def conversation_profile_sha256(
    conversation: CiConversation, profile: AnnotatorProfile
) -> str | None:
    """Return the hash of the profile that the latest analysis counts for, None without one."""
    latest = conversation.latest_analysis
    if latest is None:
        return None
    return profile_sha256_of_analysis(latest.selector, latest.requested_at, profile)


def state_row(conversation: CiConversation, profile_sha256: str | None) -> RawRow:
    """Return the row of a fetched state, whose latest analysis counts for that profile."""
    latest = conversation.latest_analysis
    return ci_conversation_row(
        conversation_id=conversation.conversation_id,
        ci_name=conversation.name,
        analysis_name=latest.name if latest else None,
        annotator_profile_sha256=profile_sha256,
        labels=conversation.labels,
        payload=conversation.read_payload(),
        updated_at=conversation.updated_at,
    )


def older_analysis_rows(
    held: CiConversation,
    analyses: Iterable[CiAnalysisState],
    landed: Container[str],
    profile: AnnotatorProfile,
) -> list[RawRow]:
    """Return a row of each analysis but the latest that isn't landed: the state that held it.

    Insights shows a conversation with its latest analysis alone. The row of an older one is the
    conversation with that analysis in its place, stamped with the analysis's own time.
    """
    latest = held.latest_analysis
    rows = []
    for analysis in analyses:
        if analysis.name in landed or (latest is not None and analysis.name == latest.name):
            continue
        requested_at = dt.datetime.fromisoformat(
            analysis.payload.get("requestTime") or analysis.created_at.isoformat()
        )
        rows.append(
            ci_conversation_row(
                conversation_id=held.conversation_id,
                ci_name=held.name,
                analysis_name=analysis.name,
                annotator_profile_sha256=profile_sha256_of_analysis(
                    selector_of(analysis.payload), requested_at, profile
                ),
                labels=held.labels,
                payload={**held.payload, "latestAnalysis": analysis.payload},
                updated_at=analysis.created_at,
            )
        )
    return rows


_POLL_FACTOR = 1.5
_LONGEST_POLL_SEC = 20.0
_FIRST_POLL_SEC = 0.5
_LEARNING_RATE = 0.2


@dataclass(frozen=True)
class Analysed:
    """The conversation with a fitting analysis in it, and how it came to it."""

    conversation: CiConversation
    outcome: Outcome
    attempts: int
    profile_sha256: str
    """Profile that the analysis counts for."""


class Analyst:
    """Sees to it that a conversation has an analysis that fits the profile."""

    def __init__(
        self,
        insights: InsightsApi,
        clock: Clock,
        attempts: Attempts,
        profile: AnnotatorProfile,
        timeout_sec: float,
    ) -> None:
        self._insights = insights
        self._clock = clock
        self._attempts = attempts
        self._profile = profile
        self._timeout_sec = timeout_sec
        self._usual_sec = 0.0

    def profile_sha256(self, conversation: CiConversation) -> str | None:
        """Return the profile hash of the latest analysis, None without one."""
        return conversation_profile_sha256(conversation, self._profile)

    async def ensure(
        self, conversation: CiConversation, *, is_new: bool, replaces: str | None = None
    ) -> Analysed:
        """Return the conversation in the FULL view with a fitting latest analysis.

        `is_new` says that this run has just created it, so that nothing can be in it yet;
        `replaces` names an analysis that doesn't count, however well it fits. Raises RemoteError
        with the operation's code when the analysis failed.
        """

        def fitting(held: CiConversation) -> str | None:
            latest = held.latest_analysis
            if latest is None or latest.name == replaces:
                return None
            sha256 = self.profile_sha256(held)
            return sha256 if self._profile.is_met_by(sha256) else None

        found = fitting(conversation)
        if found is not None:
            return Analysed(conversation, Outcome.ADOPTED, 1, found)
        asking = _Asking(
            self._insights, conversation.conversation_id, fitting, may_have_work=not is_new
        )
        has_waited = False
        while True:
            begun = (await self._attempts.run(partial(asking.ask, self._profile.selector))).value
            if begun is not None:
                await self._wait(begun.operation)
            held = (
                await self._attempts.run(
                    partial(self._insights.get_conversation, conversation.conversation_id)
                )
            ).value
            found = fitting(held) if held is not None else None
            if held is not None and found is not None:
                outcome = Outcome.SUCCEEDED if begun else Outcome.ADOPTED
                return Analysed(held, outcome, asking.tries, found)
            if begun is None or begun.is_ours or has_waited:
                break
            has_waited = True
        raise RemoteError(
            "Insights: the analysis ended but the conversation doesn't hold it",
            "run the same command again",
            code="DATA_LOSS",
            attempts=asking.tries,
        )

    async def _wait(self, operation: CiOperation) -> None:
        began = self._clock.monotonic()
        await wait_for_operation(
            self._insights,
            self._clock,
            self._attempts,
            operation,
            self._timeout_sec,
            first_pause_sec=self._usual_sec,
        )
        took = self._clock.monotonic() - began
        self._usual_sec += _LEARNING_RATE * (took - self._usual_sec)


@dataclass(frozen=True)
class _Begun:
    operation: CiOperation
    is_ours: bool


class _Asking:
    """Asks for one analysis; `ask` may be called again after any error."""

    def __init__(
        self,
        insights: InsightsApi,
        conversation_id: str,
        fitting: Callable[[CiConversation], str | None],
        *,
        may_have_work: bool,
    ) -> None:
        self._insights = insights
        self._conversation_id = conversation_id
        self._fitting = fitting
        self._may_have_work = may_have_work
        self.tries = 0

    async def ask(self, selector: Selector) -> _Begun | None:
        """Return what now works at it; None when a fitting analysis is there already."""
        self.tries += 1
        if self._may_have_work:
            # In this order: an analysis that ends between the two questions shows in both.
            running = await self._running()
            if running is not None:
                return _Begun(running, is_ours=False)
            held = await self._insights.get_conversation(self._conversation_id)
            if held is not None and self._fitting(held) is not None:
                return None
        self._may_have_work = True
        started = await self._insights.create_analysis(self._conversation_id, selector)
        return _Begun(started, is_ours=True)

    async def _running(self) -> CiOperation | None:
        """A bulk operation counts too: a killed run may have left one that covers this."""
        running = await self._insights.running_analysis(self._conversation_id)
        return running or await self._insights.running_bulk_analysis()


async def wait_for_operation(
    insights: InsightsApi,
    clock: Clock,
    attempts: Attempts,
    operation: CiOperation,
    timeout_sec: float,
    first_pause_sec: float = 0.0,
    is_stopped: Callable[[], bool] = lambda: False,
    on_poll: Callable[[CiOperation, float], None] = lambda *_: None,
) -> CiOperation:
    """Return the operation once it has ended well.

    `on_poll` is told each state of it, and the seconds that it was waited for.
    Raises RemoteError CANCELLED, leaving the operation alone, once `is_stopped`.
    `first_pause_sec` is how long such operations usually take, which saves polls. Raises
    RemoteError with the operation's code when it failed, DEADLINE_EXCEEDED when it goes on.
    """
    began = clock.monotonic()
    pauses = chain([max(_FIRST_POLL_SEC, first_pause_sec)], growing_pauses())
    while not operation.is_done:
        if is_stopped():
            raise RemoteError(
                f"Insights: operation {operation.name} goes on, this run was told to stop",
                "run the same command again; it waits for that operation first",
                code="CANCELLED",
            )
        if clock.monotonic() - began > timeout_sec:
            raise RemoteError(
                f"Insights: operation {operation.name} didn't end in {timeout_sec:.0f} s",
                "run the same command again; it waits for that operation first",
                code="DEADLINE_EXCEEDED",
            )
        await clock.sleep(next(pauses))
        poll = partial(insights.get_operation, operation.name)
        operation = (await attempts.run(poll)).value
        on_poll(operation, clock.monotonic() - began)
    if operation.error_code is not None:
        raise RemoteError(
            f"Insights: operation {operation.name} failed: {operation.error_code}",
            "run the same command again",
            code=operation.error_code,
        )
    return operation


def growing_pauses() -> Iterator[float]:
    """Yield the seconds between one look at something slow and the next."""
    pause = _FIRST_POLL_SEC
    while True:
        yield pause
        pause = min(_LONGEST_POLL_SEC, pause * _POLL_FACTOR)


@dataclass(frozen=True)
class BulkBatch:
    """Conversations of one date that this run has found or made, without an analysis."""

    date: dt.date
    conversation_ids: frozenset[str]
    run_id: str

    @property
    def filter(self) -> str:
        """The filter that admits them."""
        return f'labels.batch_date="{self.date}" -latest_analysis:"*"'


async def analyse_in_bulk(
    services: Services,
    attempts: Attempts,
    profile: AnnotatorProfile,
    batch: BulkBatch,
    timeout_sec: float,
    is_stopped: Callable[[], bool],
    on_running: Callable[[str], None] = lambda _: None,
) -> None:
    """Have Insights analyse the conversations of the batch.

    One bulk operation runs in a region at a time: one that runs already, of an earlier run that
    was killed or of someone else, is waited for first. A failed operation is only told, since the
    conversations that lack an analysis afterwards are analysed one by one. Once `is_stopped`, the
    operation is left to run; the next run waits for it.
    """
    insights = services.insights

    def told(operation: CiOperation, seconds: float) -> None:
        done = operation.counts.get("completed_analyses_count", 0)
        failed = operation.counts.get("failed_analyses_count", 0)
        on_running(
            f"bulk analysis of {batch.date} for {seconds:.0f} s: {done} of "
            f"{len(batch.conversation_ids)} done, {failed} failed"
        )

    async def wait(operation: CiOperation) -> CiOperation:
        return await wait_for_operation(
            insights,
            services.clock,
            attempts,
            operation,
            timeout_sec,
            is_stopped=is_stopped,
            on_poll=told,
        )

    async def start() -> CiOperation | None:
        running = await insights.running_bulk_analysis()
        while running is not None:
            services.progress.note("waiting for the bulk analysis that runs in this region")
            await wait(running)
            running = await insights.running_bulk_analysis()
        if await _admits_others(insights, batch):
            return None
        started = await insights.bulk_analyze(batch.filter, profile.selector)
        log_change("bulk analyze", batch.run_id, resource=started.name, filter=batch.filter)
        return started

    try:
        operation = (await attempts.run(start)).value
        if operation is None:
            services.progress.note(
                f"Insights has others of {batch.date} without an analysis, which a bulk "
                "analysis would take too; analysing one by one"
            )
            return
        ended = await wait(operation)
    except RemoteError as error:
        then = "" if is_stopped() else "; analysing one by one"
        services.progress.note(f"bulk analysis: {error.message}{then}")
        return
    done = ended.counts.get("completed_analyses_count", 0)
    failed = ended.counts.get("failed_analyses_count", 0)
    services.progress.note(f"bulk analysis of {batch.date}: {done} done, {failed} failed")


async def _admits_others(insights: InsightsApi, batch: BulkBatch) -> bool:
    token = ""
    while True:
        page = await insights.list_conversations(batch.filter, token)
        if any(held.conversation_id not in batch.conversation_ids for held in page.items):
            return True
        token = page.next_token
        if not token:
            return False
