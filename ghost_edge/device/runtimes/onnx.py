"""Interpreter ONNX Runtime, for .onnx files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.errors import DeviceError
from ghost_edge.core.tensor import TensorSpec
from ghost_edge.device.board import has_vnni
from ghost_edge.device.runtimes.model import DelegateShare, check_open, damaged, one_line

# without it, sums of two products saturate at 16 bits where an x86 processor has no VNNI, silently; with
# it, a processor that has loses a third of its speed
PRECISE = "session.x64quantprecision"
SCALES = "ghost_edge_scales"  # in metadata_props: scale and zero point of integer inputs and outputs, JSON by name


def refusals(module: Any) -> tuple[type[Exception], ...]:
    """Return the exceptions that ONNX Runtime raises when it does not run a file; they have no base class."""
    state = module.capi.onnxruntime_pybind11_state
    return state.Fail, state.NotImplemented, state.RuntimeException, state.InvalidArgument, state.InvalidGraph


class OnnxModel:
    """An .onnx file in ONNX Runtime on the CPU; an open batch dimension is 1."""

    def __init__(self, name: str, path: Path, module: Any, kernels: str, threads: int) -> None:
        state = module.capi.onnxruntime_pybind11_state
        options = module.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # fatal: what goes wrong comes as an exception too
        # others' files are run as a program of others would; ONNX Runtime even refuses some with this option
        if kernels != "optimised" and not has_vnni() and SCALES.encode() in path.read_bytes():
            options.add_session_config_entry(PRECISE, "1")
        if kernels == "reference":
            options.graph_optimization_level = module.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            session = module.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except (state.InvalidProtobuf, state.InvalidGraph, state.InvalidArgument) as error:
            raise damaged(path, one_line(error)) from error
        except refusals(module) as error:
            raise DeviceError(f"{path}: {name} refuses it: {one_line(error)}") from error
        for tensor in session.get_inputs():
            check_open(path, tensor.name, [size if isinstance(size, int) else -1 for size in tensor.shape])
        scales = _read_scales(path, session.get_modelmeta().custom_metadata_map.get(SCALES, "{}"))
        self.inputs = tuple(_onnx_spec(tensor, scales, open_batch=1) for tensor in session.get_inputs())
        self.outputs = tuple(_onnx_spec(tensor, scales, open_batch=-1) for tensor in session.get_outputs())
        self.interpreter, self.version = name, str(module.__version__)
        self.delegate: Optional[DelegateShare] = None
        self.invoke: Callable[[], Any] = self._run
        self._session = session
        self._names = [spec.name for spec in self.outputs]
        self._feeds: dict[str, NDArray[Any]] = {}
        self._results: list[NDArray[Any]] = []

    def set_inputs(self, arrays: Sequence[NDArray[Any]]) -> None:
        """Keep one array an input."""
        self._feeds = {spec.name: np.array(array) for spec, array in zip(self.inputs, arrays)}

    def outputs_now(self) -> list[NDArray[Any]]:
        """Return copies of the outputs."""
        return [np.array(result) for result in self._results]

    def _run(self) -> None:
        self._results = self._session.run(self._names, self._feeds)


def _read_scales(path: Path, text: str) -> dict[str, tuple[float, int]]:
    try:
        return {str(name): (float(scale), int(zero_point)) for name, (scale, zero_point) in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise damaged(path, f"{SCALES} in its metadata: {one_line(error)}") from error


def _onnx_spec(tensor: Any, scales: Mapping[str, tuple[float, int]], *, open_batch: int) -> TensorSpec:
    shape = [size if isinstance(size, int) else -1 for size in tensor.shape]
    if shape and shape[0] == -1:
        shape[0] = open_batch
    kind = tensor.type[len("tensor(") : -1]
    dtype = {"float": "float32", "double": "float64"}.get(kind, kind)
    return TensorSpec(tensor.name, tuple(shape), dtype, *scales.get(tensor.name, ()))
