from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ingest.errors import InputError, RemoteError
from ingest.flows.attempts import admitted, every_item, items_of
from ingest.flows.source import BucketSource
from ingest.ports.move import Page
from tests.fakes.folders import DATE, write_many
from tests.fakes.world import World


class Listing:
    """Seven numbers by the pair; `tokens` keeps what was asked for."""

    def __init__(self, *failing_calls: int, code: str = "UNAVAILABLE") -> None:
        self.tokens: list[str] = []
        self._failing_calls = failing_calls
        self._code = code

    async def page(self, token: str) -> Page[int]:
        self.tokens.append(token)
        if len(self.tokens) in self._failing_calls:
            raise RemoteError("fake: no page", code=self._code)
        first = int(token or 0)
        return Page(list(range(first, min(first + 2, 7))), str(first + 2) if first < 6 else "")


async def numbers(world: World, listing: Listing) -> list[int]:
    return [number async for number in every_item(world.attempts(), listing.page)]


def test_every_page_is_asked_for_once_and_every_item_comes_in_order() -> None:
    listing = Listing()

    found = asyncio.run(numbers(World(), listing))

    assert (found, listing.tokens) == ([0, 1, 2, 3, 4, 5, 6], ["", "2", "4", "6"])


def test_a_page_that_fails_is_asked_for_again_by_its_own_token() -> None:
    world, listing = World(), Listing(1, 3, 4, 7)

    found = asyncio.run(numbers(world, listing))

    assert found == [0, 1, 2, 3, 4, 5, 6]
    assert listing.tokens == ["", "", "2", "2", "2", "4", "6", "6"]
    assert len(world.clock.slept_sec) == 4
    assert all(0 <= waited <= 1 for waited in world.clock.slept_sec)


def test_a_page_that_is_refused_for_good_ends_the_walk_after_the_pages_before_it() -> None:
    listing, found = Listing(3, code="PERMISSION_DENIED"), []

    async def walk() -> None:
        async for number in every_item(World().attempts(), listing.page):
            found.append(number)

    with pytest.raises(RemoteError, match="no page"):
        asyncio.run(walk())

    assert (found, listing.tokens) == ([0, 1, 2, 3], ["", "2", "4"])


def test_every_page_has_a_budget_of_its_own() -> None:
    world, listing = World(), Listing(*range(1, 1000))
    budget = world.settings.step_budget_sec

    with pytest.raises(RemoteError):
        asyncio.run(numbers(world, listing))

    assert set(listing.tokens) == {""}
    assert 0.5 * budget < world.clock.monotonic() <= budget


def test_a_walk_without_retries_ends_at_the_first_error() -> None:
    listing = Listing(2)

    async def walk() -> list[int]:
        return [number async for number in items_of(listing.page)]

    with pytest.raises(RemoteError):
        asyncio.run(walk())

    assert listing.tokens == ["", "2"]


def test_a_bucket_source_goes_on_where_a_listing_failed(tmp_path: Path) -> None:
    world = World()
    ids = write_many(tmp_path, 6)
    asyncio.run(world.push(tmp_path))
    world.store.list_page_size = 5
    world.store.trouble.calls.clear()
    world.store.trouble.fail("list", call=2, times=2)

    async def walked() -> list[str]:
        source = BucketSource(world.store, DATE, world.attempts(), is_own_bucket=True)
        return [entry.conversation_id async for entry in source.walk()]

    assert asyncio.run(walked()) == ids
    assert world.store.trouble.calls["list"] == 5


@pytest.mark.parametrize(
    ("filter_", "code", "expected"),
    [
        ('nope="1"', "INVALID_ARGUMENT", InputError),
        ("", "INVALID_ARGUMENT", RemoteError),
        ('nope="1"', "PERMISSION_DENIED", RemoteError),
    ],
)
def test_only_a_filter_that_ci_refuses_is_the_users_to_mend(
    filter_: str, code: str, expected: type[Exception]
) -> None:
    async def walk() -> list[int]:
        return [item async for item in admitted(items_of(Listing(2, code=code).page), filter_)]

    with pytest.raises(expected):
        asyncio.run(walk())


def test_what_a_filter_admits_comes_in_order() -> None:
    async def walk() -> list[int]:
        return [item async for item in admitted(items_of(Listing().page), 'medium="CHAT"')]

    assert asyncio.run(walk()) == [0, 1, 2, 3, 4, 5, 6]
