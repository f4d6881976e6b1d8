"""What differs between two analyses of one conversation: by turn, and by no word of the talk."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ingest.errors import InputError
from ingest.flows.inspection.talk import Match, Talk, talk_of_state
from ingest.flows.inspection.talk_reading import read_matchers
from ingest.warehouse import ANY_PARTITION, Warehouse


@dataclass(frozen=True)
class ListedAnalysis:
    """An analysis that has landed."""

    analysis_id: str
    landed_at: dt.datetime
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class MatchChange:
    """A phrase match that only one of the two analyses has."""

    is_added: bool
    turn_index: int
    phrase_matcher: str
    phrase: str | None


@dataclass(frozen=True)
class SentimentChange:
    """A turn whose sentiment differs."""

    turn_index: int
    before: float | None
    after: float | None


@dataclass(frozen=True)
class AnalysisDifference:
    """Two analyses against each other."""

    conversation_id: str
    before: str
    after: str
    overall_sentiment: tuple[float | None, float | None]
    matches: tuple[MatchChange, ...]
    sentiments: tuple[SentimentChange, ...]
    entity_counts: Mapping[str, tuple[int, int]]

    @property
    def is_empty(self) -> bool:
        """Whether both say the same."""
        before, after = self.overall_sentiment
        return not (self.matches or self.sentiments or self.entity_counts) and before == after


def read_analyses(warehouse: Warehouse, conversation_id: str) -> tuple[ListedAnalysis, ...]:
    """Return every landed analysis, oldest first."""
    rows = warehouse.query(
        f"""
select analysis_name, min(_landed_at) as landed_at, any_value(payload) as payload
from {warehouse.raw("ci_conversations")}
where {ANY_PARTITION} and conversation_id = @conversation_id and analysis_name is not null
group by analysis_name
order by landed_at, analysis_name
""",
        {"conversation_id": conversation_id},
    ).rows
    return tuple(
        ListedAnalysis(row["analysis_name"].rsplit("/", 1)[-1], row["landed_at"], row["payload"])
        for row in rows
    )


def compare_analyses(
    warehouse: Warehouse, conversation_id: str, before: ListedAnalysis, after: ListedAnalysis
) -> AnalysisDifference:
    """Return what the later analysis says otherwise."""
    old, new = (
        talk_of_state(conversation_id, item.payload, read_matchers(warehouse, item.payload))
        for item in (before, after)
    )
    old_entities, new_entities = _entity_counts(before.payload), _entity_counts(after.payload)
    return AnalysisDifference(
        conversation_id=conversation_id,
        before=before.analysis_id,
        after=after.analysis_id,
        overall_sentiment=(old.overall_sentiment, new.overall_sentiment),
        matches=_match_changes(old, new),
        sentiments=_sentiment_changes(old, new),
        entity_counts={
            type_: (old_entities[type_], new_entities[type_])
            for type_ in sorted(old_entities | new_entities)
            if old_entities[type_] != new_entities[type_]
        },
    )


def chosen[Item](
    items: Sequence[Item],
    names: Sequence[str],
    name_of: Mapping[str, Item],
    what: str,
    conversation_id: str,
) -> tuple[Item, Item]:
    """Return the two that are named, or else the newest two; one alone is both.

    Raises InputError for a name that is none, and when nothing has landed.
    """
    if not names:
        if not items:
            raise InputError(
                f"no {what} of {conversation_id} has landed",
                f"see what is known of it with `ingest why {conversation_id}`",
            )
        return items[-2:][0], items[-1]
    if len(names) != 2:
        raise InputError(f"name two of a kind ({what}), or none for the newest two", "see --help")
    missing = [name for name in names if name not in name_of]
    if missing:
        known = ", ".join(name_of) or "none"
        raise InputError(f"there is no landed {what} {missing[0]}", f"known: {known}")
    return name_of[names[0]], name_of[names[1]]


def _match_changes(old: Talk, new: Talk) -> tuple[MatchChange, ...]:
    before, after = _match_counts(old), _match_counts(new)
    changes = [
        MatchChange(is_added, turn, match.phrase_matcher, match.phrase)
        for is_added, more, fewer in ((False, before, after), (True, after, before))
        for (turn, match), count in (more - fewer).items()
        for _ in range(count)
    ]
    return tuple(sorted(changes, key=lambda change: (change.turn_index, change.phrase_matcher)))


def _match_counts(talk: Talk) -> Counter[tuple[int, Match]]:
    return Counter((turn.turn_index, match) for turn in talk.turns for match in turn.matches)


def _sentiment_changes(old: Talk, new: Talk) -> tuple[SentimentChange, ...]:
    before = {turn.turn_index: turn.sentiment_score for turn in old.turns}
    after = {turn.turn_index: turn.sentiment_score for turn in new.turns}
    return tuple(
        SentimentChange(index, before.get(index), after.get(index))
        for index in sorted(before.keys() | after.keys())
        if before.get(index) != after.get(index)
    )


def _entity_counts(payload: Mapping[str, Any]) -> Counter[str]:
    result = (payload.get("latestAnalysis") or {}).get("analysisResult") or {}
    entities = (result.get("callAnalysisMetadata") or {}).get("entities") or {}
    return Counter(entity.get("type", "UNKNOWN") for entity in entities.values())
