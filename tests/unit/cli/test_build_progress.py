"""What `ingest build` makes of dbt's log of events."""

from __future__ import annotations

import json

from ingest.cli._progress import Lines
from ingest.cli.build import _Nodes


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
