"""Plots as SVG that a page holds in itself: text stays text, colours come with shapes."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from types import ModuleType
from typing import Any

from ingest.errors import MissingExtraError


def svg_matplotlib() -> ModuleType:
    """Return the module `matplotlib`, or raise MissingExtraError where it isn't installed."""
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingExtraError("plots need matplotlib, which isn't installed", "data") from error
    mpl.use("svg")
    return mpl


_INK, _GRID, _BLUE, _ORANGE = "#333333", "#cccccc", "#1f5fa8", "#b45309"
_MARKERS = "osD^vP*X"
_STYLE: Mapping[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "conversation-coach",
    "font.family": "sans-serif",
    "font.size": 11,
    "text.parse_math": False,
    "axes.edgecolor": _GRID,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_SIZE = re.compile(r'(<svg\b[^>]*?)\s+(?:width|height)="[^"]*"')


@dataclass(frozen=True)
class MatchPoint:
    """A phrase match on the time line."""

    phrase_matcher: str
    minute: float


def sentiment_chart(
    scores: Sequence[tuple[float, float]], matches: Sequence[MatchPoint], label: str
) -> str:
    """Return the customer's sentiment by minute of the call, phrase matches below it."""
    matchers = sorted({match.phrase_matcher for match in matches})
    with _figure(
        (7.6, 2.4 + 0.3 * len(matchers)), rows=2 if matchers else 1, ratio=len(matchers)
    ) as (
        figure,
        axes,
    ):
        line = axes[0]
        line.axhline(0, color=_GRID, linewidth=1)
        line.plot(*zip(*scores, strict=True) if scores else ([], []), color=_BLUE, linewidth=1.5)
        for low, high, marker, colour in (
            (-2, 0, "v", _ORANGE),
            (0, 0, "o", _INK),
            (0, 2, "^", _BLUE),
        ):
            points = [
                (minute, score)
                for minute, score in scores
                if (low < score < high) or (low == high == score)
            ]
            if points:
                line.scatter(
                    *zip(*points, strict=True), marker=marker, color=colour, s=28, zorder=3
                )
        line.set_ylim(-1.1, 1.1)
        line.set_yticks([-1, 0, 1], ["-1 negative", "0 neutral", "+1 positive"])
        if matchers:
            _match_rows(axes[1], matchers, matches)
        axes[-1].set_xlabel("minutes into the conversation")
        return _svg(figure, label)


def bar_chart(values: Sequence[tuple[str, float]], unit: str, label: str) -> str:
    """Return horizontal bars, first value on top, each with its number."""
    with _figure((5.6, 0.6 + 0.32 * len(values))) as (figure, axes):
        names = [name for name, _ in values]
        numbers = [number for _, number in values]
        bars = axes[0].barh(range(len(values)), numbers, color=_BLUE, height=0.6)
        axes[0].bar_label(bars, [f"{number:g}" for number in numbers], padding=4, color=_INK)
        axes[0].set_yticks(range(len(values)), names)
        axes[0].invert_yaxis()
        axes[0].set_xlim(0, max([*numbers, 0.001]) * 1.18)
        axes[0].locator_params(axis="x", integer=all(isinstance(item, int) for item in numbers))
        axes[0].set_xlabel(unit)
        return _svg(figure, label)


def _match_rows(axes: Any, matchers: Sequence[str], matches: Sequence[MatchPoint]) -> None:
    for row, matcher in enumerate(matchers):
        minutes = [match.minute for match in matches if match.phrase_matcher == matcher]
        marker = _MARKERS[row % len(_MARKERS)]
        axes.scatter(minutes, [row] * len(minutes), marker=marker, color=_INK, s=30)
    axes.set_yticks(range(len(matchers)), matchers)
    axes.set_ylim(-0.6, len(matchers) - 0.4)
    axes.invert_yaxis()
    axes.grid(axis="y", color=_GRID, linewidth=0.6)


class _figure:  # noqa: N801 - used as a function
    """A figure of matplotlib that is closed again."""

    def __init__(self, size: tuple[float, float], rows: int = 1, ratio: int = 1) -> None:
        mpl = svg_matplotlib()
        from matplotlib import pyplot

        self._pyplot = pyplot
        self._style = mpl.rc_context(dict(_STYLE))
        self._style.__enter__()
        self._figure, axes = pyplot.subplots(
            rows,
            1,
            figsize=size,
            sharex=True,
            layout="constrained",
            height_ratios=[3, max(1.0, ratio * 0.6)][:rows],
            squeeze=False,
        )
        self._axes = [row[0] for row in axes]

    def __enter__(self) -> tuple[Any, list[Any]]:
        return self._figure, self._axes

    def __exit__(self, *_: object) -> None:
        self._pyplot.close(self._figure)
        self._style.__exit__(None, None, None)


def _svg(figure: Any, label: str) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    while (shorter := _SIZE.sub(r"\1", text, count=1)) != text:
        text = shorter
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # Two plots of one page share no id.
    prefix = f"plot-{hashlib.sha256(label.encode()).hexdigest()[:8]}-"
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}", text)
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1)
