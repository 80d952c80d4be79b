"""A matplotlib figure as SVG inside a page: in the page's colours, light or dark, with a description."""

from __future__ import annotations

import html
import io
import re
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

INK, GRID = "#111213", "#a1a2a3"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito's
_THEME = {INK: "ink", GRID: "grid", **{colour: f"c{number}" for number, colour in enumerate(COLOURS)}}
_LETTERS, _LINE = 60, 0.2  # of a legend: letters side by side, inches a line
_STYLE = {
    "svg.hashsalt": "ghost-edge",  # ids are random without
    "svg.fonttype": "none",  # text stays text: to be read aloud, and in the page's own face
    "text.parse_math": False,  # a layer may be called anything
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.4,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
}


def new_figure(width: float = 5.4, height: float = 3.0, *, left: float = 0.12) -> tuple[Figure, Any]:
    """A figure of so many inches with one pair of axes. matplotlib.rc_context(style()) has to be around it."""
    figure = Figure(figsize=(width, height))
    axes = figure.add_subplot()
    figure.subplots_adjust(left=left, right=0.96, bottom=0.17, top=0.9)
    return figure, axes


def add_legend(figure: Figure, axes: Any) -> None:
    """Above the axes, where it hides nothing; the figure grows by its lines."""
    _, names = axes.get_legend_handles_labels()
    columns = max(1, min(3, _LETTERS // max(map(len, names), default=1)))
    lines, height = -(-len(names) // columns), figure.get_figheight()
    figure.set_figheight(height + (lines - 1) * _LINE)
    figure.subplots_adjust(
        bottom=figure.subplotpars.bottom * height / figure.get_figheight(),
        top=1 - (0.1 * height + (lines - 1) * _LINE) / figure.get_figheight(),
    )
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 0.99), ncols=columns, fontsize=9, borderaxespad=0)


def style() -> dict[str, Any]:
    """What rc_context() takes."""
    return dict(_STYLE)


def as_svg(figure: Figure, description: str, number: int) -> Markup:
    """An <svg> element that is as wide as its place; number: tells its ids from those of other plots on the page."""
    content = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        figure.savefig(content, format="svg", transparent=True, metadata={"Date": None})
    text = content.getvalue().decode()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>p{number}-", text)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"([^>]*?) width="[^"]*"', r"\1\2", text, count=1)
    for colour, name in _THEME.items():
        text = text.replace(colour, f"var(--{name})")
    return Markup(text.replace("<svg", f'<svg role="img" aria-label="{html.escape(description)}"', 1))
