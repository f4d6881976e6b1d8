"""Everything that tests may switch while the emulator runs, and the counters they read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ingest.emulator.behaviour.faults import FaultPlan
from ingest.emulator.behaviour.known_names import EVERY
from ingest.emulator.behaviour.quotas import Quotas

ANALYSES = ("CreateAnalysis", "BulkAnalyzeConversations")


@dataclass(slots=True)
class Switches:
    """Latencies in microseconds, by RPC name or by kind of operation; `*` stands for the rest."""

    call_latency: dict[str, int] = field(default_factory=dict)
    operation_latency: dict[str, int] = field(default_factory=dict)
    quotas: Quotas = field(default_factory=Quotas)
    faults: FaultPlan = field(default_factory=FaultPlan)
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many calls ended how: (method, status)."""

    def of_call(self, method: str) -> int:
        """Return how long a call of this method takes at least."""
        return self.call_latency.get(method, self.call_latency.get(EVERY, 0))

    def of_operation(self, kind: str) -> int:
        """Return how long an operation of this kind runs."""
        return self.operation_latency.get(kind, self.operation_latency.get(EVERY, 0))

    def counters(self) -> dict[str, dict[str, int]]:
        """Return the number of calls by method and status."""
        counted: dict[str, dict[str, int]] = {}
        for (method, status), number in sorted(self.calls.items()):
            counted.setdefault(method, {})[status] = number
        return counted
