"""Chart of the ratios of ghost modules, reproducible to the byte."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from ghost_edge.core.errors import ArtifactError, RecipeError
from ghost_edge.core.files import write_bytes
from ghost_edge.host.explore.ghost_modules import Ghost

FORMATS = (".svg", ".png")
_COLOURS = ("#0072b2", "#e69f00", "#009e73")  # Okabe and Ito's, distinct for colour-blind people too
_FIXED = {"svg.hashsalt": "ghost-edge", "svg.fonttype": "none"}  # ids of the SVG are random without a salt


def draw_ghosts(path: Path, ghosts: Sequence[Ghost], *, title: str) -> None:
    """Draw theory, counted multiply-accumulates and, where measured, time with its quartiles, into an .svg or .png.

    Raises RecipeError for another suffix, ArtifactError without a ghost module.
    """
    check_chart(path)
    if not ghosts:
        raise ArtifactError(f"{title} holds no ghost module, so there is nothing to draw; leave --chart out")
    times = [ghost.time for ghost in ghosts if ghost.time]
    bars = {
        "theory, equation 4": [ghost.theory for ghost in ghosts],
        "multiply-accumulates": [ghost.mac_ratio for ghost in ghosts],
        **({"measured time": [time.ratio for time in times]} if times else {}),
    }
    figure = Figure(figsize=(max(6.0, 1.5 + 0.5 * len(ghosts)), 4.8), layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / len(bars)
    places = np.arange(len(ghosts)) - (len(bars) - 1) / 2 * width
    for number, ((label, ratios), colour) in enumerate(zip(bars.items(), _COLOURS, strict=False)):
        axes.bar(places + number * width, ratios, width, label=label, color=colour)
    if times:
        axes.vlines(
            places + 2 * width, [time.low for time in times], [time.high for time in times], "black", linewidth=1
        )
    axes.axhline(1.0, color="grey", linewidth=0.8)
    labels = [f"{ghost.operation}: {ghost.sizes.input[2]} to {ghost.sizes.filters}" for ghost in ghosts]
    axes.set_xticks(range(len(ghosts)), labels, rotation=90, fontsize=8)
    axes.set_xlim(-0.6, len(ghosts) - 0.4)
    axes.set(title=title, ylabel="plain convolution / ghost module")
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
