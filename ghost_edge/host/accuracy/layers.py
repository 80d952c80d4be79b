"""Measure the quantization error of each layer against the float model, and find its causes."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.dataset import Image
from ghost_edge.core.errors import ArtifactError, RecipeError
from ghost_edge.core.options import from_table
from ghost_edge.core.preprocess import Preprocess, prepare
from ghost_edge.core.tables import Column
from ghost_edge.core.tensor import TensorSpec, dequantize, quantize
from ghost_edge.device.evaluate import stored_input
from ghost_edge.host.calibration import scale_groups
from ghost_edge.host.calibration.observe import HALF, Histogram, Observed
from ghost_edge.host.tflite.activations import activations, open_interpreter
from ghost_edge.host.tflite.graph import Model, Operation

COLUMNS = (
    Column("op", "index"),
    Column("operation", "operation"),
    Column("layer", "layer"),
    Column("noise", "noise", ".2%"),
    Column("SQNR dB", "sqnr_db", ".1f"),
    Column("own dB", "own_db", ".1f"),
    Column("bits", "bits", ".1f"),
    Column("why", "why"),
)

Floats = NDArray[np.float64]
Found = tuple[float, str]  # how many times too wide, and what, in words
_HARM = 1e-3  # noise over signal, 30 dB: what a healthy network gathers in all its layers together
_CHANNEL, _PARTNER, _OUTLIER = 8.0, 4.0, 4.0  # times too wide: three and two bits
_CLIPPED, _DEAD = 1e-3, 1 / 8  # shares of the values, and of the channels
_GONE = 0.5  # share of a channel's power, rounded away
_MIDDLE = (0.001, 0.999)

_SAMPLE = 2**14  # values of one tensor and image, as for its histogram
Channels = Mapping[str, NDArray[np.float32]]  # [2, C] by tensor name


@dataclasses.dataclass(frozen=True)
class LayerLoss:
    """Quantization error of one operation's output.

    index: of the operation in the quantized model, None for the input. sqnr_db: SQNR of the tensor or of its median
    channel, the lower one; None without error. own_db: SQNR of rounding the float values to the tensor's scale and
    nothing else; None for a float tensor. noise: power of the error that enters here, as a share of the signal's. bits:
    that all but 0.2 % of the values need. clipped: share of the values. low, high: the real numbers that the tensor's
    integers reach. causes: of lost bits. healed: wide channels and partners that equalization narrowed.
    """

    index: Optional[int]
    operation: str
    name: str
    sqnr_db: Optional[float]
    noise: float
    own_db: Optional[float] = None
    bits: Optional[float] = None
    clipped: Optional[float] = None
    low: Optional[float] = None
    high: Optional[float] = None
    causes: tuple[str, ...] = ()
    healed: tuple[str, ...] = ()


def measure(source: Model, quantized: Model, images: Sequence[Image], preprocess: Preprocess) -> dict[str, Seen]:
    """Run both models on images, uint8 [H, W, C]; return every activation that has one name in both, by that name.

    The quantized model runs on reference kernels: its loss is the file's, not that of a kernel.
    """
    stored, given = open_interpreter(quantized, "reference"), quantized.tensors[quantized.inputs[0]]
    both = {each.name: each for each in quantized.tensors}
    if given.spec.holds_bytes:
        del both[given.name]  # pixels, where the float file's input has them normalised

    def inputs() -> Iterator[NDArray[np.float32]]:
        for image in images:
            stored.set_tensor(given.index, stored_input(image, preprocess, given.spec, Path(quantized.name)))
            stored.invoke()
            yield prepare(image, preprocess)

    parts: dict[str, list[Seen]] = {}
    for name, values in activations(source, inputs()):
        if name in both:
            now = compare(values, stored.get_tensor(both[name].index), both[name].spec)
            parts.setdefault(name, []).append(now)
    return {name: _merge(each) for name, each in parts.items()}


def compare(values: NDArray[np.float32], stored: NDArray[Any], spec: TensorSpec) -> Seen:
    """Compare float values [..., C] with the stored ones, which spec describes.

    Of a large tensor every n-th position counts.
    """
    every = -(-values.size // _SAMPLE)
    values, stored = (each.reshape(-1, each.shape[-1] if each.shape else 1)[::every] for each in (values, stored))
    rounding, error = (dequantize(each, spec) - values for each in (quantize(values, spec), stored))
    squares = (np.einsum("nc,nc->c", each, each, dtype=np.float64) for each in (values, rounding, error))
    return Seen(spec, np.abs(values).max(0).astype(np.float64), *squares)


def examine(
    source: Model, quantized: Model, seen: Mapping[str, Seen], observed: Observed, before: Channels
) -> tuple[LayerLoss, ...]:
    """Return a row for the input and each operation of the quantized model, in the order in which they run.

    observed: of the source. before: lowest and highest value by channel in the file that was equalized, if one was.
    """
    rows, noise = list[LayerLoss](), dict[int, float]()
    groups = {name: group for group in scale_groups(source) for name in group}
    held = dict(zip(observed.names, observed.histograms))
    after = {name: each.peak for name, each in seen.items()}
    old = {name: np.abs(each).max(0) for name, each in before.items()}
    for number, operation in enumerate((Operation("INPUT", (), quantized.inputs), *quantized.operations)):
        name = quantized.tensors[operation.outputs[0]].name
        entered = max([noise.get(index, 0.0) for index in operation.inputs], default=0.0)
        each = seen.get(name)
        if each is None or operation.name == "RESHAPE":  # which makes other channels of the same values
            noise[operation.outputs[0]] = entered
            continue
        total = noise[operation.outputs[0]] = noise_share(each.signal, each.error)
        own = noise_share(each.signal, each.rounding)
        row = LayerLoss(number - 1 if number else None, operation.name, name, _db(total), max(total - entered, own))
        if each.spec.is_quantized:
            ratios = _ratios(name, groups[name], after)
            bits, clipped, _ = use_of_range(held[name], each.spec)
            causes = find_causes(each, held[name], *ratios)
            healed = find_healed(_ratios(name, groups[name], old), ratios) if old else ()
            limits = np.iinfo(each.spec.dtype)
            low, high = dequantize(np.array([limits.min, limits.max], each.spec.dtype), each.spec).tolist()
            found = {"bits": bits, "clipped": clipped, "low": low, "high": high, "causes": causes, "healed": healed}
            row = dataclasses.replace(row, own_db=_db(own), **found)
        rows.append(row)
    return tuple(rows)


def _ratios(name: str, group: Sequence[str], peaks: Mapping[str, NDArray[Any]]) -> tuple[Found, Found]:
    reach = {other: float(peaks[other].max()) for other in group if other in peaks}
    return widest_channel(peaks[name]), widest_partner(name, reach)


def _db(noise: float) -> Optional[float]:
    return 10 * math.log10(1 / noise) if noise > 0 else None


def _merge(parts: Sequence[Seen]) -> Seen:
    sums = (np.sum([getattr(each, key) for each in parts], axis=0) for key in ("signal", "rounding", "error"))
    return Seen(parts[0].spec, np.max([each.peak for each in parts], axis=0), *sums)


@dataclasses.dataclass(frozen=True)
class Seen:
    """Sums over all positions of one tensor by channel, float64 [C]; peak: the largest |value|, else squares.

    signal: of the values; rounding: of rounding them to spec, the stored tensor; error: of all that was lost.
    """

    spec: TensorSpec
    peak: Floats
    signal: Floats
    rounding: Floats
    error: Floats


def noise_share(signal: Floats, error: Floats) -> float:
    """Return the power of the error over that of the signal, of the tensor or its median channel, the larger one.

    In a sum over the tensor one wide channel hides the error of the others. Channels that are always zero are left out.
    """
    live = signal > 0
    return float(max(error.sum() / signal.sum(), np.median(error[live] / signal[live]))) if live.any() else 0.0


def use_of_range(held: Histogram, spec: TensorSpec) -> tuple[float, float, float]:
    """Return the bits that all but 0.2 % of the values need, the share of clipped values, and a ratio.

    The ratio is the reach of all values over that of those 99.8 %.
    """
    limits, width, total = np.iinfo(spec.dtype), 2.0**held.exponent, held.counts.sum()
    low, high = ((float(limit) - spec.zero_point) * spec.scale for limit in (limits.min, limits.max))
    edges = np.arange(-HALF, HALF) * width
    beyond = (edges > high + spec.scale / 2) | (edges + width < low - spec.scale / 2)
    first, last = np.searchsorted(np.cumsum(held.counts) / total, _MIDDLE)
    span = float(min((last - first + 1) * width, high - low))
    reach = min(max(held.high, 0.0), high) - max(min(held.low, 0.0), low)
    return float(np.log2(span / spec.scale + 1)), float(held.counts[beyond].sum() / total), reach / span


def widest_channel(peak: Floats) -> Found:
    """Return the width of the widest channel over that of the median channel, without channels that are always zero."""
    ratio = float(peak.max() / np.median(peak[peak > 0])) if peak.any() else 1.0
    return ratio, f"channel {peak.argmax()} is {ratio:.0f}x as wide as the median channel"


def widest_partner(name: str, reach: Mapping[str, float]) -> Found:
    """Return the width of the widest tensor that shares the scale of this one over its own; reach: width by name."""
    partner = max(reach, key=lambda other: reach[other])
    ratio = reach[partner] / reach[name] if reach[name] > 0 else 1.0
    return ratio, f"sharing a scale with {label(partner)}, which is {ratio:.0f}x as wide"


def find_causes(seen: Seen, held: Histogram, channel: Found, partner: Found) -> tuple[str, ...]:
    """Return the causes that waste the range of an integer tensor; none where its values still round well."""
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
    """Return channel and partner that were too wide in the float file and that equalization at least halved."""
    return tuple(
        f"{words} in the float file, equalized to {now:.0f}x"
        for (times, words), (now, _), limit in zip(before, after, (_CHANNEL, _PARTNER))
        if times >= limit and now <= times / 2
    )


def label(name: str) -> str:
    """Return the layer in the name of a tensor: the second of model/layer/operation."""
    parts = name.split(";")[0].split("/")
    return parts[1] if len(parts) > 2 else parts[0]


def read_layers(path: Path) -> list[LayerLoss]:
    """Read layers.json; ArtifactError where it is missing, damaged, or of another version."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return [from_table(LayerLoss, row, "a layer") for row in rows]
    except (OSError, ValueError, TypeError, RecipeError) as error:
        raise ArtifactError(f"{path} is not what convert of this version writes ({error}); convert again") from error


def layer_rows(layers: Sequence[LayerLoss], count: Optional[int] = None) -> list[dict[str, Any]]:
    """Return rows of COLUMNS, the layers in which most noise enters first; at most `count`."""
    rows = sorted(layers, key=lambda row: -row.noise)[:count]
    return [{**vars(row), "layer": label(row.name), "why": "; ".join(row.causes + row.healed)} for row in rows]
