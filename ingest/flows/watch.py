"""What a run waits for, in sentences, every ten seconds.

Everything said is read off at that moment: conversations by stage, calls that wait for a quota, an
operation that runs, services that don't answer, and retries.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ingest.domain.outcome import Step
from ingest.domain.quota import QuotaUse
from ingest.flows.attempts import Attempts
from ingest.flows.services import Admission, Calls, Progress, Silent
from ingest.ports.move import Clock

TICK_SEC = 10.0
FAILED = "failed"
"""Shown as the stages are: conversations that pass no further one."""
_QUOTAS = {"creates": Step.SUBMIT, "analyses": Step.ANALYSE}


class ShownStages(Silent):
    """Shows the stages that now count."""

    def __init__(self, progress: Progress, stages: tuple[Step, ...]) -> None:
        self._progress = progress
        self.stages = stages

    def advance(self, name: str) -> None:
        """Show that a conversation has passed the stage."""
        if name in self.stages:
            self._progress.advance(name)

    def note(self, message: str) -> None:
        """Show the message."""
        self._progress.note(message)


@dataclass
class Watch:
    """Passes progress on, and says every ten seconds what the run waits for.

    `timeout_sec` is the deadline of one call, `budget_sec` that of a step's retries.
    """

    progress: Progress
    clock: Clock
    admission: Admission
    attempts: Attempts
    calls: Calls
    timeout_sec: float
    budget_sec: float
    say_progress: Callable[[str], None] = lambda _: None
    operation: str = ""
    """What runs in Insights for all of them, such as a bulk analysis, in words."""
    comes_in_bulk: bool = False
    """Whether what is submitted now is analysed later, all of a date at once."""
    _totals: dict[str, int | None] = field(default_factory=dict)
    _done: Counter[str] = field(default_factory=Counter)
    _first: dict[str, tuple[float, int]] = field(default_factory=dict)
    _retries_told: int = 0

    def stage(self, name: str, total: int | None) -> None:
        """A stage begins or learns its total."""
        self._totals[name] = total
        self.progress.stage(name, total)

    def advance(self, name: str) -> None:
        """One conversation has passed the stage."""
        self._done[name] += 1
        self._first.setdefault(name, (self.clock.monotonic(), self._done[name]))
        self.progress.advance(name)

    def quota(self, use: Mapping[str, QuotaUse]) -> None:
        """How much of each quota the last minute used."""
        self.progress.quota(use)

    def note(self, message: str) -> None:
        """Something worth a line."""
        self.progress.note(message)

    def tick(self, sentences: tuple[str, ...]) -> None:
        """What the run waits for."""
        self.progress.tick(sentences)

    def set_operation(self, sentence: str) -> None:
        """Take what runs in Insights for all of them; "" when it has ended."""
        self.operation = sentence

    async def tell(self) -> None:
        """Say it every ten seconds, until cancelled."""
        while True:
            await self.clock.sleep(TICK_SEC)
            self.say_progress(self.counts())
            self.progress.quota(self.admission.use())
            self.progress.tick(self.sentences())

    async def beside[Result](self, work: Awaitable[Result]) -> Result:
        """Return what the work gives, and say meanwhile what it waits for."""
        telling = asyncio.create_task(self.tell())
        try:
            return await work
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)

    def counts(self) -> str:
        """Return how many conversations have passed each stage."""
        return ", ".join(
            f"{name} {self._done[name]}" + (f" of {total}" if total is not None else "")
            for name, total in self._totals.items()
        )

    def sentences(self) -> tuple[str, ...]:
        """Return what is true now."""
        return tuple(
            sentence
            for sentence in (
                *self._waiting_for_quota(),
                self.operation or self._being_analysed(),
                *self._silent(),
                self._retries(),
                self._eta(),
            )
            if sentence
        )

    def _waiting_for_quota(self) -> Iterator[str]:
        use = self.admission.use()
        for name, step in _QUOTAS.items():
            waiting = self.admission.waiting[name]
            if not waiting:
                continue
            shared = self.admission.run_count
            of_all = f" (of {shared} runs each)" if shared > 1 else ""
            yield f"{waiting} wait for the quota of {use[name].limit} {name} a minute{of_all}" + (
                self._least_minutes(step, use[name].limit)
            )

    def _least_minutes(self, step: Step, limit: int) -> str:
        total = self._totals.get(step.value)
        if total is None:
            return ""
        left = max(0, total - self._done[step.value] - self._done[FAILED])
        return f", which {left} more take {max(1, round(left / limit))} min for"

    def _being_analysed(self) -> str:
        if Step.ANALYSE.value not in self._totals:
            return ""
        number = self._done[Step.SUBMIT.value] - self._done[Step.ANALYSE.value]
        number -= self.admission.waiting["analyses"]
        if number <= 0:
            return ""
        if self.comes_in_bulk:
            return f"{number} are submitted and will be analysed in bulk"
        return f"{number} are being analysed"

    def _silent(self) -> Iterator[str]:
        now = self.clock.monotonic()
        for service, since in self.calls.silent(now).items():
            if service == "Insights" and self._insights_waits_for_us():
                continue
            failing_since = self.attempts.failing_since
            began = since + self.timeout_sec if failing_since is None else failing_since
            left_sec = began + self.budget_sec - now
            until = self.clock.now() + dt.timedelta(seconds=max(0.0, left_sec))
            yield (
                f"{service} hasn't answered for {now - since:.0f} s, trying until {until:%H:%M:%S}Z"
            )

    def _insights_waits_for_us(self) -> bool:
        """Calls that wait for a quota were not sent yet."""
        return self.calls.in_flight("Insights") <= sum(self.admission.waiting.values())

    def _retries(self) -> str:
        new = self.attempts.retry_count - self._retries_told
        self._retries_told = self.attempts.retry_count
        error = self.attempts.last_error
        if not new or error is None:
            return ""
        return f"{new} {'retry' if new == 1 else 'retries'}, the latest after: {error.message}"

    def _eta(self) -> str:
        """By the pace of the last stage since it began; quotas may make it longer."""
        name = next((name for name in reversed(self._totals) if self._totals[name]), None)
        total = self._totals.get(name) if name else None
        if name is None or total is None or name not in self._first:
            return ""
        began, at_first = self._first[name]
        passed, seconds = self._done[name] - at_first, self.clock.monotonic() - began
        left = total - self._done[name] - self._done[FAILED]
        if passed < 1 or seconds < TICK_SEC or left < 1:
            return ""
        return f"about {duration(left * seconds / passed)} to go"


def duration(seconds: float) -> str:
    """Return seconds as people say them: 40 s, 12 min, 3.5 h."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
