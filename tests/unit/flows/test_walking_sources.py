from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ingest.domain.conversation import FileKind
from ingest.domain.faults import Fault
from ingest.domain.outcome import ItemState
from ingest.errors import ExitCode, InputError
from ingest.flows.source import BucketSource, LocalConversation, LocalSource, parse_gs_uri
from tests.fakes.folders import DATE, LATER_DATE, conversation_id, write, write_many
from tests.fakes.world import World

ID = conversation_id(5)


def walked(root: Path) -> list[str | tuple[str, str]]:
    """Return ids and, for faults, place and rule, in the order of the walk."""

    async def walk() -> list[str | tuple[str, str]]:
        return [
            (entry.file, entry.rule) if isinstance(entry, Fault) else entry.conversation_id
            async for entry in LocalSource(root).walk()
        ]

    return asyncio.run(walk())


def test_a_source_is_walked_by_date_and_id_and_every_stray_entry_is_told(tmp_path: Path) -> None:
    ids = write_many(tmp_path, 2)
    write(tmp_path, ID, date=LATER_DATE)
    (tmp_path / DATE / "notes.txt").write_text("x")
    (tmp_path / DATE / ".DS_Store").write_text("x")
    (tmp_path / DATE / "..evil").mkdir()
    (tmp_path / DATE / "Not An Id").mkdir()
    (tmp_path / "archive").mkdir()

    assert walked(tmp_path) == [
        ("archive", "not_read"),
        (f"{DATE}/..evil", "bad_conversation_id"),
        *ids,
        (f"{DATE}/Not An Id", "bad_conversation_id"),
        (f"{DATE}/notes.txt", "not_read"),
        ID,
    ]


def test_every_entry_that_is_no_date_folder_is_named_once(tmp_path: Path) -> None:
    write(tmp_path, ID)
    meant = ("2025-13-01", "20251229", "2025_12_30", "2025-1-2", "2025-12-28.bak", "Dec-2025")
    for name in (*meant, "2025-12-29 ", "2025-12-31_late", "20260101T00", "archive", ".cache"):
        (tmp_path / name).mkdir()
    (tmp_path / "2025-12-31").write_text("x")
    (tmp_path / "README.md").write_text("x")
    (tmp_path / "mapping.yaml").write_text("x")

    assert walked(tmp_path) == [
        ("2025-1-2", "bad_date_folder"),
        ("2025-12-28.bak", "bad_date_folder"),
        ("2025-12-29 ", "bad_date_folder"),
        ("2025-12-31", "not_read"),
        ("2025-12-31_late", "bad_date_folder"),
        ("2025-13-01", "bad_date_folder"),
        ("20251229", "bad_date_folder"),
        ("2025_12_30", "bad_date_folder"),
        ("20260101T00", "bad_date_folder"),
        ("Dec-2025", "bad_date_folder"),
        ("README.md", "not_read"),
        ("archive", "not_read"),
        ID,
    ]


def test_only_an_entry_that_was_meant_as_a_date_fails_the_push(tmp_path: Path) -> None:
    world = World()
    write(tmp_path, ID)
    (tmp_path / "README.md").write_text("x")
    (tmp_path / "archive").mkdir()

    assert asyncio.run(world.push(tmp_path)).exit_code == 0
    (tmp_path / "2025-12-29 ").mkdir()
    assert asyncio.run(world.push(tmp_path)).exit_code == 1


def test_a_file_beside_the_json_is_pointed_at_its_way_in(tmp_path: Path) -> None:
    folder = write(tmp_path, ID)
    for name in ("call.WAV", "transcription.csv", "notes.md", "expected.json", ".DS_Store"):
        (folder / name).write_text("x")

    async def hints() -> dict[str, str]:
        (item,) = [found async for found in LocalSource(tmp_path).walk()]
        assert not isinstance(item, Fault)
        _, faults = await item.read()
        return {fault.file.rsplit("/", 1)[-1]: fault.hint for fault in faults}

    assert asyncio.run(hints()) == {
        "call.WAV": "audio isn't read: transcribe it, then turn that into transcription.json",
        "notes.md": "move it elsewhere if it should not be here",
        "transcription.csv": "turn it into transcription.json by `ingest data convert`",
    }


def test_in_a_bucket_nothing_is_passed_over_silently(tmp_path: Path) -> None:
    world = World()
    good = write(tmp_path, ID)
    misnamed, nested = conversation_id(6), conversation_id(7)

    async def fill() -> None:
        for name in (
            f"in/{DATE}/{ID}/metadata.json",
            f"in/{DATE}/{ID}/transcription.json",
            f"in/{DATE}/{misnamed}/Metadata.JSON",
            f"in/{DATE}/{nested}/files/metadata.json",
            "in/20251229/some-call/metadata.json",
            "in/20251229/some-call/transcription.json",
            "in/2025-13-01/some-call/metadata.json",
            "in/readme.txt",
        ):
            file = good / name.rsplit("/", 1)[1]
            content = file.read_bytes() if file.exists() else b"{}"
            await world.store.put(
                name,
                content,
                content_type="application/json",
                content_sha256=None,
                if_generation_match=0,
            )

    asyncio.run(fill())
    source = BucketSource(world.store, "in", world.attempts(), is_own_bucket=True)
    report = asyncio.run(world.new_push().run(source))

    assert sorted((fault.file, fault.rule) for fault in report.faults) == [
        ("2025-13-01", "bad_date_folder"),
        ("20251229", "bad_date_folder"),
        (f"{DATE}/{misnamed}", "missing_file"),
        (f"{DATE}/{misnamed}/Metadata.JSON", "not_read"),
        (f"{DATE}/{nested}", "missing_file"),
        (f"{DATE}/{nested}/files/metadata.json", "not_read"),
        ("readme.txt", "not_read"),
    ]
    assert +report.states == {ItemState.DONE: 1, ItemState.INVALID: 4}


def test_a_link_out_of_the_source_is_told_and_not_followed(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside", ID)
    write(tmp_path / "in", conversation_id(6))
    (tmp_path / "in" / DATE / ID).symlink_to(outside)
    (tmp_path / "in" / LATER_DATE).symlink_to(tmp_path / "outside" / DATE)

    assert walked(tmp_path / "in") == [
        (LATER_DATE, "link_leaves_source"),
        (f"{DATE}/{ID}", "link_leaves_source"),
        conversation_id(6),
    ]


def test_a_link_that_leads_nowhere_is_told_where_a_delivery_was_meant(tmp_path: Path) -> None:
    (tmp_path / DATE).mkdir()
    for name in (f"{DATE}/{ID}", f"{DATE}/README", LATER_DATE, "notes"):
        (tmp_path / name).symlink_to(tmp_path / "gone")

    assert walked(tmp_path) == [
        (LATER_DATE, "link_leads_nowhere"),
        ("notes", "not_read"),
        (f"{DATE}/{ID}", "link_leads_nowhere"),
        (f"{DATE}/README", "not_read"),
    ]
    assert asyncio.run(World().push(tmp_path)).exit_code is ExitCode.SOME_FAILED


def test_a_date_folder_may_be_named_by_a_link(tmp_path: Path) -> None:
    write(tmp_path / "real", ID)
    (tmp_path / "latest").symlink_to(tmp_path / "real" / DATE)
    (tmp_path / "store").mkdir()
    (tmp_path / "real" / DATE).rename(tmp_path / "store" / "blob")
    (tmp_path / DATE).symlink_to(tmp_path / "store" / "blob")

    assert walked(tmp_path / DATE) == [ID]


@pytest.mark.parametrize("make", ["none", "file", "empty"])
def test_a_source_that_holds_no_date_folder_is_refused(tmp_path: Path, make: str) -> None:
    root = tmp_path / "source"
    if make == "file":
        root.write_text("x")
    elif make == "empty":
        root.mkdir()

    with pytest.raises(InputError):
        LocalSource(root)


def read(folder: Path) -> tuple[dict[FileKind, bytes], list[tuple[str, str]]]:
    """Read one conversation; return contents, and place and rule of the faults."""
    date = LocalSource(folder.parent).dates()[0][0]
    conversation = LocalConversation(date, folder.name, folder)
    contents, faults = asyncio.run(conversation.read())
    return contents, [(fault.file, fault.rule) for fault in faults]


def test_a_file_that_cannot_be_read_is_told_and_the_other_is_read(tmp_path: Path) -> None:
    folder = write(tmp_path, ID)
    (folder / "metadata.json").unlink()
    (folder / "metadata.json").mkdir()

    contents, faults = read(folder)

    assert list(contents) == [FileKind.TRANSCRIPTION]
    assert faults == [(f"{DATE}/{ID}/metadata.json", "unreadable_file")]


def test_a_file_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder = write(tmp_path, ID, metadata=None)
    (tmp_path / "secret.json").write_text("{}")
    (folder / "metadata.json").symlink_to(tmp_path / "secret.json")

    assert read(folder)[1] == [(f"{DATE}/{ID}/metadata.json", "unreadable_file")]


def test_a_file_of_50_mb_is_not_read(tmp_path: Path) -> None:
    folder = write(tmp_path, ID)
    with (folder / "transcription.json").open("wb") as file:
        file.truncate(50_000_000)

    contents, faults = read(folder)

    assert list(contents) == [FileKind.METADATA]
    assert faults == [(f"{DATE}/{ID}/transcription.json", "file_too_large")]


def test_a_bucket_address_is_taken_apart() -> None:
    assert parse_gs_uri("gs://calls/2026-01-05/") == ("calls", "2026-01-05")
    assert parse_gs_uri("gs://acme.example.com") == ("acme.example.com", "")
    for wrong in ("gs://", "s3://calls/x", "calls/x", "gs://../etc", "gs://BAD_bucket!/x"):
        with pytest.raises(InputError):
            parse_gs_uri(wrong)
