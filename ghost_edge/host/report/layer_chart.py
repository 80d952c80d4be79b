"""SQNR along the depth of a network, and how wide the channels of each depthwise layer are, as an SVG."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ghost_edge.host.accuracy.layers import LayerLoss, label

Panel = tuple[list[str], Callable[[float], float]]
_COLOURS = ("#0072b2", "#e69f00")  # Okabe and Ito's, told apart by colour-blind people too
_LEFT, _WIDTH, _HEIGHT, _TOPS = 60, 1140, 240, (40, 350)  # pixels: of both panels
_HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="1220" height="870"><style>text{font:11px sans-serif}</style>'
    '<rect width="100%" height="100%" fill="white"/>'
)


def draw_layers(rows: Sequence[LayerLoss], weights: Mapping[str, Sequence[NDArray[np.float32]]]) -> str:
    """weights: of each depthwise layer the largest |weight| by channel, float32 [C], in one file or in both.

    Written by hand: matplotlib would take longer than everything else. A dot that is pointed at says what was found.
    """
    return "\n".join([_HEAD, *_draw_noise(rows), *_draw_weights(weights), "</svg>\n"])


def _draw_noise(rows: Sequence[LayerLoss]) -> list[str]:
    values = [0.0, 10.0] + [value for row in rows for value in (row.sqnr_db, row.own_db) if value is not None]
    low, high = (10 * edge for edge in (math.floor(min(values) / 10), math.ceil(max(values) / 10)))
    legend = "SQNR in dB, one operation after the other", "everything lost so far", "rounding this tensor alone"
    made, y = _panel(0, legend, range(low, high + 1, 10), "{}")
    line, step = [], _WIDTH / max(len(rows), 1)
    for at, row in enumerate(rows):
        x, number = f"{_LEFT + (at + 0.5) * step:.1f}", "input" if row.index is None else str(row.index)
        made += [f'<text x="{x}" y="{_TOPS[0] + _HEIGHT + 16}">{number}</text>'] if (row.index or 0) % 20 == 0 else []
        if row.sqnr_db is not None:
            line.append(f"{x},{y(row.sqnr_db):.1f}")
        if row.own_db is not None:
            place, ring = f"{y(row.own_db):.1f}", 'r="4" stroke="black"' if row.causes else 'r="2.5"'
            words = html.escape("\n".join([f"{number} {row.operation} {label(row.name)}", *row.causes]))
            made.append(f'<circle cx="{x}" cy="{place}" fill="{_COLOURS[1]}" {ring}><title>{words}</title></circle>')
            made += [f'<text x="{x}" y="{place}" dx="6" dy="4">{number}</text>'] if row.causes else []
    return [*made, f'<polyline points="{" ".join(line)}" fill="none" stroke="{_COLOURS[0]}" stroke-width="1.5"/>']


def _draw_weights(weights: Mapping[str, Sequence[NDArray[np.float32]]]) -> list[str]:
    layers = [[np.log10(peak[peak > 0]) for peak in files if peak.any()] for files in weights.values()]
    values = np.concatenate([[-1.0, 0.0], *(peak for files in layers for peak in files)])
    decades = range(math.floor(values.min()), math.ceil(values.max()) + 1)
    legend = "largest |weight| of each channel of the depthwise layers", "float file", "channels evened out"
    made, y = _panel(1, legend, decades, "1e{}")
    for at, (name, files) in enumerate(zip(weights, layers)):
        x = _LEFT + (at + 0.5) * _WIDTH / len(layers)
        place = f"translate({x - 4:.1f},{_TOPS[1] + _HEIGHT + 8}) rotate(90)"
        made.append(f'<text transform="{place}">{html.escape(label(name))}</text>')
        for middle, colour, peak in zip((x - 5, x + 5), _COLOURS, files):
            least, first, half, third, most = (f"{y(value):.1f}" for value in np.quantile(peak, np.linspace(0, 1, 5)))
            box = f"M{middle - 4:.1f},{first}h8V{third}h-8Z"
            made.append(f'<path d="M{middle:.1f},{least}V{most}{box}" stroke="{colour}" fill="{colour}"/>')
            made.append(f'<path d="M{middle - 4:.1f},{half}h8" stroke="black"/>')
    return made


def _panel(number: int, legend: Sequence[str], ticks: range, form: str) -> Panel:
    """Axis and legend, and the height of a value in pixels."""

    def y(value: float) -> float:
        return _TOPS[number] + _HEIGHT * (ticks[-1] - value) / (ticks[-1] - ticks[0])

    keys = [f'<tspan fill="{colour}" dx="16">&#9632; {words}</tspan>' for colour, words in zip(_COLOURS, legend[1:])]
    made = [f'<text x="{_LEFT}" y="{_TOPS[number] - 14}">{legend[0]}{"".join(keys)}</text>']
    for tick in ticks:
        made.append(f'<text x="{_LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{form.format(tick)}</text>')
        made.append(f'<path d="M{_LEFT},{y(tick):.1f}h{_WIDTH}" stroke="#ddd"/>')
    return made, y
