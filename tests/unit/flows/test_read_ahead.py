from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import RemoteError
from ingest.flows.attempts import Attempts
from ingest.flows.evidence import MOST_AGE_SEC, ReadAhead
from tests.fakes.clock import ManualClock
from tests.fakes.store import FakeObjectStore

NAMES = [f"a/{letter}" for letter in "bcdefg"]


class Bucket:
    """A bucket of some objects, and what is read of it."""

    def __init__(self, names: list[str], page_size: int = 1000) -> None:
        self.run = asyncio.run
        self.store = FakeObjectStore(list_page_size=page_size)
        self.clock = ManualClock()
        attempts = Attempts(self.clock, 10, random.Random(1))
        self.reading = ReadAhead(self.store, attempts, self.clock)
        self.write(*names)

    def write(self, *names: str) -> None:
        for name in names:
            self.run(
                self.store.put(
                    name, b"", content_type="-", content_sha256=None, if_generation_match=0
                )
            )

    def names(self, *questions: tuple[str, str, str]) -> list[list[str]]:
        """Return the names that answer each question, all asked of one reader."""

        async def answers() -> list[list[str]]:
            return [[o.name for o in await self.reading.between(*asked)] for asked in questions]

        return self.run(answers())

    @property
    def listed(self) -> int:
        return self.store.trouble.calls["list"]


def test_questions_in_order_share_a_listing() -> None:
    bucket = Bucket(NAMES)

    answers = bucket.names(("a/", "a/b", "a/d"), ("a/", "a/d", "a/e"), ("a/", "a/f", "a/z"))

    assert answers == [["a/b", "a/c"], ["a/d"], ["a/f", "a/g"]]
    assert bucket.listed == 1


def test_no_more_pages_are_read_than_a_question_needs() -> None:
    bucket = Bucket(NAMES, page_size=2)

    assert bucket.names(("a/", "a/b", "a/d")) == [["a/b", "a/c"]]
    assert bucket.listed == 2


@pytest.mark.parametrize(
    "second", [("a/", "a/b", "a/c"), ("b/", "b/b", "b/z")], ids=["earlier", "another prefix"]
)
def test_what_was_passed_is_listed_anew(second: tuple[str, str, str]) -> None:
    bucket = Bucket(NAMES)
    bucket.names(("a/", "a/b", "a/d"))
    bucket.write("a/b2", "b/c")

    assert bucket.names(second) == [["a/b", "a/b2"] if second[0] == "a/" else ["b/c"]]
    assert bucket.listed == 2


@pytest.mark.parametrize(("waited_sec", "listed"), [(MOST_AGE_SEC, 1), (MOST_AGE_SEC + 1, 2)])
def test_an_old_listing_is_read_again(waited_sec: float, listed: int) -> None:
    bucket = Bucket(NAMES)
    bucket.names(("a/", "a/b", "a/d"))
    bucket.write("a/x")
    bucket.clock.advance(waited_sec)

    found = bucket.names(("a/", "a/g", "a/z"))

    assert (found, bucket.listed) == ([["a/g"] if listed == 1 else ["a/g", "a/x"]], listed)


def test_after_an_error_nothing_counts_as_read() -> None:
    bucket = Bucket(NAMES, page_size=2)
    bucket.store.trouble.fail("list", call=2, code="PERMISSION_DENIED")

    with pytest.raises(RemoteError):
        bucket.names(("a/", "a/b", "a/z"))

    assert bucket.names(("a/", "a/c", "a/z")) == [NAMES[1:]]


@given(
    st.sets(st.text("ab-/", min_size=1, max_size=4)),
    st.lists(st.tuples(st.text("ab-/", max_size=3), st.text("ab-/", max_size=3)), max_size=8),
    st.integers(min_value=1, max_value=3),
)
def test_every_question_gets_what_a_listing_of_its_own_would(
    rests: set[str], ranges: list[tuple[str, str]], page_size: int
) -> None:
    names = sorted(f"a/{rest}" for rest in rests)
    bucket = Bucket(names, page_size)
    asked = [(f"a/{first}", f"a/{end}") for first, end in ranges]

    answers = bucket.names(*(("a/", first, end) for first, end in asked))

    assert answers == [[n for n in names if first <= n < end] for first, end in asked]
