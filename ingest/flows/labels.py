"""Labels of people: brought to Insights from a CSV, and landed as Insights holds them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ingest.domain.labels import (
    CiLabel,
    WantedLabel,
    sheet_cells,
    true_answer,
)
from ingest.domain.outcome import Failure, Step
from ingest.domain.raw_records import ANY_PARTITION, FEEDBACK_LABELS, RawRow, label_row
from ingest.domain.scorecards import LiveScorecard, Question
from ingest.errors import InputError, RemoteError
from ingest.flows.attempts import Attempts, admitted, every_item
from ingest.flows.evidence import forgotten_ids
from ingest.flows.landing import Landing
from ingest.flows.scorecards import held_scorecards
from ingest.flows.steps import log_change
from ingest.ports.move import InsightsApi, RawSink
from ingest.ports.quality import QualityApi

CREATED, CHANGED, KEPT, FAILED = "created", "changed", "kept", "failed"


@dataclass
class Imported:
    """What became of the labels of a CSV: counts by state, and each that failed."""

    states: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)


async def import_labels(
    api: QualityApi,
    attempts: Attempts,
    wanted: Sequence[WantedLabel],
    concurrency: int,
    run_id: str,
    on_done: Callable[[], None] = lambda: None,
) -> Imported:
    """Label conversations in Insights; one that says so already is kept, and one failure is one."""
    held = {label.name: label for label in (await attempts.run(api.list_labels)).value}
    by_id = {(each.conversation_id, name.rsplit("/", 1)[-1]): each for name, each in held.items()}
    imported, slots = Imported(), asyncio.Semaphore(concurrency)

    async def one(label: WantedLabel) -> None:
        async with slots:
            found = by_id.get((label.conversation_id, label.label_id))
            try:
                state = await _put(api, attempts, label, found)
            except RemoteError as error:
                failure = Failure(label.conversation_id, Step.SUBMIT, error.code, error.message)
                imported.failures.append(failure)
                state = FAILED
            imported.states[state] += 1
            if state in (CREATED, CHANGED):
                resource = f"{label.conversation_id}/{label.label_id}"
                log_change(f"{state} feedback label", run_id, resource=resource)
            on_done()

    async with asyncio.TaskGroup() as tasks:
        for label in wanted:
            tasks.create_task(one(label))
    imported.failures.sort(key=lambda failure: failure.conversation_id)
    return imported


async def _put(
    api: QualityApi, attempts: Attempts, label: WantedLabel, found: CiLabel | None
) -> str:
    if found is not None and found.says(label):
        return KEPT
    if found is None:
        try:
            await attempts.run(partial(api.create_label, label))
            return CREATED
        except RemoteError as error:
            if error.code != "ALREADY_EXISTS":
                raise
            # An attempt without an answer has made it, or another run has: it may say otherwise.
    await attempts.run(partial(api.update_label, label))
    return CHANGED if found is not None else CREATED


async def land_labels(
    api: QualityApi, sink: RawSink, attempts: Attempts, landing: Landing
) -> tuple[list[CiLabel], int]:
    """Land the labels that Insights holds otherwise than landed, and those that are gone.

    Returns all labels, and how many rows were landed. Those of forgotten conversations are left.
    """
    sql = f"""
        select conversation_id, label_name, payload_sha256, is_deleted
        from {sink.table(FEEDBACK_LABELS)}
        where {ANY_PARTITION}
        qualify row_number() over (
            partition by label_name order by _landed_at desc, payload_sha256
        ) = 1
    """
    landed = {
        row["label_name"]: row for row in (await attempts.run(partial(sink.query, sql, {}))).value
    }
    held = list((await attempts.run(api.list_labels)).value)
    forgotten = await forgotten_ids(sink, attempts)
    rows = [
        row
        for label in held
        if label.conversation_id not in forgotten
        and _differs(row := label_row(label.conversation_id, label.name, label.payload), landed)
    ]
    names = {label.name for label in held}
    rows += [
        label_row(row["conversation_id"], name, {"name": name}, is_deleted=True)
        for name, row in landed.items()
        if name not in names and not row["is_deleted"] and row["conversation_id"] not in forgotten
    ]
    lost: list[RemoteError] = []
    for row in rows:
        landing.add([row], lambda: None, lost.append)
        if landing.is_full:
            await landing.flush()
    await landing.flush()
    if lost:
        raise lost[0]
    return held, len(rows)


def _differs(row: RawRow, landed: Mapping[str, Mapping[str, Any]]) -> bool:
    before = landed.get(row.values["label_name"])
    return (
        before is None
        or before["is_deleted"]
        or before["payload_sha256"] != row.values["payload_sha256"]
    )


async def sheet(
    insights: InsightsApi, attempts: Attempts, card: LiveScorecard, filter_: str, count: int
) -> list[tuple[str, ...]]:
    """Return a sheet that asks people each question about the first conversations of a filter."""
    listed = every_item(attempts, lambda token: insights.list_conversations(filter_, token))
    ids: list[str] = []
    async for conversation in admitted(listed, filter_):
        if len(ids) == count:
            break
        ids.append(conversation.conversation_id)
    return sheet_cells(ids, card)


async def scorecard_to_label(
    api: QualityApi, attempts: Attempts, scorecard_id: str
) -> LiveScorecard:
    """Return a scorecard with its questions; InputError where Insights has none of that id."""
    for card in await held_scorecards(api, attempts, [scorecard_id]):
        if card.scorecard_id == scorecard_id and card.counting is not None:
            return card
    raise InputError(
        f"Insights has no scorecard {scorecard_id!r}", "`ingest scorecards list` names them"
    )


def truth_sheet(
    truths: Iterable[tuple[str, Mapping[str, Any]]],
    card: LiveScorecard,
    rules: Mapping[tuple[str, str], str],
) -> list[tuple[str, ...]]:
    """Return a sheet filled in by the truth of dev data, for the questions that it answers."""
    by_id = dict(truths)

    def answer(conversation_id: str, question: Question) -> str:
        rule = rules.get((card.scorecard_id, question.question_id), "")
        key = true_answer(rule, by_id[conversation_id]) if rule else ""
        return key if any(each.key == key for each in question.answers) else ""

    return sheet_cells(sorted(by_id), card, answer)
