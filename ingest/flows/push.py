"""Push: every conversation of a source through upload, submit, analyse and land.

All conversations of a folder are validated first. Then each goes through its own steps, many at a
time; what they did is landed by the batch, over all dates. Dates are taken in order, and before a
conversation comes up a second time what came before is landed, so that it meets the evidence of
its first delivery.

In bulk mode the conversations of some dates are first all submitted, then analysed by one bulk
operation a date, and then taken through their steps as usual: what the bulk operation did is found
done, what it failed to do is done singly, and fails singly.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ingest.choices import Mode
from ingest.domain.outcome import STAGES, Step
from ingest.domain.sharding import Shard
from ingest.errors import InputError, RemoteError
from ingest.flows.analysis import Analyst
from ingest.flows.attempts import Attempts
from ingest.flows.bulk import BulkBatch, analyse_in_bulk
from ingest.flows.conversation_run import ConversationRun, Services
from ingest.flows.effects import span
from ingest.flows.evidence import Evidence, EvidenceReader
from ingest.flows.intake import CHUNK_SIZE, Intake
from ingest.flows.landing import Landing
from ingest.flows.outside import Outside
from ingest.flows.profile import annotator_profile
from ingest.flows.push_report import PushReport
from ingest.flows.settling import Settling
from ingest.flows.source import Source, SourceConversation
from ingest.settings import Settings

BULK_THRESHOLD = 1000
_FEWEST_OF_A_DATE = 100
"""With fewer, single analyses are done before a bulk operation is, unless bulk was asked for."""
_MOST_NOT_LANDED = 20_000
"""Ids that are remembered to find one that comes up again."""


@dataclass(frozen=True)
class PushOptions:
    """What one push does; a bulk run that ends before the analysis raises InputError."""

    run_id: str
    until: Step = Step.LAND
    mode: Mode = Mode.AUTO
    shard: Shard = field(default_factory=Shard)
    summarization: bool = False

    def __post_init__(self) -> None:
        if self.mode is Mode.BULK and not self.reaches_analysis:
            raise InputError(
                f"--mode bulk analyses, and --until {self.until} ends before that",
                "leave out --mode, or give --until analyse or land",
            )

    @property
    def reaches_analysis(self) -> bool:
        """Whether anything is analysed."""
        return self.until in (Step.ANALYSE, Step.LAND)


class Push:
    """One push; `stop` makes it finish what is in flight and end."""

    def __init__(self, outside: Outside, settings: Settings, options: PushOptions) -> None:
        self._outside = outside
        self._settings = settings
        self._options = options
        self._attempts = Attempts(outside.clock, settings.step_budget_sec, outside.rng)
        self._landing = Landing(
            outside.store, outside.sink, outside.clock, self._attempts, options.run_id
        )
        self._settling = Settling(self._landing, outside.progress, outside.admission, options.until)
        self._reader = EvidenceReader(outside.store, outside.sink, self._attempts, outside.clock)
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._tasks: set[asyncio.Task[None]] = set()
        self._errors: list[BaseException] = []
        self._not_landed: set[str] = set()
        self._is_stopped = False

    def stop(self) -> None:
        """Take no more work; what is in flight ends and is landed."""
        self._is_stopped = True

    async def run(self, source: Source) -> PushReport:
        """Return the report once everything that could be done is landed."""
        options, report = self._options, self._settling.report
        progress = self._outside.progress
        intake = Intake(source, options.shard, report, progress, lambda: self._is_stopped)
        count = await intake.validate()
        for stage in STAGES[: STAGES.index(options.until) + 1]:
            progress.stage(stage.value, count)
        recovered = await self._landing.recover()
        report.fail_batches(recovered.failures)
        if recovered.landed:
            progress.note(f"landed {recovered.landed} batches that an earlier run had left")
        services = await self._services(intake)
        try:
            await self._run_all(services, intake, is_bulk=self._is_bulk(count))
        except RemoteError:
            await self._land_what_ends()
            raise
        finally:
            await self._cancel()
        report.is_interrupted = self._is_stopped
        return report

    async def _run_all(self, services: Services, intake: Intake, *, is_bulk: bool) -> None:
        async for items in intake.chunks(BULK_THRESHOLD if is_bulk else None):
            if is_bulk:
                await self._drain()
                submitted = await self._analyse_in_bulk(services, items)
                await self._run_chunks(replace(services, in_bulk=submitted), items)
            else:
                await self._run_chunks(services, items)
            if self._is_stopped:
                await self._drain()
        await self._drain()

    async def _services(self, intake: Intake) -> Services:
        outside = self._outside
        profile = await annotator_profile(
            outside.insights,
            self._attempts,
            outside.progress,
            summarization=self._options.summarization,
        )
        return Services(
            store=outside.store,
            insights=outside.insights,
            analyst=Analyst(
                outside.insights,
                outside.clock,
                self._attempts,
                profile,
                self._settings.analysis_timeout_sec,
            ),
            clock=outside.clock,
            attempts=self._attempts,
            run_id=self._options.run_id,
            profile=profile,
            until=self._options.until,
            land_now=self._settling.land_now,
            on_passed=self._settling.show_passed,
            is_judged=intake.is_judged,
        )

    def _is_bulk(self, count: int | None) -> bool:
        """Bulk operations are one at a time per region, so only a run alone may choose them."""
        if self._options.mode is not Mode.AUTO:
            return self._options.mode is Mode.BULK
        is_alone = self._options.shard.count == 1
        is_big = (count or 0) >= BULK_THRESHOLD
        return is_alone and self._options.reaches_analysis and is_big

    async def _analyse_in_bulk(
        self, services: Services, items: Sequence[SourceConversation]
    ) -> frozenset[str]:
        """Return the ids that were left to bulk operations."""
        for stage in STAGES:
            self._outside.progress.stage(stage.value, None)
        unanalysed = set[str]()
        submitting = replace(services, until=Step.SUBMIT, on_unanalysed=unanalysed.add)
        self._settling.begin_first_pass()
        await self._run_chunks(submitting, items)
        await self._drain()
        self._settling.end_first_pass()
        ids_by_date: dict[dt.date, set[str]] = {}
        for item in items:
            if item.conversation_id in unanalysed:
                ids_by_date.setdefault(item.batch_date, set()).add(item.conversation_id)
        fewest = 1 if self._options.mode is Mode.BULK else _FEWEST_OF_A_DATE
        for date, ids in ids_by_date.items():
            if self._is_stopped:
                break
            if len(ids) >= fewest:
                await analyse_in_bulk(
                    self._outside,
                    self._attempts,
                    services.profile,
                    BulkBatch(date, frozenset(ids), self._options.run_id),
                    self._settings.bulk_timeout_sec,
                    lambda: self._is_stopped,
                )
        return frozenset(unanalysed)

    async def _run_chunks(self, services: Services, items: Sequence[SourceConversation]) -> None:
        chunk: dict[str, SourceConversation] = {}
        for item in items:
            if len(chunk) == CHUNK_SIZE or item.conversation_id in chunk:
                await self._run_chunk(services, list(chunk.values()))
                chunk = {}
            chunk[item.conversation_id] = item
        if chunk:
            await self._run_chunk(services, list(chunk.values()))

    async def _run_chunk(self, services: Services, chunk: Sequence[SourceConversation]) -> None:
        if self._is_stopped:
            self._settling.interrupt(len(chunk))
            return
        ids = {item.conversation_id for item in chunk}
        if self._not_landed & ids or len(self._not_landed) > _MOST_NOT_LANDED:
            await self._drain()
        self._not_landed |= ids
        evidence = await self._reader.read(
            [(item.batch_date, item.conversation_id) for item in chunk]
        )
        for item in chunk:
            await self._slots.acquire()
            self._raise_of_ended()
            if self._is_stopped:
                self._slots.release()
                self._settling.interrupt()
                continue
            task = asyncio.create_task(self._run_item(services, evidence, item))
            self._tasks.add(task)
            task.add_done_callback(self._take_ended)

    async def _run_item(
        self, services: Services, evidence: Evidence, item: SourceConversation
    ) -> None:
        try:
            with span("conversation") as told:
                told.set_attribute("conversation_id", item.conversation_id)
                told.set_attribute("run_id", self._options.run_id)
                result = await ConversationRun(services, evidence, item).run()
                told.set_attribute("state", result.state.value)
            self._settling.take(result)
            # Landing happens in the slot: when it is slow, no more rows are made meanwhile.
            await self._settling.flush_when_full()
        finally:
            self._slots.release()

    async def _drain(self) -> None:
        """Wait for what runs and land it."""
        while self._tasks:
            ended, self._tasks = await asyncio.wait(self._tasks)
            for task in ended:
                task.result()
        await self._settling.flush()
        self._not_landed.clear()

    async def _land_what_ends(self) -> None:
        """Let what runs end, and land it, when the run itself can't go on."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._settling.flush()

    def _take_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._errors.append(error)

    def _raise_of_ended(self) -> None:
        if self._errors:
            raise self._errors[0]

    async def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
