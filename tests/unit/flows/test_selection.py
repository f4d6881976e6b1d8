from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import orjson

from ingest.domain.faults import Fault
from ingest.domain.outcome import ItemState
from ingest.flows.source import LocalSource, SourceConversation
from tests.fakes.folders import conversation_id, metadata, transcription, write, write_many
from tests.fakes.world import Notes, World

ID = conversation_id(7)


@dataclass(frozen=True)
class ChangingSource:
    """A folder of which a file is another one at the second walk."""

    folder: LocalSource
    changed: Path
    contents: list[bytes]
    is_quick_to_read: bool = True

    async def walk(self) -> AsyncIterator[SourceConversation | Fault]:
        self.changed.write_bytes(self.contents.pop(0))
        async for entry in self.folder.walk():
            yield entry


def test_a_file_that_changes_after_validation_is_judged_again(tmp_path: Path) -> None:
    world = World()
    folder = write(tmp_path, ID)
    good = orjson.dumps(metadata(ID))
    refused = orjson.dumps(metadata(ID, direction="SIDEWAYS"))
    source = ChangingSource(LocalSource(tmp_path), folder / "metadata.json", [good, refused])

    report = asyncio.run(world.new_push().run(source))

    assert dict(report.states) == {ItemState.INVALID: 1}
    assert [(fault.pointer, fault.rule) for fault in report.faults] == [
        ("/direction", "unknown_value")
    ]
    assert (world.store.live_names, world.sink.rows.get("conversation_files", [])) == ([], [])


def test_a_file_that_changes_into_another_valid_one_is_landed_as_it_is_then(
    tmp_path: Path,
) -> None:
    world = World()
    folder = write(tmp_path, ID)
    first, second = transcription(ID, "One."), transcription(ID, "Two.")
    source = ChangingSource(
        LocalSource(tmp_path),
        folder / "transcription.json",
        [orjson.dumps(first), orjson.dumps(second)],
    )

    report = asyncio.run(world.new_push().run(source))

    assert dict(report.states) == {ItemState.DONE: 1}
    landed = {row["kind"]: row["payload"] for row in world.sink.rows["conversation_files"]}
    assert landed["transcription"] == second


class Signalled(Notes):
    """Has a signal come when the first conversation is validated; the loop hears it when free."""

    on_signal: Callable[[], None]

    def __init__(self) -> None:
        super().__init__()
        self.totals: dict[str, int | None] = {}

    def stage(self, name: str, total: int | None) -> None:
        self.totals[name] = total

    def advance(self, name: str) -> None:
        super().advance(name)
        if self.advances[name] == 1:
            asyncio.get_running_loop().call_soon(self.on_signal)


def test_a_push_that_is_stopped_while_it_validates_ends_without_reading_on(tmp_path: Path) -> None:
    world = World(progress=(progress := Signalled()))
    write_many(tmp_path, 120)
    push = world.new_push()
    progress.on_signal = push.stop

    report = asyncio.run(push.run(LocalSource(tmp_path)))

    assert report.is_interrupted
    assert progress.advances["validate"] < 60
    assert set(progress.totals.values()) == {None}
    assert (world.store.live_names, any(world.sink.rows.values())) == ([], False)
