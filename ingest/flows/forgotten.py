"""Which conversations no command may bring back: those erased, and those whose erasing has begun.

Both are told by events of the step `forget`: its intent waits, its tombstone has succeeded.
"""

from __future__ import annotations

from ingest.domain.outcome import Outcome, Step
from ingest.domain.raw_records import PIPELINE_EVENTS
from ingest.flows.attempts import Attempts
from ingest.ports import RawSink

IS_FORGOTTEN_SQL = (
    f"step = '{Step.FORGET}' and outcome in ('{Outcome.WAITING}', '{Outcome.SUCCEEDED}')"
)
FORGOTTEN_CODE = "FORGOTTEN"
FORGOTTEN_IN_CI = (
    "this conversation was erased, but CI holds it again: run `ingest forget` once more"
)


async def forgotten_ids(sink: RawSink, attempts: Attempts) -> set[str]:
    """Return all of them."""
    sql = (
        f"select distinct conversation_id from {sink.table(PIPELINE_EVENTS)} "
        f"where _landed_at >= timestamp('2000-01-01') and {IS_FORGOTTEN_SQL}"
    )
    rows = (await attempts.run(lambda: sink.query(sql, {}))).value
    return {row["conversation_id"] for row in rows}
