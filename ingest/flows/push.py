"""Push: every conversation of a source through upload, submit, analyse and land.

All conversations of a folder are validated first. Then each goes through its own steps, many at a
time; what they did is landed by the batch. Dates are taken one after the other, so that a
conversation that is delivered twice meets the evidence of its first delivery.

In bulk mode the conversations of a date are first all submitted, then analysed by one bulk
operation, and then taken through their steps as usual: what the bulk operation did is found done,
what it failed to do is done singly, and fails singly.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from ingest.choices import Mode
from ingest.domain.outcome import STAGES, Failure, ItemState, Step
from ingest.domain.raw_records import RawRow
from ingest.domain.sharding import Shard
from ingest.errors import InputError, RemoteError
from ingest.flows.analysis import Analyst
from ingest.flows.attempts import Attempts
from ingest.flows.bulk import analyse_in_bulk
from ingest.flows.conversation_run import ConversationRun, ItemResult, Services
from ingest.flows.effects import TRACER
from ingest.flows.evidence import Evidence, EvidenceReader
from ingest.flows.intake import CHUNK_SIZE, Intake
from ingest.flows.landing import Landing
from ingest.flows.outside import Outside
from ingest.flows.profile import annotator_profile
from ingest.flows.progress import Progress, Silent
from ingest.flows.push_report import PushReport
from ingest.flows.source import Source, SourceConversation
from ingest.flows.unexpected import unexpected
from ingest.settings import Settings

BULK_THRESHOLD = 1000


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
        self._reader = EvidenceReader(outside.store, outside.sink, self._attempts)
        self._flushing = asyncio.Lock()
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._tasks: set[asyncio.Task[None]] = set()
        self._report = PushReport()
        self._progress: Progress = outside.progress
        self._is_stopped = False

    def stop(self) -> None:
        """Take no more work; what is in flight ends and is landed."""
        self._is_stopped = True

    async def run(self, source: Source) -> PushReport:
        """Return the report once everything that could be done is landed."""
        options = self._options
        intake = Intake(
            source, options.shard, self._report, self._progress, lambda: self._is_stopped
        )
        count = await intake.validate()
        for stage in STAGES[: STAGES.index(options.until) + 1]:
            self._outside.progress.stage(stage.value, count)
        recovered = await self._landing.recover()
        self._report.fail_batches(recovered.failures)
        if recovered.landed:
            landed = f"landed {recovered.landed} batches that an earlier run had left"
            self._outside.progress.note(landed)
        services = await self._services()
        try:
            await self._run_dates(services, intake, is_bulk=self._is_bulk(count))
        except RemoteError:
            await self._land_what_ends()
            raise
        finally:
            await self._cancel()
        self._report.is_interrupted = self._is_stopped
        return self._report

    async def _run_dates(self, services: Services, intake: Intake, *, is_bulk: bool) -> None:
        date: dt.date | None = None
        async for items in intake.chunks(whole_dates=is_bulk):
            if items[0].batch_date != date:
                await self._drain()
                date = items[0].batch_date
            if is_bulk:
                submitted = await self._analyse_in_bulk(services, date, items)
                await self._run_chunks(replace(services, in_bulk=submitted), items)
            else:
                await self._run_chunks(services, items)
            if self._is_stopped:
                await self._drain()
        await self._drain()

    async def _services(self) -> Services:
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
            land_now=self._land_now,
            on_passed=self._show_passed,
        )

    def _is_bulk(self, count: int | None) -> bool:
        """Bulk operations are one at a time per region, so only a run alone may choose them."""
        if self._options.mode is not Mode.AUTO:
            return self._options.mode is Mode.BULK
        is_alone = self._options.shard.count == 1
        is_big = (count or 0) >= BULK_THRESHOLD
        return is_alone and self._options.reaches_analysis and is_big

    async def _analyse_in_bulk(
        self, services: Services, date: dt.date, items: Sequence[SourceConversation]
    ) -> frozenset[str]:
        """Return the ids that were left to the bulk operation."""
        for stage in STAGES:
            self._outside.progress.stage(stage.value, None)
        before, unanalysed = self._report, set[str]()
        self._report, self._progress = PushReport(), Silent()
        submitting = replace(services, until=Step.SUBMIT, on_unanalysed=unanalysed.add)
        await self._run_chunks(submitting, items)
        await self._drain()
        submitted, self._report = self._report, before
        self._progress = self._outside.progress
        self._report.effects.update(submitted.effects)
        # Adopted ones count too: a killed run may have left its bulk operation running, and
        # what that one analyses must not be asked for again singly.
        held = submitted.effects["submit_succeeded"] + submitted.effects["submit_adopted"]
        if self._is_stopped or not held:
            return frozenset(unanalysed)
        await analyse_in_bulk(
            self._outside,
            self._attempts,
            services.profile,
            date,
            self._settings.bulk_timeout_sec,
            lambda: self._is_stopped,
        )
        return frozenset(unanalysed)

    async def _run_chunks(self, services: Services, items: Sequence[SourceConversation]) -> None:
        for first in range(0, len(items), CHUNK_SIZE):
            await self._run_chunk(services, items[first : first + CHUNK_SIZE])

    async def _run_chunk(self, services: Services, chunk: Sequence[SourceConversation]) -> None:
        if self._is_stopped:
            self._report.count(ItemState.INTERRUPTED, len(chunk))
            return
        ids = [item.conversation_id for item in chunk]
        evidence = await self._reader.read(chunk[0].batch_date, ids)
        for item in chunk:
            await self._slots.acquire()
            self._raise_of_ended()
            if self._is_stopped:
                self._slots.release()
                self._report.count(ItemState.INTERRUPTED)
                continue
            self._tasks.add(asyncio.create_task(self._run_item(services, evidence, item)))

    async def _run_item(
        self, services: Services, evidence: Evidence, item: SourceConversation
    ) -> None:
        try:
            with TRACER.start_as_current_span("conversation") as span:
                span.set_attribute("conversation_id", item.conversation_id)
                span.set_attribute("run_id", self._options.run_id)
                result = await ConversationRun(services, evidence, item).run()
                span.set_attribute("state", result.state.value)
            self._take_or_lose(result)
            # Landing happens in the slot: when it is slow, no more rows are made meanwhile.
            if self._landing.is_full:
                await self._flush()
        finally:
            self._slots.release()

    def _take_or_lose(self, result: ItemResult) -> None:
        try:
            self._take(result)
        except Exception as error:  # noqa: BLE001 - one conversation never ends the run
            self._lose(result, unexpected(error))

    def _show_passed(self, step: Step) -> None:
        self._progress.advance(step.value)

    def _take(self, result: ItemResult) -> None:
        self._report.faults += result.faults
        for step, outcome in result.steps_done.items():
            self._report.effects[f"{step.value}_{outcome.value}"] += 1
        if result.rows:
            self._landing.add(
                result.rows,
                lambda: self._settle(result),
                lambda error: self._lose(result, error),
            )
            result.rows.clear()
        else:
            self._settle(result)

    def _settle(self, result: ItemResult) -> None:
        for stage in STAGES[: STAGES.index(self._options.until) + 1]:
            if stage not in result.steps_passed:
                self._progress.advance(stage.value)
        self._progress.quota(self._outside.admission.use())
        self._report.settle(result)

    def _lose(self, result: ItemResult, error: RemoteError) -> None:
        failure = result.failure or Failure(
            result.conversation_id, Step.LAND, error.code, error.message
        )
        self._report.fail([failure])

    async def _drain(self) -> None:
        """Wait for what runs and land it."""
        while self._tasks:
            await asyncio.wait(self._tasks)
            self._raise_of_ended()
        await self._flush()

    async def _land_what_ends(self) -> None:
        """Let what runs end, and land it, when the run itself can't go on."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._flush()

    def _raise_of_ended(self) -> None:
        ended = {task for task in self._tasks if task.done()}
        self._tasks -= ended
        for task in ended:
            task.result()

    async def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _land_now(self, rows: list[RawRow]) -> None:
        ends: list[RemoteError | None] = []
        self._landing.add(rows, lambda: ends.append(None), ends.append)
        await self._flush(unless=lambda: bool(ends))
        if ends[0] is not None:
            raise ends[0]

    async def _flush(self, unless: Callable[[], bool] = lambda: False) -> None:
        async with self._flushing:
            # Those who wait here together are landed by the first of them.
            if unless():
                return
            landed = await self._landing.flush()
        for table, rows in landed.items():
            self._report.effects[f"rows_{table}"] += rows
