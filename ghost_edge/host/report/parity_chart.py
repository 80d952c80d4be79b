"""The parity matrix as a heat map."""

from __future__ import annotations

import html

from ghost_edge.host.accuracy.parity import RUNS, Parity
from ghost_edge.host.onnx.compare import first_apart

_SIDE, _LEFT, _TOP = 92, 150, 120  # pixels
_TWIN = tuple(label for label, (role, _, _) in RUNS.items() if role == "int8_onnx")


def draw_parity(parity: Parity) -> str:
    """An SVG: the more outputs differ, the darker; a field is red where an operation of the twin is not its own."""
    apart, runs = first_apart(parity.operations), parity.runs
    width, height = _LEFT + _SIDE * len(runs) + 60, _TOP + _SIDE * len(runs) + 40
    made = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
        '<style>text{font:12px sans-serif}</style><rect width="100%" height="100%" fill="white"/>',
        f'<text x="10" y="20">{parity.images} images: largest difference in steps of the output, outputs that '
        "differ, same answers</text>",
    ]
    for row, first in enumerate(runs):
        middle = _SIDE * row + _SIDE / 2
        made.append(f'<text x="{_LEFT - 8}" y="{_TOP + middle + 4}" text-anchor="end">{first}</text>')
        made.append(f'<text transform="translate({_LEFT + middle},{_TOP - 8}) rotate(-30)">{first}</text>')
        for column, second in enumerate(runs):
            pair = parity.pair(first, second)
            if pair is None:
                continue
            wrong = apart is not None and (first in _TWIN) != (second in _TWIN)
            fill = "#d62728" if wrong else f"rgb({255 - 175 * pair.differ:.0f},{255 - 95 * pair.differ:.0f},255)"
            x, y = _LEFT + _SIDE * column, _TOP + _SIDE * row
            made.append(f'<rect x="{x}" y="{y}" width="{_SIDE - 2}" height="{_SIDE - 2}" fill="{fill}"/>')
            for line, text in enumerate((f"{pair.max_lsb}", f"{pair.differ:.1%}", f"{pair.agreement:.1%} same")):
                made.append(f'<text x="{x + _SIDE / 2}" y="{y + 30 + 18 * line}" text-anchor="middle">{text}</text>')
    if apart is not None:
        name = html.escape(f"parts at operation {apart.index}, {apart.operation} {apart.name}")
        made.append(f'<text x="10" y="{height - 14}" fill="#d62728">the int8 .onnx {name}</text>')
    return "\n".join([*made, "</svg>\n"])
