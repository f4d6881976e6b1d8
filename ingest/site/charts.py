"""Scores along a line as SVG of a page's own colours; what colour says, shape and text say too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

_STEPS_SEC = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400)
_MOST_TICKS = 8
_LEFT, _WIDTH, _PLOT, _ROW = 190, 720, 150, 24
_SHAPES = {
    "negative": "M{x:.1f} {y:.1f}m-5 -4h10l-5 9z",
    "neutral": "M{x:.1f} {y:.1f}m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
    "positive": "M{x:.1f} {y:.1f}m-5 4h10l-5 -9z",
    "hit": "M{x:.1f} {y:.1f}m-5 0l5 -5l5 5l-5 5z",
}


@dataclass(frozen=True)
class Mark:
    """Something at `x` along the line; `text` is what it is called, `href` where it leads."""

    x: float
    text: str
    href: str | None = None


def score_word(score: float) -> str:
    """Return what a score of -1 to 1 is called."""
    return "negative" if score < 0 else "positive" if score > 0 else "neutral"


def clock(seconds: float) -> str:
    """Return seconds as m:ss, from an hour on as h:mm:ss."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes_of_hour = divmod(minutes, 60)
    return f"{hours}:{minutes_of_hour:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def time_ticks(end_sec: float) -> list[tuple[float, str]]:
    """Return at most eight moments of a call, each with its name, after the first at 0:00."""
    fitting = (step for step in _STEPS_SEC if end_sec / step <= _MOST_TICKS)
    step = next(fitting, 3600 * (int(end_sec / 3600 / _MOST_TICKS) + 1))
    return [(at, clock(at)) for at in range(0, int(end_sec) + 1, step)]


def score_chart(
    scores: Sequence[tuple[Mark, float]],
    rows: Mapping[str, Sequence[Mark]],
    ticks: Sequence[tuple[float, str]],
    label: str,
) -> Markup:
    """Return scores of -1 to 1 as a line, and below it a row of marks for each name."""
    xs = [*(mark.x for mark, _ in scores), *(mark.x for row in rows.values() for mark in row)]
    end = max([*xs, *(at for at, _ in ticks), 1e-9])
    bottom = _PLOT + 10 + _ROW * len(rows)

    def across(x: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - 45) * max(x, 0.0) / end

    def down(score: float) -> float:
        return 10 + (_PLOT - 20) * (1 - max(-1.0, min(score, 1.0))) / 2

    parts = [
        f'<svg role="group" aria-label="{escape(label)}" viewBox="0 0 {_WIDTH} {bottom + 24}">'
    ]
    for at, name in ticks:
        parts.append(_line("grid", across(at), 4, across(at), bottom))
        parts.append(_text(across(at), bottom + 17, name, "middle"))
    for score, name in ((1, "+1 positive"), (0, "0 neutral"), (-1, "\u22121 negative")):
        parts.append(_line("grid", _LEFT, down(score), _WIDTH - 20, down(score)))
        parts.append(_text(_LEFT - 10, down(score) + 4, name, "end"))
    points = " ".join(f"{across(mark.x):.1f},{down(score):.1f}" for mark, score in scores)
    parts.append(f'<polyline class="line" points="{points}"/>')
    parts += [_mark(mark, score_word(score), across(mark.x), down(score)) for mark, score in scores]
    for place, (name, marks) in enumerate(rows.items()):
        height = _PLOT + 10 + _ROW * place + _ROW / 2
        parts.append(_line("grid", _LEFT, height, _WIDTH - 20, height))
        parts.append(_text(_LEFT - 10, height + 4, name, "end"))
        parts += [_mark(mark, "hit", across(mark.x), height) for mark in marks]
    return Markup("".join([*parts, "</svg>"]))  # every text in it is escaped


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _mark(mark: Mark, kind: str, x: float, y: float) -> str:
    """Return a mark; its link isn't a stop of the Tab key, for every turn has one in the talk."""
    path = _SHAPES[kind].format(x=x, y=y)
    shape = f'<path class="{kind}" d="{path}"><title>{escape(mark.text)}</title></path>'
    return f'<a href="{escape(mark.href)}" tabindex="-1">{shape}</a>' if mark.href else shape
