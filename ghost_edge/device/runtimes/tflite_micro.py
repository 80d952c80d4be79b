"""Interpreter TFLite Micro, which runs .tflite files as firmware does."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.errors import DeviceError, RecipeError
from ghost_edge.core.tensor import TensorSpec
from ghost_edge.device.runtimes.model import DelegateShare, one_line, version

_ARENA_BYTES = 64 << 20  # of the workstation's memory; what firmware needs is another question


class MicroModel:
    """Model of one input in TFLite Micro: reference kernels of its own, one thread, no delegate."""

    def __init__(self, name: str, path: Path, module: Any, kernels: str, threads: int) -> None:
        if kernels != "default" or threads != 1:
            raise RecipeError(f"{name} has kernels of its own and one thread; leave --kernels and --threads out")
        try:
            micro = module.Interpreter.from_bytes(path.read_bytes(), arena_size=_ARENA_BYTES)
        except (RuntimeError, ValueError) as error:
            raise DeviceError(
                f"{path}: {name} refuses it ({one_line(error)}); ghost-edge micro {path.name} names the operation"
            ) from error
        self.inputs: tuple[TensorSpec, ...] = (_spec("input", micro.get_input_details(0)),)
        self.outputs: tuple[TensorSpec, ...] = tuple(_output_specs(micro))
        self.interpreter, self.version = name, version(module)
        self.delegate: Optional[DelegateShare] = None
        self.invoke: Callable[[], Any] = micro.invoke
        self._micro = micro

    def set_inputs(self, arrays: Sequence[NDArray[Any]]) -> None:
        """Copy the input."""
        self._micro.set_input(arrays[0], 0)

    def outputs_now(self) -> list[NDArray[Any]]:
        """Return copies of the outputs."""
        return [np.array(self._micro.get_output(number)) for number in range(len(self.outputs))]


def _output_specs(micro: Any) -> Iterator[TensorSpec]:
    """Yield all outputs: it does not say how many there are, and prints from C++ when asked for one too many."""
    with Path(os.devnull).open("wb") as silent, contextlib.ExitStack() as stack:
        kept = os.dup(2)
        stack.callback(os.close, kept)
        stack.callback(os.dup2, kept, 2)
        os.dup2(silent.fileno(), 2)
        for number in itertools.count():
            try:
                details = micro.get_output_details(number)
            except IndexError:
                return
            yield _spec(f"output {number}" if number else "output", details)


def _spec(name: str, detail: Mapping[str, Any]) -> TensorSpec:
    stored = detail["quantization_parameters"]
    pairs = list(zip(stored["scales"], stored["zero_points"])) or [(0.0, 0)]
    shape, (scale, zero_point) = tuple(map(int, detail["shape"])), pairs[0]
    return TensorSpec(name, shape, np.dtype(detail["dtype"]).name, float(scale), int(zero_point))
