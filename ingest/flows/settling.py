"""Lands what conversations of a push came to, and then counts them in its report."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ingest.domain.outcome import STAGES, Failure, ItemState, Step
from ingest.domain.raw_records import RawRow
from ingest.errors import RemoteError
from ingest.flows.admission import Admission
from ingest.flows.conversation_run import ItemResult
from ingest.flows.landing import Landing
from ingest.flows.progress import Progress, Silent
from ingest.flows.push_report import PushReport
from ingest.flows.unexpected import unexpected


class Settling:
    """The report of a push; a conversation with rows counts once they are landed."""

    def __init__(
        self, landing: Landing, progress: Progress, admission: Admission, until: Step
    ) -> None:
        self._landing = landing
        self._shown = progress
        self._progress = progress
        self._admission = admission
        self._until = until
        self._flushing = asyncio.Lock()
        self.report = PushReport()
        self._whole = self.report

    def begin_first_pass(self) -> None:
        """Show and count what comes now apart: its conversations come once more."""
        self._whole, self.report = self.report, PushReport()
        self._progress = Silent()

    def end_first_pass(self) -> None:
        """Keep of the first pass what was done; states are counted by the second."""
        self._whole.effects.update(self.report.effects)
        self.report, self._progress = self._whole, self._shown

    def show_passed(self, step: Step) -> None:
        """Show that a conversation is through a step."""
        self._progress.advance(step.value)

    def take(self, result: ItemResult) -> None:
        """Take what a conversation came to; what can't be landed fails it alone."""
        try:
            self._take(result)
        except Exception as error:  # noqa: BLE001 - one conversation never ends the run
            self._lose(result, unexpected(error))

    async def flush_when_full(self) -> None:
        """Land what was taken, once that is a batch."""
        if self._landing.is_full:
            await self.flush()

    async def land_now(self, rows: list[RawRow]) -> None:
        """Return once the rows are landed; raise RemoteError when they can't be."""
        ends: list[RemoteError | None] = []
        self._landing.add(rows, lambda: ends.append(None), ends.append)
        await self.flush(unless=lambda: bool(ends))
        if ends[0] is not None:
            raise ends[0]

    async def flush(self, unless: Callable[[], bool] = lambda: False) -> None:
        """Land what was taken."""
        async with self._flushing:
            # Those who wait here together are landed by the first of them.
            if unless():
                return
            landed = await self._landing.flush()
        for table, rows in landed.items():
            self.report.effects[f"rows_{table}"] += rows

    def _take(self, result: ItemResult) -> None:
        self.report.faults += result.faults
        for step, outcome in result.steps_done.items():
            self.report.effects[f"{step.value}_{outcome.value}"] += 1
        if result.rows:
            self._landing.add(
                result.rows,
                lambda: self._settle(result),
                lambda error: self._lose(result, error),
            )
            result.rows.clear()
        else:
            self._settle(result)

    def _settle(self, result: ItemResult) -> None:
        for stage in STAGES[: STAGES.index(self._until) + 1]:
            if stage not in result.steps_passed:
                self._progress.advance(stage.value)
        self._progress.quota(self._admission.use())
        self.report.settle(result)

    def _lose(self, result: ItemResult, error: RemoteError) -> None:
        failure = result.failure or Failure(
            result.conversation_id, Step.LAND, error.code, error.message
        )
        self.report.fail([failure])

    def interrupt(self, count: int = 1) -> None:
        """Count conversations that a stopped push doesn't take."""
        self.report.count(ItemState.INTERRUPTED, count)
