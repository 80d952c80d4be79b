"""Why a tensor rounds badly, in words: from its values by channel, its histogram and the scale it got."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.tensor import TensorSpec
from ghost_edge.host.ranges.histograms import HALF, Histogram

Floats = NDArray[np.float64]
Found = tuple[float, str]  # how many times too wide, and what, in words
_HARM = 1e-3  # noise over signal, 30 dB: what a healthy network gathers in all its layers together
_CHANNEL, _PARTNER, _OUTLIER = 8.0, 4.0, 4.0  # times too wide: three and two bits
_CLIPPED, _DEAD = 1e-3, 1 / 8  # shares of the values, and of the channels
_GONE = 0.5  # share of a channel's power, rounded away
_MIDDLE = (0.001, 0.999)


@dataclasses.dataclass(frozen=True)
class Seen:
    """Of one tensor by channel, float64 [C]: the largest |value|, and sums of squares over all positions.

    signal: of the values; rounding: of rounding them to spec, the stored tensor; error: of all that was lost.
    """

    spec: TensorSpec
    peak: Floats
    signal: Floats
    rounding: Floats
    error: Floats


def noise_share(signal: Floats, error: Floats) -> float:
    """Power of the error over that of the signal: of the tensor or of its median channel, whichever is worse.

    One wide channel hides in the sum what all others lost; channels that are always zero do not count.
    """
    live = signal > 0
    return float(max(error.sum() / signal.sum(), np.median(error[live] / signal[live]))) if live.any() else 0.0


def use_of_range(held: Histogram, spec: TensorSpec) -> tuple[float, float, float]:
    """Bits that all but 0.2 % of the values need, share of values clipped, and reach of all over that of those."""
    limits, width, total = np.iinfo(spec.dtype), 2.0**held.exponent, held.counts.sum()
    low, high = ((float(limit) - spec.zero_point) * spec.scale for limit in (limits.min, limits.max))
    edges = np.arange(-HALF, HALF) * width
    beyond = (edges > high + spec.scale / 2) | (edges + width < low - spec.scale / 2)
    first, last = np.searchsorted(np.cumsum(held.counts) / total, _MIDDLE)
    span = float(min((last - first + 1) * width, high - low))
    reach = min(max(held.high, 0.0), high) - max(min(held.low, 0.0), low)
    return float(np.log2(span / spec.scale + 1)), float(held.counts[beyond].sum() / total), reach / span


def widest_channel(peak: Floats) -> Found:
    """How many times as wide as the median channel the widest one is; channels that are always zero do not count."""
    ratio = float(peak.max() / np.median(peak[peak > 0])) if peak.any() else 1.0
    return ratio, f"channel {peak.argmax()} is {ratio:.0f}x as wide as the median channel"


def widest_partner(name: str, reach: Mapping[str, float]) -> Found:
    """How many times as wide the widest of all tensors is that share one scale with this one; reach: of all of them."""
    partner = max(reach, key=lambda other: reach[other])
    ratio = reach[partner] / reach[name] if reach[name] > 0 else 1.0
    return ratio, f"concatenated under one scale with {label(partner)}, which is {ratio:.0f}x as wide"


def find_causes(seen: Seen, held: Histogram, channel: Found, partner: Found) -> tuple[str, ...]:
    """What wastes the range of a tensor stored in integers; where it rounds well in spite of it, nothing."""
    _, clipped, ratio = use_of_range(held, seen.spec)
    outlier = ratio, f"outliers reach {ratio:.0f}x as far as 99.8 % of the values"
    harmful, bits = noise_share(seen.signal, seen.rounding) > _HARM, np.iinfo(seen.spec.dtype).bits
    limits = ((channel, _CHANNEL), (partner, _PARTNER), (outlier, _OUTLIER))
    causes = [
        f"{words}: {min(np.log2(times), bits):.1f} of {bits} bits wasted"
        for (times, words), limit in limits
        if harmful and times >= limit
    ]
    if harmful and clipped >= _CLIPPED:
        causes.append(f"{clipped:.2%} of the values are clipped")
    live = seen.signal > 0
    dead = live & (seen.rounding >= _GONE * seen.signal)
    if dead.sum() >= _DEAD * live.sum() > 0:
        causes.append(f"{dead.sum()} of {live.sum()} channels are dead: rounded away")
    return tuple(causes)


def find_healed(before: tuple[Found, Found], after: tuple[Found, Found]) -> tuple[str, ...]:
    """Channel and partner that were too wide in the float file, where equalization has at least halved that."""
    return tuple(
        f"{words} in the float file, evened out to {now:.0f}x"
        for (times, words), (now, _), limit in zip(before, after, (_CHANNEL, _PARTNER))
        if times >= limit and now <= times / 2
    )


def label(name: str) -> str:
    """The layer in the name of a tensor: the second of model/layer/operation."""
    parts = name.split(";")[0].split("/")
    return parts[1] if len(parts) > 2 else parts[0]
