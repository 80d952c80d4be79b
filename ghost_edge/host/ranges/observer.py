"""One pass over the float .tflite with every tensor kept: the lowest and highest value of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from ghost_edge.core.errors import DataError
from ghost_edge.core.npz import read_npz, save_npz
from ghost_edge.host.graph import Graph, Tensor


@dataclasses.dataclass(frozen=True)
class Ranges:
    """Names of activation tensors with their lowest and highest value, float32 [tensors]."""

    names: tuple[str, ...]
    low: NDArray[np.float32]
    high: NDArray[np.float32]


def observe(tflite: Path, graph: Graph, inputs: Iterable[NDArray[np.float32]], *, say: Callable[[int], None]) -> Ranges:
    """Run model inputs, float32 [1, ...], and keep the global minimum and maximum of every activation.

    Global extremes do not depend on the order of the pictures, unlike a moving average.
    Raises DataError when an activation is NaN or infinite.
    """
    interpreter = Interpreter(
        str(tflite),
        experimental_preserve_all_tensors=True,
        # with a delegate, tensors inside its partition keep stale values: another range, and no error
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        num_threads=1,  # two wait for each other when a core is busy: measured slower, and float sums in another order
    )
    interpreter.allocate_tensors()
    watched = [tensor for tensor in graph.tensors if tensor.dtype == "float32" and not tensor.constant]
    low, high = np.full(len(watched), np.inf, np.float32), np.full(len(watched), -np.inf, np.float32)
    for number, values in enumerate(inputs):
        interpreter.set_tensor(graph.inputs[0], values)
        interpreter.invoke()
        lowest, highest = _extremes(interpreter, watched)
        low, high = np.minimum(low, lowest), np.maximum(high, highest)
        _check_finite(interpreter.get_tensor(graph.outputs[0]), number)
        say(number + 1)
    return Ranges(names=tuple(tensor.name for tensor in watched), low=low, high=high)


def _extremes(interpreter: Interpreter, watched: Sequence[Tensor]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Lowest and highest value of each tensor after invoke(); views, not copies, and none outlives this call."""
    views = [interpreter.tensor(tensor.index)() for tensor in watched]
    return np.array([view.min() for view in views]), np.array([view.max() for view in views])


def save_ranges(ranges: Ranges, path: Path) -> None:
    """Write ranges.npz, byte for byte the same for the same ranges (no time stamps)."""
    save_npz({"names": np.asarray(ranges.names), "low": ranges.low, "high": ranges.high}, path)


def load_ranges(path: Path) -> Ranges:
    """Read ranges.npz; raises ArtifactError where it is damaged."""
    arrays = read_npz(path, ("names", "low", "high"))
    return Ranges(tuple(map(str, arrays["names"])), arrays["low"], arrays["high"])


def _check_finite(output: NDArray[np.float32], number: int) -> None:
    if not np.isfinite(output).all():
        raise DataError(
            f"calibration picture {number} makes the float model answer NaN or infinity; "
            "check [preprocess] mean and std, and the weights"
        )
