"""Takes one conversation through the steps that it still needs, and says what was done.

Every step first looks at evidence, so it does nothing twice; every step that did something, or
failed, leaves an event. Rows and events of one conversation are landed together.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from ingest.domain.annotators import AnnotatorProfile
from ingest.domain.conversation import ConversationId, FileKind, Metadata, Transcription
from ingest.domain.fault import Fault
from ingest.domain.fingerprint import json_sha256
from ingest.domain.insights_format import CiSubmission, ConversationVersion, ci_submission
from ingest.domain.object_paths import source_object
from ingest.domain.outcome import Failure, ItemState, Outcome, Step
from ingest.domain.raw_records import (
    RawRow,
    StepEvent,
    ci_conversation_row,
    event_row,
    file_row,
)
from ingest.domain.submission import SubmitAction, submit_action
from ingest.domain.validation import check_conversation, has_errors, parse_file
from ingest.errors import RemoteError
from ingest.flows.analysis import Analyst
from ingest.flows.attempts import Attempted, Attempts
from ingest.flows.effects import TRACER, log_step
from ingest.flows.evidence import Evidence
from ingest.flows.source import SourceConversation, place_of
from ingest.ports import CiConversation, Clock, InsightsApi, ObjectStore, StoredObject

Parsed = Metadata | Transcription


@dataclass
class ItemResult:
    """What one conversation came to; `rows` are yet to be landed."""

    conversation_id: str
    state: ItemState
    rows: list[RawRow] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    failure: Failure | None = None
    steps_done: dict[Step, Outcome] = field(default_factory=dict)


@dataclass(frozen=True)
class Services:
    """The outside, as the steps need it."""

    store: ObjectStore
    insights: InsightsApi
    analyst: Analyst
    clock: Clock
    attempts: Attempts
    run_id: str
    profile: AnnotatorProfile
    until: Step


class ConversationRun:
    """One conversation in one run."""

    def __init__(self, services: Services, evidence: Evidence, source: SourceConversation) -> None:
        self._services = services
        self._evidence = evidence
        self._source = source
        self._contents: dict[FileKind, bytes] = {}
        self._parsed: dict[FileKind, Parsed] = {}
        self._hashes: dict[FileKind, str] = {}
        self._result = ItemResult(source.conversation_id, ItemState.UNCHANGED)

    async def run(self) -> ItemResult:
        """Return the result; errors of remote services become the item's failure."""
        result = self._result
        if self._source.conversation_id in self._evidence.forgotten_ids:
            result.state = ItemState.FAILED
            result.failure = Failure(
                result.conversation_id,
                Step.UPLOAD,
                "FORGOTTEN",
                "this conversation was erased by `ingest forget`; remove its folder",
            )
            return result
        if not await self._read():
            result.state = ItemState.INVALID
            return result
        try:
            await self._upload_files()
            if not await self._complete_from_bucket():
                self._wait_for_other_file()
                return result
            if self._services.until is not Step.UPLOAD:
                await self._submit_and_analyse()
        except _StepFailedError as failed:
            result.state = ItemState.FAILED
            result.failure = failed.failure
            return result
        if result.rows:
            result.state = ItemState.DONE
        return result

    async def _read(self) -> bool:
        source = self._source
        self._contents, faults = await source.read()
        for kind, content in self._contents.items():
            parsed, found = parse_file(kind, content, place_of(source, kind))
            faults += found
            if parsed is not None:
                self._parsed[kind] = parsed
                self._hashes[kind] = json_sha256(orjson.loads(content))
        faults += self._cross_check()
        is_usable = not has_errors(faults) and bool(self._contents)
        if not is_usable:
            self._result.faults = faults
        return is_usable

    def _cross_check(self) -> list[Fault]:
        metadata = self._parsed.get(FileKind.METADATA)
        transcription = self._parsed.get(FileKind.TRANSCRIPTION)
        return check_conversation(
            self._source.conversation_id,
            self._source.batch_date,
            metadata if isinstance(metadata, Metadata) else None,
            transcription if isinstance(transcription, Transcription) else None,
        )

    async def _upload_files(self) -> None:
        for kind in FileKind:
            if kind not in self._contents:
                continue
            name = self._object_name(kind)
            held = self._source.stored.get(kind) or self._evidence.objects_by_name.get(name)
            is_there = kind in self._source.stored
            if held is None or not (is_there or held.content_sha256 == self._hashes[kind]):
                held = await self._upload(kind, name, held)
            uri = self._uri(name)
            if (uri, held.generation) not in self._evidence.landed_generations:
                self._result.rows.append(
                    file_row(
                        conversation_id=self._source.conversation_id,
                        batch_date=self._source.batch_date,
                        kind=kind,
                        uri=uri,
                        generation=held.generation,
                        crc32c=held.crc32c,
                        size_bytes=held.size_bytes,
                        content_sha256=self._hashes[kind],
                        payload=orjson.loads(self._contents[kind]),
                    )
                )

    async def _upload(self, kind: FileKind, name: str, held: StoredObject | None) -> StoredObject:
        upload = self._uploader(kind, name, held)
        return await self._step(Step.UPLOAD, upload, lambda stored: self._uri(stored.name))

    def _uploader(
        self, kind: FileKind, name: str, held: StoredObject | None
    ) -> Callable[[], Awaitable[tuple[StoredObject, Outcome]]]:
        async def upload() -> tuple[StoredObject, Outcome]:
            try:
                stored = await self._services.store.put(
                    name,
                    self._contents[kind],
                    content_type="application/json",
                    content_sha256=self._hashes[kind],
                    if_generation_match=held.generation if held else 0,
                )
            except RemoteError as error:
                if error.code != "FAILED_PRECONDITION":
                    raise
                now_held = await self._services.store.stat(name)
                if now_held is None or now_held.content_sha256 != self._hashes[kind]:
                    raise RemoteError(
                        f"GCS: object {name} was changed by someone else meanwhile",
                        "run the same command again",
                        code="FAILED_PRECONDITION",
                    ) from error
                return now_held, Outcome.ADOPTED
            return stored, Outcome.SUCCEEDED

        return upload

    async def _complete_from_bucket(self) -> bool:
        """Read the file that the source lacks from the bucket, where an earlier push left it."""
        for kind in FileKind:
            if kind in self._parsed:
                continue
            name = self._held_object(kind)
            if name is None:
                return False
            content = (
                await self._services.attempts.run(partial(self._services.store.read, name))
            ).value
            parsed, faults = parse_file(kind, content, place_of(self._source, kind))
            if parsed is None:
                self._result.faults += faults
                return False
            self._parsed[kind] = parsed
            self._hashes[kind] = json_sha256(orjson.loads(content))
        return True

    def _wait_for_other_file(self) -> None:
        missing = next(kind for kind in FileKind if kind not in self._parsed)
        self._result.state = ItemState.WAITING
        self._result.faults.append(
            Fault(
                place_of(self._source, missing),
                "",
                "missing_file",
                "the conversation waits for this file; it isn't submitted half",
                f"add {missing.value}.json and push again",
            )
        )
        if self._result.rows:
            now = self._services.clock.now()
            self._add_event(
                Step.SUBMIT, Outcome.WAITING, now, reason=f"waiting_for_{missing.value}"
            )

    async def _submit_and_analyse(self) -> None:
        submission = ci_submission(self._version())
        landed = self._evidence.landed_state_by_id.get(self._source.conversation_id)
        is_held = (
            landed is not None
            and landed.metadata_sha256 == submission.metadata_sha256
            and landed.transcript_sha256 == submission.transcript_sha256
        )
        if is_held and landed and landed.annotator_profile_sha256 == self._services.profile.sha256:
            return
        if is_held and self._services.until is Step.SUBMIT:
            return
        conversation, is_new = await self._submit(submission, is_known=landed is not None)
        if self._services.until is Step.SUBMIT:
            return
        conversation = await self._analyse(conversation, is_new=is_new)
        if self._services.until is Step.LAND:
            self._land_state(conversation)

    async def _submit(
        self, submission: CiSubmission, *, is_known: bool
    ) -> tuple[CiConversation, bool]:
        await self._services.attempts.run(lambda: self._put_transcript(submission))
        made: dict[str, bool] = {}

        async def submit() -> tuple[CiConversation, Outcome]:
            held: CiConversation | None = None
            if not is_known and not made:
                made["tried"] = True
                try:
                    created = await self._services.insights.create_conversation(submission)
                except RemoteError as error:
                    if error.code != "ALREADY_EXISTS":
                        raise
                else:
                    made["is_new"] = True
                    return created, Outcome.SUCCEEDED
            made["tried"] = True
            held = await self._services.insights.get_conversation(submission.conversation_id)
            return await self._make_equal(submission, held, made)

        conversation = await self._step(Step.SUBMIT, submit, lambda held: held.name)
        return conversation, made.get("is_new", False)

    async def _make_equal(
        self, submission: CiSubmission, held: CiConversation | None, made: dict[str, bool]
    ) -> tuple[CiConversation, Outcome]:
        insights = self._services.insights
        action = (
            SubmitAction.CREATE
            if held is None
            else submit_action(submission, held.transcript_uri, held.labels)
        )
        if action is SubmitAction.ADOPT and held is not None:
            return held, Outcome.ADOPTED
        if action is SubmitAction.UPDATE:
            return await insights.update_conversation(submission), Outcome.SUCCEEDED
        if action is SubmitAction.RECREATE and held is not None:
            self._land_state(held)
            await insights.delete_conversation(submission.conversation_id)
        created = await insights.create_conversation(submission)
        made["is_new"] = True
        return created, Outcome.SUCCEEDED

    async def _put_transcript(self, submission: CiSubmission) -> None:
        try:
            await self._services.store.put(
                submission.transcript_object,
                submission.transcript_content,
                content_type="application/json",
                content_sha256=submission.transcript_object.rsplit("/", 1)[-1].split(".")[0],
                if_generation_match=0,
            )
        except RemoteError as error:
            if error.code != "FAILED_PRECONDITION":
                raise

    async def _analyse(self, conversation: CiConversation, *, is_new: bool) -> CiConversation:
        async def analyse() -> Attempted[tuple[CiConversation, Outcome]]:
            analysed = await self._services.analyst.ensure(conversation, is_new=is_new)
            return Attempted((analysed.conversation, analysed.outcome), analysed.attempts)

        return await self._recorded(
            Step.ANALYSE,
            analyse,
            lambda held: held.latest_analysis.name if held.latest_analysis else None,
        )

    def _land_state(self, conversation: CiConversation) -> None:
        latest = conversation.latest_analysis
        self._result.rows.append(
            ci_conversation_row(
                conversation_id=conversation.conversation_id,
                ci_name=conversation.name,
                analysis_name=latest.name if latest else None,
                annotator_profile_sha256=self._services.analyst.profile_sha256(conversation),
                labels=conversation.labels,
                payload=conversation.payload,
                updated_at=conversation.updated_at,
            )
        )

    async def _step[Value](
        self,
        step: Step,
        action: Callable[[], Awaitable[tuple[Value, Outcome]]],
        resource_of: Callable[[Value], str | None],
    ) -> Value:
        return await self._recorded(step, lambda: self._services.attempts.run(action), resource_of)

    async def _recorded[Value](
        self,
        step: Step,
        action: Callable[[], Awaitable[Attempted[tuple[Value, Outcome]]]],
        resource_of: Callable[[Value], str | None],
    ) -> Value:
        """Run the step, add its event, and turn a remote error into the item's failure."""
        started_at = self._services.clock.now()
        try:
            with TRACER.start_as_current_span(step.value):
                attempted = await action()
        except RemoteError as error:
            self._add_event(
                step,
                Outcome.FAILED,
                started_at,
                attempt=error.attempts,
                error_code=error.code,
                error_message=error.message,
            )
            raise _StepFailedError(
                Failure(self._source.conversation_id, step, error.code, error.message)
            ) from error
        value, outcome = attempted.value
        self._result.steps_done[step] = outcome
        self._add_event(
            step,
            outcome,
            started_at,
            attempt=attempted.attempts,
            resource_name=resource_of(value),
        )
        return value

    def _add_event(self, step: Step, outcome: Outcome, started_at: Any, **more: Any) -> None:
        event = StepEvent(
            conversation_id=self._source.conversation_id,
            batch_date=self._source.batch_date,
            step=step,
            outcome=outcome,
            started_at=started_at,
            ended_at=self._services.clock.now(),
            metadata_sha256=self._hashes.get(FileKind.METADATA),
            transcript_sha256=self._hashes.get(FileKind.TRANSCRIPTION),
            **more,
        )
        log_step(event, self._services.run_id)
        self._result.rows.append(event_row(event, self._services.run_id))

    def _version(self) -> ConversationVersion:
        metadata = self._parsed[FileKind.METADATA]
        transcription = self._parsed[FileKind.TRANSCRIPTION]
        if not isinstance(metadata, Metadata) or not isinstance(transcription, Transcription):
            raise TypeError("a version needs both files")
        return ConversationVersion(
            conversation_id=ConversationId(self._source.conversation_id),
            batch_date=self._source.batch_date,
            metadata=metadata,
            transcription=transcription,
            metadata_sha256=self._hashes[FileKind.METADATA],
            transcript_sha256=self._hashes[FileKind.TRANSCRIPTION],
        )

    def _object_name(self, kind: FileKind) -> str:
        return source_object(
            self._source.batch_date, ConversationId(self._source.conversation_id), kind
        )

    def _held_object(self, kind: FileKind) -> str | None:
        """Return the object of this date, or else the newest that any date's push has landed."""
        name = self._object_name(kind)
        if name in self._evidence.objects_by_name:
            return name
        landed = self._evidence.newest_file_by_id.get((self._source.conversation_id, kind.value))
        return landed[1].removeprefix(self._uri("")) if landed else None

    def _uri(self, name: str) -> str:
        return f"gs://{self._services.store.bucket}/{name}"


class _StepFailedError(Exception):
    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure
