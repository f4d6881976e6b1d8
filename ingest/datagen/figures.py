"""Figures that tell how real a data set looks."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ingest.domain.conversation import Metadata, Speaker, Transcription
from ingest.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes


LONG_UTTERANCE_WORDS = 6
"""Shorter ones (yes, thanks, a phone number read back) repeat in any real data."""
GROWTH_STEP_TURNS = 200

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
_DISFLUENCY = re.compile(
    r"\b(?:um+|uh+|er+|ah|you know|sort of|i mean)\b|\u2014|\b(\w+)\u2014 \1\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class DataSetFigures:
    """Figures of one data set; shares between 0 and 1, distributions as value to count."""

    name: str
    conversations: int
    turns: int
    turns_per_conversation: dict[int, int]
    words_per_turn: dict[int, int]
    duration_minutes: dict[int, int]
    talk_shares: dict[str, float]
    """Share of all words by speaker."""
    distinct_utterances: int
    repeated_customer_share: float
    """Share of customer utterances of six or more words that occur at least twice."""
    vocabulary_size: int
    vocabulary_growth: tuple[tuple[int, int], ...]
    """Words seen so far, and how many of them differ."""
    disfluencies_per_100_words: float
    """Spoken turns of people only."""
    back_channel_share: float
    """Share of turns of one or two words."""
    sentiment_arcs: dict[str, int]
    """From the truth files; empty without them."""
    outcomes: dict[str, int]
    hours: dict[int, int]

    def median_turns(self) -> int:
        """Median of turns per conversation."""
        return quantile(self.turns_per_conversation, 0.5)

    def table(self) -> list[tuple[str, str]]:
        """Return the figures as lines of name and value, for people."""
        turns, words = self.turns_per_conversation, self.words_per_turn
        lines = [
            ("conversations", f"{self.conversations:,}"),
            ("turns", f"{self.turns:,}"),
            ("turns per conversation (p10, median, p90)", _spread(turns)),
            ("words per turn (p10, median, p90)", _spread(words)),
            ("minutes per conversation (p10, median, p90)", _spread(self.duration_minutes)),
        ]
        lines += [
            (f"talk share of {speaker}", f"{share:.1%}")
            for speaker, share in self.talk_shares.items()
        ]
        lines += [
            ("distinct utterances", f"{self.distinct_utterances:,}"),
            ("repeated customer utterances of 6+ words", f"{self.repeated_customer_share:.2%}"),
            ("vocabulary", f"{self.vocabulary_size:,}"),
            ("disfluencies per 100 spoken words", f"{self.disfluencies_per_100_words:.2f}"),
            ("turns of one or two words", f"{self.back_channel_share:.1%}"),
        ]
        whole = sum(self.sentiment_arcs.values()) or 1
        lines += [
            (f"arc {arc}", f"{count / whole:.1%}") for arc, count in self.sentiment_arcs.items()
        ]
        return lines


@dataclass(slots=True)
class Tally:
    """Collects the figures, one conversation at a time."""

    name: str
    conversations: int = 0
    turns: int = 0
    turns_per_conversation: Counter[int] = field(default_factory=Counter)
    words_per_turn: Counter[int] = field(default_factory=Counter)
    duration_minutes: Counter[int] = field(default_factory=Counter)
    words_by_speaker: Counter[str] = field(default_factory=Counter)
    utterances: set[int] = field(default_factory=set)
    long_customer: Counter[int] = field(default_factory=Counter)
    vocabulary: set[str] = field(default_factory=set)
    growth: list[tuple[int, int]] = field(default_factory=list)
    words: int = 0
    spoken_words: int = 0
    disfluencies: int = 0
    short_turns: int = 0
    arcs: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    hours: Counter[int] = field(default_factory=Counter)

    def add(self, metadata: Metadata | None, talk: Transcription, arc: str | None) -> None:
        """Count one conversation; utterances are remembered by hash, so memory stays small."""
        self.conversations += 1
        self.turns_per_conversation[len(talk.turns)] += 1
        is_spoken = metadata is None or metadata.medium == "PHONE_CALL"
        for turn in talk.turns:
            self._add_turn(turn.speaker, turn.text, is_spoken)
        if arc is not None:
            self.arcs[arc] += 1
        if metadata is not None:
            self.outcomes[metadata.call_outcome] += 1
            self.hours[metadata.started_at.hour] += 1
            self.duration_minutes[round(metadata.duration_sec / 60)] += 1

    def _add_turn(self, speaker: Speaker, text: str, is_spoken: bool) -> None:
        words = _WORD.findall(text.lower())
        count = len(text.split())
        self.turns += 1
        self.words += len(words)
        self.words_per_turn[count] += 1
        self.words_by_speaker[speaker.value] += count
        self.vocabulary.update(words)
        self.short_turns += count <= 2
        key = hash(text)
        self.utterances.add(key)
        if speaker is Speaker.CUSTOMER and count >= LONG_UTTERANCE_WORDS:
            self.long_customer[key] += 1
        if is_spoken and speaker is not Speaker.AUTOMATED_AGENT:
            self.spoken_words += count
            self.disfluencies += len(_DISFLUENCY.findall(text))
        if self.turns % GROWTH_STEP_TURNS == 0:
            self.growth.append((self.words, len(self.vocabulary)))

    def figures(self) -> DataSetFigures:
        """Return what was counted."""
        words = sum(self.words_by_speaker.values()) or 1
        long_turns = sum(self.long_customer.values())
        repeated = sum(count for count in self.long_customer.values() if count > 1)
        growth = [*self.growth, (self.words, len(self.vocabulary))]
        return DataSetFigures(
            name=self.name,
            conversations=self.conversations,
            turns=self.turns,
            turns_per_conversation=_sorted(self.turns_per_conversation),
            words_per_turn=_sorted(self.words_per_turn),
            duration_minutes=_sorted(self.duration_minutes),
            talk_shares={
                speaker: count / words for speaker, count in sorted(self.words_by_speaker.items())
            },
            distinct_utterances=len(self.utterances),
            repeated_customer_share=repeated / long_turns if long_turns else 0.0,
            vocabulary_size=len(self.vocabulary),
            vocabulary_growth=tuple(_thinned(growth, 200)),
            disfluencies_per_100_words=(
                100 * self.disfluencies / self.spoken_words if self.spoken_words else 0.0
            ),
            back_channel_share=self.short_turns / self.turns if self.turns else 0.0,
            sentiment_arcs=_sorted(self.arcs),
            outcomes=_sorted(self.outcomes),
            hours=_sorted(self.hours),
        )


def quantile(distribution: dict[int, int], share: float) -> int:
    """Return the smallest value that `share` of all counts don't exceed; 0 when empty."""
    whole = sum(distribution.values())
    seen = 0
    for value in sorted(distribution):
        seen += distribution[value]
        if seen >= share * whole:
            return value
    return 0


def _spread(distribution: dict[int, int]) -> str:
    return ", ".join(str(quantile(distribution, share)) for share in (0.1, 0.5, 0.9))


def _sorted[Key: (int, str)](counts: Counter[Key]) -> dict[Key, int]:
    return {key: counts[key] for key in sorted(counts)}


def _thinned(points: Sequence[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    step = max(1, len(points) // most)
    return [*points[::step], points[-1]] if (len(points) - 1) % step else list(points[::step])


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


def svg_matplotlib() -> ModuleType:
    """Return the module `matplotlib`, or raise MissingExtraError where it isn't installed."""
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingExtraError("plots need matplotlib, which isn't installed", "data") from error
    mpl.use("svg")
    return mpl


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


def figures_page(sets: Sequence[DataSetFigures]) -> str:
    """Return the page; every text in it is escaped, the plots are our own SVG."""
    environment = Environment(
        loader=PackageLoader("ingest.datagen", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    columns = [dict(figures.table()) for figures in sets]
    names = dict.fromkeys(name for column in columns for name in column)
    rows = [(name, [column.get(name, "-") for column in columns]) for name in names]
    plots = [(title, Markup(svg)) for title, svg in draw_plots(sets)]
    return environment.get_template("figures_page.html.j2").render(
        sets=sets, rows=rows, plots=plots
    )
