"""Plots of figures, as SVG text that stands in a page without any other file."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ingest.datagen.figures import DataSetFigures
from ingest.plotting import svg_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = ("#1f5f8b", "#d1752b")
_STYLE = {
    "svg.fonttype": "path",
    "svg.hashsalt": "figures",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "figure.constrained_layout.use": True,
}


def draw_plots(sets: Sequence[DataSetFigures]) -> list[tuple[str, str]]:
    """Return (alternative text, SVG) of each plot, with the data sets side by side.

    Equal figures give equal SVG.
    """
    with svg_matplotlib().rc_context(_STYLE):
        return [
            (title, _svg(title, draw, sets))
            for title, draw in (
                ("Turns per conversation", _turns),
                ("Words per turn", _words),
                ("Share of words by speaker", _talk_share),
                ("Vocabulary growth", _growth),
                ("Customer mood over the call", _arcs),
                ("Start of the call by hour", _hours),
                ("Outcomes", _outcomes),
                ("Minutes per conversation", _minutes),
            )
        ]


def _svg(title: str, draw: object, sets: Sequence[DataSetFigures]) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.0))
    axes = figure.add_subplot()
    draw(axes, sets)  # type: ignore[operator]
    axes.set_title(title)
    if len(sets) > 1:
        axes.legend(frameon=False, fontsize=8)
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def _bars(axes: Axes, sets: Sequence[DataSetFigures], name: str, top: int | None = None) -> None:
    """Draw the distribution of shares by value; the last bar holds all above `top`."""
    width = 0.8 / len(sets)
    for place, figures in enumerate(sets):
        counts: dict[int, int] = {}
        for value, count in getattr(figures, name).items():
            bounded = min(value, top) if top is not None else value
            counts[bounded] = counts.get(bounded, 0) + count
        whole = sum(counts.values()) or 1
        axes.bar(
            [value + place * width for value in counts],
            [100 * count / whole for count in counts.values()],
            width=width,
            color=_COLOURS[place],
            label=figures.name,
        )
    axes.set_ylabel("% of all")


def _turns(axes: Axes, sets: Sequence[DataSetFigures]) -> None:
    _bars(axes, sets, "turns_per_conversation", 80)
    axes.set_xlabel("turns (80: or more)")


def _words(axes: Axes, sets: Sequence[DataSetFigures]) -> None:
    _bars(axes, sets, "words_per_turn", 60)
    axes.set_xlabel("words (60: or more)")


def _minutes(axes: Axes, sets: Sequence[DataSetFigures]) -> None:
    _bars(axes, sets, "duration_minutes", 30)
    axes.set_xlabel("minutes (30: or more)")


def _hours(axes: Axes, sets: Sequence[DataSetFigures]) -> None:
    _bars(axes, sets, "hours")
    axes.set_xlabel("hour in the call's own zone")


def _named_bars(axes: Axes, sets: Sequence[DataSetFigures], name: str) -> None:
    labels = sorted({label for figures in sets for label in getattr(figures, name)}, reverse=True)
    height = 0.8 / len(sets)
    for place, figures in enumerate(sets):
        values = getattr(figures, name)
        whole = sum(values.values()) or 1
        axes.barh(
            [position + place * height for position in range(len(labels))],
            [100 * values.get(label, 0) / whole for label in labels],
            height=height,
            color=_COLOURS[place],
            label=figures.name,
        )
    middle = height * (len(sets) - 1) / 2
    axes.set_yticks(
        [position + middle for position in range(len(labels))],
        [label.replace("_", " ").lower() for label in labels],
        fontsize=7,
    )
    axes.set_xlabel("% of all")


def _talk_share(axes: Axes, sets: Sequence[DataSetFigures]) -> None:
    _named_bars(axes, sets, "talk_shares")


def _arcs(axes: Axes, sets: Sequence[DataSetFigures]) -> None:
    _named_bars(axes, sets, "sentiment_arcs")


def _outcomes(axes: Axes, sets: Sequence[DataSetFigures]) -> None:
    _named_bars(axes, sets, "outcomes")


def _growth(axes: Axes, sets: Sequence[DataSetFigures]) -> None:
    for place, figures in enumerate(sets):
        points = figures.vocabulary_growth
        axes.plot(
            [seen for seen, _ in points],
            [distinct for _, distinct in points],
            color=_COLOURS[place],
            label=figures.name,
        )
    axes.set_xscale("log")
    axes.set_xlabel("words read")
    axes.set_ylabel("distinct words")
