from __future__ import annotations

import asyncio
import datetime as dt
import gzip

import orjson
import pytest

from ingest.domain.outcome import Outcome, Step
from ingest.domain.raw_records import RawRow, StepEvent, event_row
from ingest.errors import RemoteError
from ingest.flows.attempts import FIRST_WAIT_SEC, LONGEST_WAIT_SEC, TRANSIENT
from ingest.flows.landing import MAX_JOB_FAILURES, Landing, check_row
from tests.fakes.clock import EPOCH
from tests.fakes.world import World, fake_settings


def a_row(id_: str = "abcd") -> RawRow:
    return event_row(StepEvent(id_, None, Step.SUBMIT, Outcome.SUCCEEDED, EPOCH, EPOCH), "run-1")


class Watched:
    """Rows given to a landing, and what became of them."""

    def __init__(self, landing: Landing, *rows: RawRow) -> None:
        self.landed = 0
        self.lost: list[str] = []
        landing.add(list(rows), self._land, lambda error: self.lost.append(error.code))

    def _land(self) -> None:
        self.landed += 1


def left_batches(world: World) -> list[str]:
    return [name for name in world.store.live_names if name.startswith("_landing/")]


def test_rows_are_landed_once_with_run_and_time() -> None:
    world = World()
    landing = world.landing()
    watched = Watched(landing, a_row("abcd"), a_row("efgh"))

    landed = asyncio.run(landing.flush())

    assert (landed, watched.landed, watched.lost) == ({"pipeline_events": 2}, 1, [])
    rows = world.sink.rows["pipeline_events"]
    assert [(r["conversation_id"], r["_run_id"], r["_landed_at"]) for r in rows] == [
        ("abcd", "run-1", EPOCH),
        ("efgh", "run-1", EPOCH),
    ]
    assert left_batches(world) == []
    assert asyncio.run(landing.flush()) == {}


@pytest.mark.parametrize("after_effect", [False, True])
@pytest.mark.parametrize("method", ["put", "delete", "load"])
def test_a_lost_answer_lands_nothing_twice(method: str, after_effect: bool) -> None:
    world = World()
    landing = world.landing()
    watched = Watched(landing, a_row())
    fake = world.sink if method == "load" else world.store
    fake.trouble.fail(method, times=3, after_effect=after_effect)

    asyncio.run(landing.flush())

    assert (watched.landed, len(world.sink.rows["pipeline_events"])) == (1, 1)
    assert left_batches(world) == []


def test_a_failed_job_is_followed_by_one_with_the_next_id() -> None:
    world = World()
    landing = world.landing()
    Watched(landing, a_row())
    world.sink.refused.add("pipeline_events")
    original = world.sink._run

    def run(table: str, uri: str, job_id: str) -> object:
        if job_id.endswith("-2"):
            world.sink.refused.clear()
        return original(table, uri, job_id)

    world.sink._run = run  # type: ignore[method-assign,assignment]

    asyncio.run(landing.flush())

    assert [job_id.rsplit("-", 1)[1] for job_id in world.sink.jobs] == ["1", "2"]
    assert len(world.sink.rows["pipeline_events"]) == 1


def test_a_batch_that_is_refused_for_good_is_lost_to_this_run_and_kept_for_the_next() -> None:
    world = World()
    landing = world.landing()
    watched = Watched(landing, a_row())
    world.sink.refused.add("pipeline_events")

    assert asyncio.run(landing.flush()) == {}
    with pytest.raises(RemoteError) as caught:
        asyncio.run(world.landing().recover())
    world.sink.refused.clear()
    recovered = asyncio.run(world.landing().recover())

    assert (watched.landed, watched.lost) == (0, ["JOB_FAILED"])
    assert caught.value.code == "JOB_FAILED"
    assert len(world.sink.jobs) == 2 * MAX_JOB_FAILURES + 1
    assert (recovered, len(world.sink.rows["pipeline_events"])) == (1, 1)
    assert left_batches(world) == []


def test_what_a_killed_run_left_is_landed_once_even_by_two_runs_at_a_time() -> None:
    world = World(settings=fake_settings(step_budget_sec=1))
    landing = world.landing()
    Watched(landing, a_row())
    world.sink.trouble.fail("load", times=100, after_effect=True)
    asyncio.run(landing.flush())
    world.sink.trouble.end()
    # What others put there stays.
    name = "_landing/readme.txt"
    asyncio.run(
        world.store.put(
            name, b"x", content_type="text/plain", content_sha256="", if_generation_match=0
        )
    )

    async def both() -> list[int]:
        return list(await asyncio.gather(*(world.landing().recover() for _ in range(2))))

    assert asyncio.run(both()) == [1, 1]
    assert len(world.sink.rows["pipeline_events"]) == 1
    assert left_batches(world) == [name]


def test_recovery_survives_a_listing_that_fails_at_first() -> None:
    world = World()
    world.store.trouble.fail("list", times=2)

    assert asyncio.run(world.landing().recover()) == 0


def test_a_batch_is_full_at_its_bound_and_its_bytes_do_not_depend_on_the_moment() -> None:
    world = World()
    landing = world.landing(max_batch_bytes=700)

    async def contents() -> list[bytes]:
        kept = []
        put = world.store.put

        async def keep(name: str, content: bytes, **more: object) -> object:
            kept.append(content)
            return await put(name, content, **more)  # type: ignore[arg-type]

        world.store.put = keep  # type: ignore[method-assign,assignment]
        for _ in range(2):
            Watched(landing, a_row())
            await landing.flush()
        return kept

    Watched(landing, a_row())
    assert not landing.is_full
    Watched(landing, a_row())
    assert landing.is_full
    asyncio.run(landing.flush())
    first, second = asyncio.run(contents())
    assert first == second
    assert orjson.loads(gzip.decompress(first))["conversation_id"] == "abcd"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({**a_row().values, "colour": "red"}, "unknown ['colour'], missing []"),
        ({**a_row().values, "step": None}, "unknown [], missing ['step']"),
    ],
)
def test_a_row_that_the_schema_lacks_is_found_before_it_is_sent(
    values: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match="row for pipeline_events") as caught:
        check_row(RawRow("pipeline_events", values))

    assert message in str(caught.value)


@pytest.mark.parametrize("code", sorted(TRANSIENT))
def test_a_transient_error_is_tried_again_and_attempts_are_counted(code: str) -> None:
    world = World()
    tries = iter([RemoteError("no", code=code)] * 3)

    async def step() -> str:
        for error in tries:
            raise error
        return "done"

    attempted = asyncio.run(world.attempts().run(step))

    assert (attempted.value, attempted.attempts) == ("done", 4)
    waits = world.clock.slept_sec
    assert len(waits) == 3
    for number, wait in enumerate(waits, 1):
        assert 0 <= wait <= min(LONGEST_WAIT_SEC, FIRST_WAIT_SEC * 2**number)


@pytest.mark.parametrize("code", ["PERMISSION_DENIED", "INVALID_ARGUMENT", "ALREADY_EXISTS"])
def test_an_error_that_stays_is_not_tried_again(code: str) -> None:
    world = World()

    async def step() -> None:
        raise RemoteError("no", code=code)

    with pytest.raises(RemoteError) as caught:
        asyncio.run(world.attempts().run(step))

    assert (caught.value.attempts, world.clock.slept_sec) == (1, [])


def test_the_budget_ends_the_attempts_and_the_error_says_how_many() -> None:
    world = World(settings=fake_settings(step_budget_sec=30))

    async def step() -> None:
        raise RemoteError("no", code="UNAVAILABLE")

    with pytest.raises(RemoteError) as caught:
        asyncio.run(world.attempts().run(step))

    assert caught.value.attempts == len(world.clock.slept_sec) + 1 > 3
    assert world.clock.monotonic() <= 30


def test_a_wait_that_the_service_asks_for_is_kept() -> None:
    world = World()
    errors = iter([RemoteError("no", code="RESOURCE_EXHAUSTED", retry_after_sec=17.0)])

    async def step() -> None:
        for error in errors:
            raise error

    asyncio.run(world.attempts().run(step))

    assert 17.0 <= world.clock.slept_sec[0] <= 17.0 + 2 * FIRST_WAIT_SEC
    assert world.clock.now() >= EPOCH + dt.timedelta(seconds=17)
