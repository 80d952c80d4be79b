"""Observe the activations of a float model: histograms, channel ranges and means over images."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.dataset import Item, spread
from ghost_edge.core.files import read_npz, save_npz
from ghost_edge.device.isolate import isolated
from ghost_edge.host.tflite.activations import Count, Inputs, activations, ignore
from ghost_edge.host.tflite.graph import Model

HALF = 2048  # bins on each side of zero
MIDDLES = np.arange(-HALF, HALF) + 0.5  # of the bins, in units of their width
_COUNTED = 2**16  # values of one tensor and image: 16 a bin; all of them took twice the time at 224 px
_DEEPEST_SHIFT = 62  # int64
_WORTH_A_PROCESS = 32  # images
_LONGEST_S = 24 * 3600.0
_LEAST, _PIXELS = 16, 800_000  # images, and pixels of them all, that are enough for a mean or a factor


@dataclasses.dataclass(frozen=True)
class Histogram:
    """Counts of values, int64 [2 * HALF], in bins of width 2**exponent; the middle edge is zero.

    low, high: the exact extremes.
    """

    exponent: int
    counts: NDArray[np.int64]
    low: float
    high: float


def histogram(values: NDArray[np.float32]) -> Histogram:
    """Count one finite array [..., C] in bins whose width is the least power of two that holds it.

    Of a large array every n-th position is counted, n-fold.
    """
    low, high = float(values.min()), float(values.max())
    exponent = int(np.floor(np.log2(max(-low, high, 1e-12) / HALF))) + 1
    every = -(-values.size // _COUNTED)
    sample = values.reshape(-1, *values.shape[-1:])[::every]
    # int16: an array of intp is so large that the system maps it anew each time, which took five times as long
    bins = np.floor(sample.ravel() * np.float32(2.0**-exponent)).astype(np.int16) + np.int16(HALF)
    return Histogram(exponent, np.bincount(bins, minlength=2 * HALF) * every, low, high)


def merge(parts: Iterable[Histogram]) -> Histogram:
    """Add histograms: bins melt exactly into the wider ones and counts are integers, so the order does not matter."""
    parts = tuple(parts)
    exponent = max(part.exponent for part in parts)
    counts = np.zeros(2 * HALF, np.int64)
    for part in parts:
        shift = min(exponent - part.exponent, _DEEPEST_SHIFT)
        if shift == 0:
            counts += part.counts
        else:
            np.add.at(counts, (np.arange(-HALF, HALF) >> shift) + HALF, part.counts)
    return Histogram(exponent, counts, min(part.low for part in parts), max(part.high for part in parts))


@dataclasses.dataclass(frozen=True)
class Observed:
    """Names of activation tensors, each with the histogram of its values over all images."""

    names: tuple[str, ...]
    histograms: tuple[Histogram, ...]


@dataclasses.dataclass(frozen=True)
class Ranges:
    """Activation ranges by tensor name: the lowest and highest value that int8 shall hold, float32 [tensors].

    lowest, highest: the extremes of all tensors that share the scale; int16 covers them without clipping.
    """

    names: tuple[str, ...]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    lowest: NDArray[np.float32]
    highest: NDArray[np.float32]

    def unclipped(self, names: Collection[str]) -> Ranges:
        """Return ranges that clip nothing in tensors of these names."""
        wide = np.isin(self.names, list(names))
        return dataclasses.replace(
            self, low=np.where(wide, self.lowest, self.low), high=np.where(wide, self.highest, self.high)
        )


def enough(items: Sequence[Item], most: int, pixels: int) -> list[Item]:
    """Return the items that a statistic over all positions needs: fewer of a large input, at most `most`.

    pixels: height x width of the input.
    """
    return spread(items, max(_LEAST, min(most, _PIXELS // pixels)))


def observe(model: Model, inputs: Inputs, say: Count = ignore, first: int = 0) -> Observed:
    """Run model inputs, float32 [1, ...], and count the values of every activation; first: number of the first one.

    Neither extremes nor counts depend on the order of the images, unlike a moving average; memory does not grow with
    their number. Raises DataError when an activation is NaN or infinite.
    """
    seen: dict[str, Histogram] = {}
    for name, values in activations(model, inputs, say, first):
        now = histogram(values)
        seen[name] = merge((seen[name], now)) if name in seen else now
    return Observed(tuple(seen), tuple(seen.values()))


def observe_halves(model: Model, inputs: Sequence[NDArray[np.float32]], say: Count = ignore) -> Observed:
    """Observe half of the inputs in each of two processes, where there are two cores; the histograms do not change.

    Neither the interpreter nor the counting gains from threads: both wait for Python's lock.
    """
    if len(os.sched_getaffinity(0)) < 2 or len(inputs) < _WORTH_A_PROCESS:
        return observe(model, inputs, say=say)
    half = len(inputs) // 2
    with isolated(observe, model, inputs[half:], ignore, half, timeout_s=_LONGEST_S) as wait:
        first = observe(model, inputs[:half], say=lambda done: say(2 * done))
        second: Observed = wait().unwrap("calibration")
    pairs = zip(first.histograms, second.histograms)
    return Observed(first.names, tuple(merge(pair) for pair in pairs))


def observe_channels(model: Model, inputs: Inputs, say: Count = ignore) -> dict[str, NDArray[np.float32]]:
    """Return the lowest and highest value in each channel of every activation, float32 [2, C] by tensor name.

    Arguments and errors are those of observe().
    """
    seen: dict[str, NDArray[np.float32]] = {}
    for name, values in activations(model, inputs, say):
        rows = values.reshape(-1, values.shape[-1] if values.shape else 1)
        low, high = seen.get(name, (rows[0], rows[0]))
        seen[name] = np.stack([np.minimum(low, rows.min(0)), np.maximum(high, rows.max(0))])
    return seen


def observe_means(model: Model, inputs: Sequence[NDArray[np.float32]]) -> dict[str, NDArray[np.float64]]:
    """Return the mean over images of every activation, float64 [...] by tensor name; errors as in observe()."""
    sums: dict[str, NDArray[np.float64]] = {}
    for name, values in activations(model, inputs):
        sums[name] = sums.get(name, 0.0) + values.astype(np.float64)
    return {name: values / len(inputs) for name, values in sums.items()}


def save_observed(observed: Observed, path: Path) -> None:
    """Write ranges.npz, without time stamps: equal histograms give equal bytes."""
    arrays = {
        field: np.asarray([getattr(each, field) for each in observed.histograms])
        for field in ("exponent", "counts", "low", "high")
    }
    save_npz({"names": np.asarray(observed.names), **arrays}, path)


def load_observed(path: Path) -> Observed:
    """Read ranges.npz; raises ArtifactError where it is damaged."""
    arrays = read_npz(path, ("names", "exponent", "counts", "low", "high"))
    rows = zip(arrays["exponent"], arrays["counts"], arrays["low"], arrays["high"])
    histograms = (Histogram(int(exponent), counts, float(low), float(high)) for exponent, counts, low, high in rows)
    return Observed(tuple(map(str, arrays["names"])), tuple(histograms))
