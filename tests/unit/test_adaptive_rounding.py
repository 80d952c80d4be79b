"""Rounding of weights with regard to each other."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ghost_edge.host.quantization.adaptive_rounding import round_weights


def problem(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights [1, 8, 24], scales, and the covariance of inputs of which neighbours go together."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(1, 8, 24))
    scale = np.abs(weights).max(axis=2) / 7  # coarse: 15 codes
    mixing = rng.normal(size=(24, 6)) @ rng.normal(size=(6, 24)) + 0.3 * rng.normal(size=(24, 24))
    return weights, scale, (mixing @ mixing.T)[None]


def error(codes: np.ndarray, weights: np.ndarray, scale: np.ndarray, covariance: np.ndarray) -> float:
    """Mean squared error of the layer's output."""
    lost = codes * scale[..., None] - weights
    return float(np.einsum("goi,gij,goj->", lost, covariance, lost))


@pytest.mark.parametrize("seed", range(10))
def test_the_output_errs_less_than_with_each_weight_rounded_for_itself(seed: int) -> None:
    weights, scale, covariance = problem(seed)
    nearest = np.rint(weights / scale[..., None])
    adapted = round_weights(weights, scale, covariance)
    assert error(adapted, weights, scale, covariance) < 0.6 * error(nearest, weights, scale, covariance)


def test_inputs_that_have_nothing_to_do_with_each_other_change_nothing() -> None:
    weights, scale, _ = problem(0)
    independent = np.diag(np.linspace(1, 2, 24))[None]
    assert_array_equal(round_weights(weights, scale, independent), np.rint(weights / scale[..., None]))


def test_groups_are_rounded_each_for_itself() -> None:
    parts = [problem(seed) for seed in (1, 2)]
    both = round_weights(*(np.concatenate(arrays) for arrays in zip(*parts)))
    for group, part in zip(both, parts):
        assert_array_equal(group, round_weights(*part)[0])


def test_codes_stay_in_int8_where_the_scale_is_too_small() -> None:
    weights, scale, covariance = problem(3)
    codes = round_weights(weights, scale / 100, covariance)
    assert codes.dtype == np.int8
    assert np.abs(codes.astype(int)).max() == 127
