"""The page of one conversation: the talk with sentiment and matches, versions, every hop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ingest.flows.inspection.talk import SpokenTurn, Talk, no_talk
from ingest.flows.inspection.trace import Trace
from ingest.flows.inspection.why import Explanation
from ingest.report.charts import MatchPoint, sentiment_chart
from ingest.report.pages import own_svg, rendered
from ingest.report.redaction import Redactor, Span

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
