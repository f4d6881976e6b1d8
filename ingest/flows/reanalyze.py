"""Reanalyze: new analyses for conversations that Insights already holds, and why.

Insights keeps results inside an analysis, so a changed matcher shows only after a new one. First
the selection is counted, with minutes at quota and cost; the same selection is then analysed.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from ingest.domain.annotators import AnnotatorProfile
from ingest.domain.conversation import Shard, checked_id, parse_batch_date
from ingest.domain.costs import Estimate, billing_units, estimate, extra_usd
from ingest.domain.insights_format import carries_our_label
from ingest.domain.outcome import BatchReport, Failure, ItemState, Outcome, Step
from ingest.domain.raw_records import RawRow, StepEvent, event_row
from ingest.errors import RemoteError, SettingsError, unexpected
from ingest.flows.analysis import (
    Analysed,
    Analyst,
    annotator_profile,
    conversation_profile_sha256,
    state_row,
)
from ingest.flows.attempts import Attempts, admitted, every_item
from ingest.flows.ci_submission import FOREIGN_CODE
from ingest.flows.evidence import FORGOTTEN_CODE, FORGOTTEN_IN_CI, forgotten_ids
from ingest.flows.forget import take_up
from ingest.flows.landing import Landing
from ingest.flows.lease import date_lease
from ingest.flows.services import Services
from ingest.flows.steps import log_step
from ingest.ports.move import CiConversation
from ingest.settings import Settings

_FOREIGN = "others made this conversation in Insights"


@dataclass(frozen=True)
class Selection:
    """Which conversations: of these ids, of an Insights filter (empty: all), only stale ones.

    Those that others made are left out, unless they are included.
    """

    ids: tuple[str, ...] = ()
    filter: str = ""
    only_stale: bool = False
    include_foreign: bool = False


@dataclass(frozen=True)
class Target:
    """One conversation to analyse, and the analysis that it has now."""

    conversation_id: str
    analysis_name: str | None
    units: int
    summarization: bool = False
    """Whether a summary is asked for, which one who has a summary keeps."""
    batch_date: dt.date | None = None
    """The date folder of its version; None where others made it."""
    extra_usd: float = 0.0
    """What summary, scores and topics cost beside the analysis."""


@dataclass(frozen=True)
class _Ended:
    started_at: dt.datetime
    outcome: Outcome
    attempts: int
    analysis_name: str | None
    error: RemoteError | None = None


@dataclass
class Selected:
    """What the selection comes to."""

    targets: list[Target] = field(default_factory=list)
    missing_ids: list[str] = field(default_factory=list)
    forgotten_ids: list[str] = field(default_factory=list)
    foreign_ids: list[str] = field(default_factory=list)
    """Asked for by id, and made by others."""
    foreign_count: int = 0
    """Left out of a filter or of all, since others made them."""

    @property
    def leases(self) -> list[str]:
        """What one re-analysis has for itself: all others, and pushes of these date folders.

        Two at a time would pay for the same analyses twice.
        """
        dates = {target.batch_date for target in self.targets if target.batch_date is not None}
        return ["reanalyze", *(date_lease(date, Shard()) for date in dates)]

    @property
    def failures(self) -> list[Failure]:
        """What was named and can't be analysed."""
        missing = "Insights holds no conversation of this id"
        return [
            *(Failure(id_, Step.ANALYSE, "NOT_FOUND", missing) for id_ in self.missing_ids),
            *(
                Failure(id_, Step.ANALYSE, FORGOTTEN_CODE, FORGOTTEN_IN_CI)
                for id_ in self.forgotten_ids
            ),
            *(
                Failure(id_, Step.ANALYSE, FOREIGN_CODE, f"{_FOREIGN}; --include-foreign takes it")
                for id_ in self.foreign_ids
            ),
        ]


class Reanalyze:
    """One re-analysis: `select`, show `estimate`, then `run`."""

    def __init__(
        self,
        services: Services,
        settings: Settings,
        attempts: Attempts,
        landing: Landing,
        run_id: str,
        reason: str | None,
    ) -> None:
        self._services = services
        self._settings = settings
        self._attempts = attempts
        self._landing = landing
        self._run_id = run_id
        self._reason = reason
        self._report = BatchReport()
        self._slots = asyncio.Semaphore(settings.concurrency * len(settings.places))
        self._flushing = asyncio.Lock()
        self._is_stopped = False

    def stop(self) -> None:
        """Start no more analyses; those in flight end and are landed."""
        self._is_stopped = True

    async def select(self, selection: Selection, profile: AnnotatorProfile) -> Selected:
        """Return the conversations that would be analysed."""
        missing_ids: list[str] = []
        targets: dict[str, Target] = {}
        foreign: set[str] = set()
        async for conversation_id, held in self._held(selection):
            if held is None:
                missing_ids.append(conversation_id)
            elif not (selection.include_foreign or carries_our_label(held.labels)):
                foreign.add(conversation_id)
            elif not selection.only_stale or not _is_current(held, profile):
                # A listing may give twice what changes while it is read.
                targets[conversation_id] = _target(held, profile)
        forgotten = sorted(
            targets.keys() & await forgotten_ids(self._services.sink, self._attempts)
        )
        for conversation_id in forgotten:
            del targets[conversation_id]
        return Selected(
            list(targets.values()),
            missing_ids,
            forgotten,
            sorted(foreign) if selection.ids else [],
            0 if selection.ids else len(foreign),
        )

    def estimate(self, selected: Selected) -> Estimate:
        """Return count, minutes at quota and cost of a selection."""
        return estimate(
            [target.units for target in selected.targets],
            self._settings.quota_analyses_per_min * len(self._settings.places),
            [target.extra_usd for target in selected.targets],
        )

    async def profile(self, *, summarization: bool = False) -> AnnotatorProfile:
        """Return the annotator profile that now counts."""
        return await annotator_profile(
            self._services.insights,
            self._attempts,
            self._services.progress,
            summarization=summarization,
        )

    async def run(
        self, selected: Selected, profile: AnnotatorProfile, *, waits: bool = False
    ) -> BatchReport:
        """Analyse what was selected, land the new states and events, return the report.

        Raises HeldError where another run has something of it, unless it waits.
        """
        async with self._services.lease.running():
            await self._services.lease.take(selected.leases, waits=waits)
            return await self._run(selected, profile)

    async def _run(self, selected: Selected, profile: AnnotatorProfile) -> BatchReport:
        recovered = await take_up(self._services, self._attempts, self._landing)
        self._report.fail_batches(recovered.failures)
        self._services.progress.stage(Step.ANALYSE.value, len(selected.targets))
        self._report.fail(selected.failures)
        plain, summarizing = self._analyst(profile), self._analyst(profile.with_summaries)
        try:
            async with asyncio.TaskGroup() as tasks:
                for target in selected.targets:
                    await self._slots.acquire()
                    if self._is_stopped:
                        self._slots.release()
                        self._report.count(ItemState.INTERRUPTED)
                    else:
                        analyst = summarizing if target.summarization else plain
                        tasks.create_task(self._analyse(target, analyst))
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        await self._flush()
        self._report.is_interrupted = self._is_stopped
        return self._report

    def _analyst(self, profile: AnnotatorProfile) -> Analyst:
        return Analyst(
            self._services.insights,
            self._services.clock,
            self._attempts,
            profile,
            self._settings.analysis_timeout_sec,
        )

    async def _held(self, selection: Selection) -> AsyncIterator[tuple[str, CiConversation | None]]:
        if not selection.ids:
            list_ = self._services.insights.list_conversations
            listed = every_item(self._attempts, lambda token: list_(selection.filter, token))
            async for conversation in admitted(listed, selection.filter):
                yield conversation.conversation_id, conversation
            return
        for conversation_id in dict.fromkeys(selection.ids):
            held = await self._get(checked_id(conversation_id))
            yield conversation_id, held

    async def _get(self, conversation_id: str) -> CiConversation | None:
        insights = self._services.insights
        return (await self._attempts.run(lambda: insights.get_conversation(conversation_id))).value

    async def _analyse(self, target: Target, analyst: Analyst) -> None:
        started_at = self._services.clock.now()
        labels: dict[str, str] = {}
        try:
            held = await self._get(target.conversation_id)
            if held is None:
                raise RemoteError("Insights: the conversation is gone", code="NOT_FOUND")
            labels = dict(held.labels)
            analysed = await analyst.ensure(held, is_new=False, replaces=target.analysis_name)
            self._land(target, labels, started_at, analysed)
        except SettingsError:
            raise
        except Exception as error:  # noqa: BLE001 - one conversation never ends the run
            self._lose(target, labels, started_at, unexpected(error))
        finally:
            self._slots.release()
        self._services.progress.advance(Step.ANALYSE.value)
        self._services.progress.quota(self._services.admission.use())
        if self._landing.is_full:
            await self._flush()

    def _land(
        self,
        target: Target,
        labels: dict[str, str],
        started_at: dt.datetime,
        analysed: Analysed,
    ) -> None:
        latest = analysed.conversation.latest_analysis
        ended = _Ended(
            started_at, analysed.outcome, analysed.attempts, latest.name if latest else None
        )
        rows = [
            state_row(analysed.conversation, analysed.profile_sha256),
            self._event(target, labels, ended),
        ]
        self._landing.add(
            rows,
            lambda: self._report.count(ItemState.DONE),
            lambda error: self._report.fail(
                [Failure(target.conversation_id, Step.LAND, error.code, error.message)]
            ),
        )
        self._report.effects[f"analyse_{analysed.outcome.value}"] += 1

    def _lose(
        self, target: Target, labels: dict[str, str], started_at: dt.datetime, error: RemoteError
    ) -> None:
        self._report.fail(
            [Failure(target.conversation_id, Step.ANALYSE, error.code, error.message)]
        )
        ended = _Ended(started_at, Outcome.FAILED, error.attempts, None, error)
        self._landing.add([self._event(target, labels, ended)], lambda: None, lambda _: None)

    def _event(self, target: Target, labels: dict[str, str], ended: _Ended) -> RawRow:
        event = StepEvent(
            conversation_id=target.conversation_id,
            batch_date=parse_batch_date(labels.get("batch_date", "")),
            step=Step.ANALYSE,
            outcome=ended.outcome,
            started_at=ended.started_at,
            ended_at=self._services.clock.now(),
            attempt=ended.attempts,
            reason=self._reason,
            metadata_sha256=labels.get("metadata_sha256"),
            transcript_sha256=labels.get("transcript_sha256"),
            resource_name=ended.analysis_name,
            error_code=ended.error.code if ended.error else None,
            error_message=ended.error.message if ended.error else None,
        )
        log_step(event, self._run_id)
        return event_row(event, self._run_id)

    async def _flush(self) -> None:
        async with self._flushing:
            await self._services.lease.assert_held()
            for table, rows in (await self._landing.flush()).items():
                self._report.effects[f"rows_{table}"] += rows


def _is_current(conversation: CiConversation, profile: AnnotatorProfile) -> bool:
    return conversation.latest_analysis is not None and profile.is_met_by(
        conversation_profile_sha256(conversation, profile)
    )


def _target(conversation: CiConversation, profile: AnnotatorProfile) -> Target:
    latest = conversation.latest_analysis
    wanted = profile.keeping_summaries_of(latest.selector) if latest else profile
    return Target(
        conversation.conversation_id,
        latest.name if latest else None,
        billing_units(_turn_lengths(conversation)),
        wanted.summarization,
        parse_batch_date(conversation.labels.get("batch_date", "")),
        extra_usd(
            has_summary=wanted.summarization,
            score_count=len(wanted.scorecard_revisions),
            has_topics=bool(wanted.issue_models),
        ),
    )


def _turn_lengths(conversation: CiConversation) -> list[int]:
    transcript = conversation.payload.get("transcript", {})
    return [len(part.get("text", "")) for part in transcript.get("transcriptSegments", ())]
