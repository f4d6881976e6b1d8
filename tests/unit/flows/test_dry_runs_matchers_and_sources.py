from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ingest.domain.conversation import FileKind
from ingest.domain.fault import Fault
from ingest.domain.matcher_definition import (
    MatcherDefinition,
    MatchType,
    PhraseRule,
    Role,
    RuleGroup,
)
from ingest.domain.matchers import ChangeKind, version_tag
from ingest.domain.outcome import ItemState
from ingest.errors import ExitCode, InputError, RemoteError
from ingest.flows.bucket_source import BucketSource, parse_gs_uri
from ingest.flows.matchers import (
    apply_matchers,
    delete_matchers,
    plan_matchers,
    read_definitions,
)
from ingest.flows.profile import annotator_profile
from ingest.flows.source import LocalConversation, LocalSource
from tests.fakes.folders import DATE, LATER_DATE, conversation_id, transcription, write, write_many
from tests.fakes.world import World

ID = conversation_id(5)
SEEDS = Path(__file__).parents[3] / "seeds"


def definition(name: str, *queries: str) -> MatcherDefinition:
    rules = tuple(PhraseRule(query) for query in queries)
    return MatcherDefinition(
        name, MatchType.ANY_OF, (RuleGroup("g", MatchType.ANY_OF, rules),), Role.ANY_AGENT, True
    )


def test_a_dry_run_says_what_a_real_one_then_does(tmp_path: Path) -> None:
    world = World()
    edited = write_many(tmp_path, 3)[0]
    asyncio.run(world.push(tmp_path))
    write(tmp_path, edited, transcription=transcription(edited, "Hello.", "Edited."))
    write(tmp_path, ID)
    before = world.effects()
    counts = dict(world.insights.trouble.calls)

    report, planned = asyncio.run(world.dry_push(tmp_path))
    after = world.effects()
    real = asyncio.run(world.push(tmp_path))

    assert (report.exit_code, after) == (ExitCode.OK, before)
    assert dict(planned) == {
        "upload files": 3,
        "upload CI transcripts": 2,
        "create CI conversations": 2,
        "delete CI conversations": 1,
        "analyse": 2,
    }
    assert dict(report.states) == dict(real.states)
    done = world.insights.trouble.calls
    assert {m: done[m] - counts.get(m, 0) for m in ("create_conversation", "create_analysis")} == {
        "create_conversation": 2,
        "create_analysis": 2,
    }


def test_a_dry_run_waits_for_no_analysis_and_plans_none_where_one_runs(tmp_path: Path) -> None:
    world = World()
    write(tmp_path, ID)
    world.insights.analysis_sec = 100.0

    async def killed() -> None:
        task = asyncio.create_task(world.new_push().run(LocalSource(tmp_path)))
        while not world.insights.analyses:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(killed())
    began = world.clock.monotonic()
    report, planned = asyncio.run(world.dry_push(tmp_path))

    assert report.exit_code is ExitCode.OK
    assert "analyse" not in planned
    assert world.clock.monotonic() - began < 5


def test_a_dry_run_of_everything_in_place_plans_nothing(tmp_path: Path) -> None:
    world = World()
    write(tmp_path, ID)
    asyncio.run(world.push(tmp_path))

    report, planned = asyncio.run(world.dry_push(tmp_path))

    assert (dict(report.states), dict(planned)) == ({ItemState.UNCHANGED: 1}, {})


def applied(world: World, *wanted: MatcherDefinition) -> list[tuple[str, str, str | None]]:
    """Apply; return kind, name and error code by change."""
    outcomes = asyncio.run(
        apply_matchers(world.insights, world.sink, world.attempts(), world.landing(), wanted)
    )
    return [
        (o.change.kind.value, o.change.display_name, o.error.code if o.error else None)
        for o in outcomes
    ]


def test_applying_twice_changes_and_lands_nothing_more() -> None:
    world = World()
    wanted = [definition("empathy", "I understand"), definition("threats", "jail")]

    first = applied(world, *wanted)
    landed = [dict(row) for row in world.sink.rows["phrase_matchers"]]
    second = applied(world, *wanted)

    assert [kind for kind, _, _ in first] == ["create", "create"]
    assert [kind for kind, _, _ in second] == ["keep", "keep"]
    assert world.sink.rows["phrase_matchers"] == landed
    assert [row["display_name"] for row in landed] == ["empathy", "threats"]


def test_a_changed_definition_lands_another_revision() -> None:
    world = World()
    applied(world, definition("empathy", "I understand"))

    changed = applied(world, definition("empathy", "I see"))

    assert changed == [("update", "empathy", None)]
    rows = world.sink.rows["phrase_matchers"]
    assert len({row["matcher_id"] for row in rows}) == 1
    assert len({row["revision_id"] for row in rows}) == 2


@pytest.mark.parametrize("after_effect", [False, True])
def test_a_matcher_whose_create_got_no_answer_is_made_once(after_effect: bool) -> None:
    world = World()
    world.insights.trouble.fail("create_matcher", times=2, after_effect=after_effect)

    outcome = applied(world, definition("empathy", "I understand"))

    assert outcome == [("create", "empathy", None)]
    assert len(asyncio.run(world.insights.list_matchers())) == 1


def test_a_refused_change_is_told_and_the_others_are_made() -> None:
    world = World()
    world.insights.trouble.fail("create_matcher", "INVALID_ARGUMENT")

    outcome = applied(world, definition("empathy", "I understand"), definition("threats", "jail"))

    assert outcome == [("create", "empathy", "INVALID_ARGUMENT"), ("create", "threats", None)]
    assert [r["display_name"] for r in world.sink.rows["phrase_matchers"]] == ["threats"]


def test_revisions_that_cannot_be_landed_are_an_error() -> None:
    world = World()
    world.sink.refused.add("phrase_matchers")

    with pytest.raises(RemoteError) as caught:
        applied(world, definition("empathy", "I understand"))

    assert caught.value.code == "JOB_FAILED"


def test_destroy_takes_ours_and_leaves_those_of_others() -> None:
    world = World()
    applied(world, definition("empathy", "I understand"))
    theirs = definition("theirs", "hello")
    asyncio.run(world.insights.create_matcher(theirs, "someone-else"))
    world.insights.trouble.fail("delete_matcher", after_effect=True)

    outcomes = asyncio.run(delete_matchers(world.insights, world.attempts()))
    changes = asyncio.run(
        plan_matchers(world.insights, world.attempts(), [definition("empathy", "I understand")])
    )

    assert [(o.change.kind, o.error) for o in outcomes] == [(ChangeKind.DELETE, None)]
    assert [change.kind for change in changes] == [ChangeKind.CREATE]
    held = asyncio.run(world.insights.list_matchers())
    assert [matcher.definition for matcher in held] == [theirs]


def test_a_changed_matcher_makes_a_new_analysis_and_an_unchanged_one_none(tmp_path: Path) -> None:
    world = World()
    write(tmp_path, ID)
    applied(world, definition("empathy", "I understand"))
    asyncio.run(world.push(tmp_path))
    applied(world, definition("empathy", "I understand"))
    asyncio.run(world.push(tmp_path))
    unchanged = len(world.insights.analyses)
    applied(world, definition("empathy", "I see"))

    asyncio.run(world.push(tmp_path))
    asyncio.run(world.push(tmp_path))

    assert (unchanged, len(world.insights.analyses)) == (1, 2)
    hashes = [r["annotator_profile_sha256"] for r in world.sink.rows["ci_conversations"]]
    assert len(set(hashes)) == 2


def test_the_profile_says_when_ci_holds_no_matchers_of_ours() -> None:
    world = World()
    asyncio.run(world.insights.create_matcher(definition("theirs", "hi"), "someone-else"))

    profile = asyncio.run(annotator_profile(world.insights, world.attempts(), world.progress))

    assert profile.matchers == ()
    assert ["ingest matchers apply" in note for note in world.progress.notes] == [True]


def test_the_seeds_can_be_applied_and_a_folder_without_them_is_told(tmp_path: Path) -> None:
    world = World()
    wanted = read_definitions(SEEDS)

    outcome = applied(world, *wanted)

    assert {kind for kind, _, _ in outcome} == {"create"}
    assert len(outcome) == 5
    assert all(m.version_tag == version_tag(m.definition) for m in _held(world))
    with pytest.raises(InputError, match="no phrase matcher definitions"):
        read_definitions(tmp_path)


def _held(world: World) -> list[Any]:
    return list(asyncio.run(world.insights.list_matchers()))


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
        (f"{DATE}/..evil", "bad_conversation_id"),
        *ids,
        (f"{DATE}/Not An Id", "bad_conversation_id"),
        (f"{DATE}/notes.txt", "not_a_conversation"),
        ID,
    ]


def test_a_folder_that_is_nearly_a_date_is_told_beside_good_ones(tmp_path: Path) -> None:
    write(tmp_path, ID)
    for name in ("2025-13-01", "20251229", "2025_12_30", "2025-1-2", "2025-12-28.bak", "archive"):
        (tmp_path / name).mkdir()
    (tmp_path / "2025-12-31").write_text("x")

    assert walked(tmp_path) == [
        ("2025-1-2", "bad_date_folder"),
        ("2025-12-31", "bad_date_folder"),
        ("2025-13-01", "bad_date_folder"),
        ("20251229", "bad_date_folder"),
        ("2025_12_30", "bad_date_folder"),
        ID,
    ]


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
        (f"{DATE}/{nested}", "missing_file"),
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
    assert parse_gs_uri("gs://b/2026-01-05/") == ("b", "2026-01-05")
    assert parse_gs_uri("gs://b") == ("b", "")
    for wrong in ("gs://", "s3://b/x", "b/x"):
        with pytest.raises(InputError):
            parse_gs_uri(wrong)
