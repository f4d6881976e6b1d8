from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import orjson
import pytest

from ingest.domain.conversation import FileKind
from ingest.domain.outcome import Failure, ItemState, Outcome, Step
from ingest.domain.raw_records import RawRow, StepEvent, ci_conversation_row, event_row, file_row
from ingest.errors import ExitCode, RemoteError
from ingest.flows.landing import MAX_JOB_FAILURES, Landing, Recovered, check_row
from ingest.flows.pull import PullSelection
from tests.fakes.clock import EPOCH
from tests.fakes.folders import write
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


def a_file_row(id_: str) -> RawRow:
    return file_row(
        conversation_id=id_,
        batch_date=EPOCH.date(),
        kind=FileKind.METADATA,
        uri="gs://b/o",
        generation=1,
        crc32c="AAAAAA==",
        size_bytes=2,
        content_sha256="ab",
        payload={},
    )


def a_state_row(id_: str) -> RawRow:
    return ci_conversation_row(
        conversation_id=id_,
        ci_name=f"projects/p/locations/l/conversations/{id_}",
        analysis_name=None,
        annotator_profile_sha256=None,
        labels={},
        payload={},
        updated_at=EPOCH,
    )


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


def test_a_batch_that_is_refused_for_good_is_lost_to_this_run_and_set_aside_by_the_next() -> None:
    world = World()
    landing = world.landing()
    watched = Watched(landing, a_row())
    world.sink.refused.add("pipeline_events")

    assert asyncio.run(landing.flush()) == {}
    (left,) = left_batches(world)
    recovered = asyncio.run(world.landing().recover())

    assert (watched.landed, watched.lost) == (0, ["JOB_FAILED"])
    aside = left.replace("_landing/", "_landing_failed/")
    message = f"a batch that pipeline_events refuses was set aside as {aside}"
    assert recovered == Recovered(0, (Failure("", Step.LAND, "JOB_FAILED", message),))
    assert len(world.sink.jobs) == 2 * MAX_JOB_FAILURES
    assert (left_batches(world), world.store.live_names) == ([], [aside])
    assert asyncio.run(world.landing().recover()) == Recovered(0, ())


def test_a_batch_that_is_set_aside_holds_up_no_other() -> None:
    world = World()
    for table, id_ in (("pipeline_events", "abcd"), ("conversation_files", "efgh")):
        landing = world.landing()
        Watched(landing, a_row(id_) if table == "pipeline_events" else a_file_row(id_))
        world.sink.refused.add(table)
        asyncio.run(landing.flush())
    world.sink.refused.remove("conversation_files")

    recovered = asyncio.run(world.landing().recover())

    assert (recovered.landed, len(recovered.failures)) == (1, 1)
    assert [row["conversation_id"] for row in world.sink.rows["conversation_files"]] == ["efgh"]


def test_a_batch_that_its_own_run_lands_meanwhile_is_no_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    landing = world.landing()
    Watched(landing, a_row())
    world.sink.refused.add("pipeline_events")
    asyncio.run(landing.flush())
    read = world.store.read

    async def read_too_late(name: str) -> bytes:
        held = await world.store.stat(name)
        assert held is not None
        await world.store.delete(name, held.generation)
        return await read(name)

    monkeypatch.setattr(world.store, "read", read_too_late)

    assert asyncio.run(world.landing().recover()) == Recovered(0, ())
    assert world.store.live_names == []


@pytest.mark.parametrize("method", ["put", "delete", "read"])
@pytest.mark.parametrize("after_effect", [False, True])
def test_a_fault_while_a_batch_is_set_aside_is_mended(method: str, after_effect: bool) -> None:
    world = World()
    landing = world.landing()
    Watched(landing, a_row())
    world.sink.refused.add("pipeline_events")
    asyncio.run(landing.flush())
    world.store.trouble.fail(method, times=2, after_effect=after_effect)

    recovered = asyncio.run(world.landing().recover())

    assert len(recovered.failures) == 1
    (aside,) = world.store.live_names
    assert aside.startswith("_landing_failed/pipeline_events/")


def test_commands_go_on_past_a_batch_that_is_refused_and_say_so(tmp_path: Path) -> None:
    def with_one_left() -> World:
        world = World()
        landing = world.landing()
        Watched(landing, a_row())
        world.sink.refused.add("pipeline_events")
        asyncio.run(landing.flush())
        world.sink.refused.clear()
        world.sink.trouble.fail("load", "JOB_FAILED", times=MAX_JOB_FAILURES)
        return world

    write(tmp_path, "abcd-efgh")
    pushing, pulling, forgetting = with_one_left(), with_one_left(), with_one_left()

    pushed = asyncio.run(pushing.push(tmp_path))
    pulled = asyncio.run(pulling.pull(PullSelection(is_all=True)))
    asyncio.run(
        forgetting.store.put(
            "2026-01-05/ijkl-mnop/metadata.json",
            b"",
            content_type="",
            content_sha256=None,
            if_generation_match=0,
        )
    )
    forgotten = asyncio.run(forgetting.forget("ijkl-mnop"))

    for failures in (pushed.failures, pulled.failures, forgotten.failures):
        assert [(f.conversation_id, f.code) for f in failures] == [("", "JOB_FAILED")]
    assert (pushed.exit_code, pulled.exit_code) == (ExitCode.SOME_FAILED, ExitCode.SOME_FAILED)
    assert +pushed.states == {ItemState.DONE: 1}


def test_a_table_that_nobody_may_write_is_an_error_and_sets_nothing_aside() -> None:
    world = World()
    landing = world.landing()
    Watched(landing, a_row())
    world.sink.trouble.fail("load", "PERMISSION_DENIED", times=2)
    asyncio.run(landing.flush())

    with pytest.raises(RemoteError, match="PERMISSION_DENIED"):
        asyncio.run(world.landing().recover())

    assert len(left_batches(world)) == 1


def test_failed_jobs_are_followed_after_a_growing_jittered_wait() -> None:
    world = World()
    landing = world.landing()
    Watched(landing, a_row())
    world.sink.refused.add("pipeline_events")

    asyncio.run(landing.flush())

    waits = world.clock.slept_sec
    assert len(waits) == MAX_JOB_FAILURES - 1
    assert all(0 < wait <= 2.0**number for number, wait in enumerate(waits, 1))


def test_what_stops_later_runs_is_landed_last_and_recovered_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    order: list[str] = []
    load = world.sink.load

    async def noted(table: str, uri: str, job_id: str) -> object:
        order.append(table)
        return await load(table, uri, job_id)

    monkeypatch.setattr(world.sink, "load", noted)
    rows = (a_state_row("abcd"), a_file_row("abcd"), a_row("abcd"))

    landing = world.landing()
    Watched(landing, *rows)
    asyncio.run(landing.flush())
    flushed = order.copy()
    for row in rows:
        landing = world.landing()
        Watched(landing, row)
        world.sink.trouble.fail("load", "PERMISSION_DENIED")
        asyncio.run(landing.flush())
    order.clear()
    recovered = asyncio.run(world.landing().recover())

    wanted = ["pipeline_events", "conversation_files", "ci_conversations"]
    assert (flushed, order, recovered) == (wanted, wanted, Recovered(3, ()))


@pytest.mark.parametrize("killed_at", [1, 2, 3])
def test_a_run_killed_between_tables_loses_no_event(tmp_path: Path, killed_at: int) -> None:
    world = World()
    write(tmp_path, "abcd-efgh")
    world.sink.trouble.fail("load", "PERMISSION_DENIED", call=killed_at, times=99)
    asyncio.run(world.push(tmp_path))
    world.sink.trouble.end()

    asyncio.run(world.push(tmp_path))

    events = {row["step"] for row in world.sink.rows["pipeline_events"]}
    assert events == {"upload", "submit", "analyse"}


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

    async def both() -> list[Recovered]:
        return list(await asyncio.gather(*(world.landing().recover() for _ in range(2))))

    assert asyncio.run(both()) == [Recovered(1, ()), Recovered(1, ())]
    assert len(world.sink.rows["pipeline_events"]) == 1
    assert left_batches(world) == [name]


def test_recovery_survives_a_listing_that_fails_at_first() -> None:
    world = World()
    world.store.trouble.fail("list", times=2)

    assert asyncio.run(world.landing().recover()) == Recovered(0, ())


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
