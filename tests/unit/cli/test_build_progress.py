"""What `ingest build` makes of dbt's log of events."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ingest.cli import build
from ingest.cli._context import configure_logging
from ingest.cli._progress import Lines
from ingest.cli.build import _Nodes
from ingest.enums import LogFormat
from tests.fakes.world import fake_settings


class Heard(Lines):
    """Progress that keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[object, ...]] = []

    def stage(self, name: str, total: int | None) -> None:
        self.told.append(("stage", name, total))

    def advance(self, name: str) -> None:
        self.told.append(("advance", name))

    def now(self, sentences: tuple[str, ...]) -> None:
        self.told.append(("now", *sentences))

    def note(self, message: str) -> None:
        self.told.append(("note", message))


def _event(name: str, level: str = "debug", msg: str = "", **data: object) -> bytes:
    return json.dumps({"info": {"name": name, "level": level, "msg": msg}, "data": data}).encode()


def _node(kind: str, name: str) -> dict[str, str]:
    return {"unique_id": f"{kind}.{name}", "resource_type": kind, "node_name": name}


def test_nodes_are_counted_as_they_end_and_what_goes_wrong_is_said() -> None:
    heard = Heard()
    nodes = _Nodes(heard)
    seed, model, test = _node("seed", "media"), _node("model", "ci_turns"), _node("test", "key")

    for line in (
        _event("ConcurrencyLine", node_count=3),
        _event("NodeStart", node_info=seed),
        _event("NodeStart", node_info=model),
        _event("NodeFinished", node_info=seed, run_result={"status": "success"}),
        _event("RunResultError", "error", "Database Error"),
        _event("NodeFinished", node_info=model, run_result={"status": "error"}),
        _event("NodeStart", node_info=test),
        _event("NodeFinished", node_info=test, run_result={"status": "skipped"}),
        b"no event\n",
    ):
        nodes.take(line)

    assert heard.told == [
        ("stage", "dbt", 3),
        ("now", "seed media"),
        ("now", "seed media, model ci_turns"),
        ("advance", "dbt"),
        ("now", "model ci_turns"),
        ("note", "Database Error"),
        ("advance", "dbt"),
        ("now", "1 failed", ""),
        ("now", "1 failed", "test key"),
        ("advance", "dbt"),
        ("now", "1 failed", ""),
        ("note", "no event"),
    ]
    assert nodes.summary().rpartition(",")[0] == (
        "1 seed, 1 model, 1 test: 1 passed, 1 failed, 1 skipped"
    )


def test_events_of_dbt_are_lines_of_json_where_ours_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    nodes, model = _Nodes(Heard()), _node("model", "ci_turns")
    configure_logging(LogFormat.JSON)
    for line in (
        _event("NodeStart", node_info=model),
        _event("LogModelResult", "info", "1 of 1 OK created", node_info=model),
        _event("RunResultWarning", "warn", "Warning in test key"),
    ):
        nodes.take(line)
    configure_logging(LogFormat.NONE)
    nodes.take(_event("RunResultWarning", "warn", "not told"))

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    told = {"action", "event", "message", "node", "severity"}
    assert [{k: v for k, v in line.items() if k in told} for line in lines] == [
        {
            "severity": "INFO",
            "action": "dbt",
            "event": "LogModelResult",
            "message": "1 of 1 OK created",
            "node": "model.ci_turns",
        },
        {
            "severity": "WARNING",
            "action": "dbt",
            "event": "RunResultWarning",
            "message": "Warning in test key",
        },
    ]


class NoLease:
    """A lease that notes that it was interrupted."""

    is_interrupted = False

    def interrupt(self) -> None:
        self.is_interrupted = True


def test_a_dbt_that_ignores_a_sigterm_is_killed_within_the_seconds_of_a_cloud_run_task(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(build, "_PATIENCE_SEC", 0.2)
    deaf = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); print('{}', flush=True)"
    deaf += "\nwhile True: signal.pause()"
    lease, nodes = NoLease(), _Nodes(Heard())

    def take(line: bytes) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(nodes, "take", take)
    handlers = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]
    timers = set(threading.enumerate())
    began = time.monotonic()
    try:
        words: list[Any] = [sys.executable, "-c", deaf]
        code = asyncio.run(build._run_dbt(fake_settings(), words, nodes, lease))  # type: ignore[arg-type]
    finally:
        for number, handler in handlers:
            signal.signal(number, handler)
        for timer in set(threading.enumerate()) - timers:
            timer.cancel()  # type: ignore[attr-defined]

    assert code == -signal.SIGKILL
    assert lease.is_interrupted
    assert time.monotonic() - began < 9
