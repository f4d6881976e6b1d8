"""Pull: land the state that Insights holds, without changing anything in Insights.

For what others analysed, for analyses that a rule started, and after a lost raw table. States are
told apart by the hash of the payload, so pulling again lands only what has changed.

States may come from a table of Insights' own BigQuery export instead. It says less than Insights
does, so a row is left out where a state of its conversation landed that is newer.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from ingest.domain.annotators import AnnotatorProfile, Selector
from ingest.domain.conversation import PULL_WATERMARK_OBJECT, checked_id, sha256_hex
from ingest.domain.native_export import COLUMNS as EXPORT_COLUMNS
from ingest.domain.native_export import conversation_of, updated_at
from ingest.domain.outcome import BatchReport, Failure, ItemState, Step
from ingest.domain.raw_records import (
    ANY_PARTITION,
    CI_CONVERSATIONS,
    timestamp,
)
from ingest.errors import ExitCode, InputError, RemoteError, unexpected
from ingest.flows.analysis import (
    annotator_profile,
    conversation_profile_sha256,
    state_row,
)
from ingest.flows.attempts import Attempts, every_item
from ingest.flows.evidence import FORGOTTEN_CODE, FORGOTTEN_IN_CI, forgotten_ids
from ingest.flows.forget import take_up
from ingest.flows.landing import Landing
from ingest.flows.services import Services
from ingest.ports.inspect import Warehouse
from ingest.ports.move import CiAnalysis, CiConversation, ObjectStore, StoredObject

WATERMARK_OVERLAP = dt.timedelta(minutes=10)
"""What Insights stamped shortly before a pull began may be committed after, and clocks differ."""


class PullWatermark:
    """The watermark that this pull found, and the one that it leaves."""

    def __init__(self, store: ObjectStore, attempts: Attempts) -> None:
        self._store = store
        self._attempts = attempts
        self._found: StoredObject | None = None

    async def since(self) -> dt.datetime | None:
        """Return from when on states must be looked at, UTC; None: from the beginning."""
        self._found = (
            await self._attempts.run(lambda: self._store.stat(PULL_WATERMARK_OBJECT))
        ).value
        if self._found is None:
            return None
        content = (await self._attempts.run(lambda: self._store.read(PULL_WATERMARK_OBJECT))).value
        complete_until = dt.datetime.fromisoformat(orjson.loads(content)["complete_until"])
        return complete_until - WATERMARK_OVERLAP

    async def advance(self, began_at: dt.datetime) -> None:
        """Say that everything up to then is landed, unless another pull said something since."""
        content = orjson.dumps({"complete_until": timestamp(began_at)})
        generation = self._found.generation if self._found else 0

        async def put() -> None:
            await self._store.put(
                PULL_WATERMARK_OBJECT,
                content,
                content_type="application/json",
                content_sha256=sha256_hex(content),
                if_generation_match=generation,
            )

        try:
            await self._attempts.run(put)
        except RemoteError as error:
            if error.code != "FAILED_PRECONDITION":
                raise


_PAGE_SIZE = 100


@dataclass(frozen=True)
class PullSelection:
    """Which conversations: by ids, by date folder, changed since, or all; none of them means
    changed since the last pull that was complete."""

    ids: tuple[str, ...] = ()
    date: dt.date | None = None
    since: dt.datetime | None = None
    is_all: bool = False
    export: tuple[str, str] | None = None
    """Dataset and table of Insights' own export, to be read in place of Insights."""

    @property
    def is_complete(self) -> bool:
        """Whether the pull sees everything that changed since the last complete one."""
        return not (self.ids or self.date or self.since or self.export)


@dataclass
class PullReport(BatchReport):
    """The outcome, with the filter that was used."""

    filter: str = ""
    landed: Counter[str] = field(default_factory=Counter)


class Pull:
    """One pull; `stop` ends it after the page in hand."""

    def __init__(
        self,
        services: Services,
        attempts: Attempts,
        landing: Landing,
        warehouse: Warehouse | None = None,
    ) -> None:
        self._services = services
        self._warehouse = warehouse
        self._attempts = attempts
        self._landing = landing
        self._watermark = PullWatermark(services.store, attempts)
        self._report = PullReport()
        self._taken: set[tuple[str, str]] = set()
        """States that are not landed yet: a listing gives twice what changes while it is read."""
        self._is_stopped = False

    def stop(self) -> None:
        """Take no more pages."""
        self._is_stopped = True

    async def run(self, selection: PullSelection) -> PullReport:
        """Land every selected state that isn't landed yet."""
        self._services.progress.stage(Step.LAND.value, None)
        began_at = self._services.clock.now()
        recovered = await take_up(self._services, self._attempts, self._landing)
        self._report.fail_batches(recovered.failures)
        profile = None
        if selection.export is None:
            profile = await annotator_profile(
                self._services.insights, self._attempts, self._services.progress
            )
        forgotten = await forgotten_ids(self._services.sink, self._attempts)
        async for page in self._pages(selection):
            await self._land(self._without(forgotten, page), profile)
            if self._is_stopped:
                break
        await self._flush()
        self._report.is_interrupted = self._is_stopped
        if selection.is_complete and self._report.exit_code is ExitCode.OK:
            await self._watermark.advance(began_at)
        return self._report

    async def _pages(self, selection: PullSelection) -> AsyncIterator[list[CiConversation]]:
        if selection.export is not None:
            async for exported in self._exported(*selection.export):
                yield exported
            return
        page: list[CiConversation] = []
        async for conversation in self._selected(selection):
            page.append(conversation)
            if len(page) == _PAGE_SIZE:
                yield page
                page = []
        if page:
            yield page

    async def _selected(self, selection: PullSelection) -> AsyncIterator[CiConversation]:
        if not selection.ids:
            self._report.filter = await self._filter(selection)
            filter_, list_ = self._report.filter, self._services.insights.list_conversations
            async for conversation in every_item(
                self._attempts, lambda token: list_(filter_, token)
            ):
                yield conversation
            return
        for conversation_id in dict.fromkeys(selection.ids):
            get = partial(self._services.insights.get_conversation, checked_id(conversation_id))
            held = (await self._attempts.run(get)).value
            if held is None:
                message = "Insights holds no conversation of this id"
                self._report.fail([Failure(conversation_id, Step.LAND, "NOT_FOUND", message)])
            else:
                yield held

    async def _exported(self, dataset: str, table: str) -> AsyncIterator[list[CiConversation]]:
        """Yield what the rows of an export tell; a row of no conversation is a failure."""
        warehouse = self._warehouse
        if warehouse is None:
            raise ValueError("an export is read from a warehouse")
        pages = warehouse.pages(dataset, table, EXPORT_COLUMNS, _PAGE_SIZE)
        while (rows := await asyncio.to_thread(next, pages, None)) is not None:
            page: list[CiConversation] = []
            for row in rows:
                try:
                    page.append(_exported_state(row))
                except InputError as error:
                    failure = Failure("", Step.LAND, "INVALID_ARGUMENT", error.message)
                    self._report.fail([failure])
                except Exception as error:  # noqa: BLE001 - one row never ends the run
                    self._lose("", unexpected(error))
            yield page

    async def _filter(self, selection: PullSelection) -> str:
        watermark = await self._watermark.since()
        if selection.is_all:
            return ""
        if selection.date is not None:
            return f'labels.batch_date="{selection.date}"'
        since = selection.since or watermark
        return f'update_time>="{since:%Y-%m-%dT%H:%M:%S.%fZ}"' if since else ""

    async def _land(self, page: Sequence[CiConversation], profile: AnnotatorProfile | None) -> None:
        """Land the states that aren't landed; without a profile those of an export."""
        landed, newest = await self._landed([item.conversation_id for item in page])
        for conversation in page:
            self._services.progress.advance(Step.LAND.value)
            id_ = conversation.conversation_id
            if profile is None and id_ in newest and newest[id_] > conversation.updated_at:
                self._report.count(ItemState.UNCHANGED)
                continue
            try:
                row = state_row(conversation, _profile_sha256(conversation, profile))
            except Exception as error:  # noqa: BLE001 - one conversation never ends the run
                self._lose(conversation.conversation_id, unexpected(error))
                continue
            state = (conversation.conversation_id, row.values["payload_sha256"])
            if state in landed:
                self._report.count(ItemState.UNCHANGED)
                continue
            if state in self._taken:
                continue
            self._taken.add(state)
            self._landing.add(
                [row],
                partial(self._report.count, ItemState.DONE),
                partial(self._lose, conversation.conversation_id),
            )
        if self._landing.is_full:
            await self._flush()

    def _without(
        self, forgotten: set[str], page: Sequence[CiConversation]
    ) -> Sequence[CiConversation]:
        ids = dict.fromkeys(item.conversation_id for item in page)
        self._report.fail(
            Failure(id_, Step.LAND, FORGOTTEN_CODE, FORGOTTEN_IN_CI)
            for id_ in ids
            if id_ in forgotten
        )
        return [item for item in page if item.conversation_id not in forgotten]

    async def _landed(self, ids: list[str]) -> tuple[set[tuple[str, str]], dict[str, dt.datetime]]:
        """Return id and hash of every landed state, and the time of the newest by id."""
        sql = (
            "select distinct conversation_id, payload_sha256, ci_updated_at "
            f"from {self._services.sink.table(CI_CONVERSATIONS)} "
            f"where {ANY_PARTITION} and conversation_id in unnest(@ids)"
        )
        rows = (
            await self._attempts.run(lambda: self._services.sink.query(sql, {"ids": ids}))
        ).value
        newest: dict[str, dt.datetime] = {}
        for row in rows:
            id_, moment = row["conversation_id"], row["ci_updated_at"]
            newest[id_] = max(newest.get(id_, moment), moment)
        return {(row["conversation_id"], row["payload_sha256"]) for row in rows}, newest

    def _lose(self, conversation_id: str, error: RemoteError) -> None:
        self._report.fail([Failure(conversation_id, Step.LAND, error.code, error.message)])

    async def _flush(self) -> None:
        self._taken.clear()
        for table, rows in (await self._landing.flush()).items():
            self._report.effects[f"rows_{table}"] += rows


def _profile_sha256(conversation: CiConversation, profile: AnnotatorProfile | None) -> str | None:
    return conversation_profile_sha256(conversation, profile) if profile is not None else None


def _exported_state(row: Mapping[str, Any]) -> CiConversation:
    """Return the state that a row of the export tells; raise InputError for a row of none."""
    payload = conversation_of(row)
    name, analysis = payload["name"], payload.get("latestAnalysis")
    moment = updated_at(row)
    return CiConversation(
        name=name,
        conversation_id=checked_id(name.rpartition("/")[2]),
        transcript_uri="",
        medium=payload.get("medium", ""),
        labels=payload["labels"],
        updated_at=moment,
        latest_analysis=CiAnalysis(analysis["name"], moment, Selector(frozenset()))
        if analysis
        else None,
        read_payload=lambda: payload,
    )
