"""Reads what the site shows: the marts in bulk, so that its statements grow with hundreds of
conversations and not with each; the words of a few hundred at a time, so that memory doesn't."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ingest.domain.raw_records import ANY_PARTITION
from ingest.errors import RemoteError
from ingest.flows.transcript import PERSONAL_ENTITIES, Match, SpokenTurn
from ingest.ports.inspect import Warehouse

CURRENT = "conversation_registry_current"
_MART_COLUMNS = {
    CURRENT: "conversation_id batch_date started_at duration_sec turn_count direction "
    "business_line medium language_code queue agent_id agent_name agent_team call_outcome origin "
    "status open_reason last_error_code metadata_sha256 transcript_sha256 submitted_at",
    "conversation_registry": "conversation_id version_number status is_current metadata_sha256 "
    "transcript_sha256 valid_from valid_to",
    "ci_conversations": "conversation_id customer_sentiment_score",
    "customer_sentiment_arcs": "conversation_id sentiment_arc first_third_score last_third_score",
    "call_dynamics": "conversation_id agent_talk_share customer_talk_share silence_sec "
    "longest_silence_sec agent_interruption_count customer_interruption_count",
    "ci_analyses": "conversation_id analysis_id reason is_current customer_sentiment_score "
    "analysed_at",
    "missing_disclosures": "conversation_id disclosure",
    "quarantined_conversations": "conversation_id rule",
    "coaching_cards": "conversation_id summary score confidence next_actions",
    "coaching_checks": "conversation_id check_id dimension severity verdict advice weight "
    "turn_index searched_from_turn searched_to_turn measured_value qa_answer limit_value",
    "coaching_queue": "conversation_id kind queue_rank points reasons",
    "agent_weekly": "agent_id week_start conversation_count exemplary_count score score_change "
    "coached_on score_change_since_coaching best_conversation_id top_misses",
    "ci_turns": "conversation_id turn_index speaker start_offset_sec text customer_sentiment_score",
    "conversation_turns": "conversation_id turn_index speaker start_offset_sec text",
    "ci_phrase_matches": "conversation_id turn_index phrase_matcher phrase start_char end_char",
    "ci_entities": "conversation_id entity entity_type",
    "ci_summaries": "conversation_id summary",
    "ci_topics": "conversation_id topic score",
}
_NEEDED = {
    *("conversation_id", "turn_index", "phrase_matcher", "disclosure", "rule", "entity_type"),
    *("check_id", "verdict", "kind", "queue_rank", "agent_id", "week_start", "topic"),
}
"""Columns without which the rows of a mart that has them say nothing."""
_MEASURES = "matcher_measures"
TALKS_AT_ONCE = 250


class Row(dict[str, Any]):
    """A row of a mart; a column that an older mart hasn't got is None."""

    def __missing__(self, name: str) -> None:
        return None


@dataclass(frozen=True)
class Call:
    """One conversation as the marts know it, but for its words.

    `started_text` is its start as it was delivered, with the call's own offset.
    """

    registry: Row
    insights: Row = field(default_factory=Row)
    arc: Row = field(default_factory=Row)
    dynamics: Row = field(default_factory=Row)
    versions: tuple[Row, ...] = ()
    analyses: tuple[Row, ...] = ()
    missing: tuple[str, ...] = ()
    set_aside: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    """Topics of Insights' topic model, the one that fits best first."""
    card: Row = field(default_factory=Row)
    checks: tuple[Row, ...] = ()
    """Those of the coaching rubric that were judged, the gravest first."""
    queued: Row = field(default_factory=Row)
    """Its place in the coaching queue."""
    started_text: str | None = None

    @property
    def conversation_id(self) -> str:
        """Id of the conversation."""
        return str(self.registry["conversation_id"])

    @property
    def started_at(self) -> dt.datetime | None:
        """Start with the call's own offset where it is known, else in UTC."""
        held: dt.datetime | None = self.registry["started_at"]
        try:
            told = dt.datetime.fromisoformat(self.started_text or "")
        except ValueError:
            return held
        return held if told.tzinfo is None else told

    @property
    def misses(self) -> tuple[Row, ...]:
        """Checks of the rubric that it failed, the gravest first."""
        return tuple(row for row in self.checks if row["verdict"] == "fail")

    @property
    def batch_date(self) -> dt.date | None:
        """Date folder, which has the date on the agent's calendar."""
        date: dt.date | None = self.registry["batch_date"]
        return date


@dataclass(frozen=True)
class Words:
    """What was said in one conversation; `personal` gives details by kind and text."""

    turns: tuple[SpokenTurn, ...] = ()
    personal: tuple[tuple[str, str], ...] = ()
    summary: str | None = None


class SiteReader:
    """Reads the marts that are there; `gaps` says what isn't, and how to make it."""

    def __init__(self, warehouse: Warehouse, batch_date: dt.date | None = None) -> None:
        self.gaps: list[str] = []
        self._warehouse = warehouse
        self._parameters: dict[str, Any] = {"batch_date": batch_date} if batch_date else {}
        names = {table.name for table in warehouse.tables(warehouse.marts_dataset)}
        self._columns = {
            table: self._held_columns(table, wanted.split())
            for table, wanted in _MART_COLUMNS.items()
            if table in names
        }
        absent = sorted(_MART_COLUMNS.keys() - self._columns.keys())
        if absent:
            self.gaps.append(f"not built yet: {', '.join(absent)}")

    def _held_columns(self, table: str, wanted: Sequence[str]) -> list[str]:
        details = self._warehouse.table(self._warehouse.marts_dataset, table)
        held = {column.name for column in details.columns} if details else set()
        if lacking := [name for name in wanted if name not in held]:
            self.gaps.append(f"{table} is older and lacks {', '.join(lacking)}")
        is_useful = held.issuperset(_NEEDED.intersection(wanted))
        return [name for name in wanted if name in held] if is_useful else []

    def _rows(self, table: str, where: str = "", **parameters: Any) -> list[Row]:
        columns = self._columns.get(table)
        if not columns:
            return []
        of_date = ""
        if not where and self._parameters:
            of_date = f"where conversation_id in ({self._ids_of_date()})"
        found = self._warehouse.query(
            f"select {', '.join(columns)} from {self._warehouse.mart(table)} {where or of_date}",
            parameters or self._parameters,
        )
        return [Row(row) for row in found.rows]

    def _ids_of_date(self) -> str:
        current = self._warehouse.mart(CURRENT)
        return f"select conversation_id from {current} where batch_date = @batch_date"

    def measures(self) -> dict[str, str]:
        """Return what hits of each matcher count as, for example empathy; by dbt's seed."""
        dataset = f"{self._warehouse.marts_dataset}_staging"
        if self._warehouse.table(dataset, _MEASURES) is None:
            return {}
        table = self._warehouse.full_name(dataset, _MEASURES)
        rows = self._warehouse.query(f"select phrase_matcher, measure from {table}").rows
        return {row["phrase_matcher"]: row["measure"] for row in rows}

    def calls(self) -> list[Call]:
        """Return every conversation of the registry, by id."""
        if not self._columns.get(CURRENT):
            return []
        insights, arcs, dynamics, cards, queued = (
            {row["conversation_id"]: row for row in self._rows(table)}
            for table in (
                "ci_conversations",
                "customer_sentiment_arcs",
                "call_dynamics",
                "coaching_cards",
                "coaching_queue",
            )
        )
        versions, analyses, missing, aside, checks, topics = (
            _by_conversation(self._rows(table), order)
            for table, order in (
                ("conversation_registry", "version_number"),
                ("ci_analyses", "analysed_at"),
                ("missing_disclosures", "disclosure"),
                ("quarantined_conversations", "rule"),
                ("coaching_checks", "check_id"),
                ("ci_topics", "topic"),
            )
        )
        started = self._delivered_starts()
        return [
            Call(
                registry=row,
                insights=insights.get(key, Row()),
                arc=arcs.get(key, Row()),
                dynamics=dynamics.get(key, Row()),
                versions=tuple(versions[key]),
                analyses=tuple(analyses[key]),
                missing=tuple(item["disclosure"] for item in missing[key]),
                set_aside=tuple(item["rule"] for item in aside[key]),
                topics=_best_first(topics[key]),
                card=cards.get(key, Row()),
                checks=_judged(checks[key]),
                queued=queued.get(key, Row()),
                started_text=started.get((key, row["metadata_sha256"])),
            )
            for row in sorted(self._rows(CURRENT), key=lambda row: str(row["conversation_id"]))
            for key in [row["conversation_id"]]
        ]

    def coaching_weeks(self) -> dict[str, list[Row]]:
        """Return by agent the weeks of its coaching, the first one first; none of one date."""
        if self._parameters:
            return {}
        found: dict[str, list[Row]] = defaultdict(list)
        rows = self._rows("agent_weekly")
        for row in sorted(rows, key=lambda row: (row["agent_id"], row["week_start"])):
            found[row["agent_id"]].append(row)
        return found

    def _delivered_starts(self) -> dict[tuple[str, str], str]:
        """Return the start as metadata has it, by id and content: marts hold UTC alone."""
        of_date = f"and conversation_id in ({self._ids_of_date()})" if self._parameters else ""
        try:
            rows = self._warehouse.query(
                "select conversation_id, content_sha256, "
                "json_value(payload, '$.started_at') as started_at "
                f"from {self._warehouse.raw('conversation_files')} "
                f"where {ANY_PARTITION} and kind = 'metadata' {of_date}",
                self._parameters,
            ).rows
        except RemoteError as error:
            if error.code != "NOT_FOUND":
                raise
            self.gaps.append("no raw table conversation_files: times are in UTC")
            return {}
        return {
            (row["conversation_id"], row["content_sha256"]): row["started_at"]
            for row in rows
            if row["started_at"]
        }

    def words(self, calls: Sequence[Call]) -> Iterator[tuple[Call, Words]]:
        """Return each with what was said in it: as Insights has it, else as it was delivered."""
        for start in range(0, len(calls), TALKS_AT_ONCE):
            yield from self._words_of(calls[start : start + TALKS_AT_ONCE])

    def _words_of(self, calls: Sequence[Call]) -> Iterator[tuple[Call, Words]]:
        in_insights = [call.conversation_id for call in calls if call.insights]
        others = [call.conversation_id for call in calls if not call.insights]
        turns = _by_conversation(
            [*self._rows_of("ci_turns", in_insights), *self._rows_of("conversation_turns", others)],
            "turn_index",
        )
        matches = _by_conversation(self._rows_of("ci_phrase_matches", in_insights), "turn_index")
        entities = _by_conversation(self._rows_of("ci_entities", in_insights), "entity")
        summaries = {
            row["conversation_id"]: row["summary"]
            for row in self._rows_of("ci_summaries", in_insights)
        }
        for call in calls:
            key = call.conversation_id
            name = call.registry["agent_name"]
            named = [
                (PERSONAL_ENTITIES[row["entity_type"]], row["entity"])
                for row in entities[key]
                if row["entity_type"] in PERSONAL_ENTITIES and row["entity"]
            ]
            yield (
                call,
                Words(
                    turns=tuple(_turns(turns[key], matches[key])),
                    personal=(*((("name", name),) if name else ()), *named),
                    summary=summaries.get(key),
                ),
            )

    def _rows_of(self, table: str, ids: Sequence[str]) -> list[Row]:
        """Return the rows of these ids, which are in order: clusters beside them aren't read."""
        if not ids:
            return []
        where = "where conversation_id between @first and @last and conversation_id in unnest(@ids)"
        return self._rows(table, where, first=ids[0], last=ids[-1], ids=list(ids))


def _turns(rows: Iterable[Row], matches: Iterable[Row]) -> Iterator[SpokenTurn]:
    hits: Mapping[int, list[Match]] = defaultdict(list)
    for row in matches:
        place = (row["start_char"], row["end_char"])
        hits[row["turn_index"]].append(Match(row["phrase_matcher"], row["phrase"], *place))
    for row in rows:
        yield SpokenTurn(
            turn_index=row["turn_index"],
            speaker=row["speaker"] or "UNKNOWN",
            start_offset_sec=row["start_offset_sec"],
            text=row["text"] or "",
            sentiment_score=row["customer_sentiment_score"],
            matches=tuple(
                sorted(
                    hits[row["turn_index"]],
                    key=lambda match: (match.start_char or 0, match.phrase_matcher),
                )
            ),
        )


def _best_first(rows: Iterable[Row]) -> tuple[str, ...]:
    by_fit = sorted(rows, key=lambda row: -(row["score"] or 0))
    return tuple(dict.fromkeys(row["topic"] for row in by_fit if row["topic"]))


def _judged(rows: Iterable[Row]) -> tuple[Row, ...]:
    judged = (row for row in rows if row["verdict"] in ("pass", "fail"))
    return tuple(sorted(judged, key=lambda row: (-(row["weight"] or 0), row["check_id"])))


def _by_conversation(rows: Iterable[Row], order: str) -> defaultdict[str, list[Row]]:
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in sorted(
        rows, key=lambda row: (row[order] is not None, 0 if row[order] is None else row[order])
    ):
        found[row["conversation_id"]].append(row)
    return found
