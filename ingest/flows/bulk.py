"""One bulk analysis of a date's conversations that have none yet.

A bulk analysis takes all that a filter admits, and a filter can't name ids. So it is only started
when everything that the filter admits is of this batch: others may be left unanalysed on purpose,
and each analysis is billed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from ingest.domain.annotators import AnnotatorProfile
from ingest.errors import RemoteError
from ingest.flows.analysis import wait_for_operation
from ingest.flows.attempts import Attempts
from ingest.flows.effects import log_change
from ingest.flows.outside import Outside
from ingest.ports import CiOperation, InsightsApi


@dataclass(frozen=True)
class BulkBatch:
    """Conversations of one date that this run has found or made, without an analysis."""

    date: dt.date
    conversation_ids: frozenset[str]
    run_id: str

    @property
    def filter(self) -> str:
        """The filter that admits them."""
        return f'labels.batch_date="{self.date}" -latest_analysis:"*"'


async def analyse_in_bulk(
    outside: Outside,
    attempts: Attempts,
    profile: AnnotatorProfile,
    batch: BulkBatch,
    timeout_sec: float,
    is_stopped: Callable[[], bool],
) -> None:
    """Have CI analyse the conversations of the batch.

    One bulk operation runs in a region at a time: one that runs already, of an earlier run that
    was killed or of someone else, is waited for first. A failed operation is only told, since the
    conversations that lack an analysis afterwards are analysed one by one. Once `is_stopped`, the
    operation is left to run; the next run waits for it.
    """
    insights = outside.insights

    async def wait(operation: CiOperation) -> CiOperation:
        return await wait_for_operation(
            insights, outside.clock, attempts, operation, timeout_sec, is_stopped=is_stopped
        )

    async def start() -> CiOperation | None:
        running = await insights.running_bulk_analysis()
        while running is not None:
            outside.progress.note("waiting for the bulk analysis that runs in this region")
            await wait(running)
            running = await insights.running_bulk_analysis()
        if await _admits_others(insights, batch):
            return None
        started = await insights.bulk_analyze(batch.filter, profile.selector)
        log_change("bulk analyze", batch.run_id, resource=started.name, filter=batch.filter)
        return started

    try:
        operation = (await attempts.run(start)).value
        if operation is None:
            outside.progress.note(
                f"CI holds other conversations of {batch.date} without an analysis, which a bulk "
                "analysis would take too; analysing one by one"
            )
            return
        ended = await wait(operation)
    except RemoteError as error:
        outside.progress.note(f"bulk analysis: {error.message}; analysing one by one")
        return
    done = ended.counts.get("completed_analyses_count", 0)
    failed = ended.counts.get("failed_analyses_count", 0)
    outside.progress.note(f"bulk analysis of {batch.date}: {done} done, {failed} failed")


async def _admits_others(insights: InsightsApi, batch: BulkBatch) -> bool:
    token = ""
    while True:
        page = await insights.list_conversations(batch.filter, token)
        if any(held.conversation_id not in batch.conversation_ids for held in page.items):
            return True
        token = page.next_token
        if not token:
            return False
