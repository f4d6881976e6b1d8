"""One bulk analysis of a date's conversations that have none yet."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from ingest.domain.annotators import AnnotatorProfile
from ingest.errors import RemoteError
from ingest.flows.analysis import wait_for_operation
from ingest.flows.attempts import Attempts
from ingest.flows.outside import Outside
from ingest.ports import CiOperation


async def analyse_in_bulk(
    outside: Outside,
    attempts: Attempts,
    profile: AnnotatorProfile,
    date: dt.date,
    timeout_sec: float,
    is_stopped: Callable[[], bool],
) -> None:
    """Have CI analyse the conversations of the date that have no analysis.

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

    async def start() -> CiOperation:
        running = await insights.running_bulk_analysis()
        while running is not None:
            outside.progress.note("waiting for the bulk analysis that runs in this region")
            await wait(running)
            running = await insights.running_bulk_analysis()
        return await insights.bulk_analyze(
            f'labels.batch_date="{date}" -latest_analysis:"*"', profile.selector
        )

    try:
        operation = (await attempts.run(start)).value
        ended = await wait(operation)
    except RemoteError as error:
        outside.progress.note(f"bulk analysis: {error.message}; analysing one by one")
        return
    done = ended.counts.get("completed_analyses_count", 0)
    failed = ended.counts.get("failed_analyses_count", 0)
    outside.progress.note(f"bulk analysis of {date}: {done} done, {failed} failed")
