"""What one further conversation of a push costs in calls between modules, and in work on its files.

Usage: python -m tests.benchmarks.cross_module_calls

A push of N and one of N + 1 conversations over the fakes of `tests/fakes`; the difference is the
one conversation. A call counts when it enters a module of `ingest` from another one, whatever
library lies between; code that goes on after it waited isn't entered again. Fakes stand where
adapters and the terminal would: what is called there isn't counted.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import orjson
from pydantic import BaseModel

from ingest.domain.conversation import json_sha256
from ingest.flows import source
from tests.fakes.folders import write_many
from tests.fakes.world import World

MOST_CALLS = 67
FEW = 20
FILES = 2
_TOOL_ID = 4
_WORK = {
    source._read_within.__code__: "reads",
    BaseModel.model_validate_json.__func__.__code__: "validations",  # type: ignore[attr-defined]
    json_sha256.__code__: "hashes",
    json.loads.__code__: "decodings",
}


@dataclass
class Counted:
    """Calls by the modules that they lead from and to, and operations on files by kind."""

    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    work: Counter[str] = field(default_factory=Counter)

    def __sub__(self, other: Counted) -> Counted:
        return Counted(self.calls - other.calls, self.work - other.work)


@contextmanager
def counting() -> Iterator[Counted]:
    """Count while the block runs."""
    counted = Counted()
    monitoring, events = sys.monitoring, sys.monitoring.events

    def started(code: CodeType, _: int) -> None:
        counted.work.update([_WORK[code]] if code in _WORK else [])
        frame = sys._getframe(1)
        entered = _module(frame)
        left = _caller(frame)
        if left != entered and left.startswith("ingest.") and entered.startswith("ingest."):
            counted.calls[left, entered] += 1

    def called(code: CodeType, _: int, function: Any, __: Any) -> None:
        if function is orjson.loads and "/ingest/" in code.co_filename:
            counted.work["decodings"] += 1

    monitoring.use_tool_id(_TOOL_ID, "cross-module calls")
    monitoring.register_callback(_TOOL_ID, events.PY_START, started)
    monitoring.register_callback(_TOOL_ID, events.CALL, called)
    monitoring.set_events(_TOOL_ID, events.PY_START | events.CALL)
    try:
        yield counted
    finally:
        monitoring.set_events(_TOOL_ID, 0)
        monitoring.free_tool_id(_TOOL_ID)


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _caller(frame: FrameType) -> str:
    """Return the module of ours, or the fake, that the call comes from."""
    above = frame.f_back
    while above is not None and not _module(above).startswith(("ingest.", "tests.fakes.")):
        above = above.f_back
    return "" if above is None else _module(above)


def push(count: int) -> Counted:
    """Return what a first push of that many conversations took."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_many(root, count)
        world = World()
        with counting() as counted:
            report = asyncio.run(world.push(root))
    if int(report.exit_code) != 0:
        raise RuntimeError(f"the push failed: {report.failures}")
    return counted


def of_one_more() -> Counted:
    """Return what one further conversation takes; the first push warms the caches up."""
    push(1)
    return push(FEW + 1) - push(FEW)


if __name__ == "__main__":
    found = of_one_more()
    for (left, entered), number in sorted(found.calls.items(), key=lambda item: -item[1]):
        print(f"{number:4}  {left} -> {entered}")
    print(f"{found.calls.total():4}  calls from module to module, at most {MOST_CALLS}")
    print(f"{len({name for pair in found.calls for name in pair}):4}  modules")
    for work, number in sorted(found.work.items()):
        print(f"{number / FILES:4.0f}  {work} per file in two passes")
