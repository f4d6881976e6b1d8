"""Static pages of one conversation and of runs: one HTML file each, no script, no network."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ingest.flows.report import RunReport
from ingest.flows.show import Trace
from ingest.flows.transcript import SpokenTurn, Talk, no_talk
from ingest.flows.why import Explanation
from ingest.site.charts import MatchPoint, bar_chart, sentiment_chart
from ingest.site.redaction import Redactor, Span

_STEERING = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_HASH = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")


def rendered(template: str, **values: Any) -> str:
    """Return the page."""
    style = resources.files("ingest.site").joinpath("templates", "page.css")
    return (
        _environment()
        .get_template(template)
        .render(
            **values,
            style=Markup(style.read_text(encoding="utf-8")),
        )
    )


def own_svg(svg: str) -> Markup:
    """Return an SVG that `ingest.site.charts` made, to be put in as it is."""
    return Markup(harmless(svg))


def harmless(text: str) -> str:
    """Return the text with U+FFFD for characters that steer a terminal or reverse what is read.

    Line breaks and tabs stay.
    """
    return _STEERING.sub("\ufffd", text)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("ingest.site", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: (
            harmless(value) if isinstance(value, str) and not isinstance(value, Markup) else value
        ),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["moment"] = _moment
    environment.filters["short"] = _short
    environment.filters["score"] = _score
    environment.filters["share"] = _share
    environment.filters["cut_hash"] = lambda name: _HASH.sub(r"\1…", name)
    environment.filters["tail"] = lambda name: "" if name is None else str(name).rsplit("/", 1)[-1]
    return environment


def _moment(moment: dt.datetime | None) -> str:
    return "–" if moment is None else f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"  # noqa: RUF001


def _short(sha256: str | None) -> str:
    return "–" if sha256 is None else sha256[:12]  # noqa: RUF001


def _score(score: float | None) -> str:
    if score is None:
        return ""
    word = "negative" if score < 0 else "positive" if score > 0 else "neutral"
    return f"{score:+.2f} {word}"


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"  # noqa: RUF001


_PERSONAL_LABELS = ("agent_name",)


@dataclass(frozen=True)
class Piece:
    """A stretch of a turn's text, within the same matches; `text` is a kind when redacted."""

    text: str
    is_redacted: bool
    matchers: tuple[str, ...]


@dataclass(frozen=True)
class PageTurn:
    """A turn as the page shows it."""

    turn_index: int
    speaker: str
    clock: str
    sentiment_score: float | None
    pieces: tuple[Piece, ...]
    matches: tuple[str, ...]


def conversation_page(
    trace: Trace, talk: Talk | None, explanation: Explanation, *, with_pii: bool = False
) -> str:
    """Return the page as HTML; personal details are taken out by rules unless asked for.

    Without a talk it shows what is known of the conversation elsewhere.
    """
    has_talk = talk is not None
    talk = talk or no_talk(trace.conversation_id)
    texts = [turn.text for turn in talk.turns]
    redactor = None if with_pii else Redactor(texts, talk.personal_details)
    scores = [
        (turn.start_offset_sec / 60, turn.sentiment_score)
        for turn in talk.turns
        if turn.sentiment_score is not None and turn.start_offset_sec is not None
    ]
    points = [
        MatchPoint(match.phrase_matcher, (turn.start_offset_sec or 0.0) / 60)
        for turn in talk.turns
        for match in turn.matches
    ]
    label = f"Customer sentiment over {len(scores)} turns, and {len(points)} phrase matches"
    return rendered(
        "conversation.html.j2",
        trace=trace,
        talk=talk,
        has_talk=has_talk,
        explanation=explanation,
        with_pii=with_pii,
        agent=", ".join(talk.agent_names) if with_pii else "",
        labels={
            key: value for key, value in sorted(talk.labels.items()) if key not in _PERSONAL_LABELS
        },
        turns=[_page_turn(turn, redactor) for turn in talk.turns],
        match_counts=sorted(Counter(point.phrase_matcher for point in points).items()),
        chart=own_svg(sentiment_chart(scores, points, label)) if scores else None,
    )


def pieces(turn: SpokenTurn, spans: Sequence[Span]) -> tuple[Piece, ...]:
    """Return the text cut at every edge of a match or redaction; what is redacted is a kind."""
    matched = [
        (match.start_char, match.end_char, match.phrase_matcher)
        for match in turn.matches
        if match.start_char is not None and match.end_char is not None
    ]
    edges = {0, len(turn.text)}
    edges |= {edge for start, end, _ in matched for edge in (start, end)}
    edges |= {edge for span in spans for edge in (span.start, span.end)}
    # A redaction is shown once, so edges within one don't cut it.
    kept = sorted(edge for edge in edges if not any(span.start < edge < span.end for span in spans))
    found = []
    for start, end in pairwise(kept):
        span = next((span for span in spans if span.start <= start < span.end), None)
        matchers = sorted({name for left, right, name in matched if left < end and start < right})
        text = f"[{span.kind}]" if span else turn.text[start:end]
        found.append(Piece(text, span is not None, tuple(matchers)))
    return tuple(found)


def _page_turn(turn: SpokenTurn, redactor: Redactor | None) -> PageTurn:
    spans = () if redactor is None else redactor.spans(turn.text)
    return PageTurn(
        turn_index=turn.turn_index,
        speaker=turn.speaker,
        clock=_clock(turn.start_offset_sec),
        sentiment_score=turn.sentiment_score,
        pieces=pieces(turn, spans),
        matches=tuple(
            f"{match.phrase_matcher}: {match.phrase}" if match.phrase else match.phrase_matcher
            for match in turn.matches
        ),
    )


def _clock(offset_sec: float | None) -> str:
    if offset_sec is None:
        return ""
    minutes, seconds = divmod(int(offset_sec), 60)
    return f"{minutes}:{seconds:02}"


def run_page(report: RunReport, project: str, *, with_pii: bool = False) -> str:
    """Return the page as HTML; agents go by id alone unless personal details are asked for."""
    stages = _stages(report)
    latencies = [(latency.step, round(latency.p95_sec, 3)) for latency in report.latencies]
    funnel_label = ", ".join(f"{name} {number}" for name, number in stages)
    latency_label = "p95: " + ", ".join(f"{step} {seconds} s" for step, seconds in latencies)
    return rendered(
        "run.html.j2",
        report=report,
        project=project,
        with_pii=with_pii,
        funnel=own_svg(bar_chart(stages, "conversations", f"Funnel: {funnel_label}")),
        latency=(
            own_svg(bar_chart(latencies, "seconds, 95th percentile", latency_label))
            if latencies
            else None
        ),
    )


def _stages(report: RunReport) -> tuple[tuple[str, int], ...]:
    """Return the stages of dbt's funnel; before it was built, those of the raw facts."""
    funnel = report.funnel
    if funnel is not None:
        return (
            ("delivered", funnel.delivered_count),
            ("complete", funnel.complete_count),
            ("in Insights", funnel.in_insights_count),
            ("analysed", funnel.analysed_count),
        )
    return (
        ("received", sum(date.received for date in report.status.dates)),
        ("complete", sum(date.complete for date in report.status.dates)),
        ("in Insights", sum(date.submitted for date in report.status.dates)),
        ("analysed", sum(date.analysed for date in report.status.dates)),
    )
