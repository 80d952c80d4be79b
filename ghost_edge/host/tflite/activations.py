"""Run a float .tflite and keep every activation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from ghost_edge.core.errors import DataError
from ghost_edge.host.tflite.graph import Model

Inputs = Iterable[NDArray[np.float32]]
Say = Callable[[int], None]


def activations(
    tflite: Path, graph: Model, inputs: Inputs, say: Say, first: int = 0
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Name and values of each float activation, image after image; the values live until the next is asked for."""
    interpreter = Interpreter(
        str(tflite),
        experimental_preserve_all_tensors=True,
        # with a delegate, tensors inside its partition keep stale values: another range, and no error
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        num_threads=1,  # two wait for each other when a core is busy: measured slower, and float sums in another order
    )
    interpreter.allocate_tensors()
    watched = [tensor for tensor in graph.tensors if tensor.dtype == "float32" and not tensor.constant]
    for number, image in enumerate(inputs, first):
        interpreter.set_tensor(graph.inputs[0], image)
        interpreter.invoke()
        for tensor in watched:
            values = interpreter.get_tensor(tensor.index)
            if not np.isfinite(values).all():
                raise DataError(
                    f"calibration image {number} makes the float model answer NaN or infinity in {tensor.name}; "
                    "check [preprocess] mean and std, and the weights"
                )
            yield tensor.name, values
        say(number + 1 - first)
