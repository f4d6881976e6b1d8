"""Makes the phrase matchers of Insights equal to the seeds, and tries matchers on transcripts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import orjson
from pydantic import ValidationError

from ingest.domain.as_code import ChangeKind, is_ours
from ingest.domain.conversation import FileKind, Transcription
from ingest.domain.faults import Fault
from ingest.domain.matchers import (
    DuplicateMatcher,
    LiveMatcher,
    MatcherChange,
    MatcherDefinition,
    content_sha256,
    duplicates,
    parse_definitions,
    plan,
    version_tag,
)
from ingest.domain.phrase_matching import (
    Difference,
    TurnMatch,
    compile_matchers,
    differences,
    find_matches,
)
from ingest.domain.raw_records import (
    ANY_PARTITION,
    CONVERSATION_FILES,
    PHRASE_MATCHERS,
    PIPELINE_EVENTS,
    matcher_row,
)
from ingest.domain.validation import parse_file
from ingest.errors import InputError, RemoteError
from ingest.flows.attempts import Attempts
from ingest.flows.landing import Landing
from ingest.flows.source import Source, place_of
from ingest.flows.steps import log_change
from ingest.ports.move import CiMatcher, InsightsApi, RawSink


@dataclass(frozen=True)
class MatcherOutcome:
    """What became of one change; `error` is None when Insights holds what was wanted."""

    change: MatcherChange
    error: RemoteError | None = None


def read_definitions(seeds_dir: Path) -> tuple[MatcherDefinition, ...]:
    """Return the definitions of `phrase_matchers.csv` and `phrase_matcher_rules.csv`."""
    try:
        matchers = (seeds_dir / "phrase_matchers.csv").read_text(encoding="utf-8")
        rules = (seeds_dir / "phrase_matcher_rules.csv").read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"no phrase matcher definitions in {seeds_dir}",
            "run at the repository root, or set INGEST_SEEDS_DIR",
        ) from error
    return parse_definitions(matchers, rules)


async def plan_matchers(
    insights: InsightsApi, attempts: Attempts, definitions: Sequence[MatcherDefinition]
) -> tuple[MatcherChange, ...]:
    """Return what apply would do."""
    held = (await attempts.run(insights.list_matchers)).value
    return plan(definitions, [_live(matcher) for matcher in held])


async def find_duplicates(
    insights: InsightsApi, attempts: Attempts, definitions: Sequence[MatcherDefinition]
) -> tuple[DuplicateMatcher, ...]:
    """Return the active matchers of others that duplicate one of these."""
    held = (await attempts.run(insights.list_matchers)).value
    return duplicates(definitions, [_live(matcher) for matcher in held])


async def apply_matchers(
    insights: InsightsApi,
    sink: RawSink,
    attempts: Attempts,
    landing: Landing,
    definitions: Sequence[MatcherDefinition],
    run_id: str = "",
) -> tuple[MatcherOutcome, ...]:
    """Make Insights equal to the definitions, and land each revision that isn't landed yet.

    A create whose answer was lost is looked for before it is sent again. Another apply at the same
    time may create a matcher too: whoever comes last sees both, and everybody keeps the same one.
    """
    changes = await plan_matchers(insights, attempts, definitions)
    outcomes = [await _outcome(insights, attempts, change, run_id) for change in changes]
    if any(change.kind is ChangeKind.CREATE for change in changes):
        wanted = {definition.display_name for definition in definitions}
        outcomes += [
            await _outcome(insights, attempts, change, run_id)
            for change in await plan_matchers(insights, attempts, definitions)
            if change.kind is ChangeKind.DELETE and change.display_name in wanted
        ]
    await land_matchers(insights, sink, attempts, landing)
    return tuple(outcomes)


async def land_matchers(
    insights: InsightsApi, sink: RawSink, attempts: Attempts, landing: Landing
) -> int:
    """Land the revisions that Insights holds and the raw table doesn't; return how many."""
    held = (await attempts.run(insights.list_matchers)).value
    ours = [matcher for matcher in held if is_ours(matcher.version_tag)]
    landed = await _landed_revisions(sink, attempts)
    rows = [
        matcher_row(
            matcher_id=matcher.applied.matcher_id,
            revision_id=matcher.applied.revision_id,
            display_name=matcher.applied.display_name,
            content_sha256=content_sha256(matcher.definition),
            payload=matcher.payload,
            revised_at=matcher.applied.revised_at,
        )
        for matcher in ours
        if (matcher.applied.matcher_id, matcher.applied.revision_id) not in landed
    ]
    if not rows:
        return 0
    lost: list[RemoteError] = []
    landing.add(rows, lambda: None, lost.append)
    await landing.flush()
    if lost:
        raise lost[0]
    return len(rows)


async def delete_matchers(
    insights: InsightsApi, attempts: Attempts, run_id: str = ""
) -> tuple[MatcherOutcome, ...]:
    """Delete the matchers of ours from Insights; others stay."""
    changes = await plan_matchers(insights, attempts, ())
    return tuple([await _outcome(insights, attempts, change, run_id) for change in changes])


async def _outcome(
    insights: InsightsApi, attempts: Attempts, change: MatcherChange, run_id: str
) -> MatcherOutcome:
    applying = _Applying(insights, change)
    try:
        await attempts.run(applying.attempt)
    except RemoteError as error:
        return MatcherOutcome(change, error)
    if change.kind is not ChangeKind.KEEP:
        log_change(f"{change.kind} matcher", run_id, resource=change.name or change.display_name)
    return MatcherOutcome(change)


class _Applying:
    """One change; `attempt` may be called again after any error."""

    def __init__(self, insights: InsightsApi, change: MatcherChange) -> None:
        self._insights = insights
        self._change = change
        self._may_be_created = False

    async def attempt(self) -> None:
        """Make the change, unless an unanswered attempt has made it."""
        change = self._change
        if change.kind is ChangeKind.CREATE and change.definition is not None:
            await self._create(change.definition)
        elif change.kind is ChangeKind.UPDATE and change.definition and change.name:
            tag = version_tag(change.definition)
            await self._insights.update_matcher(change.name, change.definition, tag)
        elif change.kind is ChangeKind.DELETE and change.name:
            try:
                await self._insights.delete_matcher(change.name)
            except RemoteError as error:
                if error.code != "NOT_FOUND":
                    raise

    async def _create(self, definition: MatcherDefinition) -> None:
        tag = version_tag(definition)
        if self._may_be_created:
            held = await self._insights.list_matchers()
            if any(_is_of(matcher, definition.display_name, tag) for matcher in held):
                return
        self._may_be_created = True
        await self._insights.create_matcher(definition, tag)


def _is_of(matcher: CiMatcher, display_name: str, tag: str) -> bool:
    return (matcher.applied.display_name, matcher.version_tag) == (display_name, tag)


async def _landed_revisions(sink: RawSink, attempts: Attempts) -> set[tuple[str, str]]:
    sql = (
        f"select distinct matcher_id, revision_id from {sink.table(PHRASE_MATCHERS)} "
        f"where {ANY_PARTITION}"
    )
    rows = (await attempts.run(lambda: sink.query(sql, {}))).value
    return {(row["matcher_id"], row["revision_id"]) for row in rows}


def _live(matcher: CiMatcher) -> LiveMatcher:
    return LiveMatcher(matcher.name, matcher.version_tag, matcher.definition)


_PAGE_SIZE = 500


async def try_on_source(
    source: Source, definitions: Sequence[MatcherDefinition]
) -> tuple[int, list[TurnMatch], list[Fault]]:
    """Return how many transcripts were read, all matches, and faults of unusable files."""
    matchers = compile_matchers(definitions)
    count, matches, faults = 0, list[TurnMatch](), list[Fault]()
    async for entry in source.walk():
        if isinstance(entry, Fault):
            faults.append(entry)
            continue
        contents, found = await entry.read()
        faults += found
        content = contents.get(FileKind.TRANSCRIPTION)
        if content is None:
            continue
        kind = FileKind.TRANSCRIPTION
        parsed, found = parse_file(kind, content, place_of(entry, kind))
        faults += found
        if isinstance(parsed, Transcription):
            count += 1
            matches += find_matches(parsed, matchers)
    return count, matches, faults


async def impact(
    insights: InsightsApi,
    sink: RawSink,
    attempts: Attempts,
    definitions: Sequence[MatcherDefinition],
) -> tuple[int, list[Difference]]:
    """Return how many landed talks were looked at, and what applying would change in them."""
    held = (await attempts.run(insights.list_matchers)).value
    before = compile_matchers([m.definition for m in held if is_ours(m.version_tag)])
    after = compile_matchers(definitions)
    count, found = 0, list[Difference]()
    async for transcription in _landed_transcriptions(sink, attempts):
        count += 1
        found += differences(transcription, before, after)
    return count, found


async def _landed_transcriptions(sink: RawSink, attempts: Attempts) -> AsyncIterator[Transcription]:
    """Yield the newest landed transcript of every conversation, by id, a page at a time."""
    sql = f"""
        select conversation_id, to_json_string(payload) as payload
        from {sink.table(CONVERSATION_FILES)}
        where {ANY_PARTITION} and kind = 'transcription'
            and conversation_id > @after
            and conversation_id not in (
                select conversation_id from {sink.table(PIPELINE_EVENTS)}
                where {ANY_PARTITION} and step = 'forget'
            )
        qualify row_number() over (partition by conversation_id order by generation desc) = 1
        order by conversation_id
        limit {_PAGE_SIZE}
    """
    after = ""
    while True:
        rows = (await attempts.run(partial(sink.query, sql, {"after": after}))).value
        for row in rows:
            try:
                yield Transcription.model_validate(orjson.loads(row["payload"]))
            except ValidationError:
                continue
        if len(rows) < _PAGE_SIZE:
            return
        after = rows[-1]["conversation_id"]
