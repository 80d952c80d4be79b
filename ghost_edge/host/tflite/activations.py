"""Run a .tflite in this process and keep every tensor."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from ghost_edge.core.errors import ArtifactError, DataError
from ghost_edge.device.evaluate import predict_inputs
from ghost_edge.device.runtimes.model import one_line
from ghost_edge.host.tflite.graph import Model

Input = NDArray[np.float32]  # of a float model, [1, ...]
Inputs = Iterable[Input]
Count = Callable[[int], None]  # hears how many images are done
_KERNELS = {
    # with a delegate, tensors inside its partition keep stale values: another range, and no error
    "optimised": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "reference": OpResolverType.BUILTIN_REF,  # the same bytes on every machine
}


def ignore(done: int) -> None:
    """Be a Count that nobody listens to."""


def open_interpreter(model: Model, kernels: str = "optimised") -> Interpreter:
    """Return an allocated interpreter that keeps all tensors; ArtifactError where LiteRT refuses the file.

    kernels: "optimised" or "reference".
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # that keeping all tensors takes memory, which is meant
            interpreter = Interpreter(
                model_content=model.content,
                experimental_preserve_all_tensors=True,
                experimental_op_resolver_type=_KERNELS[kernels],
                num_threads=1,  # two wait for each other on a busy core: slower, and float sums in another order
            )
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ArtifactError(f"{model.name} is refused by LiteRT: {one_line(error)}") from error
    return interpreter


def predict_content(content: bytes, inputs: Sequence[Input]) -> NDArray[np.float32]:
    """Return the answers of a .tflite that is no file yet, float32 [N, values], to inputs of the float model."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.tflite"
        path.write_bytes(content)
        return predict_inputs(path, inputs)


def activations(
    model: Model, inputs: Inputs, say: Count = ignore, first: int = 0
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield name and values of each float activation, image after image; values live until the next are asked for.

    inputs: of the float model, float32 [1, ...]; first: number of the first one, for messages. Raises DataError when an
    activation is NaN or infinite.
    """
    interpreter = open_interpreter(model)
    watched = [tensor for tensor in model.tensors if tensor.is_float_activation]
    for number, image in enumerate(inputs, first):
        interpreter.set_tensor(model.inputs[0], image)
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
