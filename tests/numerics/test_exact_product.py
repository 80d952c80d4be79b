"""Scales of FULLY_CONNECTED: the product that float32 and float64 agree on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ghost_edge.host.graph import read_graph
from ghost_edge.host.quantizers.exact_product import make_products_exact
from ghost_edge.host.quantizers.flat import Flat, Op


def fully_connected(flat: Flat) -> Op:
    (op,) = (op for op in flat.ops if op.name == "FULLY_CONNECTED")
    return op


def products(flat: Flat) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """As float64 and as float32 multiply them."""
    one, many = (flat.scales_in_place(index) for index in fully_connected(flat).inputs[:2])
    return one.astype(np.float64) * many, (one * many).astype(np.float64)


@pytest.fixture
def inexact(converted: Path) -> bytes:
    """The shipped file with scales as a quantizer leaves them: all 24 bits used."""
    flat = Flat((converted / "ghostnet_mnist_int8.tflite").read_bytes())
    rng = np.random.default_rng(0)
    for index in fully_connected(flat).inputs[:2]:
        scales = flat.scales_in_place(index)
        scales *= (1 + rng.uniform(0, 1e-3, scales.shape)).astype(np.float32)
    biases = flat.scales_in_place(fully_connected(flat).inputs[2])
    biases[:] = products(flat)[0]
    return bytes(flat.content)


def test_what_convert_writes_has_exact_products(converted: Path) -> None:
    flat = Flat((converted / "ghostnet_mnist_int8.tflite").read_bytes())
    assert np.array_equal(*products(flat))
    assert np.array_equal(flat.scale(fully_connected(flat).inputs[2]), products(flat)[0])


def test_inexact_products_are_made_exact_and_hardly_move(inexact: bytes) -> None:
    before, after = Flat(inexact), Flat(make_products_exact(inexact))
    assert not np.array_equal(*products(before))
    assert np.array_equal(*products(after))
    assert np.allclose(products(after)[0], products(before)[0], rtol=2**-11)  # half a bit of 12 in each of two factors


def test_the_biases_stay_the_same_real_numbers(inexact: bytes) -> None:
    before, after = Flat(inexact), Flat(make_products_exact(inexact))
    index = fully_connected(before).inputs[2]
    step = after.scale(index)
    real = [flat.values(index) * flat.scale(index) for flat in (before, after)]
    assert np.all(np.abs(real[0] - real[1]) <= 0.51 * step)  # one rounding


def test_nothing_else_changes(inexact: bytes, tmp_path: Path) -> None:
    for name, content in (("a", inexact), ("b", make_products_exact(inexact))):
        (tmp_path / f"{name}.tflite").write_bytes(content)
    assert read_graph(tmp_path / "a.tflite") == read_graph(tmp_path / "b.tflite")
    assert make_products_exact(make_products_exact(inexact)) == make_products_exact(inexact)
