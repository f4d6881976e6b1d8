"""Which conversations of a source one push takes: those of its shard that are valid, by date.

Every refused conversation is an event of step `validate`, so that status, errors and marts know
of it until it is delivered right.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable, Iterable

from ingest.domain.conversation import Shard, parse_batch_date
from ingest.domain.declarations import Declarations
from ingest.domain.faults import Fault, Severity
from ingest.domain.outcome import ItemState, Step
from ingest.domain.raw_records import REFUSED_PREFIX, StepEvent, no_longer_refused, refusal
from ingest.errors import IngestError, unexpected
from ingest.flows.conversation_run import PushReport
from ingest.flows.redaction import RedactedConversation
from ingest.flows.services import Progress
from ingest.flows.source import Source, SourceConversation, read_delivery

CHUNK_SIZE = 500
_JUDGED_AT_ONCE = 50
"""Files of a folder are read without waiting: after so many conversations signals are heard, and
signs of life given."""


class Selection:
    """The conversations of one source; what it refuses is counted in the report."""

    def __init__(
        self,
        source: Source,
        shard: Shard,
        report: PushReport,
        progress: Progress,
        is_stopped: Callable[[], bool],
        now: Callable[[], dt.datetime],
        declared: Declarations,
    ) -> None:
        self._now = now
        self._declared = declared
        self._refused: list[StepEvent] = []
        self.has_seen_all = False
        """Whether `validate` has walked the whole source."""
        self._dates_by_id: dict[str, dt.date] = {}
        self._last_date_by_id: dict[str, dt.date] = {}
        self._dates: set[dt.date] = set()
        self._source = source
        self._shard = shard
        self._report = report
        self._progress = progress
        self._is_stopped = is_stopped
        self._invalid: set[tuple[dt.date, str]] = set()

    async def validate(self) -> int | None:
        """Report every fault of a source that is quick to read, and return how many
        conversations are valid; None where a stop came before, and for other sources, which are
        judged on the way."""
        if not self._source.is_quick_to_read:
            return None
        self._progress.stage(Step.VALIDATE.value, None)
        count = seen = 0
        async for entry in self._source.walk():
            seen += 1
            if seen % _JUDGED_AT_ONCE == 0:
                await asyncio.sleep(0)
            if self._is_stopped():
                break
            if isinstance(entry, Fault):
                self._refuse(entry)
                continue
            if not self._takes(entry):
                continue
            count += 1
            self._dates.add(entry.batch_date)
            faults, is_usable = await self._judged(entry)
            faults += self._repeated(entry)
            self._note_date(entry)
            self._report.faults += faults
            if not is_usable:
                self._invalid.add(_key(entry))
                self._report.count(ItemState.INVALID)
                self._refused.append(
                    refusal(entry.conversation_id, entry.batch_date, faults, self._now())
                )
            self._progress.advance(Step.VALIDATE.value)
        self.has_seen_all = not self._is_stopped()
        if not self.has_seen_all:
            return None
        self._progress.stage(Step.VALIDATE.value, count)
        return count - len(self._invalid)

    async def look_ahead(self) -> None:
        """Learn which date folder of each conversation is the last, where `validate` did not."""
        if not self._source.is_quick_to_read:
            async for entry in self._source.walk():
                if not isinstance(entry, Fault) and self._takes(entry):
                    self._note_date(entry)

    def is_last_of(self, batch_date: dt.date, conversation_id: str) -> bool:
        """Return whether no later date folder of the conversation is known."""
        return self._last_date_by_id.get(conversation_id, batch_date) <= batch_date

    async def chunks(self, whole_dates_of: int | None) -> AsyncIterator[list[SourceConversation]]:
        """Yield conversations by the chunk, or whole dates of that many conversations or more."""
        held: list[SourceConversation] = []
        async for entry in self._source.walk():
            if isinstance(entry, Fault):
                if not self._source.is_quick_to_read:
                    self._refuse(entry)
                continue
            if not self._takes(entry) or _key(entry) in self._invalid:
                continue
            if whole_dates_of is None:
                is_full = len(held) == CHUNK_SIZE
            else:
                is_other_date = bool(held) and held[-1].batch_date != entry.batch_date
                is_full = is_other_date and len(held) >= whole_dates_of
            if is_full:
                yield held
                held = []
            held.append(entry)
        if held:
            yield held

    @property
    def dates(self) -> list[dt.date]:
        """Dates with a conversation, of those walked so far."""
        return sorted(self._dates)

    def settle_refusals(self, held: Iterable[tuple[dt.date, str]]) -> None:
        """Add an event for each refused folder that was `held` and is no longer there.

        Of those whose names are no ids: their ids are made from the name, so that no later delivery
        can settle them.
        """
        still = {(event.batch_date, event.conversation_id) for event in self._refused}
        for batch_date, conversation_id in sorted(held):
            is_nameless = conversation_id.startswith(REFUSED_PREFIX)
            if not is_nameless or (batch_date, conversation_id) in still:
                continue
            self._refused.append(no_longer_refused(conversation_id, batch_date, self._now()))

    def take_refused(self) -> list[StepEvent]:
        """Return the events of what was refused since this was asked last."""
        taken, self._refused = self._refused, []
        return taken

    def _takes(self, entry: SourceConversation) -> bool:
        return self._shard.count == 1 or self._shard.takes(entry.conversation_id)

    async def _judged(self, entry: SourceConversation) -> tuple[list[Fault], bool]:
        # What was read is let go again, so that memory doesn't grow with the folder.
        # It is redacted where it is pushed, once.
        handed_in = entry.original if isinstance(entry, RedactedConversation) else entry
        try:
            found = await read_delivery(handed_in, self._declared)
        except IngestError:
            raise
        except Exception as error:  # noqa: BLE001 - one conversation never ends the run
            told = unexpected(error)
            place = f"{entry.batch_date}/{entry.conversation_id}"
            return [Fault(place, "", "unexpected_error", told.message, told.hint)], False
        return found.faults, found.is_usable

    def _repeated(self, entry: SourceConversation) -> list[Fault]:
        first = self._dates_by_id.setdefault(entry.conversation_id, entry.batch_date)
        if first == entry.batch_date:
            return []
        return [delivered_twice(entry.conversation_id, entry.batch_date, first)]

    def _note_date(self, entry: SourceConversation) -> None:
        known = self._last_date_by_id.get(entry.conversation_id, entry.batch_date)
        self._last_date_by_id[entry.conversation_id] = max(known, entry.batch_date)

    def _refuse(self, fault: Fault) -> None:
        if self._shard.index != 0:
            return
        self._report.faults.append(fault)
        if fault.severity is Severity.WARNING:
            return
        self._report.count(ItemState.INVALID)
        date, _, name = fault.file.partition("/")
        batch_date = parse_batch_date(date)
        if batch_date is not None and name:
            self._refused.append(refusal(name, batch_date, [fault], self._now()))


def delivered_twice(conversation_id: str, batch_date: dt.date, first: dt.date) -> Fault:
    """Return the warning that a source holds two deliveries of one conversation."""
    return Fault(
        f"{batch_date}/{conversation_id}",
        "",
        "delivered_twice",
        f"the same conversation id is in {first} too; both are kept as versions by their dates",
        "fine for a correction; give another conversation an id of its own",
        Severity.WARNING,
    )


def _key(item: SourceConversation) -> tuple[dt.date, str]:
    return item.batch_date, item.conversation_id
