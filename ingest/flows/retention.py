"""Retention: how long each place keeps what was said, and what is kept longer than that.

In a project Terraform's lifecycle rules delete objects by age, and this finds what they left; on
the local stack, which has none, `apply` deletes. A day folder goes whole, once its newest object is
older than the days that are set. The key of pseudonyms, tombstones and raw rows stay.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from ingest.domain.conversation import CI_TRANSCRIPTS_PREFIX, ORIGINALS_PREFIX, parse_batch_date
from ingest.flows.attempts import Attempts, every_item
from ingest.flows.health import MOST_IN_A_REGION
from ingest.flows.settings import InsightsSettingsApi
from ingest.flows.steps import log_change
from ingest.ports.move import Clock, ObjectStore

WARN_PERCENT = 80
_TTL_FIELD, _TTL = "conversation_ttl", "conversationTtl"
_SECONDS_PER_DAY = 86_400
_OBJECT_PLACES = {"originals": (ORIGINALS_PREFIX,), "files": ("", CI_TRANSCRIPTS_PREFIX)}
"""Place, and what stands before its day folders."""


@dataclass(frozen=True)
class RetentionDays:
    """Days that each place keeps conversations; None keeps them until they are erased."""

    originals: int | None = None
    files: int | None = None
    insights: int | None = None
    pages: int | None = None


@dataclass(frozen=True)
class KeptPlace:
    """One place: the days wanted, those that hold now, and the folders that are kept longer.

    `held_days` is known of Insights alone, whose limit is for conversations that come from now on.
    """

    place: str
    wanted_days: int | None
    held_days: int | None
    overdue: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether apply would do anything."""
        has_limit = self.place == "insights" and self.wanted_days is not None
        return (has_limit and self.held_days != self.wanted_days) or bool(self.overdue)


@dataclass(frozen=True)
class Filling:
    """How Insights fills: share of what a region holds, and what comes to it.

    `days_until_full` is None where a limit of days keeps it below that, or nothing comes.
    """

    percent: float
    per_day: float
    steady_percent: float | None
    days_until_full: int | None

    @property
    def is_warning(self) -> bool:
        """Whether it is nearly full, or will be for good by what comes."""
        return max(self.percent, self.steady_percent or 0.0) >= WARN_PERCENT


def filling(held: int, per_day: float, ttl_days: int | None) -> Filling:
    """Return how Insights fills with that many a day, kept for so many days."""
    steady = None if ttl_days is None else 100 * per_day * ttl_days / MOST_IN_A_REGION
    is_endless = steady is None or steady >= 100
    left = max(0, MOST_IN_A_REGION - held)
    days = int(left / per_day) if per_day > 0 and is_endless else None
    return Filling(100 * held / MOST_IN_A_REGION, per_day, steady, days)


@dataclass(frozen=True)
class Retention:
    """Looks at what is kept, and deletes what is kept too long."""

    store: ObjectStore
    insights: InsightsSettingsApi
    attempts: Attempts
    clock: Clock
    wanted: RetentionDays

    async def plan(self) -> tuple[KeptPlace, ...]:
        """Return every place of bucket and Insights."""
        places = [
            KeptPlace(name, days, None, await self._overdue(prefixes, days))
            for name, prefixes in _OBJECT_PLACES.items()
            for days in [getattr(self.wanted, name)]
        ]
        return (*places, KeptPlace("insights", self.wanted.insights, await self._ttl(), ()))

    async def apply(self, planned: Sequence[KeptPlace], run_id: str) -> None:
        """Delete overdue folders with all generations, and set Insights' limit."""
        for place in planned:
            for folder in place.overdue:
                remove = partial(self.store.delete_all_generations, folder)
                count = (await self.attempts.run(remove)).value
                log_change("delete objects", run_id, resource=folder, count=count)
            if place.place == "insights" and place.differs:
                days = place.wanted_days or 0
                rest = {_TTL: f"{days * _SECONDS_PER_DAY}s"}
                await self.attempts.run(partial(self.insights.update_settings, rest, [_TTL_FIELD]))
                log_change("set conversation_ttl", run_id, count=days)

    async def _ttl(self) -> int | None:
        held = (await self.attempts.run(self.insights.get_settings)).value.get(_TTL)
        return int(float(held.rstrip("s"))) // _SECONDS_PER_DAY if held else None

    async def _overdue(self, prefixes: Sequence[str], days: int | None) -> tuple[str, ...]:
        if days is None:
            return ()
        limit = self.clock.now() - dt.timedelta(days=days)
        found = []
        for prefix in prefixes:
            list_ = partial(self.store.folders, prefix, with_old=True)
            for folder in (await self.attempts.run(list_)).value:
                date = parse_batch_date(folder.rstrip("/"))
                # Nothing can be older than its day, so that younger days aren't listed.
                is_candidate = date is not None and date < limit.date()
                if is_candidate and not await self._is_young(f"{prefix}{folder}", limit):
                    found.append(f"{prefix}{folder}")
        return tuple(found)

    async def _is_young(self, folder: str, limit: dt.datetime) -> bool:
        objects = every_item(self.attempts, lambda token: self.store.list(folder, page_token=token))
        async for stored in objects:
            if stored.updated_at is None or stored.updated_at >= limit:
                return True
        return False
