"""Makes Insights' settings of the location equal to a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from ingest.domain.insights_settings import InsightsSettings, SettingChange, changes
from ingest.errors import RemoteError
from ingest.flows.attempts import Attempts


class InsightsSettingsApi(Protocol):
    """The one settings object that Insights has in each location."""

    async def get_settings(self) -> Mapping[str, Any]:
        """Return it as REST JSON."""

    async def update_settings(self, rest: Mapping[str, Any], fields: Sequence[str]) -> None:
        """Set these fields to what the REST JSON says; one that it doesn't name is cleared."""


async def plan_settings(
    api: InsightsSettingsApi, attempts: Attempts, wanted: InsightsSettings
) -> tuple[SettingChange, ...]:
    """Return what apply would change."""
    held = (await attempts.run(api.get_settings)).value
    return changes(wanted, held)


async def apply_settings(
    api: InsightsSettingsApi, attempts: Attempts, wanted: InsightsSettings
) -> tuple[SettingChange, ...]:
    """Make Insights' settings those wanted, in one call, and return what changed.

    Raises RemoteError when Insights says that it did and still holds something else.
    """
    planned = await plan_settings(api, attempts, wanted)
    if not planned:
        return ()
    fields = [change.field for change in planned]
    await attempts.run(partial(api.update_settings, wanted.rest_json(), fields))
    left = await plan_settings(api, attempts, wanted)
    if left:
        names = ", ".join(change.field for change in left)
        raise RemoteError(
            f"Insights accepted the settings but still holds another {names}",
            "run `ingest settings plan FILE` to see what it holds",
            code="DATA_LOSS",
        )
    return planned
