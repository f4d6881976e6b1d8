from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ingest.domain.as_code import ChangeKind
from ingest.domain.matchers import (
    MatcherDefinition,
    MatchType,
    PhraseRule,
    Role,
    RuleGroup,
    version_tag,
)
from ingest.errors import InputError, RemoteError
from ingest.flows.analysis import annotator_profile
from ingest.flows.matchers import (
    apply_matchers,
    delete_matchers,
    find_duplicates,
    plan_matchers,
    read_definitions,
)
from tests.fakes.folders import conversation_id, write
from tests.fakes.world import World

ID = conversation_id(5)
SEEDS = Path(__file__).parents[3] / "seeds"


def definition(name: str, *queries: str) -> MatcherDefinition:
    rules = tuple(PhraseRule(query) for query in queries)
    return MatcherDefinition(
        name, MatchType.ANY_OF, (RuleGroup("g", MatchType.ANY_OF, rules),), Role.ANY_AGENT, True
    )


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


@pytest.mark.parametrize("head_start", range(12))
def test_two_applies_at_once_end_with_one_of_each(head_start: int) -> None:
    world = World()
    wanted = [definition("empathy", "I understand"), definition("threats", "jail")]

    async def apply(turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        await apply_matchers(world.insights, world.sink, world.attempts(), world.landing(), wanted)

    async def both() -> None:
        await asyncio.gather(apply(0), apply(head_start))

    asyncio.run(both())

    held = asyncio.run(world.insights.list_matchers())
    assert sorted(matcher.applied.display_name for matcher in held) == ["empathy", "threats"]
    assert {kind for kind, _, _ in applied(world, *wanted)} == {"keep"}


def test_active_matchers_of_others_that_duplicate_ours_are_named() -> None:
    world = World()
    wanted = [definition("empathy", "I understand"), definition("threats", "jail")]
    for other, is_active in (
        (definition("crm empathy", "I understand"), True),
        (definition("threats", "prison"), True),
        (definition("old empathy", "I understand"), False),
        (definition("greeting", "hello"), True),
    ):
        asyncio.run(world.insights.create_matcher(replace(other, active=is_active), "crm:1"))
    applied(world, *wanted)

    found = asyncio.run(find_duplicates(world.insights, world.attempts(), wanted))

    assert [(d.display_name, d.ours, d.has_same_phrases) for d in found] == [
        ("crm empathy", "empathy", True),
        ("threats", "threats", False),
    ]
