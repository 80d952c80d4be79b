"""The image of the layers shows each of them, whatever was found."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np

from ghost_edge.host.accuracy.layers import LayerLoss
from ghost_edge.host.report.layer_chart import draw_layers

ROWS = (
    LayerLoss(None, "INPUT", "image", 45.0, 0.0, own_db=45.0),
    LayerLoss(0, "CONV_2D", "net/stem/Relu", 40.0, 0.001, own_db=20.0, causes=("channel 5 < 6",)),
    LayerLoss(1, "ADD", "net/add/Add", None, 0.0),
    LayerLoss(2, "DEPTHWISE_CONV_2D", "net/<dw>/Relu", -3.0, 0.1, own_db=-1.0),
)
WEIGHTS = {"net/<dw>/Relu": [np.array([1.0, 2.0, 0.0, 300.0], np.float32), np.array([1.0, 2.0, 3.0, 4.0], np.float32)]}
SVG = "{http://www.w3.org/2000/svg}"


def drawn(rows: tuple[LayerLoss, ...] = ROWS, **weights: list[np.ndarray]) -> ElementTree.Element:
    return ElementTree.fromstring(draw_layers(rows, weights))


def test_each_quantized_layer_has_a_dot_that_names_it() -> None:
    titles = [title.text for title in drawn().iter(f"{SVG}title")]
    assert titles == ["input INPUT image", "0 CONV_2D stem\nchannel 5 < 6", "2 DEPTHWISE_CONV_2D <dw>"]


def test_a_layer_with_a_cause_is_ringed() -> None:
    assert [dot.get("stroke") for dot in drawn().iter(f"{SVG}circle")] == [None, "black", None]


def test_what_was_lost_so_far_is_one_line() -> None:
    (line,) = drawn().iter(f"{SVG}polyline")
    heights = [float(point.split(",")[1]) for point in (line.get("points") or "").split()]
    assert heights == sorted(heights)  # less decibels are further down
    assert len(heights) == 3


def test_each_depthwise_layer_has_a_box_for_each_file() -> None:
    boxes = [path for path in drawn(ROWS, **WEIGHTS).iter(f"{SVG}path") if path.get("fill")]
    assert len(boxes) == 2
    assert "<dw>" in [text.text for text in drawn(ROWS, **WEIGHTS).iter(f"{SVG}text")]


def test_nothing_to_draw_is_a_image_too() -> None:
    assert list(drawn(()).iter(f"{SVG}circle")) == []


def test_the_same_rows_are_the_same_image() -> None:
    assert draw_layers(ROWS, WEIGHTS) == draw_layers(ROWS, WEIGHTS)
