"""The plots of a report."""

from __future__ import annotations

import html
import io
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from numpy.typing import NDArray

from ghost_edge.core.latency import LatencyStats
from ghost_edge.host.accuracy.layers import LayerLoss
from ghost_edge.host.calibration.observe import HALF, Histogram

_INK, _GRID = "#111213", "#a1a2a3"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito's
_THEME = {_INK: "ink", _GRID: "grid", **{colour: f"c{number}" for number, colour in enumerate(COLOURS)}}
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
    "grid.color": _GRID,
    "grid.linewidth": 0.4,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), _INK),
}

_BINS = 96
_SHOWN, _STRETCH = 99.0, 3.0  # percentile of the samples, times the largest median: the rest would press it flat
_MARKED = 5  # layers
_LABEL = 32  # characters
_TICKS = 25  # numbers that fit side by side


@matplotlib.rc_context(_STYLE)
def draw_noise(rows: Sequence[LayerLoss], number: int) -> Markup:
    """Draw the SQNR after each operation, and of rounding its output alone; the worst operations have numbers."""
    noisy = [row for row in rows if row.sqnr_db is not None]
    rounded = [row for row in rows if row.own_db is not None]
    worst = _apart(sorted(noisy, key=lambda row: -row.noise), len(rows) / 20)
    figure, axes = _new_figure()
    every, own = [row.sqnr_db for row in noisy], [row.own_db for row in rounded]
    axes.plot([*map(_place, noisy)], every, color=COLOURS[0], label="all noise so far", linewidth=1.4)
    axes.plot([*map(_place, rounded)], own, ".", color=COLOURS[1], label="rounding this output alone", markersize=4)
    for row in worst:
        place = _place(row), row.sqnr_db
        axes.annotate(f"{_place(row)}", place, (0, -12), textcoords="offset points", ha="center")
    axes.set(xlabel="operation, in the order in which they run", ylabel="SQNR in dB")
    places = ", ".join(f"{_place(row)} ({row.sqnr_db:.0f} dB)" for row in worst)
    return _as_svg(
        figure,
        f"SQNR along the depth of the network, {len(rows)} operations; at the end "
        f"{f'{noisy[-1].sqnr_db:.1f} dB' if noisy else 'no noise'}; most noise enters at operation {places or 'none'}",
        number,
    )


def _apart(rows: Sequence[LayerLoss], distance: float) -> list[LayerLoss]:
    """Choose the first few rows more than `distance` operations from each other, so that numbers can be read."""
    chosen: list[LayerLoss] = []
    for row in rows:
        if len(chosen) < _MARKED and all(abs(_place(row) - _place(other)) > distance for other in chosen):
            chosen.append(row)
    return chosen


@matplotlib.rc_context(_STYLE)
def draw_histogram(histogram: Histogram, low: float, high: float, name: str, number: int) -> Markup:
    """Draw the values of a tensor over the calibration images, in log scale, and the range of its integers."""
    edges = np.arange(-HALF, HALF + 1) * 2.0**histogram.exponent
    used = np.flatnonzero(histogram.counts)
    first, last = int(used[0]), int(used[-1]) + 1
    every = max(1, -(-(last - first) // _BINS))
    starts = np.arange(first, last, every)
    counts = np.add.reduceat(histogram.counts[:last], starts)
    figure, axes = _new_figure(4.4, 2.5, left=0.15)
    axes.axvspan(low, high, color=COLOURS[2], alpha=0.18, linewidth=0, label="range of its integers")
    axes.stairs(np.maximum(counts, 0.5), edges[[*starts, last]], fill=True, color=COLOURS[0], baseline=0.5)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))  # 10k: 10^4 is mathematics, which is text here
    axes.set(xlabel="value", ylabel="values")
    words = f"Values of {name} over the calibration images, {histogram.low:.3g} to {histogram.high:.3g}"
    return _as_svg(figure, f"{words}; its integers cover {low:.3g} to {high:.3g}", number)


@matplotlib.rc_context(_STYLE)
def draw_weights(layers: Mapping[int, Sequence[NDArray[np.float32]]], number: int) -> Markup:
    """Draw how far the channels of each depthwise layer lie apart: boxes of the largest |weight| of each channel.

    layers: by operation, float32 [C] > 0 in the float model and, where there is one, in the equalized model.
    """
    names = ("float model", "after cross-layer equalization")
    files = [[np.log10(peaks) for peaks in peaks_of_layers] for peaks_of_layers in zip(*layers.values())]
    figure, axes = _new_figure()
    for place, (peaks, name, colour) in enumerate(zip(files, names, COLOURS)):
        axes.boxplot(
            peaks,
            positions=np.arange(len(peaks)) + 0.4 * place - 0.2 * (len(files) - 1),
            whis=(0, 100),
            widths=0.3,
            patch_artist=True,
            manage_ticks=False,
            label=name,
            boxprops={"facecolor": colour, "edgecolor": colour},
            medianprops={"color": _INK},
            whiskerprops={"color": colour},
            capprops={"color": colour},
        )
    shown = range(0, len(layers), -(-len(layers) // _TICKS))
    axes.set_xticks(shown, [str(list(layers)[place]) for place in shown], fontsize=8)
    axes.yaxis.set_major_formatter(lambda value, _: f"{10**value:.2g}")
    axes.set(xlabel="depthwise layer, by its operation", ylabel="largest |weight| of a channel")
    apart = ", ".join(f"{name} {10 ** max(map(np.ptp, peaks)):,.0f}" for name, peaks in zip(names, files))
    words = f"Largest weight of each channel in {len(layers)} depthwise layers; largest ratio inside a layer: {apart}"
    return _as_svg(figure, words, number)


@matplotlib.rc_context(_STYLE)
def draw_latency(times: Sequence[tuple[str, LatencyStats]], number: int) -> Markup:
    """Draw the distribution of each model's latency without the slowest samples, with the median and its interval."""
    height, letters = 0.9 + 0.5 * len(times), max(len(name[:_LABEL]) for name, _ in times)
    longest = _STRETCH * max(stats.median_ms for _, stats in times)
    figure, axes = _new_figure(5.4, height, left=min(0.05 + 0.013 * letters, 0.5))
    figure.subplots_adjust(bottom=0.5 / height)
    places = range(len(times), 0, -1)
    for place, (_, stats), colour in zip(places, times, itertools.cycle(COLOURS)):
        values = np.asarray(stats.samples_ns) / 1e6
        values = values[values <= min(np.percentile(values, _SHOWN), longest)]
        if len(values) > 2 and np.ptp(values) > 0:
            violins = axes.violinplot([values], [place], orientation="horizontal", widths=0.8, showextrema=False)
            violins["bodies"][0].set(facecolor=colour, edgecolor=colour, alpha=0.5)
        axes.plot(stats.median_ms, place, marker="|", color=_INK, markersize=12)
        if stats.low_ms is not None and stats.high_ms is not None:
            axes.plot([stats.low_ms, stats.high_ms], [place, place], color=_INK, linewidth=1.2)
    axes.set_yticks(list(places), [name[:_LABEL] for name, _ in times])
    axes.set(xlabel="ms")
    axes.set_xlim(left=0)
    words = "; ".join(f"{name}: median {stats.median_ms:.3f} ms" for name, stats in times)
    return _as_svg(figure, f"Distributions of the latency of single runs. {words}", number)


@matplotlib.rc_context(_STYLE)
def draw_memory(alive: Mapping[str, Sequence[int]], number: int) -> Markup:
    """Draw the bytes of activations that are alive while each operation runs, by file."""
    figure, axes = _new_figure()
    for (name, sizes), colour in zip(alive.items(), itertools.cycle(COLOURS)):
        axes.stairs(np.asarray(sizes) / 1024, color=colour, label=name, fill=True, alpha=0.35)
    axes.set(xlabel="operation, in the order in which they run", ylabel="KiB of activations alive")
    words = "; ".join(
        f"{name}: at most {max(sizes):,} bytes, at operation {int(np.argmax(sizes))}" for name, sizes in alive.items()
    )
    return _as_svg(figure, f"Memory of activations over the operations. {words}", number)


class Point(NamedTuple):
    """A run on one machine. label: its number. drop, margin: fractions."""

    label: str
    median_ms: float
    drop: float
    margin: float


@matplotlib.rc_context(_STYLE)
def draw_trade(points: Sequence[Point], number: int) -> Markup:
    """Draw the drop of top-1, with its margin, over the median latency."""
    figure, axes = _new_figure()
    for point, colour in zip(points, itertools.cycle(COLOURS)):
        drop = point.drop * 100
        axes.errorbar(point.median_ms, drop, yerr=point.margin * 100, fmt="o", color=colour)
        axes.annotate(point.label, (point.median_ms, drop), (6, 4), textcoords="offset points", fontsize=8)
    axes.axhline(0, color=_INK, linewidth=0.8)
    axes.set(xlabel="median ms", ylabel="drop of top-1 in points, with margin")
    axes.set_xlim(0, 1.25 * max(point.median_ms for point in points))
    words = "; ".join(
        f"{each.label}: {each.median_ms:.3f} ms, drop {each.drop * 100:.2f} ± {each.margin * 100:.2f} points"
        for each in points
    )
    return _as_svg(figure, f"Accuracy drop over latency. {words}", number)


def _place(row: LayerLoss) -> int:
    return -1 if row.index is None else row.index


def _new_figure(width: float = 5.4, height: float = 3.0, *, left: float = 0.12) -> tuple[Figure, Any]:
    """Return a figure with one pair of axes; sizes in inches."""
    figure = Figure(figsize=(width, height))
    axes = figure.add_subplot()
    figure.subplots_adjust(left=left, right=0.96, bottom=0.17, top=0.9)
    return figure, axes


def _add_legend(figure: Figure) -> None:
    """Put the legend, if there is one, above the axes, where it hides nothing; the figure grows by its lines."""
    (axes,) = figure.axes
    _, names = axes.get_legend_handles_labels()
    if not names:
        return
    columns = max(1, min(3, _LETTERS // max(map(len, names))))
    lines, height = -(-len(names) // columns), figure.get_figheight()
    figure.set_figheight(height + (lines - 1) * _LINE)
    figure.subplots_adjust(
        bottom=figure.subplotpars.bottom * height / figure.get_figheight(),
        top=1 - (0.1 * height + (lines - 1) * _LINE) / figure.get_figheight(),
    )
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 0.99), ncols=columns, fontsize=9, borderaxespad=0)


def _as_svg(figure: Figure, description: str, number: int) -> Markup:
    """Return an <svg> element as wide as its place; number: makes its ids unlike those of other plots on the page."""
    _add_legend(figure)
    content = io.BytesIO()
    figure.savefig(content, format="svg", transparent=True, metadata={"Date": None})
    text = content.getvalue().decode()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>p{number}-", text)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"([^>]*?) width="[^"]*"', r"\1\2", text, count=1)
    for colour, name in _THEME.items():
        text = text.replace(colour, f"var(--{name})")
    return Markup(text.replace("<svg", f'<svg role="img" aria-label="{html.escape(description)}"', 1))
