"""The figures of one or two data sets as one HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ingest.datagen.figures import DataSetFigures
from ingest.datagen.plots import draw_plots


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
