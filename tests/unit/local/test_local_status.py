from __future__ import annotations

from pathlib import Path

import pytest

from ingest.errors import RemoteError
from ingest.local.layout import Service
from ingest.local.status import follow, last_lines, wait_until_answering


class FakeTime:
    """A clock that only moves while the code under test pauses."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


def nothing() -> None:
    """Never give up early."""


def test_every_service_is_reported_once_when_it_first_answers() -> None:
    time, ready = FakeTime(), {Service.GCS: 0.0, Service.INSIGHTS: 0.3, Service.BIGQUERY: 0.6}
    seen: list[tuple[Service, bool]] = []

    late = wait_until_answering(
        list(ready),
        lambda service: time.now >= ready[service],
        deadline_sec=10,
        on_ready=lambda service, sec: seen.append((service, abs(sec - ready[service]) < 0.06)),
        stop_if=nothing,
        clock=time.clock,
        pause=time.pause,
    )

    assert late == set()
    assert seen == [(Service.GCS, True), (Service.INSIGHTS, True), (Service.BIGQUERY, True)]


def test_a_service_that_never_answers_is_given_up_at_the_deadline() -> None:
    time = FakeTime()

    late = wait_until_answering(
        [Service.GCS, Service.INSIGHTS],
        lambda service: service is Service.GCS,
        deadline_sec=5,
        on_ready=lambda *_: None,
        stop_if=nothing,
        clock=time.clock,
        pause=time.pause,
    )

    assert late == {Service.INSIGHTS}
    assert time.now == pytest.approx(5, abs=0.1)


def test_waiting_ends_at_once_when_a_service_has_died() -> None:
    time = FakeTime()

    def died() -> None:
        raise RemoteError("ci ended while it started")

    with pytest.raises(RemoteError, match="ci ended"):
        wait_until_answering(
            [Service.INSIGHTS],
            lambda _: False,
            deadline_sec=5,
            on_ready=lambda *_: None,
            stop_if=died,
            clock=time.clock,
            pause=time.pause,
        )
    assert time.now == 0


def test_the_last_lines_of_a_log_are_shown(tmp_path: Path) -> None:
    log = tmp_path / "gcs.log"
    log.write_text("one\ntwo\nthree\n")

    assert [last_lines(log, count) for count in (2, 9, 0)] == [
        ["two", "three"],
        ["one", "two", "three"],
        [],
    ]


def test_a_log_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "gcs.log", 5) == []


def test_following_yields_new_whole_lines_of_every_log_in_turn(tmp_path: Path) -> None:
    gcs, ci = tmp_path / "gcs.log", tmp_path / "ci.log"
    gcs.write_text("old\n")
    script = iter(
        [
            lambda: gcs.write_text("old\nnew\nhal"),
            lambda: (gcs.write_text("old\nnew\nhalf\n"), ci.write_text("first\n")),
            lambda: gcs.write_text("begun anew\n"),
        ]
    )
    lines = follow([gcs, ci], pause=lambda _: next(script)())

    assert [next(lines) for _ in range(4)] == [
        (gcs, "new"),
        (gcs, "half"),
        (ci, "first"),
        (gcs, "begun anew"),
    ]
