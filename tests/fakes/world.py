"""Everything that a flow talks to, in memory, and pushes over it."""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.domain.conversation import Shard
from ingest.domain.declarations import NOTHING_DECLARED, Declarations
from ingest.domain.outcome import Step
from ingest.enums import Foreign, Mode
from ingest.flows.attempts import Attempts
from ingest.flows.conversation_run import PushReport
from ingest.flows.dry_run import without_effects
from ingest.flows.forget import Forget, Forgotten
from ingest.flows.landing import Landing
from ingest.flows.lease import BucketLease, NoLease, RunRecord
from ingest.flows.pull import Pull, PullReport, PullSelection
from ingest.flows.push import Push, PushOptions
from ingest.flows.reanalyze import Reanalyze
from ingest.flows.services import Admission, Services, Silent
from ingest.flows.source import LocalSource
from ingest.flows.verify import DateCheck, Verify
from ingest.ports.inspect import Warehouse
from ingest.settings import Settings
from tests.fakes.clock import ManualClock
from tests.fakes.insights import FakeInsights
from tests.fakes.sink import FakeSink
from tests.fakes.store import FakeObjectStore


class Notes(Silent):
    """Progress that keeps what it was told, and counts the items of each stage."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.advances: Counter[str] = Counter()

    def advance(self, name: str) -> None:
        self.advances[name] += 1

    def note(self, message: str) -> None:
        self.notes.append(message)


def fake_settings(**changes: Any) -> Settings:
    """Return settings that need no environment."""
    return Settings(
        _env_file=None,  # type: ignore[call-arg]
        **{
            "project_id": "local-project",
            "bucket": "local-project-cc-dev",
            "location": "us-central1",
            "concurrency": 8,
            "step_budget_sec": 120,
            "quota_creates_per_min": 100_000,
            "quota_analyses_per_min": 100_000,
            "quota_requests_per_min": 1_000_000,
            **changes,
        },
    )


@dataclass
class World:
    """Fakes that keep their state from one push to the next."""

    settings: Settings = field(default_factory=fake_settings)
    clock: ManualClock = field(default_factory=ManualClock)
    store: FakeObjectStore = field(default_factory=FakeObjectStore)
    progress: Notes = field(default_factory=Notes)
    run_count: int = 0
    runs: FakeObjectStore = field(default_factory=FakeObjectStore)
    """The part of the bucket that leases lie in, apart so that faults of other parts spare it."""
    died: set[str] = field(default_factory=set)
    """Run ids of which the machine knows that their process has ended."""

    def __post_init__(self) -> None:
        self.insights = FakeInsights(self.clock)
        self.sink = FakeSink(self.store)
        self.runs.now = self.clock.now
        self.insights.files = self.store.content

    def lease(self, command: str, run_id: str, admission: Admission | None = None) -> BucketLease:
        """Return the lease of a run; process numbers count up."""
        record = RunRecord(run_id, command, "a-machine", 100 + self.run_count, self.clock.now())
        return BucketLease(
            self.runs,
            self.clock,
            self.attempts(),
            record,
            is_surely_dead=self.died.__contains__,
            on_count=admission.share if admission else lambda _: None,
            note=self.progress.note,
        )

    def outside(self, command: str = "", run_id: str = "") -> Services:
        """Return the fakes as a flow takes them; with a lease where a command is named."""
        admission = Admission(self.settings, self.clock)
        return Services(
            store=self.store,
            insights=self.insights,
            quality=self.insights,
            sink=self.sink,
            clock=self.clock,
            rng=random.Random(5),
            progress=self.progress,
            admission=admission,
            lease=self.lease(command, run_id, admission) if command else NoLease(),
        )

    def attempts(self) -> Attempts:
        """Return the retries of a run."""
        return Attempts(self.clock, self.settings.step_budget_sec, random.Random(5))

    def landing(self, **more: Any) -> Landing:
        """Return the landing of a new run."""
        return Landing(
            self.store, self.sink, self.clock, self.attempts(), self.new_run_id(), **more
        )

    def new_run_id(self) -> str:
        """Return another run id."""
        self.run_count += 1
        return f"run-{self.run_count}"

    def new_push(
        self,
        *,
        until: Step = Step.LAND,
        mode: Mode = Mode.AUTO,
        shard: Shard | None = None,
        outside: Services | None = None,
        summarization: bool = False,
        foreign: Foreign = Foreign.REFUSE,
        allow_return: bool = False,
        waits: bool = False,
        declared: Declarations = NOTHING_DECLARED,
    ) -> Push:
        """Return a push of a new run, a second after the one before."""
        self.clock.advance(1)
        run_id = self.new_run_id()
        options = PushOptions(
            run_id,
            until,
            mode,
            shard or Shard(),
            summarization,
            foreign,
            allow_return,
            waits,
            declared,
        )
        return Push(outside or self.outside("push", run_id), self.settings, options)

    async def push(self, root: Path, **more: Any) -> PushReport:
        """Push a folder."""
        return await self.new_push(**more).run(LocalSource(root))

    async def dry_push(self, root: Path) -> tuple[PushReport, Counter[str]]:
        """Push a folder without effects."""
        outside, effects = without_effects(self.outside())
        return await self.push(root, outside=outside), effects

    async def pull(self, selection: PullSelection) -> PullReport:
        """Pull, a second after the run before."""
        return await self.new_pull().run(selection)

    def new_pull(self, warehouse: Warehouse | None = None) -> Pull:
        """Return a pull of a new run, a second after the one before."""
        self.clock.advance(1)
        return Pull(self.outside(), self.attempts(), self.landing(), warehouse)

    def new_reanalyze(self, reason: str | None = None) -> Reanalyze:
        """Return a re-analysis of a new run, a second after the one before."""
        self.clock.advance(1)
        landing = self.landing()
        run_id = f"run-{self.run_count}"
        outside = self.outside("reanalyze", run_id)
        return Reanalyze(outside, self.settings, self.attempts(), landing, run_id, reason)

    async def verify(self, date: str, root: Path | None = None) -> DateCheck:
        """Verify one date, with the files of a folder when one is given."""
        source = LocalSource(root) if root else None
        flow = Verify(self.outside(), self.attempts())
        return await flow.check(dt.date.fromisoformat(date), source)

    async def verified_dates(self) -> list[str]:
        """Return the dates that a plain verify would check."""
        return [str(date) for date in await Verify(self.outside(), self.attempts()).dates()]

    async def forget(self, conversation_id: str) -> Forgotten:
        """Forget a conversation, a second after the run before."""
        self.clock.advance(1)
        landing = self.landing()
        run_id = f"run-{self.run_count}"
        outside = self.outside("forget", run_id)
        flow = Forget(outside, self.attempts(), landing, run_id)
        async with outside.lease.running():
            return await flow.run(conversation_id)

    def effects(self) -> dict[str, Any]:
        """Return everything that a push leaves behind, to be compared as a whole."""
        return {
            "objects": {n: self.store.generation_count(n) for n in self.store.live_names},
            "conversations": {i: self.insights.labels(i) for i in self.insights.conversation_ids},
            "analyses": sorted(self.insights.analyses),
            "rows": self.sink.facts(),
        }
