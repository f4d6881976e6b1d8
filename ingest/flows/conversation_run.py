"""Takes one conversation through the steps that it still needs, and says what was done.

Every step first looks at evidence, so it does nothing twice; every step that did something, or
failed, leaves an event. Rows and events of one conversation are landed together.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from ingest.domain.annotators import AnnotatorProfile
from ingest.domain.conversation import FileKind
from ingest.domain.insights_format import (
    CiSubmission,
    ConversationVersion,
    SubmitAction,
    ci_submission,
    submit_action,
)
from ingest.domain.outcome import STAGES, BatchReport, Failure, ItemState, Outcome, Step
from ingest.domain.raw_records import RawRow, ci_conversation_row
from ingest.domain.validation import Fault
from ingest.errors import IngestError, RemoteError, unexpected
from ingest.flows.analysis import Analyst
from ingest.flows.attempts import Attempted, Attempts
from ingest.flows.conversation_files import ConversationFiles, IsJudged, never_judged
from ingest.flows.evidence import FORGOTTEN_CODE, Evidence, LandedState
from ingest.flows.source import SourceConversation, place_of
from ingest.flows.steps import StepFailedError, Steps, log_change
from ingest.ports.move import CiConversation, Clock, InsightsApi, ObjectStore


class Submitting:
    """One submission; `attempt` may be called again after any error.

    `keep_replaced` returns once a conversation that is about to be deleted is landed, and raises
    RemoteError when it can't be. `on_change` is told every other change, and of what. `may_exist`
    says that CI is asked before anything is created. `is_new` is true once this submission has
    created the conversation, so that no analysis can be in it.
    """

    def __init__(
        self,
        store: ObjectStore,
        insights: InsightsApi,
        submission: CiSubmission,
        keep_replaced: Callable[[CiConversation], Awaitable[None]],
        on_change: Callable[[str, str], None],
        *,
        may_exist: bool,
    ) -> None:
        self._store = store
        self._insights = insights
        self._submission = submission
        self._keep_replaced = keep_replaced
        self._on_change = on_change
        self._may_exist = may_exist
        self._has_transcript = False
        self.is_new = False

    async def attempt(self) -> tuple[CiConversation, Outcome]:
        """Return the conversation in the FULL view, equal to the submission."""
        if not self._has_transcript:
            await self._put_transcript()
            self._has_transcript = True
        if not self._may_exist:
            self._may_exist = True
            try:
                return await self._create()
            except RemoteError as error:
                if error.code != "ALREADY_EXISTS":
                    raise
        held = await self._insights.get_conversation(self._submission.conversation_id)
        return await self._make_equal(held)

    async def _make_equal(self, held: CiConversation | None) -> tuple[CiConversation, Outcome]:
        if held is None:
            return await self._create_where_none_was_seen()
        action = submit_action(self._submission, held.transcript_uri, held.medium, held.labels)
        if action is SubmitAction.ADOPT:
            return held, Outcome.ADOPTED
        if action is SubmitAction.UPDATE:
            await self._insights.update_conversation(self._submission)
            return await self._held_after_update(), Outcome.SUCCEEDED
        # What CI deletes nobody can fetch again: first it is kept, whatever comes afterwards.
        await self._keep_replaced(held)
        await self._insights.delete_conversation(self._submission.conversation_id)
        self._on_change("delete conversation", held.name)
        return await self._create_where_none_was_seen()

    async def _create(self) -> tuple[CiConversation, Outcome]:
        created = await self._insights.create_conversation(self._submission)
        self.is_new = True
        return created, Outcome.SUCCEEDED

    async def _create_where_none_was_seen(self) -> tuple[CiConversation, Outcome]:
        try:
            return await self._create()
        except RemoteError as error:
            if error.code != "ALREADY_EXISTS":
                raise
            raise RemoteError(
                "CI: the id is taken although CI showed no conversation of it",
                "run the same command again",
                code="ABORTED",
            ) from error

    async def _held_after_update(self) -> CiConversation:
        # The reply of an update isn't said to be the FULL view, and what is landed must be.
        held = await self._insights.get_conversation(self._submission.conversation_id)
        if held is None:
            raise RemoteError(
                "CI: the conversation was deleted by someone else meanwhile",
                "run the same command again",
                code="ABORTED",
            )
        return held

    async def _put_transcript(self) -> None:
        name = self._submission.transcript_object
        try:
            await self._store.put(
                name,
                self._submission.transcript_content,
                content_type="application/json",
                content_sha256=name.rsplit("/", 1)[-1].removesuffix(".json"),
                if_generation_match=0,
            )
            self._on_change("put transcript", name)
        except RemoteError as error:
            if error.code != "FAILED_PRECONDITION":
                raise
            # An earlier attempt or run came as far as this, and maybe further: asking is cheaper
            # than a create, whose quota is small.
            self._may_exist = True


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
    run_id: str
    profile: AnnotatorProfile
    until: Step
    land_now: Callable[[list[RawRow]], Awaitable[None]]
    on_passed: Callable[[Step], None] = lambda _: None
    on_unanalysed: Callable[[str], None] = lambda _: None
    """Told the id of a conversation that CI holds now and that has no analysis yet."""
    is_judged: IsJudged = never_judged
    in_bulk: frozenset[str] = frozenset()
    """Ids that this run has submitted, with their events, and had analysed by a bulk operation."""


class ConversationRun:
    """One conversation in one run."""

    def __init__(self, context: RunContext, evidence: Evidence, source: SourceConversation) -> None:
        self._context = context
        self._evidence = evidence
        self._source = source
        self._steps = Steps(
            context.clock,
            context.attempts,
            context.run_id,
            source.conversation_id,
            source.batch_date,
        )
        self._passed: set[Step] = set()
        self._files = ConversationFiles(
            context.store, evidence, source, self._steps, context.is_judged
        )

    async def run(self) -> ItemResult:
        """Return the result; errors of remote services and unforeseen ones become the item's
        failure."""
        failure = None
        if self._source.conversation_id in self._evidence.forgotten_ids:
            state, failure = ItemState.FAILED, self._forgotten()
        else:
            try:
                state = await self._run_steps()
            except StepFailedError as failed:
                state, failure = ItemState.FAILED, failed.failure
            except IngestError:
                raise
            except Exception as error:  # noqa: BLE001 - one conversation never ends the run
                state, failure = ItemState.FAILED, self._steps.fail(self._next(), unexpected(error))
        return ItemResult(
            self._source.conversation_id,
            state,
            self._steps.rows,
            self._files.faults,
            failure,
            self._steps.done,
            frozenset(self._passed),
        )

    async def _run_steps(self) -> ItemState:
        if not await self._files.read():
            return ItemState.INVALID
        await self._files.upload()
        self._pass(Step.UPLOAD)
        missing = self._files.missing()
        if missing is not None:
            self._wait_for(missing)
            return ItemState.WAITING
        if self._context.until is not Step.UPLOAD and not self._is_in_place():
            version = await self._files.version()
            if version is None:
                return ItemState.INVALID
            await self._submit_and_analyse(version)
        return ItemState.DONE if self._steps.rows else ItemState.UNCHANGED

    def _pass(self, step: Step) -> None:
        self._passed.add(step)
        self._context.on_passed(step)

    def _next(self) -> Step:
        return next((step for step in STAGES if step not in self._passed), Step.LAND)

    def _forgotten(self) -> Failure:
        return Failure(
            self._source.conversation_id,
            Step.UPLOAD,
            FORGOTTEN_CODE,
            "this conversation was erased by `ingest forget`; remove its folder",
        )

    def _wait_for(self, missing: FileKind) -> None:
        self._files.faults.append(
            Fault(
                place_of(self._source, missing),
                "",
                "missing_file",
                "the conversation waits for this file; it isn't submitted half",
                f"add {missing.value}.json and push again",
            )
        )
        if self._steps.rows:
            self._steps.add_event(
                Step.SUBMIT,
                Outcome.WAITING,
                self._context.clock.now(),
                reason=f"waiting_for_{missing.value}",
            )

    def _is_in_place(self) -> bool:
        """Whether a landed state tells of the version that counts.

        The state must have been landed with these files or after them: an older one may tell of
        the same content from before another version came and went.
        """
        landed = self._landed_state()
        if landed is None:
            return False
        chosen = self._files.chosen
        told_of = {
            FileKind.METADATA: landed.metadata_sha256,
            FileKind.TRANSCRIPTION: landed.transcript_sha256,
        }
        is_held = all(
            file.content_sha256 == told_of[kind]
            and file.landed_at is not None
            and file.landed_at <= landed.landed_at
            for kind, file in chosen.items()
        )
        is_analysed = self._context.profile.is_met_by(landed.annotator_profile_sha256)
        return is_held and (is_analysed or self._context.until is Step.SUBMIT)

    def _landed_state(self) -> LandedState | None:
        return self._evidence.landed_state_by_id.get(self._source.conversation_id)

    async def _submit_and_analyse(self, version: ConversationVersion) -> None:
        submitting = Submitting(
            self._context.store,
            self._context.insights,
            ci_submission(version),
            self._keep_replaced,
            self._log_change,
            may_exist=self._landed_state() is not None,
        )
        conversation = await self._steps.run(
            Step.SUBMIT,
            submitting.attempt,
            lambda held: held.name,
            is_told=lambda outcome: not (self._is_in_bulk() and outcome is Outcome.ADOPTED),
        )
        self._pass(Step.SUBMIT)
        if conversation.latest_analysis is None:
            self._context.on_unanalysed(self._source.conversation_id)
        if self._context.until is Step.SUBMIT:
            return
        conversation = await self._analyse(conversation, is_new=submitting.is_new)
        self._pass(Step.ANALYSE)
        if self._context.until is Step.LAND:
            self._land_state(conversation)

    async def _analyse(self, conversation: CiConversation, *, is_new: bool) -> CiConversation:
        async def analyse() -> Attempted[tuple[CiConversation, Outcome]]:
            analysed = await self._context.analyst.ensure(conversation, is_new=is_new)
            is_found = analysed.outcome is Outcome.ADOPTED
            outcome = Outcome.SUCCEEDED if is_found and self._is_in_bulk() else analysed.outcome
            return Attempted((analysed.conversation, outcome), analysed.attempts)

        return await self._steps.record(
            Step.ANALYSE,
            analyse,
            lambda held: held.latest_analysis.name if held.latest_analysis else None,
        )

    def _is_in_bulk(self) -> bool:
        return self._source.conversation_id in self._context.in_bulk

    async def _keep_replaced(self, conversation: CiConversation) -> None:
        row, landed = self._state_row(conversation), self._landed_state()
        if landed is None or landed.payload_sha256 != row.values["payload_sha256"]:
            await self._context.land_now([row])

    def _log_change(self, action: str, resource: str) -> None:
        log_change(
            action,
            self._context.run_id,
            conversation_id=self._source.conversation_id,
            resource=resource,
        )

    def _land_state(self, conversation: CiConversation) -> None:
        self._steps.rows.append(self._state_row(conversation))

    def _state_row(self, conversation: CiConversation) -> RawRow:
        latest = conversation.latest_analysis
        return ci_conversation_row(
            conversation_id=conversation.conversation_id,
            ci_name=conversation.name,
            analysis_name=latest.name if latest else None,
            annotator_profile_sha256=self._context.analyst.profile_sha256(conversation),
            labels=conversation.labels,
            payload=conversation.payload,
            updated_at=conversation.updated_at,
        )


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
