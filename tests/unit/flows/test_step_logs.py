"""Every change made outside is one log line, with ids and no words."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from ingest.domain.matchers import MatcherDefinition, MatchType, PhraseRule, Role, RuleGroup
from ingest.enums import Mode
from ingest.flows.matchers import apply_matchers, delete_matchers
from ingest.flows.steps import LOGGER
from tests.fakes.folders import DATE, conversation_id, metadata, write
from tests.fakes.world import World

ID = conversation_id(4)


def lines(caplog: pytest.LogCaptureFixture, *actions: str) -> list[tuple[str, str, str]]:
    """Return run, conversation and action of the lines of these actions."""
    found = [(record.getMessage(), getattr(record, "effect", {})) for record in caplog.records]
    return [
        (effect["run_id"], effect.get("conversation_id", ""), message)
        for message, effect in found
        if message in actions
    ]


@pytest.fixture(autouse=True)
def _logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LOGGER, "propagate", True)
    caplog.set_level(logging.INFO, LOGGER.name)


def test_a_push_logs_transcripts_deletions_and_bulk_analyses(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    write(tmp_path, ID)
    asyncio.run(world.push(tmp_path, mode=Mode.BULK))
    write(tmp_path, ID, metadata=metadata(ID, medium="CHAT"))
    asyncio.run(world.push(tmp_path))

    told = lines(caplog, "put transcript", "delete conversation", "bulk analyze")

    assert told == [
        ("run-1", ID, "put transcript"),
        ("run-1", "", "bulk analyze"),
        ("run-2", ID, "delete conversation"),
    ]


def test_a_forget_logs_what_it_deletes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    write(tmp_path, ID)
    asyncio.run(world.push(tmp_path))
    caplog.clear()

    asyncio.run(world.forget(ID))

    told = lines(caplog, "delete conversation", "delete objects", "delete rows")
    assert told == [
        ("run-2", ID, "delete conversation"),
        *[("run-2", ID, "delete objects")] * 2,
        *[("run-2", ID, "delete rows")] * 5,
    ]
    assert [vars(r)["effect"]["resource"] for r in caplog.records if r.msg == "delete objects"] == [
        f"{DATE}/{ID}/",
        f"ci-transcripts/{DATE}/{ID}/",
    ]


def test_matchers_that_are_made_changed_and_deleted_are_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()

    def definition(query: str) -> MatcherDefinition:
        group = RuleGroup("g", MatchType.ANY_OF, (PhraseRule(query),))
        return MatcherDefinition("empathy", MatchType.ANY_OF, (group,), Role.ANY_AGENT, True)

    for query in ("I understand", "I hear you"):
        landing = world.landing()
        apply = apply_matchers(
            world.insights, world.sink, world.attempts(), landing, [definition(query)], "run-7"
        )
        asyncio.run(apply)
    asyncio.run(delete_matchers(world.insights, world.attempts(), "run-7"))

    actions = ("create matcher", "update matcher", "delete matcher")
    assert lines(caplog, *actions) == [("run-7", "", action) for action in actions]
