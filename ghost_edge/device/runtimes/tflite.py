"""Interpreters LiteRT and tflite-runtime, for .tflite files."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.errors import DeviceError, MissingPackageError
from ghost_edge.core.tensor import TensorSpec
from ghost_edge.device.isolate import OUT_OF_MEMORY
from ghost_edge.device.runtimes.model import PIP, DelegateShare, check_open, damaged, one_line, version

# in what LiteRT and tflite-runtime say of an operation that is too new for them
_UNKNOWN = re.compile(r"builtin opcode '(\w+)' version '(\d+)'|builtin_code out of range: (\d+)")
_RESOLVERS = {"default": "AUTO", "optimised": "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "reference": "BUILTIN_REF"}


class TfliteModel:
    """Model in LiteRT or tflite-runtime; the two share their interface."""

    def __init__(self, name: str, path: Path, module: Any, kernels: str, threads: int) -> None:
        resolver = module.OpResolverType[_RESOLVERS[kernels]]
        try:
            tflite = module.Interpreter(str(path), num_threads=threads, experimental_op_resolver_type=resolver)
        except ValueError as error:
            if "Flatbuffer" in str(error):
                raise damaged(path, one_line(error)) from error
            raise DeviceError(f"{path}: {name} refuses it: {_why(error, module)}") from error
        except SystemError as error:  # built against numpy 1, it imports with numpy 2 and then returns nonsense
            raise MissingPackageError(
                f"{name} {version(module)} does not work with numpy {np.__version__}; run: {PIP} 'numpy<2'"
            ) from error
        for detail in tflite.get_input_details():
            check_open(path, str(detail["name"]), detail["shape_signature"])
        try:
            tflite.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise DeviceError(f"{path}: {name} cannot allocate it: {_why(error, module)}") from error
        self._tflite = tflite
        self._input_ids = [int(detail["index"]) for detail in tflite.get_input_details()]
        self._output_ids = [int(detail["index"]) for detail in tflite.get_output_details()]
        self.inputs = tuple(tflite_spec(detail) for detail in tflite.get_input_details())
        self.outputs = tuple(tflite_spec(detail) for detail in tflite.get_output_details())
        self.interpreter = name
        self.version = version(module)
        self.delegate: Optional[DelegateShare] = delegate_share(tflite._get_ops_details())
        self.invoke: Callable[[], Any] = tflite.invoke  # no call of ours between the clock and the interpreter

    def set_inputs(self, arrays: Sequence[NDArray[Any]]) -> None:
        """Copy one array an input."""
        for index, array in zip(self._input_ids, arrays):
            self._tflite.set_tensor(index, array)

    def outputs_now(self) -> list[NDArray[Any]]:
        """Return copies of the outputs."""
        return [np.asarray(self._tflite.get_tensor(index)) for index in self._output_ids]


def delegate_share(ops: Sequence[Mapping[str, Any]]) -> DelegateShare:
    """Count what a delegate took, from _get_ops_details() after allocate_tensors().

    That list holds the file's ops and, behind them, a DELEGATE node a partition. A partition is every op that leads to
    its outputs without passing its inputs: TFLite lists as inputs all tensors that the partition reads and does not
    make (tensorflow/lite/graph_info.cc), so this is the same set that it replaced, not an estimate.
    """
    nodes = [op for op in ops if op["op_name"] == "DELEGATE"]
    originals = [op for op in ops if op["op_name"] != "DELEGATE"]
    makers = {int(tensor): index for index, op in enumerate(originals) for tensor in op["outputs"]}
    taken: set[int] = set()
    for node in nodes:
        given = {int(tensor) for tensor in node["inputs"]}
        waiting = [int(tensor) for tensor in node["outputs"]]
        while waiting:
            tensor = waiting.pop()
            maker = makers.get(tensor)
            if tensor in given or maker is None or maker in taken:
                continue
            taken.add(maker)
            waiting.extend(int(tensor) for tensor in originals[maker]["inputs"])
    return DelegateShare(ops=len(originals), delegated_ops=len(taken), partitions=len(nodes))


def tflite_spec(detail: Mapping[str, Any]) -> TensorSpec:
    """Return the TensorSpec of a tensor's details, as get_input_details() and get_tensor_details() list them."""
    scale, zero_point = detail["quantization"]
    shape = tuple(int(size) for size in detail["shape"])
    return TensorSpec(str(detail["name"]), shape, np.dtype(detail["dtype"]).name, float(scale), int(zero_point))


def _why(error: Exception, module: Any) -> str:
    """Return the interpreter's reason, with the way out where it is about a new operation or memory."""
    text, unknown = one_line(error), _UNKNOWN.search(str(error))
    if unknown:
        what = f"{unknown[1]} version {unknown[2]}" if unknown[1] else f"operation number {unknown[3]}"
        return f'{version(module)} has no {what}; set target = "zynq7000" in the recipe, or take a newer interpreter'
    if "failed with error '12'" in text:  # ENOMEM, of mmap
        return OUT_OF_MEMORY
    return f"{text}; too little memory, or try --kernels reference" if "xnnpack" in text.lower() else text
