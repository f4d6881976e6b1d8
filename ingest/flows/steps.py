"""The steps of one conversation: runs them, and keeps an event of each that did something."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any

from opentelemetry import trace

from ingest.domain.conversation import DeliveredFile, FileKind
from ingest.domain.outcome import Failure, Outcome, Step
from ingest.domain.raw_records import RawRow, StepEvent, event_rows
from ingest.errors import RemoteError
from ingest.flows.attempts import GRANT_SEC, Attempts
from ingest.ports.move import Clock, ObjectStore, StoredObject

LOGGER = logging.getLogger("ingest.effects")
_TRACER = trace.get_tracer("ingest")
_NO_SPAN = contextlib.nullcontext(trace.INVALID_SPAN)


def span(name: str) -> AbstractContextManager[trace.Span]:
    """Return the context of a span; where none are collected it is the same empty one."""
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return _NO_SPAN
    return _TRACER.start_as_current_span(name)


def log_step(event: StepEvent, run_id: str) -> None:
    """Log the outcome of one step on one conversation."""
    level = logging.WARNING if event.outcome is Outcome.FAILED else logging.INFO
    if not LOGGER.isEnabledFor(level):
        return
    effect: dict[str, str | int] = {
        "run_id": run_id,
        "conversation_id": event.conversation_id,
        "step": event.step.value,
        "outcome": event.outcome.value,
        "attempt": event.attempt,
        "duration_ms": round((event.ended_at - event.started_at).total_seconds() * 1000),
    }
    if event.resource_name:
        effect["resource"] = event.resource_name
    if event.error_code:
        effect["code"] = event.error_code
    LOGGER.log(level, "%s %s", event.step.value, event.outcome.value, extra={"effect": effect})


def log_change(action: str, run_id: str, **fields: str | int) -> None:
    """Log a change made outside that is no step of its own; fields are ids, names and counts."""
    LOGGER.info(action, extra={"effect": {"run_id": run_id, **fields, "action": action}})


def log_batch(run_id: str, table: str, job_id: str, row_count: int) -> None:
    """Log that a batch of rows was loaded."""
    effect = {"run_id": run_id, "table": table, "job_id": job_id, "row_count": row_count}
    LOGGER.info("load %s", table, extra={"effect": effect})


class StepFailedError(Exception):
    """A step failed for good; `failure` says how."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


type Done[Value] = tuple[Value, Outcome | None, str | None]
"""What a step gives: its value, how it came about (None: no event is due), and the resource."""


class Steps:
    """What was done with one conversation; `rows` and `events` are yet to be landed."""

    def __init__(
        self,
        clock: Clock,
        attempts: Attempts,
        run_id: str,
        conversation_id: str,
        batch_date: dt.date,
    ) -> None:
        self._clock = clock
        self._attempts = attempts
        self._run_id = run_id
        self._conversation_id = conversation_id
        self._batch_date = batch_date
        self.rows: list[RawRow] = []
        self.events: list[StepEvent] = []
        self.done: dict[Step, Outcome] = {}
        self.hashes: dict[FileKind, str] = {}

    async def plain[Value](self, step: Step, action: Callable[[], Awaitable[Value]]) -> Value:
        """Return what the action gives; retried like a step, but only a failure is an event."""
        started_at = self._clock.now()
        try:
            return (await self._attempts.run(action)).value
        except RemoteError as error:
            raise self._failed(step, started_at, error) from error

    async def run[Value](
        self,
        step: Step,
        action: Callable[[], Awaitable[Done[Value]]],
        reason: str | None = None,
    ) -> Value:
        """Return what the step gives, after retries, and add its event.

        Insights reads a transcript as its own agent, whose grant may be minutes old.
        """
        grant_sec = GRANT_SEC if step is Step.SUBMIT else 0.0

        async def attempted() -> tuple[Done[Value], int]:
            done = await self._attempts.run(action, grant_sec=grant_sec)
            return done.value, done.attempts

        return await self.record(step, attempted, reason)

    async def upload(
        self,
        store: ObjectStore,
        name: str,
        file: DeliveredFile,
        held: StoredObject | None,
        reason: str | None,
    ) -> StoredObject:
        """Return the object that the file is written to, over the generation that is held."""
        return await self.run(Step.UPLOAD, _Upload(store, name, file, held).attempt, reason)

    async def record[Value](
        self,
        step: Step,
        action: Callable[[], Awaitable[tuple[Done[Value], int]]],
        reason: str | None = None,
    ) -> Value:
        """Return what a step that retries on its own gives, with its attempts; add its event."""
        started_at = self._clock.now()
        try:
            with span(step.value):
                (value, outcome, resource_name), attempt = await action()
        except RemoteError as error:
            raise self._failed(step, started_at, error) from error
        if outcome is not None:
            self.done[step] = outcome
            self.add_event(
                step,
                outcome,
                started_at,
                attempt=attempt,
                resource_name=resource_name,
                reason=reason,
            )
        return value

    def add_event(self, step: Step, outcome: Outcome, started_at: dt.datetime, **more: Any) -> None:
        """Add the event of a step that ended now."""
        event = StepEvent(
            conversation_id=self._conversation_id,
            batch_date=self._batch_date,
            step=step,
            outcome=outcome,
            started_at=started_at,
            ended_at=self._clock.now(),
            metadata_sha256=self.hashes.get(FileKind.METADATA),
            transcript_sha256=self.hashes.get(FileKind.TRANSCRIPTION),
            **more,
        )
        log_step(event, self._run_id)
        self.events.append(event)

    def all_rows(self) -> list[RawRow]:
        """Return the rows, those of events first."""
        return [*event_rows(self.events, self._run_id), *self.rows]

    def fail(self, step: Step, error: RemoteError) -> Failure:
        """Add the event of a step that failed now, and return the failure."""
        return self._failed(step, self._clock.now(), error).failure

    def _failed(self, step: Step, started_at: dt.datetime, error: RemoteError) -> StepFailedError:
        self.add_event(
            step,
            Outcome.FAILED,
            started_at,
            attempt=error.attempts,
            error_code=error.code,
            error_message=error.message,
        )
        return StepFailedError(Failure(self._conversation_id, step, error.code, error.message))


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
