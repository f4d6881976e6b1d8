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
import contextlib
import datetime as dt
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from ingest.domain.conversation import Shard
from ingest.domain.declarations import NOTHING_DECLARED, Declarations
from ingest.domain.faults import has_errors
from ingest.domain.outcome import STAGES, Failure, ItemState, Outcome, Step
from ingest.domain.raw_records import (
    MAX_MESSAGE_CHARS,
    PIPELINE_EVENTS,
    RawRow,
    StepEvent,
    event_row,
    refusal,
)
from ingest.enums import Foreign, Mode
from ingest.errors import InputError, RemoteError, unexpected
from ingest.flows.analysis import Analyst, BulkBatch, analyse_in_bulk, annotator_profile
from ingest.flows.attempts import Attempts
from ingest.flows.conversation_run import ConversationRun, ItemResult, PushReport, RunContext
from ingest.flows.evidence import FORGOTTEN_CODE, Evidence, EvidenceReader, OpenRefusals
from ingest.flows.forget import Forget, take_up
from ingest.flows.landing import Landing
from ingest.flows.lease import date_lease
from ingest.flows.redaction import RedactedSource, Redaction
from ingest.flows.selection import CHUNK_SIZE, Selection
from ingest.flows.services import Admission, Calls, Progress, Services
from ingest.flows.source import Source, SourceConversation
from ingest.flows.steps import span
from ingest.flows.watch import FAILED, ShownStages, Watch
from ingest.settings import Settings

_OF_FIRST_PASS = (Step.UPLOAD, Step.SUBMIT)
"""What a bulk run shows while it submits; the other stages come when all is analysed."""


class BatchLanding:
    """The report of a push; a conversation with rows counts once they are landed."""

    def __init__(
        self,
        landing: Landing,
        progress: Progress,
        admission: Admission,
        until: Step,
        assert_held: Callable[[], Awaitable[None]],
    ) -> None:
        self._landing = landing
        self._progress = progress
        self._admission = admission
        self._stages = STAGES[: STAGES.index(until) + 1]
        self.shown = ShownStages(progress, self._stages)
        self._assert_held = assert_held
        self._flushing = asyncio.Lock()
        self.report = PushReport()
        self._whole = self.report
        self._has_failed = False
        self._told: frozenset[Failure] = frozenset()
        """Failures of the first pass; where they come again they are no more events."""

    def begin_first_pass(self) -> None:
        """Count what comes now apart, since its conversations come once more to be analysed."""
        self._whole, self.report = self.report, PushReport()
        self.shown.stages = _OF_FIRST_PASS

    def end_first_pass(self) -> None:
        """Keep of the first pass what was done; states are counted by the second."""
        self._whole.effects.update(self.report.effects)
        self._told = frozenset(self.report.failures)
        self.report = self._whole
        self.shown.stages = tuple(step for step in self._stages if step not in _OF_FIRST_PASS)

    def take(self, result: ItemResult) -> None:
        """Take what a conversation came to; what can't be landed fails it alone."""
        try:
            self._take(result)
        except Exception as error:  # noqa: BLE001 - one conversation never ends the run
            self._lose(result, unexpected(error))

    def add_events(self, events: Sequence[StepEvent], run_id: str) -> None:
        """Land these events with what comes next; what can't be landed is a failed batch."""
        for event in events:
            self._landing.add([event_row(event, run_id)], lambda: None, self._lose_event)

    def _lose_event(self, error: RemoteError) -> None:
        self.report.fail_batches([Failure("", Step.LAND, error.code, error.message)])

    async def flush_when_full(self) -> None:
        """Land what was taken, once that is a batch."""
        if self._landing.is_full:
            await self.flush()

    async def land_now(self, rows: list[RawRow]) -> None:
        """Return once the rows are landed; raise RemoteError when they can't be."""
        ends: list[RemoteError | None] = []
        self._landing.add(rows, lambda: ends.append(None), ends.append)
        await self.flush(unless=lambda: bool(ends))
        if ends[0] is not None:
            raise ends[0]

    async def flush(self, unless: Callable[[], bool] = lambda: False) -> None:
        """Land what was taken."""
        async with self._flushing:
            # Those who wait here together are landed by the first of them.
            if unless():
                return
            await self._assert_held()
            landed = await self._landing.flush()
        self._progress.quota(self._admission.use())
        for table, rows in landed.items():
            self.report.effects[f"rows_{table}"] += rows

    def _take(self, result: ItemResult) -> None:
        self.report.faults += result.faults
        for step, outcome in result.steps_done.items():
            self.report.effects[f"{step.value}_{outcome.value}"] += 1
        if result.failure in self._told:
            result.rows = [row for row in result.rows if not _is_failure(row)]
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
        if result.state is ItemState.FAILED:
            self._show_failed()
        elif result.state is not ItemState.INTERRUPTED:
            for stage in self._stages:
                if stage not in result.steps_passed:
                    self.shown.advance(stage.value)
        self.report.settle(result)

    def _show_failed(self) -> None:
        """Count it apart: the stages that it came to were passed, and no other."""
        if self.report is not self._whole:
            return  # it comes once more
        if not self._has_failed:
            self._has_failed = True
            self._progress.stage(FAILED, None)
        self._progress.advance(FAILED)

    def _lose(self, result: ItemResult, error: RemoteError) -> None:
        lost = Failure(result.conversation_id, Step.LAND, error.code, error.message)
        self._show_failed()
        # That it was forgotten explains whatever failed before.
        failure = lost if error.code == FORGOTTEN_CODE else result.failure or lost
        self.report.fail([failure])

    def interrupt(self, count: int = 1) -> None:
        """Count conversations that a stopped push doesn't take."""
        self.report.count(ItemState.INTERRUPTED, count)


def _is_failure(row: RawRow) -> bool:
    return row.table == PIPELINE_EVENTS and row.values["outcome"] == Outcome.FAILED


GRACE_SEC = 4.0
"""What is in flight has that long to end once the run is told to stop."""
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
    foreign: Foreign = Foreign.REFUSE
    allow_return: bool = False
    waits: bool = False
    """Whether it waits for a run that has a date folder of it, and doesn't end at once."""
    declared: Declarations = NOTHING_DECLARED
    """Words and fields that the user declares, and whether a warning keeps a conversation out."""

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

    def __init__(self, services: Services, settings: Settings, options: PushOptions) -> None:
        self._attempts = Attempts(services.clock, settings.step_budget_sec, services.rng)
        self._watch = Watch(
            services.progress,
            services.clock,
            services.admission,
            self._attempts,
            services.calls or Calls(services.clock),
            settings.rpc_timeout_sec,
            settings.step_budget_sec,
            services.lease.say,
        )
        services = replace(services, progress=self._watch)
        self._services = services
        self._settings = settings
        self._options = options
        self._landing = Landing(
            services.store, services.sink, services.clock, self._attempts, options.run_id
        )
        self._batches = BatchLanding(
            self._landing,
            services.progress,
            services.admission,
            options.until,
            services.lease.assert_held,
        )
        self._forget = Forget(services, self._attempts, self._landing, options.run_id)
        self._forgotten: set[str] = set()
        """Ids that were forgotten while this push runs."""
        self._in_flight: set[str] = set()
        self._reader = EvidenceReader(services.store, services.sink, self._attempts, services.clock)
        self._open_refusals = OpenRefusals(services.sink, self._attempts)
        self._slots = asyncio.Semaphore(settings.concurrency * len(settings.places))
        self._tasks: set[asyncio.Task[None]] = set()
        self._errors: list[BaseException] = []
        self._not_landed: set[str] = set()
        self._is_stopped = False
        self._stoppable: set[asyncio.Task[None]] = set()
        """Those that have nothing to lose but what they wait for."""
        self._in_bulk: asyncio.Task[None] | None = None
        self._hurrying: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Take no more work; what is in flight has a few seconds to end, and is landed."""
        self._is_stopped = True
        self._services.lease.interrupt()
        self._hurrying = asyncio.get_running_loop().create_task(self._hurry())

    def so_far(self) -> str:
        """Return how many conversations have passed each stage."""
        return self._watch.counts()

    async def _hurry(self) -> None:
        with contextlib.suppress(RemoteError):
            await self._services.lease.sign()
        await self._services.clock.sleep(GRACE_SEC)
        for task in (*self._stoppable, *([self._in_bulk] if self._in_bulk else [])):
            task.cancel()

    async def run(self, source: Source) -> PushReport:
        """Return the report once everything that could be done is landed.

        Raises HeldError where another run has a date folder of the source.
        """
        async with self._services.lease.running(self._see_what_was_forgotten):
            try:
                return await self._watch.beside(self._run(source))
            finally:
                if self._hurrying is not None:
                    self._hurrying.cancel()

    async def _run(self, source: Source) -> PushReport:
        options, report = self._options, self._batches.report
        progress = self._services.progress
        source = self._redacted(source)
        selection = Selection(
            source,
            options.shard,
            report,
            progress,
            lambda: self._is_stopped,
            self._services.clock.now,
            options.declared,
        )
        count = await selection.validate()
        await self._take(selection.dates)
        for stage in STAGES[: STAGES.index(options.until) + 1]:
            progress.stage(stage.value, count)
        recovered = await take_up(self._services, self._attempts, self._landing)
        report.fail_batches(recovered.failures)
        if recovered.landed:
            progress.note(f"landed {recovered.landed} batches that an earlier run had left")
        if selection.has_seen_all and options.shard.index == 0:
            selection.settle_refusals(await self._open_refusals.of(selection.dates))
        await self._take_refused(selection)
        if options.allow_return:
            await selection.look_ahead()
        context = replace(await self._context(), is_last_of=selection.is_last_of)
        try:
            await self._run_all(context, selection, is_bulk=self._is_bulk(count))
        except RemoteError:
            await self._land_what_ends()
            raise
        finally:
            await self._cancel()
        await self._forget.erase_what_came_later()
        report.is_interrupted = self._is_stopped
        return report

    def _redacted(self, source: Source) -> Source:
        """Return the source as every later step sees it."""
        services = self._services
        if services.redacting is None:
            return source
        declared = self._options.declared
        redaction = Redaction(
            services.store, self._attempts, services.redacting, declared, keeps=True
        )
        return RedactedSource(source, redaction)

    async def _take(self, dates: Iterable[dt.date]) -> None:
        names = [date_lease(date, self._options.shard) for date in dates]
        await self._services.lease.take(names, waits=self._options.waits)

    async def _see_what_was_forgotten(self) -> None:
        """Erase what this push has made of conversations that were forgotten meanwhile.

        What is in flight is erased when it has ended.
        """
        new = await self._forget.noted_ids() - self._forgotten
        self._forgotten |= new
        for conversation_id in new:
            if conversation_id not in self._in_flight:
                await self._forget.erase(conversation_id)

    async def _run_all(self, context: RunContext, selection: Selection, *, is_bulk: bool) -> None:
        async for items in selection.chunks(BULK_THRESHOLD if is_bulk else None):
            if is_bulk:
                await self._drain()
                submitted = await self._analyse_in_bulk(context, items)
                await self._run_chunks(replace(context, in_bulk=submitted), items)
            else:
                await self._run_chunks(context, items)
            await self._take_refused(selection)
            if self._is_stopped:
                await self._drain()
        await self._take_refused(selection)
        await self._drain()

    async def _take_refused(self, selection: Selection) -> None:
        events = await self._not_told(selection.take_refused())
        self._batches.add_events(events, self._options.run_id)

    async def _not_told(self, events: Sequence[StepEvent]) -> list[StepEvent]:
        """Return those but for refusals that the folder's newest event tells already."""
        told = await self._open_refusals.of({one.batch_date for one in events if one.batch_date})
        return [
            one
            for one in events
            if one.batch_date is None
            or told.get((one.batch_date, one.conversation_id))
            != (one.error_code, (one.error_message or "")[:MAX_MESSAGE_CHARS] or None)
        ]

    async def _context(self) -> RunContext:
        services = self._services
        profile = await annotator_profile(
            services.insights,
            self._attempts,
            services.progress,
            summarization=self._options.summarization,
        )
        return RunContext(
            store=services.store,
            insights=services.insights,
            analyst=Analyst(
                services.insights,
                services.clock,
                self._attempts,
                profile,
                self._settings.analysis_timeout_sec,
            ),
            clock=services.clock,
            attempts=self._attempts,
            progress=self._batches.shown,
            run_id=self._options.run_id,
            profile=profile,
            until=self._options.until,
            land_now=self._batches.land_now,
            landed_analyses=self._reader.landed_analyses,
            foreign=self._options.foreign,
            declared=self._options.declared,
            allow_return=self._options.allow_return,
            is_forgotten=self._forgotten.__contains__,
            is_stopped=lambda: self._is_stopped,
        )

    def _is_bulk(self, count: int | None) -> bool:
        """Bulk operations are one at a time per region, so only a run alone may choose them."""
        if self._options.mode is not Mode.AUTO:
            return self._options.mode is Mode.BULK
        is_alone = self._options.shard.count == 1
        is_big = (count or 0) >= BULK_THRESHOLD
        return is_alone and self._options.reaches_analysis and is_big

    async def _analyse_in_bulk(
        self, context: RunContext, items: Sequence[SourceConversation]
    ) -> frozenset[str]:
        """Return the ids that were left to bulk operations."""
        unanalysed = set[str]()
        submitting = replace(context, until=Step.SUBMIT, on_unanalysed=unanalysed.add)
        self._batches.begin_first_pass()
        self._watch.comes_in_bulk = True
        await self._run_chunks(submitting, items)
        await self._drain()
        self._watch.comes_in_bulk = False
        self._batches.end_first_pass()
        ids_by_date: dict[dt.date, set[str]] = {}
        for item in items:
            if item.conversation_id in unanalysed:
                ids_by_date.setdefault(item.batch_date, set()).add(item.conversation_id)
        fewest = 1 if self._options.mode is Mode.BULK else _FEWEST_OF_A_DATE
        for date, ids in ids_by_date.items():
            if self._is_stopped:
                break
            if len(ids) >= fewest:
                batch = BulkBatch(date, frozenset(ids), self._options.run_id)
                await self._wait_for_bulk(context, batch)
        return frozenset(unanalysed)

    async def _wait_for_bulk(self, context: RunContext, batch: BulkBatch) -> None:
        self._in_bulk = asyncio.create_task(
            analyse_in_bulk(
                self._services,
                self._attempts,
                context.profile,
                batch,
                self._settings.bulk_timeout_sec,
                lambda: self._is_stopped,
                self._watch.set_operation,
            )
        )
        try:
            await self._in_bulk
        except asyncio.CancelledError:
            # The operation goes on, and the next run waits for it.
            if not (self._is_stopped and self._in_bulk.cancelled()):
                raise
        finally:
            self._watch.set_operation("")

    async def _run_chunks(self, context: RunContext, items: Sequence[SourceConversation]) -> None:
        chunk: dict[str, SourceConversation] = {}
        for item in items:
            if len(chunk) == CHUNK_SIZE or item.conversation_id in chunk:
                await self._run_chunk(context, list(chunk.values()))
                chunk = {}
            chunk[item.conversation_id] = item
        if chunk:
            await self._run_chunk(context, list(chunk.values()))

    async def _run_chunk(self, context: RunContext, chunk: Sequence[SourceConversation]) -> None:
        if self._is_stopped:
            self._batches.interrupt(len(chunk))
            return
        await self._services.lease.assert_held()
        await self._take({item.batch_date for item in chunk})
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
                self._batches.interrupt()
                continue
            self._in_flight.add(item.conversation_id)
            task = asyncio.create_task(self._run_item(context, evidence, item))
            self._tasks.add(task)
            task.add_done_callback(self._take_ended)

    async def _run_item(
        self, context: RunContext, evidence: Evidence, item: SourceConversation
    ) -> None:
        try:
            with span("conversation") as told:
                told.set_attribute("conversation_id", item.conversation_id)
                told.set_attribute("run_id", self._options.run_id)
                result = await self._until_stopped(ConversationRun(context, evidence, item))
                told.set_attribute("state", result.state.value)
            if result.state is ItemState.INVALID and has_errors(result.faults):
                now = self._services.clock.now()
                event = refusal(item.conversation_id, item.batch_date, result.faults, now)
                new = await self._not_told([event])
                result.rows += [event_row(one, self._options.run_id) for one in new]
            self._batches.take(result)
            # Landing happens in the slot: when it is slow, no more rows are made meanwhile.
            await self._batches.flush_when_full()
        finally:
            self._in_flight.discard(item.conversation_id)
            self._slots.release()
        if item.conversation_id in self._forgotten:
            await self._forget.erase(item.conversation_id)

    async def _until_stopped(self, one: ConversationRun) -> ItemResult:
        task: asyncio.Task[None] | None = asyncio.current_task()
        if task is None:
            return await one.run()
        self._stoppable.add(task)
        try:
            return await one.run()
        finally:
            self._stoppable.discard(task)

    async def _drain(self) -> None:
        """Wait for what runs and land it."""
        while self._tasks:
            ended, self._tasks = await asyncio.wait(self._tasks)
            for task in ended:
                task.result()
        await self._batches.flush()
        self._not_landed.clear()

    async def _land_what_ends(self) -> None:
        """Let what runs end, and land it, when the run itself can't go on."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._batches.flush()

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
