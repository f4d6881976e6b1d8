"""CalculateStats: numbers over the conversations that match."""

from __future__ import annotations

from typing import Any

from ingest.emulator import protos
from ingest.emulator.context import Context
from ingest.emulator.filters import CONVERSATION_FIELDS, Condition, compile_filter
from ingest.emulator.issue_models import IssueModelStore

_DAY_US = 86_400_000_000
_Response = protos.message_class("CalculateStatsResponse")


class StatisticsMethods:
    """The method, by its RPC name in snake case."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._issues = IssueModelStore(context).issues

    async def calculate_stats(self, request: protos.Pb) -> protos.Pb:
        """Return counts, averages, matches of the latest analyses, and a series by day.

        A match is an annotation, the series counts creations by UTC day (both assumed).
        """
        parent = self._context.names.location(request.location, "location")
        condition = compile_filter(request.filter, CONVERSATION_FIELDS)
        count, turns, duration = self._select(
            parent,
            condition,
            "select count(*), avg(c.turn_count), avg(nullif(c.duration_us, 0))",
        )[0]
        reply = _Response(conversation_count=count, average_turn_count=round(turns or 0))
        if duration is not None:
            reply.average_duration.CopyFrom(protos.duration(round(duration)))
        for name, number in self._matches(parent, condition, "intents"):
            reply.smart_highlighter_matches[name] = number
        for matcher_id, number in self._matches(parent, condition, "phrase_matchers"):
            name = f"{parent}/phraseMatchers/{matcher_id}"
            reply.custom_highlighter_matches[name] = number
        self._add_issues(reply, parent, condition)
        series = reply.conversation_count_time_series
        days = self._select(
            parent,
            condition,
            f"select c.create_us / {_DAY_US} as day, count(*)",
            "group by day order by day",
        )
        if days:
            series.interval_duration.CopyFrom(protos.duration(_DAY_US))
        for day, number in days:
            series.points.add(start_time=protos.timestamp(day * _DAY_US), conversation_count=number)
        return reply

    def _add_issues(self, reply: protos.Pb, parent: str, condition: Condition) -> None:
        """Count the issues of the latest analyses, those that still exist; `issue_matches` is the
        deprecated form of the same."""
        rows = self._select(
            parent,
            condition,
            "select m.value, count(*)",
            "and m.key > 0 group by m.value order by m.value",
            ", json_each(c.issues) m",
        )
        for label, count in rows:
            model_id, _, issue_id = label.partition("/")
            name = self._issues.name(f"{parent}/issueModels/{model_id}/issues/{issue_id}")
            issue = self._issues.find(name)
            if issue is not None:
                reply.issue_matches[issue.name] = count
                stats = reply.issue_matches_stats[issue.name]
                stats.issue, stats.display_name = issue.name, issue.display_name
                stats.labeled_conversations_count = count

    def _matches(self, parent: str, condition: Condition, column: str) -> list[tuple[Any, ...]]:
        return self._select(
            parent,
            condition,
            "select m.key, sum(m.value)",
            "group by m.key order by m.key",
            f", json_each(c.{column}) m",
        )

    def _select(
        self, parent: str, condition: Condition, select: str, rest: str = "", join: str = ""
    ) -> list[tuple[Any, ...]]:
        sql = (
            f"{select} from conversations c{join}"
            f" where c.parent_id = ? and ({condition.sql}) {rest}"
        )
        parameters = (self._context.database.parent_id(parent), *condition.parameters)
        return self._context.database.execute(sql, parameters).fetchall()
