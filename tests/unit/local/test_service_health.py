from __future__ import annotations

import pytest

from ingest.errors import RemoteError
from ingest.local.health import wait_until_answering
from ingest.local.layout import Service


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
    time, ready = FakeTime(), {Service.GCS: 0.0, Service.CI: 0.3, Service.BIGQUERY: 0.6}
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
    assert seen == [(Service.GCS, True), (Service.CI, True), (Service.BIGQUERY, True)]


def test_a_service_that_never_answers_is_given_up_at_the_deadline() -> None:
    time = FakeTime()

    late = wait_until_answering(
        [Service.GCS, Service.CI],
        lambda service: service is Service.GCS,
        deadline_sec=5,
        on_ready=lambda *_: None,
        stop_if=nothing,
        clock=time.clock,
        pause=time.pause,
    )

    assert late == {Service.CI}
    assert time.now == pytest.approx(5, abs=0.1)


def test_waiting_ends_at_once_when_a_service_has_died() -> None:
    time = FakeTime()

    def died() -> None:
        raise RemoteError("ci ended while it started")

    with pytest.raises(RemoteError, match="ci ended"):
        wait_until_answering(
            [Service.CI],
            lambda _: False,
            deadline_sec=5,
            on_ready=lambda *_: None,
            stop_if=died,
            clock=time.clock,
            pause=time.pause,
        )
    assert time.now == 0
