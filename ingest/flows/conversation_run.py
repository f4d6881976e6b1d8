"""Takes one conversation through the steps that it still needs, and says what was done.

Every step first looks at evidence, so it does nothing twice; every step that did something, or
failed, leaves an event. Rows and events of one conversation are landed together.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from ingest.domain.annotators import AnnotatorProfile
from ingest.domain.conversation import FileKind
from ingest.domain.fault import Fault
from ingest.domain.insights_format import ConversationVersion, ci_submission
from ingest.domain.outcome import STAGES, Failure, ItemState, Outcome, Step
from ingest.domain.raw_records import RawRow, ci_conversation_row
from ingest.errors import IngestError
from ingest.flows.analysis import Analyst
from ingest.flows.attempts import Attempted, Attempts
from ingest.flows.conversation_files import ConversationFiles, IsJudged, never_judged
from ingest.flows.effects import log_change
from ingest.flows.evidence import Evidence, LandedState
from ingest.flows.forgotten import FORGOTTEN_CODE
from ingest.flows.source import SourceConversation, place_of
from ingest.flows.steps import StepFailedError, Steps
from ingest.flows.submitting import Submitting
from ingest.flows.unexpected import unexpected
from ingest.ports import CiConversation, Clock, InsightsApi, ObjectStore


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
class Services:
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

    def __init__(self, services: Services, evidence: Evidence, source: SourceConversation) -> None:
        self._services = services
        self._evidence = evidence
        self._source = source
        self._steps = Steps(
            services.clock,
            services.attempts,
            services.run_id,
            source.conversation_id,
            source.batch_date,
        )
        self._passed: set[Step] = set()
        self._files = ConversationFiles(
            services.store, evidence, source, self._steps, services.is_judged
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
        if self._services.until is not Step.UPLOAD and not self._is_in_place():
            version = await self._files.version()
            if version is None:
                return ItemState.INVALID
            await self._submit_and_analyse(version)
        return ItemState.DONE if self._steps.rows else ItemState.UNCHANGED

    def _pass(self, step: Step) -> None:
        self._passed.add(step)
        self._services.on_passed(step)

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
                self._services.clock.now(),
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
        is_analysed = self._services.profile.is_met_by(landed.annotator_profile_sha256)
        return is_held and (is_analysed or self._services.until is Step.SUBMIT)

    def _landed_state(self) -> LandedState | None:
        return self._evidence.landed_state_by_id.get(self._source.conversation_id)

    async def _submit_and_analyse(self, version: ConversationVersion) -> None:
        submitting = Submitting(
            self._services.store,
            self._services.insights,
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
            self._services.on_unanalysed(self._source.conversation_id)
        if self._services.until is Step.SUBMIT:
            return
        conversation = await self._analyse(conversation, is_new=submitting.is_new)
        self._pass(Step.ANALYSE)
        if self._services.until is Step.LAND:
            self._land_state(conversation)

    async def _analyse(self, conversation: CiConversation, *, is_new: bool) -> CiConversation:
        async def analyse() -> Attempted[tuple[CiConversation, Outcome]]:
            analysed = await self._services.analyst.ensure(conversation, is_new=is_new)
            is_found = analysed.outcome is Outcome.ADOPTED
            outcome = Outcome.SUCCEEDED if is_found and self._is_in_bulk() else analysed.outcome
            return Attempted((analysed.conversation, outcome), analysed.attempts)

        return await self._steps.record(
            Step.ANALYSE,
            analyse,
            lambda held: held.latest_analysis.name if held.latest_analysis else None,
        )

    def _is_in_bulk(self) -> bool:
        return self._source.conversation_id in self._services.in_bulk

    async def _keep_replaced(self, conversation: CiConversation) -> None:
        row, landed = self._state_row(conversation), self._landed_state()
        if landed is None or landed.payload_sha256 != row.values["payload_sha256"]:
            await self._services.land_now([row])

    def _log_change(self, action: str, resource: str) -> None:
        log_change(
            action,
            self._services.run_id,
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
            annotator_profile_sha256=self._services.analyst.profile_sha256(conversation),
            labels=conversation.labels,
            payload=conversation.payload,
            updated_at=conversation.updated_at,
        )
