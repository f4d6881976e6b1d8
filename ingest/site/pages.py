"""Pages as HTML: text stays text, personal details go by rules, nothing comes from a network."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ingest.domain.redaction.redactor import Redactor
from ingest.domain.redaction.turn import Kind, Span, built_in
from ingest.flows.report import RunReport
from ingest.flows.show import Trace
from ingest.flows.transcript import SpokenTurn, Talk, no_talk
from ingest.flows.why import Explanation
from ingest.site.charts import Mark, clock, score_chart, score_word, time_ticks

_STEERING = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
NO_VALUE = "–"  # noqa: RUF001 - a dash stands where a value would
_HASH = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")


@dataclass(frozen=True)
class Frame:
    """What surrounds each page of a site, at `root` relative to the page."""

    project: str
    with_pii: bool
    has_docs: bool
    root: str = "../"
    own_words: tuple[str, ...] = ()
    """The user's firms, products and places: no redaction takes them for names."""
    is_emulated: bool = False
    """Whether the local emulator made what the pages say of Insights."""


def rendered(
    template: str,
    *,
    with_pii: bool,
    is_emulated: bool = False,
    frame: Frame | None = None,
    **values: Any,
) -> str:
    """Return the page: of a site, or without a frame one that needs no other file."""
    return (
        _environment()
        .get_template(template)
        .render(
            **values,
            with_pii=with_pii,
            is_emulated=frame.is_emulated if frame else is_emulated,
            frame=frame,
            style=None if frame else Markup(page_file("page.css")),
        )
    )


@cache
def page_file(name: str) -> str:
    """Return a file that pages share."""
    return resources.files("ingest.site").joinpath("templates", name).read_text(encoding="utf-8")


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
    environment.filters["local"] = local_text
    environment.filters["short"] = _short
    environment.filters["score"] = _score
    environment.filters["share"] = _share
    environment.filters["cut_hash"] = lambda name: _HASH.sub(r"\1…", name)
    environment.filters["page_name"] = page_name
    environment.filters["words"] = lambda name: str(name or "").replace("_", " ").lower()
    environment.filters["clock"] = lambda sec: NO_VALUE if sec is None else clock(sec)
    environment.globals["list_of"] = list_of
    environment.filters["tail"] = lambda name: "" if name is None else str(name).rsplit("/", 1)[-1]
    return environment


def _moment(moment: dt.datetime | None) -> str:
    return NO_VALUE if moment is None else f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"


def local_text(moment: dt.datetime) -> str:
    """Return the time on the clock of the call, with its offset."""
    return f"{moment:%Y-%m-%d %H:%M} {'UTC' if moment.tzinfo is dt.UTC else f'{moment:%:z}'}"


def _short(sha256: str | None) -> str:
    return NO_VALUE if sha256 is None else sha256[:12]


def _score(score: float | None) -> str:
    if score is None:
        return ""
    shown = round(score, 2) + 0.0  # a negative zero becomes one without a sign
    return f"{shown:+.2f} {score_word(shown)}"


def _share(share: float | None) -> str:
    return NO_VALUE if share is None else f"{share:.0%}"


def page_name(key: object) -> str:
    """Return a name of a page's file that no two keys share, whatever is in them."""
    text = str(key)
    if re.fullmatch(r"[a-z0-9-]{1,80}", text):
        return text
    cut = re.sub(r"[^a-z0-9]+", "-", text.lower())[:40].strip("-")
    return f"{cut}_{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:10]}"


def list_of(**wanted: object) -> str:
    """Return the part of an address that shows the list of what has these values."""
    return "index.html#" + urlencode({key: str(value) for key, value in wanted.items()})


_KINDS = {
    "name": Kind.NAME,
    "address": Kind.ADDRESS,
    "number": Kind.NUMBER,
    "email": Kind.EMAIL,
}
"""Personal details of a talk, by the words that it has for them."""


@dataclass(frozen=True)
class Piece:
    """A stretch of a turn's text, within the same matches; a placeholder when redacted."""

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
    trace: Trace,
    talk: Talk | None,
    explanation: Explanation,
    *,
    with_pii: bool = False,
    own_words: tuple[str, ...] = (),
    is_emulated: bool = False,
) -> str:
    """Return the page as HTML; personal details are taken out by rules unless asked for.

    Without a talk it shows what is known of the conversation elsewhere. `is_emulated` says that
    the local emulator made what it says of Insights.
    """
    shown = talk or no_talk(trace.conversation_id)
    redactor = None if with_pii else _redactor(shown.turns, shown.personal_details, own_words)
    labels = {key: value for key, value in shown.labels.items() if not key.endswith("_sha256")}
    if redactor is not None:
        labels = redactor.redacted_fields(labels)
    return rendered(
        "trace.html.j2",
        with_pii=with_pii,
        is_emulated=is_emulated,
        trace=trace,
        talk=shown,
        has_talk=talk is not None,
        explanation=explanation,
        agent=", ".join(shown.agent_names) if with_pii else "",
        labels=dict(sorted(labels.items())),
        **_shown(shown.turns, redactor)[0],
    )


def _redactor(
    turns: Sequence[SpokenTurn], personal: Sequence[tuple[str, str]], own_words: tuple[str, ...]
) -> Redactor:
    known = [(_KINDS[kind], text) for kind, text in personal if kind in _KINDS]
    return Redactor([turn.text for turn in turns], known, built_in().with_own(own_words))


def shown_talk(
    turns: Sequence[SpokenTurn],
    personal: Sequence[tuple[str, str]],
    frame: Frame,
    *,
    summary: str | None = None,
) -> tuple[dict[str, Any], str]:
    """Return what pages show of a talk, and the words that are left in it, each once."""
    redactor = None if frame.with_pii else _redactor(turns, personal, frame.own_words)
    return _shown(turns, redactor, summary)


def _shown(
    turns: Sequence[SpokenTurn], redactor: Redactor | None, summary: str | None = None
) -> tuple[dict[str, Any], str]:
    page_turns = [_page_turn(turn, place, redactor) for place, turn in enumerate(turns)]
    left = summary and (redactor.redacted(summary) if redactor else summary)
    said = [
        "".join(" " if piece.is_redacted else piece.text for piece in turn.pieces)
        for turn in page_turns
    ]
    words = {word for text in (*said, left or "") for word in words_of(text)}
    shown = {
        "turns": page_turns,
        "summary": left,
        "hits": dict(sorted(hits_of(turns).items())),
        "chart": _talk_chart(turns),
    }
    return shown, " ".join(sorted(words))


def hits_of(turns: Sequence[SpokenTurn]) -> dict[str, list[int]]:
    """Return by phrase matcher the turns that it hit."""
    hits: dict[str, list[int]] = {}
    for turn in turns:
        for name in sorted({match.phrase_matcher for match in turn.matches}):
            hits.setdefault(name, []).append(turn.turn_index)
    return hits


_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")


def words_of(text: str) -> Iterator[str]:
    """Return words as they are looked for: in lower case, compatible forms made one."""
    for match in _WORD.finditer(unicodedata.normalize("NFKC", text).lower()):
        yield match.group().replace("\u2019", "'")


def _talk_chart(turns: Sequence[SpokenTurn]) -> Markup | None:
    """Return sentiment and matches along the time, or along the turns where no time is known."""
    if all(turn.sentiment_score is None for turn in turns):
        return None
    is_timed = any(turn.start_offset_sec is not None for turn in turns)
    scores: list[tuple[Mark, float]] = []
    rows: dict[str, list[Mark]] = {}
    for place, turn in enumerate(turns):
        x = turn.start_offset_sec if is_timed else float(place)
        if x is None:
            continue
        at = clock(x) if is_timed else f"turn {turn.turn_index}"
        href = f"#turn-{turn.turn_index}"
        if turn.sentiment_score is not None:
            text = f"{at}, {_score(turn.sentiment_score)}"
            scores.append((Mark(x, text, href), turn.sentiment_score))
        for name in sorted({match.phrase_matcher for match in turn.matches}):
            rows.setdefault(name, []).append(Mark(x, f"{at}, {name}", href))
    end = max((turn.start_offset_sec or 0.0 for turn in turns), default=0.0)
    steps = range(0, len(turns), max(1, len(turns) // 8))
    ticks = time_ticks(end) if is_timed else [(float(at), f"turn {at}") for at in steps]
    label = f"Customer sentiment over {len(scores)} turns, and where phrase matchers hit"
    chart = score_chart(scores, {name: rows[name] for name in sorted(rows)}, ticks, label)
    return Markup(harmless(chart))


def pieces(
    turn: SpokenTurn, spans: Sequence[Span], placeholder: Callable[[Kind, str], str]
) -> tuple[Piece, ...]:
    """Return the text cut at every edge of a match or redaction, with placeholders."""
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
        text = turn.text[start:end]
        text = placeholder(span.kind, text) if span else text
        found.append(Piece(text, span is not None, tuple(matchers)))
    return tuple(found)


def _kept(kind: Kind, text: str) -> str:
    """Return the text itself, where nothing is taken out."""
    return text


def _page_turn(turn: SpokenTurn, place: int, redactor: Redactor | None) -> PageTurn:
    spans = () if redactor is None else redactor.turn_spans(place)
    return PageTurn(
        turn_index=turn.turn_index,
        speaker=turn.speaker,
        clock="" if turn.start_offset_sec is None else clock(turn.start_offset_sec),
        sentiment_score=turn.sentiment_score,
        pieces=pieces(turn, spans, redactor.placeholder if redactor else _kept),
        matches=tuple(
            f"{match.phrase_matcher}: {match.phrase}" if match.phrase else match.phrase_matcher
            for match in turn.matches
        ),
    )


def run_page(
    report: RunReport,
    project: str,
    *,
    with_pii: bool = False,
    is_emulated: bool = False,
    frame: Frame | None = None,
    counted: Callable[..., int] | None = None,
) -> str:
    """Return the page as HTML; agents go by id alone unless personal details are asked for.

    `counted` tells how many conversations the list has of some values: a number that agrees
    leads there.
    """
    return rendered(
        "run.html.j2",
        with_pii=with_pii,
        is_emulated=is_emulated,
        frame=frame,
        report=report,
        project=project,
        stages=_stages(report),
        counted=counted,
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
