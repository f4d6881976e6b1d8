"""Quotas: calls a minute, and bulk operations at a time (quota page)."""

from __future__ import annotations

from collections.abc import Mapping

from ingest.emulator.errors import exhausted
from ingest.emulator.methods import EVERY, METHOD_NAMES, check_name
from ingest.errors import InputError

BULK, MODELS, DEPLOYED_MODELS = "bulk_operations", "issue_models", "deployed_issue_models"
_NUMBERS = {BULK: 1, MODELS: 10, DEPLOYED_MODELS: 5}
"""How many there may be in a region at a time."""
REAL: Mapping[str, int] = {
    EVERY: 3000,
    "CreateConversation": 300,
    "UploadConversation": 300,
    "CreateAnalysis": 300,
    "ExportInsightsData": 60,
    **_NUMBERS,
}
"""Calls a minute, project and location; that each location has them of its own, and that polls of
operations count among all calls, is assumed."""
NONE: Mapping[str, int] = _NUMBERS
"""No limit of calls; what there may be at a time in a region stays the rule."""
_MINUTE = 60_000_000
_SECOND = 1_000_000


class Quotas:
    """Counts calls in minutes of the emulator's clock."""

    def __init__(self, limits: Mapping[str, int] = NONE) -> None:
        self.limits = dict(limits)
        self._minute = -1
        self._used: dict[tuple[str, str], int] = {}

    @classmethod
    def named(cls, name: str) -> Quotas:
        """Return the quotas called `real` or `none`."""
        known = {"real": REAL, "none": NONE}
        if name not in known:
            raise InputError(f"no quotas are called {name!r}", "use real or none")
        return cls(known[name])

    @classmethod
    def limited(cls, limits: Mapping[str, object]) -> Quotas:
        """Return quotas of these limits; raise InputError for a name or number that is none."""
        checked: dict[str, int] = {}
        for name, limit in limits.items():
            if name not in _NUMBERS:
                check_name(name, METHOD_NAMES, "method")
            if isinstance(limit, bool) or not isinstance(limit, int | float):
                raise InputError(f"the limit of {name!r} is no number", "give calls a minute")
            if limit < 0 or limit != int(limit):
                raise InputError(f"the limit of {name!r} is {limit}", "give a whole number from 0")
            checked[name] = int(limit)
        return cls(checked)

    @property
    def counts_calls(self) -> bool:
        """False when no call can be refused, so that none needs to be counted."""
        return any(name not in _NUMBERS for name in self.limits)

    def take(self, method: str, region: str, now: int) -> None:
        """Count one call of a region, or raise RESOURCE_EXHAUSTED until the next minute."""
        minute = now // _MINUTE
        if minute != self._minute:
            self._minute, self._used = minute, {}
        for key in (method, EVERY):
            if key in self.limits and self._used.get((region, key), 0) >= self.limits[key]:
                name = "requests" if key == EVERY else f"{key} requests"
                raise exhausted(
                    f"Quota exceeded for quota metric '{name}' and limit '{name} per minute'.",
                    (minute + 1) * _MINUTE - now,
                )
        for key in (method, EVERY):
            self._used[region, key] = self._used.get((region, key), 0) + 1

    def check_bulk(self, kind: str, under_way: int, left_us: int) -> None:
        """Raise RESOURCE_EXHAUSTED while a bulk operation of this kind runs; 0 lifts the limit.

        `left_us` says when the first of them begins its work; a caller comes back then, at least
        a second later (assumed).
        """
        limit = self.limits.get(BULK, 0)
        if limit and under_way >= limit:
            raise exhausted(
                f"Another {kind} operation is running in this region.", max(left_us, _SECOND)
            )

    def check_number(self, what: str, number: int) -> None:
        """Raise RESOURCE_EXHAUSTED when a region would have more than it may; 0 lifts the limit."""
        limit = self.limits.get(what, 0)
        if limit and number > limit:
            raise exhausted(f"Quota exceeded: {limit} {what.replace('_', ' ')} per region.")
