"""Plots of a report, read back as SVG."""

from __future__ import annotations

import re

import numpy as np

from ghost_edge.host.report.plots import draw_weights

SPREAD, EVEN = np.float32([1, 2, 300]), np.float32([1, 2, 4])
LAYERS = {2: (SPREAD, EVEN), 11: (EVEN, EVEN)}


def boxes(svg: str) -> int:
    """Count the shapes that are filled with a colour of the theme: boxes, and one key of the legend for each model."""
    return len(re.findall(r"fill: var\(--c[01]\)", svg))


def test_each_depthwise_layer_has_a_box_for_each_model() -> None:
    assert boxes(draw_weights(LAYERS, 0)) == 2 * 2 + 2
    assert boxes(draw_weights({index: files[:1] for index, files in LAYERS.items()}, 0)) == 2 + 1


def test_the_description_names_the_largest_ratio_before_and_after() -> None:
    label = re.search(r'aria-label="([^"]*)"', draw_weights(LAYERS, 0))
    assert label is not None
    assert label[1].endswith("largest ratio inside a layer: float model 300, after cross-layer equalization 4")


def test_sixty_layers_have_numbers_that_can_be_read() -> None:
    ticks = re.findall(r'id="p0-xtick_\d+"', draw_weights(dict.fromkeys(range(60), (EVEN,)), 0))
    assert 15 <= len(ticks) <= 25


def test_equal_weights_are_an_equal_image() -> None:
    assert draw_weights(LAYERS, 3) == draw_weights(LAYERS, 3)
