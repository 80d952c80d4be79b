"""Histograms do not depend on order; each estimator clips what it says it clips."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ghost_edge.host.calibration.estimators import divergence, entropy, minmax, mse, percentile, squared_errors
from ghost_edge.host.calibration.observe import HALF, MIDDLES, Histogram, histogram, merge

RNG = np.random.default_rng(0)
PARTS = [RNG.normal(scale=scale, size=(50, 8)).astype(np.float32) for scale in (1e-3, 1, 40)]
NORMAL = RNG.normal(size=(6000, 8)).astype(np.float32)


def alike(one: Histogram, other: Histogram) -> bool:
    same = (one.exponent, one.low, one.high) == (other.exponent, other.low, other.high)
    return same and bool((one.counts == other.counts).all())


def test_any_order_and_any_grouping_gives_the_histogram_of_all_values() -> None:
    whole = histogram(np.concatenate(PARTS))
    for parts in itertools.permutations(map(histogram, PARTS)):
        assert alike(merge(parts), whole)
        assert alike(merge((parts[0], merge(parts[1:]))), whole)


def test_other_values_give_another_histogram() -> None:
    assert not alike(histogram(PARTS[1]), histogram(-PARTS[1]))


def test_a_value_lies_in_the_bin_that_holds_it() -> None:
    seen = histogram(np.array([[-3.0, 0.0, 5.5]], np.float32))
    (bins,) = np.nonzero(seen.counts)
    # the middle of a bin is half a width from its edges
    assert (np.abs(MIDDLES[bins] * 2.0**seen.exponent - [-3.0, 0.0, 5.5]) <= 2.0**seen.exponent / 2).all()
    assert seen.counts.size == 2 * HALF


def test_images_without_light_merge_with_bright_ones() -> None:
    seen = merge((histogram(np.zeros((1, 4), np.float32)), histogram(np.full((1, 4), 1e30, np.float32))))
    assert (seen.low, seen.high, int(seen.counts.sum())) == (0.0, float(np.float32(1e30)), 8)


def test_a_large_array_is_counted_by_a_sample_of_positions_with_exact_extremes() -> None:
    values = np.zeros((300_000, 2), np.float32)
    values[1] = -7, 9  # no tenth position
    seen = histogram(values)
    assert (seen.low, seen.high) == (-7, 9)
    assert int(seen.counts.sum()) == pytest.approx(values.size, rel=1e-3)


def test_minmax_keeps_a_rare_outlier_and_mse_and_percentile_clip_it() -> None:
    normal = histogram(NORMAL)
    common = dataclasses.replace(normal, counts=normal.counts * 100)  # one in 4.8 million
    seen = merge((common, histogram(np.full((1, 1), 20.0, np.float32))))
    assert minmax(seen)[1] == 20
    # between the normal values' 4.7 and the least share that is tried, 6
    assert mse(seen)[1] < 8
    assert percentile(seen)[1] < 5
    assert entropy(seen)[1] < 20


def test_mse_and_percentile_keep_an_outlier_that_is_not_rare() -> None:
    seen = merge((histogram(NORMAL), histogram(np.full((1, 1), 20.0, np.float32))))
    assert mse(seen)[1] > 15
    assert percentile(seen)[1] == 20


@pytest.mark.parametrize("choose", [minmax, mse, percentile, entropy])
def test_no_estimator_leaves_what_was_seen(choose: object) -> None:
    for part in PARTS:
        low, high = choose(histogram(part))  # type: ignore[operator]
        assert part.min() <= low < high <= part.max()


def test_the_divergence_is_none_where_every_bin_has_its_own_step() -> None:
    values = np.arange(-100, 101, dtype=np.float32) / 128
    seen = histogram(np.repeat(values, 1 + np.arange(201) % 7)[:, None])
    # 201 values on a grid of 1/128 under 255 steps over [-1, 1]: no two share a step
    assert divergence(seen, -255 / 256, 255 / 256) == pytest.approx(0, abs=1e-6)
    # half of the range lumps the outer half into two bins
    assert divergence(seen, -0.4, 0.4) > 0.5


def test_mse_has_less_error_than_minmax_on_the_values_themselves() -> None:
    def error(low: float, high: float) -> float:
        step = (high - low) / 255
        return float(np.square(np.clip(np.rint((NORMAL - low) / step), 0, 255) * step + low - NORMAL).mean())

    seen = histogram(NORMAL)
    assert error(*mse(seen)) < 0.9 * error(*minmax(seen))  # 0.88 for a normal distribution


def test_the_error_of_a_range_is_that_of_quantizing_to_it() -> None:
    for low, high in ((-2.0, 2.0), (-4.5, 4.5)):
        step = (high - low) / 255
        real = np.square(np.clip(np.rint((NORMAL - low) / step), 0, 255) * step + low - NORMAL).mean()
        # bins are some hundredths of a step wide; the bin from zero is left out
        assert squared_errors(histogram(NORMAL), np.array(low), np.array(high)) == pytest.approx(real, rel=0.03)


def test_merging_writes_into_nothing() -> None:
    parts = [histogram(part) for part in PARTS]
    before = [part.counts.copy() for part in parts]
    merge(parts)
    for part, counts in zip(parts, before):
        assert_array_equal(part.counts, counts)
