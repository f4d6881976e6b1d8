"""Makes CI's phrase matchers equal to the definitions in the seeds, and lands every revision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.domain.matcher_definition import MatcherDefinition
from ingest.domain.matchers import (
    ChangeKind,
    LiveMatcher,
    MatcherChange,
    content_sha256,
    is_ours,
    parse_definitions,
    plan,
    version_tag,
)
from ingest.domain.raw_records import PHRASE_MATCHERS, matcher_row
from ingest.errors import InputError, RemoteError
from ingest.flows.attempts import Attempts
from ingest.flows.effects import log_change
from ingest.flows.landing import Landing
from ingest.ports import CiMatcher, InsightsApi, RawSink


@dataclass(frozen=True)
class MatcherOutcome:
    """What became of one change; `error` is None when CI holds what was wanted."""

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


async def apply_matchers(
    insights: InsightsApi,
    sink: RawSink,
    attempts: Attempts,
    landing: Landing,
    definitions: Sequence[MatcherDefinition],
    run_id: str = "",
) -> tuple[MatcherOutcome, ...]:
    """Make CI equal to the definitions, and land each revision that isn't landed yet.

    A create whose answer was lost is looked for before it is sent again; a second matcher of one
    name shows in the next plan, which keeps one and deletes the other.
    """
    changes = await plan_matchers(insights, attempts, definitions)
    outcomes = [await _outcome(insights, attempts, change, run_id) for change in changes]
    await land_matchers(insights, sink, attempts, landing)
    return tuple(outcomes)


async def land_matchers(
    insights: InsightsApi, sink: RawSink, attempts: Attempts, landing: Landing
) -> int:
    """Land the revisions that CI holds and the raw table doesn't; return how many."""
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
    """Delete the matchers of ours from CI; others stay."""
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
        "where _landed_at >= timestamp('2000-01-01')"
    )
    rows = (await attempts.run(lambda: sink.query(sql, {}))).value
    return {(row["matcher_id"], row["revision_id"]) for row in rows}


def _live(matcher: CiMatcher) -> LiveMatcher:
    return LiveMatcher(matcher.name, matcher.version_tag, matcher.definition)
