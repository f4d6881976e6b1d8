"""What is kept longer than its days, what goes of it, and how Insights fills."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ingest.cli.retention import overdue_pages
from ingest.flows.retention import (
    Filling,
    KeptPlace,
    Retention,
    RetentionDays,
    filling,
)
from tests.fakes.world import World

DAYS = RetentionDays(originals=30, files=90, insights=25)


class InsightsSettings:
    """Settings that hold a limit of days."""

    def __init__(self) -> None:
        self.held: dict[str, Any] = {"conversationTtl": "8640000s", "languageCode": "en-US"}

    async def get_settings(self) -> Mapping[str, Any]:
        return self.held

    async def update_settings(self, rest: Mapping[str, Any], fields: Sequence[str]) -> None:
        assert fields == ["conversation_ttl"]
        self.held |= rest


def put(world: World, *names: str) -> None:
    async def each() -> None:
        for name in names:
            await world.store.put(
                name, b"{}", content_type="", content_sha256=None, if_generation_match=0
            )

    asyncio.run(each())


def test_folders_go_once_their_newest_object_is_too_old_and_nothing_else_does() -> None:
    world, insights = World(), InsightsSettings()
    world.store.now = world.clock.now
    day = (world.clock.now() - dt.timedelta(days=100)).date()
    put(world, f"originals/{day}/abcd/metadata.json", "originals/.key")
    put(world, f"{day}/abcd/metadata.json", f"ci-transcripts/{day}/abcd/1.json", "x/file")
    world.clock.advance(60 * 86_400)
    late = (world.clock.now() - dt.timedelta(days=150)).date()
    put(world, f"originals/{late}/efgh/metadata.json")
    flow = Retention(world.store, insights, world.attempts(), world.clock, DAYS)

    planned = asyncio.run(flow.plan())
    asyncio.run(flow.apply(planned, "run"))
    world.clock.advance(31 * 86_400)
    later = asyncio.run(flow.plan())

    assert planned == (
        KeptPlace("originals", 30, None, (f"originals/{day}/",)),
        KeptPlace("files", 90, None, ()),
        KeptPlace("insights", 25, 100, ()),
    )
    assert [place.differs for place in planned] == [True, False, True]
    assert insights.held == {"conversationTtl": "2160000s", "languageCode": "en-US"}
    assert later == (
        KeptPlace("originals", 30, None, (f"originals/{late}/",)),
        KeptPlace("files", 90, None, (f"{day}/", f"ci-transcripts/{day}/")),
        KeptPlace("insights", 25, 25, ()),
    )
    assert world.store.live_names == [
        f"{day}/abcd/metadata.json",
        f"ci-transcripts/{day}/abcd/1.json",
        "originals/.key",
        f"originals/{late}/efgh/metadata.json",
        "x/file",
    ]


def test_without_days_nothing_is_too_old_and_insights_is_left_as_it_is() -> None:
    world, insights = World(), InsightsSettings()
    put(world, "2001-01-01/abcd/metadata.json")
    flow = Retention(world.store, insights, world.attempts(), world.clock, RetentionDays())

    planned = asyncio.run(flow.plan())

    assert planned == (
        KeptPlace("originals", None, None, ()),
        KeptPlace("files", None, None, ()),
        KeptPlace("insights", None, 100, ()),
    )
    assert not any(place.differs for place in planned)


def test_fifty_thousand_a_day_fill_a_region_in_forty_days() -> None:
    assert filling(0, 50_000, None) == Filling(0.0, 50_000, None, 40)
    assert filling(0, 50_000, 25) == Filling(0.0, 50_000, 62.5, None)
    assert filling(0, 50_000, 32).is_warning
    assert filling(1_600_000, 0, None).is_warning
    assert not filling(1_599_999, 0, 30).is_warning


@given(
    st.integers(0, 3_000_000),
    st.just(0.0) | st.floats(1 / 30, 1e6),
    st.none() | st.integers(1, 36500),
)
def test_insights_is_full_some_day_unless_a_limit_or_silence_holds(
    held: int, per_day: float, ttl: int | None
) -> None:
    found = filling(held, per_day, ttl)

    is_held_back = per_day == 0 or (ttl is not None and per_day * ttl < 2_000_000)
    assert (found.days_until_full is None) == is_held_back


def test_pages_are_too_old_by_when_they_were_made(tmp_path: Path) -> None:
    made = tmp_path / "pages.json"
    now = dt.datetime(2026, 5, 4, tzinfo=dt.UTC)
    before = overdue_pages(tmp_path, 1, now)
    made.write_text("{}")
    moment = (now - dt.timedelta(days=3)).timestamp()
    os.utime(made, (moment, moment))

    assert before == ()
    assert overdue_pages(tmp_path, 2, now) == (tmp_path.as_posix(),)
    assert overdue_pages(tmp_path, 3, now) == overdue_pages(tmp_path, None, now) == ()
