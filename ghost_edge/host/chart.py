"""Groups of bars as a picture, the same bytes for the same numbers."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from ghost_edge.core.errors import RecipeError
from ghost_edge.core.files import write_bytes

FORMATS = (".svg", ".png")
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7")  # Okabe and Ito's, told apart by colour-blind people too
_FIXED = {"svg.hashsalt": "ghost-edge", "svg.fonttype": "none"}  # ids of the SVG are random without a salt


@dataclasses.dataclass(frozen=True)
class Bars:
    """One bar a group, all of a colour; spans: (low, high) around each, none where empty."""

    title: str
    values: Sequence[float]
    spans: Sequence[tuple[float, float]] = ()


def draw_bars(path: Path, groups: Sequence[str], bars: Sequence[Bars], *, title: str, unit: str) -> None:
    """Draw up to four bars a group, with a line at 1, into an .svg or .png; raises RecipeError for another suffix."""
    check_chart(path)
    figure = Figure(figsize=(max(6.0, 1.5 + 0.5 * len(groups)), 4.8), layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / len(bars)
    for number, (row, colour) in enumerate(zip(bars, _COLOURS, strict=False)):
        places = [group + (number - (len(bars) - 1) / 2) * width for group in range(len(groups))]
        axes.bar(places, row.values, width, label=row.title, color=colour)
        for place, (low, high) in zip(places, row.spans, strict=False):
            axes.plot([place, place], [low, high], color="black", linewidth=1)
    axes.axhline(1.0, color="grey", linewidth=0.8)
    axes.set_xticks(range(len(groups)), groups, rotation=90, fontsize=8)
    axes.set_xlim(-0.6, len(groups) - 0.4)
    axes.set(title=title, ylabel=unit)
    figure.legend(loc="outside lower center", ncols=len(bars))
    content = io.BytesIO()
    with matplotlib.rc_context(_FIXED):
        metadata = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(content, format=path.suffix[1:], metadata=metadata, dpi=120)
    write_bytes(content.getvalue(), path)


def check_chart(path: Path) -> None:
    """Raise RecipeError where the suffix is not one of FORMATS."""
    if path.suffix not in FORMATS:
        raise RecipeError(f"chart {path} must end in {' or '.join(FORMATS)}")
