"""What needs matplotlib says how to get it where it isn't installed."""

from __future__ import annotations

import sys

import pytest

from ingest.datagen.figures import svg_matplotlib
from ingest.errors import MissingExtraError


def test_a_missing_matplotlib_is_told_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    with pytest.raises(MissingExtraError) as raised:
        svg_matplotlib()

    assert raised.value.message == "plots need matplotlib, which isn't installed"
    assert raised.value.hint == (
        "install it with the extra `data`: pip install 'conversation-coach[data]'"
    )


def test_plots_are_drawn_as_svg() -> None:
    assert svg_matplotlib().get_backend() == "svg"
