"""Everything that a flow talks to, in one place."""

from __future__ import annotations

import random
from dataclasses import dataclass

from ingest.flows.admission import Admission
from ingest.flows.progress import Progress
from ingest.ports import Clock, InsightsApi, ObjectStore, RawSink


@dataclass(frozen=True)
class Outside:
    """Adapters, time, chance, and whom to tell."""

    store: ObjectStore
    insights: InsightsApi
    sink: RawSink
    clock: Clock
    rng: random.Random
    progress: Progress
    admission: Admission
