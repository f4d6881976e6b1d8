"""The outcome of a push, conversation by conversation."""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.domain.fault import Fault
from ingest.domain.outcome import BatchReport, ItemState
from ingest.flows.conversation_run import ItemResult


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
