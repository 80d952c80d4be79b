"""Chart of an arena: the place of each buffer in memory, over the operations."""

from __future__ import annotations

import html

from ghost_edge.host.tflite.graph import Model
from ghost_edge.host.tflite_micro.arena import ArenaPlan

_WIDTH, _HEIGHT, _LEFT, _TOP = 1000, 420, 90, 40  # pixels
_TICKS = 4
_COLORS = ("#4c78a8", "#72b7b2", "#54a24b", "#eeca3b", "#f58518", "#b279a2")


def draw_arena(plan: ArenaPlan, graph: Model) -> str:
    """Draw an SVG: operations to the right, bytes of the head upwards, a box for each buffer, the peak marked."""
    steps = len(graph.operations) + 1
    across, up = _WIDTH / steps, _HEIGHT / max(plan.head, 1)
    peak = graph.operations[plan.peak_step].name
    made = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{_LEFT + _WIDTH + 20}" '
        f'height="{_TOP + _HEIGHT + 50}">',
        f"<title>Arena head: {plan.head:,} bytes, tail: {plan.tail:,} bytes</title>",
        '<style>text{font:12px sans-serif}</style><rect width="100%" height="100%" fill="white"/>',
        f'<text x="{_LEFT}" y="20">arena head {plan.head:,} bytes, tail {plan.tail:,} bytes; '
        f"the peak is operation {plan.peak_step}, {html.escape(peak)}</text>",
        f'<rect x="{_LEFT + across * (plan.peak_step + 1):.1f}" y="{_TOP}" width="{across:.1f}" height="{_HEIGHT}" '
        'fill="#fbd3d3"/>',
    ]
    for number, each in enumerate(plan.lifetimes):
        if each.first < 0:
            continue
        x, y = _LEFT + across * each.first, _TOP + _HEIGHT - up * (each.offset + each.size)
        text = html.escape(f"{each.name}: {each.size:,} bytes at {each.offset:,}, steps {each.first} to {each.last}")
        made.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{across * (each.last - each.first + 1):.1f}" '
            f'height="{max(up * each.size, 0.5):.1f}" fill="{_COLORS[number % len(_COLORS)]}" fill-opacity="0.8" '
            f'stroke="white" stroke-width="0.5"><title>{text}</title></rect>'
        )
    for tick in range(_TICKS + 1):
        y = _TOP + _HEIGHT * (1 - tick / _TICKS)
        made.append(f'<text x="{_LEFT - 6}" y="{y + 4:.0f}" text-anchor="end">{plan.head * tick // _TICKS:,}</text>')
    made.append(f'<text x="{_LEFT}" y="{_TOP + _HEIGHT + 20}">operation 0</text>')
    made.append(f'<text x="{_LEFT + _WIDTH}" y="{_TOP + _HEIGHT + 20}" text-anchor="end">operation {steps - 2}</text>')
    return "\n".join([*made, "</svg>\n"])
