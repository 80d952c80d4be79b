"""Each cause is found in a tensor that has it, and not in one that is well."""

from __future__ import annotations

import numpy as np
import pytest

from ghost_edge.core.tensor import TensorSpec, quantize
from ghost_edge.host.accuracy.layers import (
    compare,
    find_causes,
    find_healed,
    label,
    noise_share,
    use_of_range,
    widest_channel,
    widest_partner,
)
from ghost_edge.host.calibration.observe import histogram

NORMAL = np.random.default_rng(0).normal(size=(1000, 16)).astype(np.float32)
FULL = float(np.abs(NORMAL).max())


def spec(reach: float, dtype: str = "int8") -> TensorSpec:
    return TensorSpec("own", (1,), dtype, scale=reach / np.iinfo(dtype).max)


def causes(values: np.ndarray, reach: float = 0.0, dtype: str = "int8", **partners: float) -> tuple[str, ...]:
    """Of a tensor stored symmetrically up to reach (as far as it goes); partners: reach of those with its scale."""
    stored = spec(reach or float(np.abs(values).max()), dtype)
    seen = compare(values, quantize(values, stored), stored)
    reaches = {"own": float(seen.peak.max()), **partners}
    return find_causes(seen, histogram(values), widest_channel(seen.peak), widest_partner("own", reaches))


def scaled(channel: int, factor: float) -> np.ndarray:
    return np.where(np.arange(16) == channel, factor, 1).astype(np.float32) * NORMAL


def test_a_healthy_tensor_has_no_cause() -> None:
    assert causes(NORMAL) == ()


def test_a_wide_channel_is_numbered() -> None:
    (found,) = causes(scaled(5, 50))
    assert found.startswith("channel 5 is ")
    # log2(50) = 5.64; the largest of 1,000 normal values differs by a fifth from channel to channel
    assert float(found.split(": ")[1].split()[0]) == pytest.approx(5.64, abs=0.35)
    assert found.endswith(" of 8 bits wasted")


def test_channels_of_like_width_are_no_cause() -> None:
    assert not any("median channel" in words for words in causes(scaled(5, 5)))


def test_channels_that_are_rounded_away_are_counted() -> None:
    assert "15 of 16 channels are dead: rounded away" in causes(scaled(5, 1000))


def test_channels_that_the_float_file_never_uses_are_not_dead_by_rounding() -> None:
    assert causes(NORMAL * (np.arange(16) < 8)) == ()


def test_a_wide_partner_is_named() -> None:
    wide = 30 * FULL
    assert causes(NORMAL, wide, wide=wide) == (
        "sharing a scale with wide, which is 30x as wide: 4.9 of 8 bits wasted",  # log2(30)
    )


def test_a_partner_of_like_width_is_no_cause() -> None:
    assert causes(NORMAL, 3 * FULL, wide=3 * FULL) == ()


def test_an_outlier_is_found() -> None:
    values = NORMAL.copy()
    values[7, 3] = 60
    # 99.8 % of normal values lie within 3.1: 60 / 6.2, and the range goes down as far as up
    (found,) = [words for words in causes(values) if words.startswith("outliers")]
    assert found.startswith("outliers reach 10x as far as 99.8 % of the values: 3.")


def test_a_tail_is_no_outlier() -> None:
    assert causes(np.random.default_rng(0).laplace(size=(4000, 16)).astype(np.float32)) == ()


def test_clipped_values_are_counted() -> None:
    (found,) = causes(NORMAL, 1.0)
    share, words = found.split("%")
    assert words == " of the values are clipped"
    # 31.7 % of normal values lie outside of one standard deviation, 31.5 % more than half a step outside
    assert float(share) == pytest.approx(31.5, abs=1)  # 16,000 values: 0.4 % standard deviation


def test_a_tail_that_is_clipped_to_win_resolution_is_no_cause() -> None:
    assert causes(NORMAL, 3.3) == ()


@pytest.mark.parametrize("values", [scaled(5, 50), NORMAL + 60 * (NORMAL.max() == NORMAL)], ids=["channel", "outlier"])
def test_what_does_no_harm_is_not_a_cause(values: np.ndarray) -> None:
    assert causes(values) != ()
    assert causes(values, dtype="int16") == ()


def test_what_equalization_mended_is_told() -> None:
    before, after = (200.0, "channel 5 is 200x as wide as the median channel"), (3.0, "")
    none = (1.0, "")
    assert find_healed((before, none), (after, none)) == (
        "channel 5 is 200x as wide as the median channel in the float file, equalized to 3x",
    )


@pytest.mark.parametrize(("before", "after"), [(200.0, 190.0), (5.0, 1.0)], ids=["not mended", "was well"])
def test_else_nothing_is_told(before: float, after: float) -> None:
    none = (1.0, "")
    assert find_healed(((before, "channel 5"), none), ((after, "channel 5"), none)) == ()


def test_a_wide_channel_does_not_hide_what_the_others_lost() -> None:
    signal, error = np.array([1e6, 1.0, 1.0]), np.array([1.0, 1.0, 1.0])
    assert noise_share(signal, error) == 1


def test_a_lost_wide_channel_is_not_hidden_by_the_others() -> None:
    assert noise_share(np.array([1e6, 1.0, 1.0]), np.array([1e6, 0.0, 0.0])) == pytest.approx(1, rel=1e-5)


def test_a_tensor_of_zeros_lost_nothing() -> None:
    assert noise_share(np.zeros(3), np.ones(3)) == 0


@pytest.mark.parametrize(("reach", "bits"), [(1.0, 8.0), (2.0, 7.0), (16.0, 4.0)])
def test_the_bits_are_those_of_the_steps_that_values_span(reach: float, bits: float) -> None:
    uniform = np.random.default_rng(0).uniform(-1, 1, size=(4000, 16)).astype(np.float32)
    # log2(steps + 1): a step more than the span; the bins are 1/16 of the narrowest step
    assert use_of_range(histogram(uniform), spec(reach))[0] == pytest.approx(bits, abs=0.1)


def test_the_layer_is_the_middle_of_the_name() -> None:
    assert label("net/blocks.0.conv/Relu;net/blocks.0.bn/add;x") == "blocks.0.conv"
    assert label("StatefulPartitionedCall_1:0") == "StatefulPartitionedCall_1:0"
