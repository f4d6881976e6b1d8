"""Takes one conversation through the steps that it still needs, and says what was done.

Every step first looks at evidence, so it does nothing twice; every step that did something, or
failed, leaves an event. Rows and events of one conversation are landed together.

A conversation may be delivered more than once, in one date folder or in several, and its files
apart. What counts is what the folder that was delivered last holds, and what it lacks of others
(`ingest.domain.deliveries`): so pushing an older delivery again changes nothing, and a late file
meets the one it belongs to.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from ingest.domain.annotators import (
    AnnotatorProfile,
)
from ingest.domain.conversation import DeliveredFile, FileKind, is_redacted, source_objects
from ingest.domain.declarations import NOTHING_DECLARED, Declarations
from ingest.domain.deliveries import Counting, FileVersion, counting
from ingest.domain.faults import Fault, Severity, has_errors
from ingest.domain.insights_format import CiSubmission, submission_of
from ingest.domain.outcome import STAGES, BatchReport, Failure, ItemState, Outcome, Step
from ingest.domain.raw_records import NOT_FOR_INSIGHTS, ORIGIN_MARK, RawRow, file_row
from ingest.domain.validation import check_files, deliver_file
from ingest.enums import Foreign
from ingest.errors import IngestError, RemoteError, unexpected
from ingest.flows.analysis import Analysed, Analyst, older_analysis_rows, state_row
from ingest.flows.attempts import Attempts
from ingest.flows.ci_submission import Submitting
from ingest.flows.evidence import (
    FORGOTTEN_CODE,
    FORGOTTEN_MESSAGE,
    Evidence,
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

_NEXT = 2**63
"""Generation of an object that is yet to be written: newer than any."""


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
    is_last_of: Callable[[dt.date, str], bool] = lambda *_: True
    """Whether the source has no later date folder of the conversation."""
    is_forgotten: Callable[[str], bool] = lambda _: False
    """Whether a conversation was forgotten since the evidence was read."""
    is_stopped: Callable[[], bool] = lambda: False
    """Whether a run that is cancelled was told to stop: what was done then counts."""
    declared: Declarations = NOTHING_DECLARED
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
        self._landed = evidence.files_by_id.get(self._id, {})

    async def run(self) -> ItemResult:
        """Return the result; errors of remote services and unforeseen ones become the item's
        failure."""
        failure = None
        if self._id in self._evidence.forgotten_ids:
            state, failure = ItemState.FAILED, self._forgotten()
        else:
            try:
                state = await self._run_steps()
                self._settle_refusal(state)
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
            delivery = await read_delivery(self._source, self._context.declared)
        except RemoteError as error:
            raise StepFailedError(self._steps.fail(Step.UPLOAD, error)) from error
        self._delivered = delivery.files
        for kind, file in delivery.files.items():
            self._steps.hashes[kind] = file.sha256
        if not delivery.is_usable:
            self._faults += delivery.faults
            return ItemState.INVALID
        outdated = self._goes_back()
        if outdated and not self._context.allow_return:
            self._faults += [self._outdated(kind) for kind in outdated]
            return ItemState.OUTDATED
        if await self._unredacts():
            self._faults.append(self._unredacted())
            return ItemState.INVALID
        self._refuse_forgotten()
        counts = await self._upload()
        self._pass(Step.UPLOAD)
        missing = next((kind for kind in FileKind if kind not in counts.files), None)
        if missing is not None:
            self._wait_for(missing)
            return ItemState.WAITING
        if self._context.until is not Step.UPLOAD and not self._is_in_place(counts):
            submission = await self._submission(counts)
            if submission is None:
                return ItemState.INVALID
            if submission.medium:
                await self._submit_and_analyse(submission)
            else:
                await self._keep_here()
        return ItemState.DONE if self._has_done_something() else ItemState.UNCHANGED

    def _has_done_something(self) -> bool:
        return bool(self._steps.rows or self._steps.events)

    def _settle_refusal(self, state: ItemState) -> None:
        """Tell that a refused folder is valid again, where nothing else tells it."""
        is_refused = (self._source.batch_date, self._id) in self._evidence.refused
        if is_refused and state is not ItemState.INVALID and not self._steps.events:
            now = self._context.clock.now()
            self._steps.add_event(Step.VALIDATE, Outcome.SUCCEEDED, now, reason="valid_again")

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

    async def _keep_here(self) -> None:
        """Say once of a version that its medium isn't sent to Insights, and if that holds one."""
        hashes = tuple(self._steps.hashes.get(kind) for kind in FileKind)
        if self._evidence.kept_here.get(self._id) == hashes and not self._has_done_something():
            return
        held: CiConversation | None = None
        if self._landed_state is not None:
            ask = partial(self._context.insights.get_conversation, self._id)
            held = await self._steps.plain(Step.SUBMIT, ask)
        if held is not None:
            self._faults.append(
                Fault(
                    place_of(self._source, FileKind.METADATA),
                    "/medium",
                    NOT_FOR_INSIGHTS,
                    "this medium isn't sent to Insights, which still holds an earlier state",
                    f"leave it, or erase the conversation everywhere: ingest forget {self._id}",
                    Severity.WARNING,
                )
            )
        self._steps.add_event(
            Step.SUBMIT, Outcome.SKIPPED, self._context.clock.now(), reason=NOT_FOR_INSIGHTS
        )

    def _goes_back(self) -> list[FileKind]:
        """Return the kinds of which this push would bring back an earlier version.

        A later date folder than that of what counts is a new delivery, whatever it holds.
        """
        if not self._landed:
            return []
        landed = list(self._landed.values())
        others = self._held(kind for kind in FileKind if kind not in self._source.stored)
        current, after = counting([*landed, *others]), counting([*landed, *self._wanted()])
        if current is None or after is None:
            return []
        earlier = {(version.kind, version.content_sha256) for version in landed}
        return [
            kind
            for kind, version in after.files.items()
            if (now := current.files.get(kind)) is not None
            and now.content_sha256 != version.content_sha256
            and (kind, version.content_sha256) in earlier
            and self._source.batch_date <= now.batch_date
        ]

    async def _unredacts(self) -> bool:
        """Whether what isn't redacted would take the place of what is."""
        own, known = self._delivered.get(FileKind.METADATA), [*self._landed.values()]
        known += self._held(FileKind)
        if own is None or not known or is_redacted(own.payload):
            return False
        before = counting(known)
        held = before.files.get(FileKind.METADATA) if before is not None else None
        if held is None or held.content_sha256 == own.sha256:
            return False
        read = partial(self._context.store.read, held.uri.removeprefix(self._uri("")))
        content = await self._steps.plain(Step.UPLOAD, read)
        file, _ = deliver_file(FileKind.METADATA, content, "")
        return file is not None and is_redacted(file.payload)

    def _unredacted(self) -> Fault:
        return Fault(
            place_of(self._source, FileKind.METADATA),
            "/source/redacted",
            "unredacted",
            "it isn't redacted, and what is there of this conversation is",
            f"push the redacted files; or erase what is there first: ingest forget {self._id}",
        )

    def _wanted(self) -> list[FileVersion]:
        """Return the versions that the folder's objects will be."""
        wanted = []
        for kind in FileKind:
            file, live = self._delivered.get(kind), self._live(kind)
            is_sent = file is not None and not self._is_held(file, live)
            if file is not None and (is_sent or self._is_asked_back(file)):
                wanted.append(self._version(kind, _NEXT, self._names[kind], file.sha256))
            elif live is not None:
                wanted.append(self._version_of(kind, live, self._sha256_of(kind, live)))
        return wanted

    def _is_held(self, file: DeliveredFile, live: StoredObject | None) -> bool:
        is_own_object = file.kind in self._source.stored
        return live is not None and (is_own_object or live.content_sha256 == file.sha256)

    def _is_asked_back(self, file: DeliveredFile) -> bool:
        """Whether what the bucket holds is to count again, which takes a new generation of it."""
        context, source = self._context, self._source
        if not (context.allow_return and context.is_last_of(source.batch_date, self._id)):
            return False
        current = counting([*self._landed.values(), *self._held(FileKind)])
        counts = current.files.get(file.kind) if current is not None else None
        return counts is not None and counts.content_sha256 != file.sha256

    def _held(self, kinds: Iterable[FileKind]) -> list[FileVersion]:
        """Return the versions that the folder's objects are now."""
        return [
            self._version_of(kind, live, self._sha256_of(kind, live))
            for kind in kinds
            if (live := self._live(kind)) is not None
        ]

    def _sha256_of(self, kind: FileKind, live: StoredObject) -> str | None:
        """Return the hash of an object; one that others wrote is known where it was read."""
        file = self._delivered.get(kind)
        if file is not None and kind in self._source.stored:
            return file.sha256
        return live.content_sha256

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

    async def _upload(self) -> Counting:
        """Have the bucket hold the delivered files, and return those that count."""
        versions = list(self._landed.values())
        for kind in FileKind:
            held, file = self._live(kind), self._delivered.get(kind)
            if file is not None:
                held = await self._have_stored(file, self._names[kind], held)
                version = self._version_of(kind, held, file.sha256)
                if version.landed_at is None:
                    self._add_row(file, held)
                versions.append(version)
            elif held is not None:
                versions.append(self._version_of(kind, held, held.content_sha256))
        return counting(versions) or Counting(self._source.batch_date, {})

    async def _have_stored(
        self, file: DeliveredFile, name: str, held: StoredObject | None
    ) -> StoredObject:
        if held is not None and self._is_held(file, held) and not self._is_asked_back(file):
            return held
        origin = self._source.origins.get(file.kind)
        reason = f"{ORIGIN_MARK}{origin}" if origin else None
        return await self._steps.upload(self._context.store, name, file, held, reason)

    def _version_of(
        self, kind: FileKind, held: StoredObject, content_sha256: str | None
    ) -> FileVersion:
        landed = self._landed.get((self._uri(held.name), held.generation))
        return landed or self._version(kind, held.generation, held.name, content_sha256)

    def _version(
        self, kind: FileKind, generation: int, name: str, content_sha256: str | None
    ) -> FileVersion:
        return FileVersion(
            kind,
            generation,
            self._uri(name),
            self._source.batch_date,
            content_sha256,
            self._context.run_id,
        )

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

    def _is_in_place(self, counts: Counting) -> bool:
        """Whether a landed state tells of the version that counts.

        The state must have been landed with these files or after them: an older one may tell of
        the same content from before another version came and went.
        """
        landed = self._landed_state
        if landed is None or self._stays_here(counts):
            return False
        told_of = {
            FileKind.METADATA: landed.metadata_sha256,
            FileKind.TRANSCRIPTION: landed.transcript_sha256,
        }
        is_held = all(
            file.content_sha256 == told_of[kind]
            and file.landed_at is not None
            and file.landed_at <= landed.landed_at
            for kind, file in counts.files.items()
        )
        is_analysed = self._context.profile.is_met_by(landed.annotator_profile_sha256)
        return is_held and (is_analysed or self._context.until is Step.SUBMIT)

    def _stays_here(self, counts: Counting) -> bool:
        """Whether the delivered metadata counts, and its medium isn't sent to Insights."""
        own, media = self._delivered.get(FileKind.METADATA), self._context.declared.insights_media
        if own is None or counts.files[FileKind.METADATA].content_sha256 != own.sha256:
            return False
        return media.get(own.payload["medium"], own) is None

    async def _submission(self, counts: Counting) -> CiSubmission | None:
        """Return the version that counts; None when its files don't fit (see `_faults`)."""
        files: dict[FileKind, DeliveredFile] = {}
        for kind, chosen in counts.files.items():
            file = await self._file(kind, chosen)
            if file is None:
                return None
            files[kind] = file
        batch_date = counts.batch_date
        if files != self._delivered or batch_date != self._source.batch_date:
            declared = self._context.declared
            faults = check_files(self._id, batch_date, files, declared)
            if has_errors(faults, strict=declared.is_strict):
                self._faults += faults
                return None
        return submission_of(self._id, batch_date, files, self._context.declared)

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
