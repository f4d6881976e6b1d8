"""matplotlib, set to draw SVG; loaded when the first plot is drawn, as it takes half a second."""

from __future__ import annotations

from types import ModuleType

from ingest.errors import SettingsError


def svg_matplotlib() -> ModuleType:
    """Return the module `matplotlib`, or raise SettingsError where it isn't installed."""
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise SettingsError(
            "plots need matplotlib, which isn't installed",
            "install it with the extra `data`: pip install -c constraints.txt -e '.[data]'",
        ) from error
    mpl.use("svg")
    return mpl
