"""What the pages of agents, teams, queues and topics count, and the list that they link to.

Every count of conversations is made of the rows of that list, so the two can't differ.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from markupsafe import Markup

from ingest.site.charts import Mark, score_chart, score_word
from ingest.site.pages import Frame, harmless, list_of, local_text, page_name, rendered
from ingest.site.reading import Call, Row


@dataclass(frozen=True)
class Kind:
    """What conversations are grouped by: a column of the registry, and a filter of the list.

    Without a column it is by their topics, of which a conversation may have several.
    """

    folder: str
    column: str | None
    filter: str
    title: str

    def keys_of(self, call: Call) -> tuple[str, ...]:
        """Return the groups that the conversation belongs to."""
        if self.column is None:
            return call.topics
        key = call.registry[self.column]
        return (key,) if key else ()


KINDS = (
    Kind("agents", "agent_id", "agent", "Agents"),
    Kind("teams", "agent_team", "team", "Teams"),
    Kind("queues", "queue", "queue", "Queues"),
    Kind("topics", None, "topic", "Topics"),
)
FIELDS = (
    "id", "page", "local", "utc", "date", "agent", "name", "team", "line", "queue", "outcome",
    "direction", "medium", "status", "stage", "arc", "mood", "score", "sec", "matcher", "missing",
    "aside", "check", "severity", "coaching", "topic",
)  # fmt: skip


@dataclass(frozen=True)
class Member:
    """A conversation and, by matcher, the turns that were hit."""

    call: Call
    hits: Mapping[str, Sequence[int]]

    def turns_of(self, measure: str, measures: Mapping[str, str]) -> list[tuple[str, int]]:
        """Return the hits of matchers that count as this: matcher and turn."""
        return [
            (name, turn)
            for name, turns in self.hits.items()
            if measures.get(name) == measure
            for turn in turns
        ]

    def list_row(self, *, with_pii: bool) -> list[Any]:
        """Return the row of the list, by FIELDS."""
        call, row = self.call, self.call.registry
        started, score = call.started_at, call.insights["customer_sentiment_score"]
        values = (
            call.conversation_id,
            page_of(call),
            None if started is None else local_text(started),
            None if started is None else f"{started.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S}",
            None if call.batch_date is None else call.batch_date.isoformat(),
            row["agent_id"],
            row["agent_name"] if with_pii else None,
            row["agent_team"], row["business_line"], row["queue"], row["call_outcome"],
            row["direction"], row["medium"], row["status"],
            _stages(call),
            call.arc["sentiment_arc"],
            "not scored" if score is None else score_word(score),
            score,
            row["duration_sec"],
            {harmless(name): turns[0] for name, turns in self.hits.items()},
            [harmless(name) for name in call.missing],
            "yes" if call.set_aside else "no",
            {row["check_id"]: row["turn_index"] for row in call.misses},
            next((row["severity"] for row in call.misses), None),
            call.queued["kind"],
            [harmless(topic) for topic in call.topics],
        )  # fmt: skip
        return [harmless(value) if isinstance(value, str) else value for value in values]


def page_of(call: Call) -> str:
    """Return the address of its page, from the root of the site."""
    return f"conversations/{page_name(call.conversation_id)}.html"


def _stages(call: Call) -> list[str]:
    """Return the stages of the funnel that it came to, as dbt's pipeline_daily counts them."""
    row = call.registry
    passed = (
        ("delivered", row["origin"] == "delivered"),
        ("complete", row["metadata_sha256"] is not None and row["transcript_sha256"] is not None),
        ("in Insights", row["submitted_at"] is not None),
        ("analysed", row["status"] == "analysed"),
    )
    names: list[str] = []
    for name, is_passed in passed:
        if not is_passed:
            break
        names.append(name)
    return names


@dataclass(frozen=True)
class Totals:
    """What some conversations come to; `href` is the list of just them."""

    name: str
    page: str | None
    href: str
    conversations: int
    violations: int
    missing: int
    empathy: int
    score: float | None
    change: float | None


@dataclass(frozen=True)
class Group:
    """One agent, team, queue or topic with its conversations, but for those set aside by dbt."""

    kind: Kind
    key: str
    name: str
    members: tuple[Member, ...]
    measures: Mapping[str, str]
    are_some_aside: bool

    @property
    def page(self) -> str:
        """Address of its page, from the root of the site."""
        return f"{self.kind.folder}/{page_name(self.key)}.html"

    def totals(
        self, members: Sequence[Member], name: str, page: str | None = None, **wanted: object
    ) -> Totals:
        """Return what some of its members come to; `wanted` tells them from the others."""
        aside = {"aside": "no"} if self.are_some_aside else {}
        scores = [member.call.insights["customer_sentiment_score"] for member in members]
        changes = [change for member in members if (change := _change(member)) is not None]
        known = [score for score in scores if score is not None]
        return Totals(
            name=name,
            page=page,
            href=list_of(**{self.kind.filter: harmless(self.key)}, **wanted, **aside),
            conversations=len(members),
            violations=self._count(members, "compliance_violation"),
            missing=sum(len(member.call.missing) for member in members),
            empathy=self._count(members, "empathy"),
            score=fmean(known) if known else None,
            change=fmean(changes) if changes else None,
        )

    def _count(self, members: Iterable[Member], measure: str) -> int:
        return sum(len(member.turns_of(measure, self.measures)) for member in members)

    @property
    def whole(self) -> Totals:
        """All its members together."""
        return self.totals(self.members, self.name, self.page)

    def weeks(self) -> list[Totals]:
        """Return its weeks, the first one first; a week begins on Monday."""
        by_week: dict[dt.date, list[Member]] = defaultdict(list)
        for member in self.members:
            if (date := member.call.batch_date) is not None:
                by_week[date - dt.timedelta(days=date.weekday())].append(member)
        return [
            self.totals(
                by_week[first], f"{first:%G-W%V}", None,
                **{"from": first, "to": first + dt.timedelta(days=6)},
            )
            for first in sorted(by_week)
        ]  # fmt: skip

    def agents(self) -> list[Totals]:
        """Return the agents in it, those with most misses first; none for an agent."""
        if self.kind is KINDS[0]:
            return []
        by_agent: dict[str, list[Member]] = defaultdict(list)
        for member in self.members:
            if agent := member.call.registry["agent_id"]:
                by_agent[agent].append(member)
        found = [
            self.totals(members, agent, f"agents/{page_name(agent)}.html", agent=harmless(agent))
            for agent, members in by_agent.items()
        ]
        return sorted(found, key=_worst_first)

    def misses(self) -> list[tuple[Call, str, int | None]]:
        """Return what was said wrong, with its turn, and what was left out; the newest first."""
        found: list[tuple[Call, str, int | None]] = []
        for member in self.members:
            found += [
                (member.call, name, turn)
                for name, turn in member.turns_of("compliance_violation", self.measures)
            ]
            found += [(member.call, f"left out: {name}", None) for name in member.call.missing]
        return sorted(found, key=lambda miss: str(miss[0].batch_date), reverse=True)

    def best(self) -> tuple[Call, float] | None:
        """Return the call without a miss in which the mood rose most, and by how much."""
        clean = [
            (change, member.call.conversation_id, member.call)
            for member in self.members
            if not member.call.missing
            and not member.turns_of("compliance_violation", self.measures)
            and (change := _change(member)) is not None
            and change > 0
        ]
        if not clean:
            return None
        change, _, call = max(clean, key=lambda found: found[:2])
        return call, change


def grouped(
    kind: Kind, members: Iterable[Member], measures: Mapping[str, str], *, with_pii: bool
) -> list[Group]:
    """Return the groups of this kind, those with most misses first."""
    by_key: dict[str, list[Member]] = defaultdict(list)
    aside = False
    for member in members:
        aside = aside or bool(member.call.set_aside)
        for key in () if member.call.set_aside else kind.keys_of(member.call):
            by_key[key].append(member)
    found = []
    for key, those in by_key.items():
        names = [member.call.registry["agent_name"] for member in those] if with_pii else []
        name = next(filter(None, names), None) if kind is KINDS[0] else None
        title = f"{name} ({key})" if name else key
        found.append(Group(kind, key, title, tuple(those), measures, aside))
    return sorted(found, key=lambda group: _worst_first(group.whole))


def group_page(
    group: Group, frame: Frame, coaching: Sequence[Row] = (), pages: Collection[str] = ()
) -> str:
    """Return the page of one agent, team, queue or topic; of an agent with its weeks of coaching.

    `pages` are the conversations that the site has a page of.
    """
    weeks = group.weeks()
    scored = [(place, week) for place, week in enumerate(weeks) if week.score is not None]
    every = max(1, len(weeks) // 8)
    chart: Markup | None = None
    if len(scored) > 1:
        chart = score_chart(
            [
                (Mark(float(place), f"{week.name}, {week.score:+.2f}"), week.score or 0.0)
                for place, week in scored
            ],
            {},
            [(float(place), weeks[place].name) for place in range(0, len(weeks), every)],
            f"Mean customer sentiment of {len(scored)} weeks",
        )
    return rendered(
        "group.html.j2",
        with_pii=frame.with_pii,
        frame=frame,
        group=group,
        weeks=weeks,
        agents=group.agents(),
        misses=group.misses(),
        best=group.best(),
        chart=chart,
        coaching=coaching,
        pages=pages,
    )


def coaching_page(calls: Iterable[Call], frame: Frame) -> str:
    """Return the page of calls to hear first: where somebody can learn, and what to show others."""
    queued = sorted(
        (call for call in calls if call.queued), key=lambda call: call.queued["queue_rank"] or 0
    )
    kinds = {kind: [c for c in queued if c.queued["kind"] == kind] for kind in ("coach", "show")}
    return rendered("coaching.html.j2", with_pii=frame.with_pii, frame=frame, kinds=kinds)


def _change(member: Member) -> float | None:
    first: float | None = member.call.arc["first_third_score"]
    last: float | None = member.call.arc["last_third_score"]
    return None if first is None or last is None else last - first


def _worst_first(totals: Totals) -> tuple[int, int, str]:
    return (-totals.violations, -totals.missing, totals.name)
