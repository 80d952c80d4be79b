"""The tutorials' blocks compute the tutorials' arithmetic, written out here in numpy."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from ghost_edge.core.errors import RecipeError
from ghost_edge.host.networks import ghostnet
from ghost_edge.host.networks.blocks import HARD_SIGMOIDS, GBNeck, GhostModule, SEModule

pytestmark = pytest.mark.slow
Array = NDArray[np.float64]
RNG = np.random.default_rng(0)
IMAGE = RNG.normal(size=(2, 7, 6, 5)).astype(np.float32)
ATOL = 1e-5  # the bound: float32 sums of some dozens of values of size 1


def conv(x: Array, kernel: Array, stride: int = 1, *, depthwise: bool = False) -> Array:
    """A convolution as TensorFlow pads it ("same"): x [N, H, W, C], kernel [k, k, C, M], no bias."""
    size, (_, height, width, channels) = len(kernel), x.shape
    rows, columns = math.ceil(height / stride), math.ceil(width / stride)
    need = [max((count - 1) * stride + size - length, 0) for count, length in ((rows, height), (columns, width))]
    x = np.pad(x, ((0, 0), *((n // 2, n - n // 2) for n in need), (0, 0)))
    out = np.zeros((len(x), rows, columns, channels * kernel.shape[3] if depthwise else kernel.shape[3]))
    for i in range(rows):
        for j in range(columns):
            window = x[:, i * stride : i * stride + size, j * stride : j * stride + size]
            if depthwise:
                out[:, i, j] = np.einsum("nabc,abcm->ncm", window, kernel).reshape(len(x), -1)
            else:
                out[:, i, j] = np.einsum("nabc,abcm->nm", window, kernel)
    return out


def ghost(x: Array, layer: GhostModule) -> Array:
    intrinsic = conv(x, np.asarray(layer.conv.kernel, np.float64))
    if layer.ratio == 1:
        return intrinsic
    ghosts = conv(intrinsic, np.asarray(layer.depthwise.kernel, np.float64), depthwise=True)
    return np.concatenate([intrinsic, ghosts[..., : layer.out - math.ceil(layer.out / layer.ratio)]], -1)


SIGMOIDS = {"keras2": lambda x: np.clip(0.2 * x + 0.5, 0, 1), "keras3": lambda x: np.clip(x + 3, 0, 6) / 6}


def squeeze_excite(x: Array, layer: SEModule) -> Array:
    squeezed = x.mean(axis=(1, 2)) @ np.asarray(layer.conv1.kernel, np.float64)[0, 0]
    gate = np.maximum(squeezed, 0) @ np.asarray(layer.conv2.kernel, np.float64)[0, 0]
    return x * SIGMOIDS[layer.hard_sigmoid](gate)[:, None, None]


def norm(x: Array, layer: Any) -> Array:
    gamma, beta, mean, variance = (np.asarray(value, np.float64) for value in layer.weights)
    return (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta  # Keras' own epsilon, as the tutorials leave it


def randomise(layer: keras.layers.Layer) -> None:
    for weight in layer.weights:
        low = 0.5 if "variance" in weight.name else -1.0
        weight.assign(RNG.uniform(low, 1.5, weight.shape))


@pytest.mark.parametrize("kernels", [(1, 3), (3, 5)])
@pytest.mark.parametrize(("out", "ratio"), [(8, 1), (8, 2), (9, 3), (8, 3), (7, 2), (5, 4), (1, 2)])
def test_a_ghost_module_is_the_tutorials(out: int, ratio: int, kernels: tuple[int, int]) -> None:
    layer = GhostModule(out, ratio, *kernels)
    made = np.asarray(layer(IMAGE))
    assert made.shape == (2, 7, 6, out)
    np.testing.assert_allclose(made, ghost(IMAGE.astype(np.float64), layer), rtol=0, atol=ATOL)


@pytest.mark.parametrize("hard_sigmoid", HARD_SIGMOIDS)
@pytest.mark.parametrize("ratio", [1, 2, 3])
def test_an_se_module_is_the_tutorials(ratio: int, hard_sigmoid: str) -> None:
    layer = SEModule(5, ratio, hard_sigmoid=hard_sigmoid)
    layer(IMAGE)
    for weight in layer.weights:
        weight.assign(RNG.normal(0, 4, weight.shape))  # wide enough to leave the linear part on both sides
    expected = squeeze_excite(IMAGE.astype(np.float64), layer)
    np.testing.assert_allclose(np.asarray(layer(IMAGE)), expected, rtol=0, atol=ATOL)


def test_the_two_hard_sigmoids_are_different_functions() -> None:
    two, three = (np.asarray(HARD_SIGMOIDS[name](np.array([2.0], np.float32))) for name in ("keras2", "keras3"))
    np.testing.assert_allclose([two[0], three[0]], [0.9, 5 / 6], rtol=1e-6)


@pytest.mark.parametrize(
    ("ratio", "strides", "use_se"),
    [(2, 1, False), (2, 1, True), (2, 2, False), (2, 2, True), (3, 1, True), (3, 2, False)],
)
def test_a_bottleneck_is_the_tutorials(ratio: int, strides: int, use_se: bool) -> None:
    layer = GBNeck(3, strides, 12, 8, ratio, use_se)
    layer(IMAGE)
    randomise(layer)
    x = IMAGE.astype(np.float64)
    parts = {part.name: part for part in layer.main + layer.shortcut}
    y = np.maximum(norm(ghost(x, parts["ghost1"]), parts["norm1"]), 0)
    if strides > 1:
        y = conv(y, np.asarray(parts["depthwise"].kernel, np.float64), strides, depthwise=True)
        y = np.maximum(norm(y, parts["norm2"]), 0)
    y = squeeze_excite(y, parts["se"]) if use_se else y
    y = norm(ghost(y, parts["ghost2"]), parts["norm3"])
    z = conv(x, np.asarray(parts["shortcut_depthwise"].kernel, np.float64), strides, depthwise=True)
    z = conv(norm(z, parts["norm4"]), np.asarray(parts["shortcut_conv"].kernel, np.float64))
    expected = y + norm(z, parts["norm5"])
    made = np.asarray(layer(IMAGE, training=False))
    np.testing.assert_allclose(made, expected, rtol=0, atol=ATOL * np.abs(expected).max())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GBNeck(3, 1, 12, 8, 1), "GBNeck has ratio 1, and its shortcut needs"),
        (lambda: GBNeck(3, 2, 12, 8, 3, True), "makes 24 channels, its SE module weighs 12; use ratio 2"),
        (lambda: GhostModule(0), "both must be 1 or more"),
        (lambda: GhostModule(8, 0), "both must be 1 or more"),
        (lambda: SEModule(4, 5), "by the ratio 5; it must be 1 to 4"),
        (lambda: SEModule(4, 2, hard_sigmoid="keras4"), "keras4"),
        (lambda: SEModule(4, 2)(IMAGE), "weighs 4 channels and is given 5"),
    ],
)
def test_what_does_not_meet_is_refused(make: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        make()


def test_blocks_survive_a_keras_file(tmp_path: Path) -> None:
    image = keras.Input((7, 6, 5))
    x = GBNeck(3, 2, 12, 8, 2, True, hard_sigmoid="keras2", name="neck")(image)
    model = keras.Model(image, SEModule(9, 3, name="se")(GhostModule(9, 2, 3, 5, name="ghost")(x)))
    randomise(model)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(np.asarray(loaded(IMAGE)), np.asarray(model(IMAGE)))
    assert [layer.get_config() for layer in loaded.layers] == [layer.get_config() for layer in model.layers]


def test_a_recipe_knows_the_hard_sigmoids_that_the_layers_know() -> None:
    assert tuple(HARD_SIGMOIDS) == ghostnet.HARD_SIGMOIDS
