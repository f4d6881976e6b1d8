"""Push: every conversation of a source through upload, submit, analyse and land.

All conversations are validated first. Then each goes through its own steps, many at a time; what
they did is landed by the batch. Dates are taken one after the other, so that a conversation that
is delivered twice meets the evidence of its first delivery.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import batched, groupby

from ingest.domain.annotators import AnnotatorProfile
from ingest.domain.conversation import FileKind, Metadata, Transcription
from ingest.domain.fault import Fault
from ingest.domain.matchers import is_ours
from ingest.domain.outcome import STAGES, BatchReport, Failure, ItemState, Step
from ingest.domain.sharding import Shard
from ingest.domain.validation import check_conversation, has_errors, parse_file
from ingest.errors import RemoteError
from ingest.flows.analysis import Analyst
from ingest.flows.attempts import Attempts
from ingest.flows.conversation_run import ConversationRun, ItemResult, Services
from ingest.flows.evidence import Evidence, EvidenceReader
from ingest.flows.landing import Landing
from ingest.flows.outside import Outside
from ingest.flows.source import LocalSource, SourceConversation
from ingest.settings import Settings

CHUNK_SIZE = 500


@dataclass(frozen=True)
class PushOptions:
    """What one push does."""

    run_id: str
    until: Step = Step.LAND
    shard: Shard = field(default_factory=Shard)
    summarization: bool = False


@dataclass
class PushReport(BatchReport):
    """The batch's outcome with the faults of its files."""

    faults: list[Fault] = field(default_factory=list)


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
        self._report = PushReport()
        self._is_stopped = False

    def stop(self) -> None:
        """Take no more work; what is in flight ends and is landed."""
        self._is_stopped = True

    async def run(self, source: LocalSource) -> PushReport:
        """Return the report once everything that could be done is landed."""
        count, invalid = self._validate(source)
        for stage in STAGES[: STAGES.index(self._options.until) + 1]:
            self._outside.progress.stage(stage.value, count - len(invalid))
        recovered = await self._landing.recover()
        if recovered:
            self._outside.progress.note(f"landed {recovered} batches that an earlier run had left")
        services = await self._services()
        items = (item for item in self._items(source) if _key(item) not in invalid)
        for _, of_date in groupby(items, key=lambda item: item.batch_date):
            await self._run_date(services, of_date)
        self._report.is_interrupted = self._is_stopped
        return self._report

    def _validate(self, source: LocalSource) -> tuple[int, set[tuple[dt.date, str]]]:
        progress = self._outside.progress
        progress.stage(Step.VALIDATE.value, None)
        count = 0
        invalid: set[tuple[dt.date, str]] = set()
        for entry in source.walk():
            if isinstance(entry, Fault):
                if self._options.shard.index == 0:
                    self._report.faults.append(entry)
                    self._report.count(ItemState.INVALID)
                continue
            if not self._options.shard.takes(entry.conversation_id):
                continue
            count += 1
            faults = conversation_faults(entry)
            self._report.faults += faults
            if has_errors(faults):
                invalid.add(_key(entry))
                self._report.count(ItemState.INVALID)
            progress.advance(Step.VALIDATE.value)
        progress.stage(Step.VALIDATE.value, count)
        return count, invalid

    def _items(self, source: LocalSource) -> Iterator[SourceConversation]:
        for entry in source.walk():
            if isinstance(entry, SourceConversation) and self._options.shard.takes(
                entry.conversation_id
            ):
                yield entry

    async def _services(self) -> Services:
        outside = self._outside
        profile = await self._profile()
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
            profile_sha256=profile.sha256,
            until=self._options.until,
        )

    async def _profile(self) -> AnnotatorProfile:
        held = (await self._attempts.run(self._outside.insights.list_matchers)).value
        ours = tuple(matcher.applied for matcher in held if is_ours(matcher.version_tag))
        if not ours:
            self._outside.progress.note(
                "CI holds no phrase matchers of this project: run `ingest matchers apply` first "
                "if you want phrase matches"
            )
        return AnnotatorProfile(self._options.summarization, ours)

    async def _run_date(self, services: Services, items: Iterable[SourceConversation]) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                for chunk in batched(items, CHUNK_SIZE, strict=False):
                    await self._run_chunk(services, chunk, tasks)
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        await self._flush()

    async def _run_chunk(
        self, services: Services, chunk: Sequence[SourceConversation], tasks: asyncio.TaskGroup
    ) -> None:
        if self._is_stopped:
            self._report.count(ItemState.INTERRUPTED, len(chunk))
            return
        evidence = await self._reader.read(
            chunk[0].batch_date, chunk[0].conversation_id, chunk[-1].conversation_id
        )
        for item in chunk:
            await self._slots.acquire()
            if self._is_stopped:
                self._slots.release()
                self._report.count(ItemState.INTERRUPTED)
            else:
                tasks.create_task(self._run_item(services, evidence, item))

    async def _run_item(
        self, services: Services, evidence: Evidence, item: SourceConversation
    ) -> None:
        try:
            result = await ConversationRun(services, evidence, item).run()
        finally:
            self._slots.release()
        self._report.faults += result.faults
        for step, outcome in result.steps_done.items():
            self._report.effects[f"{step.value}_{outcome.value}"] += 1
        if result.rows:
            self._landing.add(
                result.rows,
                lambda: self._settle(result),
                lambda error: self._lose(result, error),
            )
        else:
            self._settle(result)
        if self._landing.is_full:
            await self._flush()

    def _settle(self, result: ItemResult) -> None:
        for stage in STAGES[: STAGES.index(self._options.until) + 1]:
            self._outside.progress.advance(stage.value)
        if result.failure is not None:
            self._report.fail([result.failure])
        else:
            self._report.count(result.state)

    def _lose(self, result: ItemResult, error: RemoteError) -> None:
        failure = result.failure or Failure(
            result.conversation_id, Step.LAND, error.code, error.message
        )
        self._report.fail([failure])

    async def _flush(self) -> None:
        async with self._flushing:
            landed = await self._landing.flush()
        for table, rows in landed.items():
            self._report.effects[f"rows_{table}"] += rows


def conversation_faults(entry: SourceConversation) -> list[Fault]:
    """Return all faults of one conversation folder; a missing file is not judged here."""
    contents, faults = entry.read()
    metadata: Metadata | None = None
    transcription: Transcription | None = None
    for kind, content in contents.items():
        parsed, found = parse_file(kind, content, entry.path_of(kind))
        faults += found
        if isinstance(parsed, Metadata):
            metadata = parsed
        elif isinstance(parsed, Transcription):
            transcription = parsed
    faults += check_conversation(entry.conversation_id, entry.batch_date, metadata, transcription)
    if not contents and not faults:
        faults.append(
            Fault(
                f"{entry.batch_date}/{entry.conversation_id}",
                "",
                "missing_file",
                "the folder holds neither metadata.json nor transcription.json",
                f"add {FileKind.METADATA.value}.json and {FileKind.TRANSCRIPTION.value}.json",
            )
        )
    return faults


def _key(item: SourceConversation) -> tuple[dt.date, str]:
    return item.batch_date, item.conversation_id
