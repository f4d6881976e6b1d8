from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from ingest.domain.conversation import FileKind, Shard
from ingest.domain.outcome import ItemState
from ingest.domain.validation import Fault
from ingest.flows.conversation_run import PushReport
from ingest.flows.selection import Selection
from ingest.flows.services import Silent
from ingest.flows.source import LocalConversation, LocalSource, SourceConversation
from tests.fakes.clock import ManualClock
from tests.fakes.folders import LATER_DATE, conversation_id, metadata, transcription, write
from tests.fakes.world import World

ID, BAD_ID = conversation_id(7), conversation_id(8)


def test_files_are_known_as_valid_by_conversation_date_and_every_byte(tmp_path: Path) -> None:
    write(tmp_path, ID)
    write(tmp_path, BAD_ID, transcription=b"{")
    clock = ManualClock()
    selection = Selection(
        LocalSource(tmp_path), Shard(), PushReport(), Silent(), lambda: False, clock.now
    )

    async def known() -> dict[str, bool]:
        assert await selection.validate() == 1
        (item,) = [found async for chunk in selection.chunks(None) for found in chunk]
        bad = LocalConversation(item.batch_date, BAD_ID, tmp_path / str(item.batch_date) / BAD_ID)
        later = LocalSource(write(tmp_path / "later", ID, LATER_DATE).parent)
        (elsewhere,) = [found async for found in later.walk()]
        assert not isinstance(elsewhere, Fault)
        contents, _ = await item.read()
        changed = {**contents, FileKind.METADATA: contents[FileKind.METADATA] + b" "}
        alone = {FileKind.METADATA: contents[FileKind.METADATA]}
        return {
            "same": selection.is_judged(item, contents),
            "changed": selection.is_judged(item, changed),
            "one file": selection.is_judged(item, alone),
            "other date": selection.is_judged(elsewhere, contents),
            "invalid": selection.is_judged(bad, (await bad.read())[0]),
        }

    assert asyncio.run(known()) == {
        "same": True,
        "changed": False,
        "one file": False,
        "other date": False,
        "invalid": False,
    }


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
