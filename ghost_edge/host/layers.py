"""What each layer of a quantized file loses against the float file that it was made of."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from ghost_edge.core.dataset import Image
from ghost_edge.core.preprocess import Preprocess, prepare
from ghost_edge.core.tensor import TensorSpec, dequantize, quantize
from ghost_edge.device.evaluate import match_input
from ghost_edge.host.causes import (
    Found,
    Seen,
    find_causes,
    find_healed,
    noise_share,
    use_of_range,
    widest_channel,
    widest_partner,
)
from ghost_edge.host.graph import Graph, Operation
from ghost_edge.host.ranges.observer import Observed, activations
from ghost_edge.host.ranges.ties import one_scale

_SAMPLE = 2**14  # values of one tensor and picture, as for its histogram
Channels = Mapping[str, NDArray[np.float32]]  # [2, C] by tensor name


@dataclasses.dataclass(frozen=True)
class LayerLoss:
    """What was lost up to one operation's output; None: nothing, or a float tensor.

    index: in the quantized file, None for the input. sqnr_db: of the tensor or of its median channel, the lower one;
    own_db: the same of rounding the float values to this tensor's scale and nothing else. noise: what enters here, as
    a share of the signal's power. bits: that all but 0.2 % of the values need. clipped: a share. low, high: the real
    numbers that its integers reach.
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


def measure(
    source: Path, graph: Graph, quantized: Path, images: Sequence[Image], preprocess: Preprocess
) -> dict[str, Seen]:
    """Run both files on pictures, uint8 [H, W, C]; every activation that has one name in both, by that name.

    graph: of the source. The quantized file runs on reference kernels: what is lost is the file's own doing.
    """
    stored = _open(quantized)
    given, twins = _spec(stored.get_input_details()[0]), {each["name"]: each for each in stored.get_tensor_details()}
    fed = match_input(quantized, given, preprocess)
    if given.holds_bytes:
        del twins[given.name]  # pixels, where the float file's input has them normalised

    def pictures() -> Iterator[NDArray[np.float32]]:
        for image in images:
            stored.set_tensor(stored.get_input_details()[0]["index"], quantize(prepare(image, fed), given))
            stored.invoke()
            yield prepare(image, preprocess)

    parts: dict[str, list[Seen]] = {}
    for name, values in activations(source, graph, pictures(), lambda done: None):
        if name in twins:
            now = compare(values, stored.get_tensor(twins[name]["index"]), _spec(twins[name]))
            parts.setdefault(name, []).append(now)
    return {name: _merge(each) for name, each in parts.items()}


def compare(values: NDArray[np.float32], stored: NDArray[Any], spec: TensorSpec) -> Seen:
    """Float values [..., C] against those that a file holds as spec; of a large tensor every n-th position counts."""
    every = -(-values.size // _SAMPLE)
    values, stored = (each.reshape(-1, each.shape[-1] if each.shape else 1)[::every] for each in (values, stored))
    rounding, error = (dequantize(each, spec) - values for each in (quantize(values, spec), stored))
    squares = (np.einsum("nc,nc->c", each, each, dtype=np.float64) for each in (values, rounding, error))
    return Seen(spec, np.abs(values).max(0).astype(np.float64), *squares)


def examine(
    source: Graph, quantized: Graph, seen: Mapping[str, Seen], observed: Observed, before: Channels
) -> tuple[LayerLoss, ...]:
    """A row for the input and each operation of the quantized file, in the order in which they run.

    observed: of the source. before: lowest and highest value by channel in the file that was equalized, if one was.
    """
    rows, noise = list[LayerLoss](), dict[int, float]()
    groups = {name: group for group in one_scale(source) for name in group}
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
            low, high = _reach(each.spec)
            row = dataclasses.replace(row, own_db=_db(own), bits=bits, clipped=clipped, causes=causes, healed=healed)
            row = dataclasses.replace(row, low=low, high=high)
        rows.append(row)
    return tuple(rows)


def _ratios(name: str, group: Sequence[str], peaks: Mapping[str, NDArray[Any]]) -> tuple[Found, Found]:
    reach = {other: float(peaks[other].max()) for other in group if other in peaks}
    return widest_channel(peaks[name]), widest_partner(name, reach)


def _reach(spec: TensorSpec) -> tuple[float, float]:
    limits = np.iinfo(spec.dtype)
    low, high = dequantize(np.array([limits.min, limits.max], spec.dtype), spec)
    return float(low), float(high)


def _db(noise: float) -> Optional[float]:
    return 10 * math.log10(1 / noise) if noise > 0 else None


def depthwise_weights(path: Path, graph: Graph) -> dict[str, NDArray[np.float32]]:
    """The largest |weight| by channel, [C], of each depthwise layer of a float file, by the name of what it makes."""
    stored = _open(path)
    return {
        graph.tensors[each.outputs[0]].name: np.abs(stored.get_tensor(each.inputs[1])).max((0, 1, 2))
        for each in graph.operations
        if each.name == "DEPTHWISE_CONV_2D"
    }


def _open(path: Path) -> Interpreter:
    keep = {"experimental_preserve_all_tensors": True, "experimental_op_resolver_type": OpResolverType.BUILTIN_REF}
    interpreter = Interpreter(str(path), num_threads=1, **keep)
    interpreter.allocate_tensors()
    return interpreter


def _spec(detail: Mapping[str, Any]) -> TensorSpec:
    scale, zero_point = detail["quantization"]
    shape = tuple(map(int, detail["shape"]))
    return TensorSpec(detail["name"], shape, np.dtype(detail["dtype"]).name, float(scale), int(zero_point))


def _merge(parts: Sequence[Seen]) -> Seen:
    sums = (np.sum([getattr(each, key) for each in parts], axis=0) for key in ("signal", "rounding", "error"))
    return Seen(parts[0].spec, np.max([each.peak for each in parts], axis=0), *sums)
