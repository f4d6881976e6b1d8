"""Takes one conversation through the steps that it still needs, and says what was done.

Every step first looks at evidence, so it does nothing twice; every step that did something, or
failed, leaves an event. Rows and events of one conversation are landed together.

A conversation may be delivered more than once, in one date folder or in several, and its files
apart. What counts is the newest version of each file by GCS generation, wherever it lies: so
pushing an older delivery again changes nothing, and a late file meets the one it belongs to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from ingest.domain.annotators import (
    AnnotatorProfile,
)
from ingest.domain.conversation import DeliveredFile, FileKind, source_objects
from ingest.domain.insights_format import CiSubmission, submission_of
from ingest.domain.outcome import STAGES, BatchReport, Failure, ItemState, Outcome, Step
from ingest.domain.raw_records import ORIGIN_MARK, RawRow, file_row
from ingest.domain.validation import Fault, check_files, deliver_file, has_errors
from ingest.enums import Foreign
from ingest.errors import IngestError, RemoteError, unexpected
from ingest.flows.analysis import Analysed, Analyst, older_analysis_rows, state_row
from ingest.flows.attempts import Attempts
from ingest.flows.ci_submission import Submitting
from ingest.flows.evidence import (
    FORGOTTEN_CODE,
    FORGOTTEN_MESSAGE,
    Evidence,
    FileVersion,
    LandedState,
)
from ingest.flows.services import Progress
from ingest.flows.source import SourceConversation, place_of, read_delivery
from ingest.flows.steps import Done, StepFailedError, Steps
from ingest.ports.move import (
    CiConversation,
    Clock,
    InsightsApi,
    ObjectStore,
    StoredObject,
)


@dataclass
class ItemResult:
    """What one conversation came to; `rows` are yet to be landed."""

    conversation_id: str
    state: ItemState
    rows: list[RawRow] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    failure: Failure | None = None
    steps_done: dict[Step, Outcome] = field(default_factory=dict)
    steps_passed: frozenset[Step] = frozenset()


@dataclass(frozen=True)
class RunContext:
    """The outside, as the steps need it.

    `land_now` returns once rows are landed, and raises RemoteError when they can't be.
    """

    store: ObjectStore
    insights: InsightsApi
    analyst: Analyst
    clock: Clock
    attempts: Attempts
    progress: Progress
    run_id: str
    profile: AnnotatorProfile
    until: Step
    land_now: Callable[[list[RawRow]], Awaitable[None]]
    landed_analyses: Callable[[str], Awaitable[set[str]]]
    """Returns the names of the analyses of a conversation that raw rows hold."""
    on_unanalysed: Callable[[str], None] = lambda _: None
    """Told the id of a conversation that Insights holds now and that has no analysis yet."""
    foreign: Foreign = Foreign.REFUSE
    allow_return: bool = False
    """Whether content that a later delivery replaced may come back."""
    is_forgotten: Callable[[str], bool] = lambda _: False
    """Whether a conversation was forgotten since the evidence was read."""
    is_stopped: Callable[[], bool] = lambda: False
    """Whether a run that is cancelled was told to stop: what was done then counts."""
    in_bulk: frozenset[str] = frozenset()
    """Ids that this run has submitted, with their events, and had analysed by a bulk operation."""


class ConversationRun:
    """One conversation in one run."""

    def __init__(self, context: RunContext, evidence: Evidence, source: SourceConversation) -> None:
        self._context = context
        self._evidence = evidence
        self._source = source
        self._id = source.conversation_id
        self._landed_state: LandedState | None = evidence.landed_state_by_id.get(self._id)
        self._steps = Steps(
            context.clock, context.attempts, context.run_id, self._id, source.batch_date
        )
        self._passed: set[Step] = set()
        self._faults: list[Fault] = []
        self._delivered: Mapping[FileKind, DeliveredFile] = {}
        self._names = source_objects(source.batch_date, self._id)
        self._chosen: dict[FileKind, FileVersion] = {}

    async def run(self) -> ItemResult:
        """Return the result; errors of remote services and unforeseen ones become the item's
        failure."""
        failure = None
        if self._id in self._evidence.forgotten_ids:
            state, failure = ItemState.FAILED, self._forgotten()
        else:
            try:
                state = await self._run_steps()
            except StepFailedError as failed:
                state, failure = ItemState.FAILED, failed.failure
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or not self._context.is_stopped():
                    raise
                task.uncancel()
                state = ItemState.INTERRUPTED
            except IngestError:
                raise
            except Exception as error:  # noqa: BLE001 - one conversation never ends the run
                state, failure = ItemState.FAILED, self._steps.fail(self._next(), unexpected(error))
        return ItemResult(
            self._id,
            state,
            self._steps.all_rows(),
            self._faults,
            failure,
            self._steps.done,
            frozenset(self._passed),
        )

    async def _run_steps(self) -> ItemState:
        try:
            delivery = await read_delivery(self._source)
        except RemoteError as error:
            raise StepFailedError(self._steps.fail(Step.UPLOAD, error)) from error
        self._delivered = delivery.files
        for kind, file in delivery.files.items():
            self._steps.hashes[kind] = file.sha256
        if not delivery.is_usable:
            self._faults += delivery.faults
            return ItemState.INVALID
        outdated = [kind for kind in self._delivered if self._goes_back(kind)]
        if outdated and not self._context.allow_return:
            self._faults += [self._outdated(kind) for kind in outdated]
            return ItemState.OUTDATED
        self._refuse_forgotten()
        for kind in FileKind:
            await self._upload(kind)
        self._pass(Step.UPLOAD)
        missing = next((kind for kind in FileKind if kind not in self._chosen), None)
        if missing is not None:
            self._wait_for(missing)
            return ItemState.WAITING
        if self._context.until is not Step.UPLOAD and not self._is_in_place():
            submission = await self._submission()
            if submission is None:
                return ItemState.INVALID
            await self._submit_and_analyse(submission)
        return ItemState.DONE if self._has_done_something() else ItemState.UNCHANGED

    def _has_done_something(self) -> bool:
        return bool(self._steps.rows or self._steps.events)

    def _pass(self, step: Step) -> None:
        self._passed.add(step)
        self._context.progress.advance(step.value)

    def _next(self) -> Step:
        return next((step for step in STAGES if step not in self._passed), Step.LAND)

    def _refuse_forgotten(self) -> None:
        if self._context.is_forgotten(self._source.conversation_id):
            raise StepFailedError(self._forgotten())

    def _forgotten(self) -> Failure:
        return Failure(
            self._id,
            Step.UPLOAD,
            FORGOTTEN_CODE,
            FORGOTTEN_MESSAGE,
        )

    def _wait_for(self, missing: FileKind) -> None:
        self._faults.append(
            Fault(
                place_of(self._source, missing),
                "",
                "missing_file",
                "the conversation waits for this file; it isn't submitted half",
                f"add {missing.value}.json and push again",
            )
        )
        if self._has_done_something():
            self._steps.add_event(
                Step.SUBMIT,
                Outcome.WAITING,
                self._context.clock.now(),
                reason=f"waiting_for_{missing.value}",
            )

    def _goes_back(self, kind: FileKind) -> bool:
        """Whether the delivered file is an earlier version of what counts now.

        A later date folder than that of what counts is a new delivery, whatever it holds.
        """
        file, key = self._delivered[kind], (self._id, kind.value)
        current = self._evidence.newest_file_by_id.get(key)
        live = self._live(kind)
        if live is not None and kind not in self._source.stored:
            version = self._version_of(live, live.content_sha256)
            if current is None or current.generation < version.generation:
                current = version
        return (
            current is not None
            and current.content_sha256 != file.sha256
            and (live is None or live.content_sha256 != file.sha256 or kind in self._source.stored)
            and file.sha256 in self._evidence.hashes_by_id.get(key, ())
            and self._source.batch_date <= current.batch_date
        )

    def _live(self, kind: FileKind) -> StoredObject | None:
        return self._source.stored.get(kind) or self._evidence.objects_by_name.get(
            self._names[kind]
        )

    def _outdated(self, kind: FileKind) -> Fault:
        return Fault(
            place_of(self._source, kind),
            "",
            "earlier_version",
            "the file is an earlier version of what is there, which would go back to it",
            "leave it, or add --allow-return: changed words are analysed and billed again",
        )

    async def _upload(self, kind: FileKind) -> None:
        """Have the bucket hold the delivered file, and choose the version of it that counts."""
        name = self._names[kind]
        held = self._live(kind)
        file = self._delivered.get(kind)
        if file is not None:
            held = await self._have_stored(file, name, held)
            version = self._version_of(held, file.sha256)
            if version.landed_at is None:
                self._add_row(file, held)
            self._choose(kind, version)
        elif held is not None:
            self._choose(kind, self._version_of(held, held.content_sha256))
        landed = self._evidence.newest_file_by_id.get((self._id, kind.value))
        if landed is not None:
            self._choose(kind, landed)

    async def _have_stored(
        self, file: DeliveredFile, name: str, held: StoredObject | None
    ) -> StoredObject:
        is_own_object = file.kind in self._source.stored
        if held is not None and (is_own_object or held.content_sha256 == file.sha256):
            return held
        upload = _Upload(self._context.store, name, file, held)
        origin = self._source.origins.get(file.kind)
        return await self._steps.run(
            Step.UPLOAD, upload.attempt, f"{ORIGIN_MARK}{origin}" if origin else None
        )

    def _version_of(self, held: StoredObject, content_sha256: str | None) -> FileVersion:
        uri = self._uri(held.name)
        landed = self._evidence.landed_files.get((uri, held.generation))
        return landed or FileVersion(held.generation, uri, self._source.batch_date, content_sha256)

    def _choose(self, kind: FileKind, version: FileVersion) -> None:
        chosen = self._chosen.get(kind)
        if chosen is None or chosen.generation < version.generation:
            self._chosen[kind] = version

    def _uri(self, name: str) -> str:
        return f"gs://{self._context.store.bucket}/{name}"

    def _add_row(self, file: DeliveredFile, held: StoredObject) -> None:
        self._steps.rows.append(
            file_row(
                conversation_id=self._id,
                batch_date=self._source.batch_date,
                kind=file.kind,
                uri=self._uri(held.name),
                generation=held.generation,
                crc32c=held.crc32c,
                size_bytes=held.size_bytes,
                content_sha256=file.sha256,
                payload=file.payload,
            )
        )

    def _is_in_place(self) -> bool:
        """Whether a landed state tells of the version that counts.

        The state must have been landed with these files or after them: an older one may tell of
        the same content from before another version came and went.
        """
        landed = self._landed_state
        if landed is None:
            return False
        told_of = {
            FileKind.METADATA: landed.metadata_sha256,
            FileKind.TRANSCRIPTION: landed.transcript_sha256,
        }
        is_held = all(
            file.content_sha256 == told_of[kind]
            and file.landed_at is not None
            and file.landed_at <= landed.landed_at
            for kind, file in self._chosen.items()
        )
        is_analysed = self._context.profile.is_met_by(landed.annotator_profile_sha256)
        return is_held and (is_analysed or self._context.until is Step.SUBMIT)

    async def _submission(self) -> CiSubmission | None:
        """Return the version that counts; None when its files don't fit (see `_faults`)."""
        files: dict[FileKind, DeliveredFile] = {}
        for kind, chosen in self._chosen.items():
            file = await self._file(kind, chosen)
            if file is None:
                return None
            files[kind] = file
        batch_date = max(chosen.batch_date for chosen in self._chosen.values())
        if files != self._delivered or batch_date != self._source.batch_date:
            faults = check_files(self._id, batch_date, files)
            if has_errors(faults):
                self._faults += faults
                return None
        return submission_of(self._id, batch_date, files)

    async def _file(self, kind: FileKind, chosen: FileVersion) -> DeliveredFile | None:
        own = self._delivered.get(kind)
        name = self._names[kind]
        if own is not None and chosen.uri == self._uri(name):
            return own
        chosen_name = chosen.uri.removeprefix(self._uri(""))
        content = await self._steps.plain(
            Step.SUBMIT, partial(self._context.store.read, chosen_name)
        )
        place = f"{chosen.batch_date}/{self._id}/{kind.value}.json"
        file, faults = deliver_file(kind, content, place)
        if file is None:
            self._faults += faults
            return None
        self._steps.hashes[kind] = file.sha256
        held = self._evidence.objects_by_name.get(name)
        if own is None and chosen.landed_at is None and held is not None:
            # A killed run has uploaded it, and didn't come to land its row.
            self._add_row(file, held)
        return file

    async def _submit_and_analyse(self, submission: CiSubmission) -> None:
        self._refuse_forgotten()
        is_in_bulk = self._id in self._context.in_bulk
        submitting = Submitting(
            self._context.store,
            self._context.insights,
            submission,
            self._keep_replaced,
            self._context.run_id,
            may_exist=self._landed_state is not None,
            is_adoption_told=not is_in_bulk,
            foreign=self._context.foreign,
        )
        conversation = await self._steps.run(Step.SUBMIT, submitting.attempt)
        self._pass(Step.SUBMIT)
        self._refuse_forgotten()
        if conversation.latest_analysis is None:
            self._context.on_unanalysed(self._id)
        if self._context.until is Step.SUBMIT:
            return

        async def analyse() -> tuple[Done[Analysed], int]:
            analysed = await self._context.analyst.ensure(conversation, is_new=submitting.is_new)
            is_found = analysed.outcome is Outcome.ADOPTED
            outcome = Outcome.SUCCEEDED if is_found and is_in_bulk else analysed.outcome
            latest = analysed.conversation.latest_analysis
            return (analysed, outcome, latest.name if latest else None), analysed.attempts

        analysed = await self._steps.record(Step.ANALYSE, analyse)
        self._pass(Step.ANALYSE)
        if self._context.until is Step.LAND:
            row = state_row(analysed.conversation, analysed.profile_sha256)
            self._steps.rows.append(row)

    async def _keep_replaced(self, held: CiConversation) -> None:
        """Land what Insights holds of a conversation that is about to be deleted, once."""
        context = self._context
        analyses = await context.insights.list_analyses(self._id)
        row = state_row(held, context.analyst.profile_sha256(held))
        rows = older_analysis_rows(
            held, analyses, await context.landed_analyses(self._id), context.profile
        )
        landed = self._landed_state
        if landed is None or landed.payload_sha256 != row.values["payload_sha256"]:
            rows.append(row)
        if rows:
            await context.land_now(rows)


class _Upload:
    """One file on its way into the bucket; `attempt` may be called again after any error."""

    def __init__(
        self, store: ObjectStore, name: str, file: DeliveredFile, held: StoredObject | None
    ) -> None:
        self._store = store
        self._name = name
        self._file = file
        self._generation = held.generation if held else 0

    async def attempt(self) -> Done[StoredObject]:
        """Write the object; one that an unanswered attempt has written is adopted."""
        uri = f"gs://{self._store.bucket}/{self._name}"
        try:
            stored = await self._store.put(
                self._name,
                self._file.content,
                content_type="application/json",
                content_sha256=self._file.sha256,
                if_generation_match=self._generation,
            )
        except RemoteError as error:
            if error.code == "DATA_LOSS":
                damaged = await self._store.stat(self._name)
                self._generation = damaged.generation if damaged else 0
            if error.code != "FAILED_PRECONDITION":
                raise
            return await self._adopt(error), Outcome.ADOPTED, uri
        return stored, Outcome.SUCCEEDED, uri

    async def _adopt(self, error: RemoteError) -> StoredObject:
        held = await self._store.stat(self._name)
        if held is None or held.content_sha256 != self._file.sha256:
            raise RemoteError(
                f"GCS: object {self._name} was changed by someone else meanwhile",
                "run the same command again",
                code="FAILED_PRECONDITION",
            ) from error
        return held


@dataclass
class PushReport(BatchReport):
    """The batch's outcome with the faults of its files."""

    faults: list[Fault] = field(default_factory=list)
    _waiting: dict[str, list[Fault]] = field(default_factory=dict)

    def settle(self, result: ItemResult) -> None:
        """Count a conversation whose rows, if any, are landed."""
        if result.failure is not None:
            self.fail([result.failure])
            return
        self.count(result.state)
        if result.state is ItemState.WAITING:
            self._waiting[result.conversation_id] = result.faults
        elif result.state in (ItemState.DONE, ItemState.UNCHANGED):
            self._end_waiting(result.conversation_id)

    def _end_waiting(self, conversation_id: str) -> None:
        """The file that a conversation waited for has come in a later date folder of this run."""
        told = self._waiting.pop(conversation_id, None)
        if told is not None:
            self.count(ItemState.WAITING, -1)
            self.count(ItemState.DONE)
            self.faults = [fault for fault in self.faults if fault not in told]
