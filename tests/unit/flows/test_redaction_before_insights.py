"""A push that redacts: what each place holds, and what waits because it can't be judged."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from ingest.domain.declarations import NOTHING_DECLARED, CustomField, Declarations, FieldType
from ingest.domain.outcome import ItemState
from ingest.domain.redaction.files import FilesToRedact, redacted_files
from ingest.domain.redaction.turn import built_in
from ingest.errors import InputError
from ingest.flows.forget import Forget
from ingest.flows.push import Push, PushOptions
from ingest.flows.redaction import KEY_OBJECT, RedactedSource, Redacting, Redaction, RuleRedactor
from ingest.flows.source import BucketSource, LocalSource, Source
from ingest.flows.verify import Verify
from tests.fakes.folders import DATE, conversation_id, metadata, transcription, write
from tests.fakes.world import World

ID = conversation_id(1)
PERSON = "Tamika Rowntree"
TALK = ("Who am I speaking with?", f"{PERSON}.", "And your number?", "0491 570 110.")
KEY = b"k" * 32


def asynchronous[**P](test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run the test in a loop of its own."""

    @functools.wraps(test)
    def run(*arguments: P.args, **named: P.kwargs) -> None:
        asyncio.run(test(*arguments, **named))

    return run


class Rules:
    """The rules in this process; raises instead where a trouble is set."""

    def __init__(self) -> None:
        self.trouble: Exception | None = None
        self.count = 0

    async def redact(self, files: FilesToRedact) -> tuple[bytes, bytes]:
        self.count += 1
        if self.trouble is not None:
            raise self.trouble
        return redacted_files(files, built_in())


class RedactingWorld(World):
    """Pushes redact."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.rules = Rules()
        self.redacting = Redacting(self.rules, lambda: KEY)
        self.declared = NOTHING_DECLARED

    def redacting_push(self) -> Push:
        self.clock.advance(1)
        run_id = self.new_run_id()
        outside = dataclasses.replace(self.outside("push", run_id), redacting=self.redacting)
        return Push(outside, self.settings, PushOptions(run_id, declared=self.declared))

    async def states(self, source: Source) -> dict[str, int]:
        report = await self.redacting_push().run(source)
        self.rules_told = [(fault.rule, fault.file) for fault in report.faults]
        return {state.value: count for state, count in report.states.items() if count}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(
        tmp_path,
        ID,
        transcription=transcription(ID, *TALK),
        metadata=metadata(ID, agent_notes=f"Spoke to {PERSON}."),
    )
    return tmp_path


async def put(world: World, name: str, content: bytes) -> None:
    """Write an object as somebody else does, over what is there."""
    held = await world.store.stat(name)
    await world.store.put(
        name,
        content,
        content_type="application/json",
        content_sha256=None,
        if_generation_match=held.generation if held else 0,
    )


def _everything_but_originals(world: World) -> str:
    kept = [n for n in world.store.live_names if not n.startswith("originals/")]
    held = [world.store.content(name).decode(errors="replace") for name in kept]
    return " ".join([*held, repr(world.sink.facts()), repr(world.insights.labels(ID))])


@asynchronous
async def test_originals_lie_apart_and_all_else_is_redacted(root: Path) -> None:
    world = RedactingWorld()

    states = await world.states(LocalSource(root))

    folder = f"originals/{DATE}/{ID}"
    originals = {n for n in world.store.live_names if n.startswith("originals/")}
    sent = json.loads(world.store.content(f"{DATE}/{ID}/transcription.json"))
    assert states == {"done": 1}
    assert originals == {KEY_OBJECT, f"{folder}/metadata.json", f"{folder}/transcription.json"}
    handed_in = (root / DATE / ID / "transcription.json").read_bytes()
    assert world.store.content(f"{folder}/transcription.json") == handed_in
    assert [turn["text"] for turn in sent["turns"]][1::2] == ["[NAME_1].", "[PHONE_1]."]
    everything = _everything_but_originals(world)
    assert "[NAME_1]" in everything
    assert [w for w in ("Tamika", "Rowntree", "0491", "Robin", "Vale") if w in everything] == []


@asynchronous
async def test_a_second_push_changes_nothing_and_verify_compares_redacted_files(
    root: Path,
) -> None:
    world = RedactingWorld()
    await world.states(LocalSource(root))
    before = world.effects()

    again = await world.states(LocalSource(root))

    redaction = Redaction(
        world.store, world.attempts(), world.redacting, NOTHING_DECLARED, keeps=False
    )
    source = RedactedSource(LocalSource(root), redaction)
    check = await Verify(world.outside(), world.attempts()).check(
        LocalSource(root).dates()[0][0], source
    )
    assert again == {"unchanged": 1}
    assert world.effects() == before
    differing = [each for each in check.mismatches if each.place != "marts"]
    assert (differing, check.counts["files"]) == ([], 1)


@pytest.mark.parametrize(
    ("trouble", "rule"),
    [
        (TimeoutError(), "redaction_timeout"),
        (ValueError(f"bad text: {PERSON}"), "redaction_error"),
    ],
)
@asynchronous
async def test_what_cant_be_judged_waits_and_nothing_of_it_is_sent(
    root: Path, trouble: Exception, rule: str
) -> None:
    world = RedactingWorld()
    world.rules.trouble = trouble

    states = await world.states(LocalSource(root))
    objects = {name for name in world.store.live_names if "_landing" not in name}
    told = repr(world.sink.facts())
    world.rules.trouble = None
    later = await world.states(LocalSource(root))

    assert states == {"invalid": 1}
    assert objects == {KEY_OBJECT}
    assert rule in told
    assert "Tamika" not in told
    assert later == {"done": 1}


@asynchronous
async def test_another_language_or_half_a_conversation_is_not_judged(root: Path) -> None:
    world = RedactingWorld()
    french, half = conversation_id(2), conversation_id(3)
    write(root, french, metadata=metadata(french, language_code="fr-FR"))
    write(root, half, metadata=None)

    states = await world.states(LocalSource(root))

    assert states == {"done": 1, "invalid": 2}
    assert {rule for rule, _ in world.rules_told} == {
        "redaction_language",
        "redaction_needs_both_files",
    }
    assert not any(french in n or half in n for n in world.store.live_names)


@asynchronous
async def test_originals_are_pushed_from_their_folder_and_stay_as_they_are(root: Path) -> None:
    world = RedactingWorld()
    for kind in ("metadata", "transcription"):
        content = (root / DATE / ID / f"{kind}.json").read_bytes()
        await put(world, f"originals/{DATE}/{ID}/{kind}.json", content)
    before = {n: world.store.generation_count(n) for n in world.store.live_names}

    source = BucketSource(world.store, "originals", world.attempts(), is_own_bucket=True)
    states = await world.states(source)

    after = {n: world.store.generation_count(n) for n in before}
    assert (states, after) == ({"done": 1}, before)
    assert "Tamika" not in _everything_but_originals(world)


@asynchronous
async def test_an_original_outside_its_folder_is_refused_and_what_was_redacted_taken(
    root: Path,
) -> None:
    world = RedactingWorld()
    await world.states(LocalSource(root))
    own = BucketSource(world.store, DATE, world.attempts(), is_own_bucket=True)
    again = await world.states(own)
    content = (root / DATE / ID / "transcription.json").read_bytes()
    await put(world, f"{DATE}/{ID}/transcription.json", content)

    states = await world.states(own)

    assert (again, states) == ({"unchanged": 1}, {"invalid": 1})
    assert [rule for rule, _ in world.rules_told] == ["original_outside"]


@asynchronous
async def test_originals_never_replace_what_was_redacted(root: Path) -> None:
    world = RedactingWorld()
    await world.states(LocalSource(root))

    report = await world.push(root)

    assert report.states[ItemState.INVALID] == 1
    assert [fault.rule for fault in report.faults] == ["unredacted"]


@asynchronous
async def test_another_redactor_makes_another_version_of_the_conversation(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = RedactingWorld()
    await world.states(LocalSource(root))
    monkeypatch.setattr("ingest.domain.redaction.files.VERSION", "next")

    states = await world.states(LocalSource(root))

    landed = [row for row in world.sink.rows["conversation_files"] if row["kind"] == "metadata"]
    assert states == {"done": 1}
    assert [row["payload"]["redactor"] for row in landed] == ["1", "next"]
    assert len({row["content_sha256"] for row in landed}) == 2
    assert world.insights.labels(ID)["metadata_sha256"] == landed[1]["content_sha256"]


@asynchronous
async def test_forget_erases_both_zones(root: Path) -> None:
    world = RedactingWorld()
    await world.states(LocalSource(root))

    forgotten = await world.forget(ID)

    assert forgotten.after.is_clean
    assert not any(ID in name for name in world.store.live_names)


@asynchronous
async def test_a_customers_conversations_are_found_by_value_and_by_pseudonym(root: Path) -> None:
    world, open_, other = RedactingWorld(), conversation_id(2), conversation_id(3)
    field = CustomField("patient_id", FieldType.STRING, "", is_personal=True, is_customer=True)
    world.declared = Declarations(custom_fields={"patient_id": field})
    write(root, ID, metadata=metadata(ID, custom={"patient_id": "PT-77"}))
    await world.states(LocalSource(root))
    more = root / "more"
    write(more, open_, metadata=metadata(open_, custom={"patient_id": "PT-77"}))
    write(more, other, metadata=metadata(other, custom={"patient_id": "PT-78"}))
    await world.push(more)

    flow = Forget(world.outside(), world.attempts(), world.landing(), "")
    found = await flow.conversations_of("PT-77", ["patient_id"])

    assert found == (ID, open_)
    with pytest.raises(InputError, match="no conversation has this value in patient_id"):
        await flow.conversations_of("PT-79", ["patient_id"])


@asynchronous
async def test_the_pool_redacts_and_keeps_its_time(root: Path) -> None:
    slow = RuleRedactor((), 1e-6)
    pool = RuleRedactor(("Rowntree",), 30)
    given = FilesToRedact(
        metadata(ID), transcription(ID, "Hello.", "My name is Tamika Rowntree."), {}, KEY
    )
    try:
        _, made = await pool.redact(given)
        with pytest.raises(TimeoutError):
            await slow.redact(given)
    finally:
        pool.close()
        slow.close()

    assert json.loads(made)["turns"][1]["text"] == "My name is [NAME_1] Rowntree."
