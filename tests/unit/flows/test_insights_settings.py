from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from ingest.domain.insights_settings import FIELDS, SettingChange, parse_settings
from ingest.errors import RemoteError
from ingest.flows.attempts import Attempts
from ingest.flows.settings import apply_settings, plan_settings
from tests.fakes.clock import ManualClock

WANTED = parse_settings("{language_code: de, conversation_ttl_days: 1}")


@dataclass
class HeldSettings:
    """Insights' settings object; refuses the first calls as told, or forgets what it was told."""

    held: dict[str, Any] = field(default_factory=lambda: {"languageCode": "en-US"})
    refusals: int = 0
    is_forgetful: bool = False
    updates: list[tuple[str, ...]] = field(default_factory=list)

    async def get_settings(self) -> Mapping[str, Any]:
        return dict(self.held)

    async def update_settings(self, rest: Mapping[str, Any], fields: Sequence[str]) -> None:
        if self.refusals:
            self.refusals -= 1
            raise RemoteError("Insights: busy", code="UNAVAILABLE")
        self.updates.append(tuple(fields))
        if self.is_forgetful:
            return
        for name in fields:
            self.held.pop(FIELDS[name], None)
            if FIELDS[name] in rest:
                self.held[FIELDS[name]] = rest[FIELDS[name]]


def attempts() -> Attempts:
    return Attempts(ManualClock(), 60, random.Random(7))


def test_plan_names_the_differences_and_changes_nothing() -> None:
    api = HeldSettings()

    planned = asyncio.run(plan_settings(api, attempts(), WANTED))

    assert planned == (
        SettingChange("language_code", "en-US", "de"),
        SettingChange("conversation_ttl", None, "86400s"),
    )
    assert (api.held, api.updates) == ({"languageCode": "en-US"}, [])


def test_apply_sets_all_differences_in_one_call_and_again_in_none() -> None:
    api = HeldSettings(refusals=2)

    first = asyncio.run(apply_settings(api, attempts(), WANTED))
    second = asyncio.run(apply_settings(api, attempts(), WANTED))

    assert [change.field for change in first] == ["language_code", "conversation_ttl"]
    assert second == ()
    assert api.updates == [("language_code", "conversation_ttl")]
    assert api.held == {"languageCode": "de", "conversationTtl": "86400s"}


def test_apply_leaves_alone_what_the_file_does_not_speak_of() -> None:
    api = HeldSettings({"languageCode": "de", "speechConfig": {"speechRecognizer": "r"}})

    asyncio.run(apply_settings(api, attempts(), WANTED))

    assert api.held["speechConfig"] == {"speechRecognizer": "r"}


def test_success_is_not_believed_without_evidence() -> None:
    api = HeldSettings(is_forgetful=True)

    with pytest.raises(RemoteError) as raised:
        asyncio.run(apply_settings(api, attempts(), WANTED))

    assert "still holds another language_code, conversation_ttl" in raised.value.message
