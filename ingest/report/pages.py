"""Renders templates with every value escaped; the only markup let through is our own SVG."""

from __future__ import annotations

import datetime as dt
import re
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

_STEERING = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_HASH = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")


def rendered(template: str, **values: Any) -> str:
    """Return the page."""
    style = resources.files("ingest.report").joinpath("templates", "page.css")
    return (
        _environment()
        .get_template(template)
        .render(
            **values,
            style=Markup(style.read_text(encoding="utf-8")),
        )
    )


def own_svg(svg: str) -> Markup:
    """Return an SVG that `ingest.report.charts` made, to be put in as it is."""
    return Markup(harmless(svg))


def harmless(text: str) -> str:
    """Return the text with U+FFFD for characters that steer a terminal or reverse what is read.

    Line breaks and tabs stay.
    """
    return _STEERING.sub("\ufffd", text)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("ingest.report", "templates"),
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
