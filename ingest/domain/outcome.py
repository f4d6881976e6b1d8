"""What happened to each conversation of a batch, and what that means for the exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from ingest.errors import ExitCode


class Step(StrEnum):
    """Steps of the pipeline, in order."""

    VALIDATE = "validate"
    UPLOAD = "upload"
    SUBMIT = "submit"
    ANALYSE = "analyse"
    LAND = "land"
    FORGET = "forget"


NO_SERVICE = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"})
"""Codes of failures for want of a service."""
STAGES = (Step.UPLOAD, Step.SUBMIT, Step.ANALYSE, Step.LAND)


class Outcome(StrEnum):
    """Outcome of a step on a conversation."""

    SUCCEEDED = "succeeded"
    ADOPTED = "adopted"
    WAITING = "waiting"
    FAILED = "failed"
    SKIPPED = "skipped"


class ItemState(StrEnum):
    """Where a conversation stands when the run ends."""

    DONE = "done"
    UNCHANGED = "unchanged"
    WAITING = "waiting"
    FAILED = "failed"
    INVALID = "invalid"
    OUTDATED = "outdated"
    """Its files are an earlier version of what is there; it wasn't asked to go back."""
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Failure:
    """One conversation that did not get through; a batch of rows has no `conversation_id`."""

    conversation_id: str
    step: Step
    code: str
    message: str


@dataclass
class BatchReport:
    """Counts by state and effect, and every failure; grows while the run goes on."""

    states: Counter[ItemState] = field(default_factory=Counter)
    effects: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    is_interrupted: bool = False

    def count(self, state: ItemState, number: int = 1) -> None:
        """Add conversations that ended in this state."""
        self.states[state] += number

    def fail(self, failures: Iterable[Failure]) -> None:
        """Add failures, each of which is a conversation that ended as failed."""
        for failure in failures:
            self.failures.append(failure)
            self.states[ItemState.FAILED] += 1

    def fail_batches(self, failures: Iterable[Failure]) -> None:
        """Add batches of an earlier run that can't be landed; they are no conversations."""
        self.failures += failures

    @property
    def _all_failed_for_want_of_a_service(self) -> bool:
        failed = self.states[ItemState.FAILED]
        codes = {failure.code for failure in self.failures}
        return bool(failed) and failed == sum(self.states.values()) and codes <= NO_SERVICE

    @property
    def exit_code(self) -> ExitCode:
        """0 only when every conversation is done or was done before, and nothing else failed.

        4 when nothing but a service that gave no answer is in the way of all of them.
        """
        if self.is_interrupted:
            return ExitCode.INTERRUPTED
        if self._all_failed_for_want_of_a_service:
            return ExitCode.REMOTE
        unfinished = sum(
            self.states[state]
            for state in (
                ItemState.FAILED,
                ItemState.INVALID,
                ItemState.OUTDATED,
                ItemState.WAITING,
                ItemState.INTERRUPTED,
            )
        )
        return ExitCode.SOME_FAILED if unfinished or self.failures else ExitCode.OK
