"""Open a model file with the interpreter that is installed here, whichever it is."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, Protocol

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.errors import ArtifactError, DeviceError, MissingPackageError, RecipeError
from ghost_edge.core.options import pick
from ghost_edge.core.tensor import TensorSpec
from ghost_edge.device.isolate import OUT_OF_MEMORY

KERNELS = ("default", "reference")
MODEL_SUFFIXES = (".tflite", ".onnx")
_PIP = "python3 -m pip install"
# in what LiteRT and tflite-runtime say of an operation that is too new for them
_UNKNOWN = re.compile(r"builtin opcode '(\w+)' version '(\d+)'|builtin_code out of range: (\d+)")
_TFLITE_MAGIC = b"TFL3"  # FlatBuffers file identifier, tensorflow/lite/schema/schema.fbs


@dataclasses.dataclass(frozen=True)
class DelegateShare:
    """How many of a graph's ops run inside the delegate, and in how many pieces (partitions) it took them."""

    ops: int
    delegated_ops: int
    partitions: int


class Model(Protocol):
    """A model ready to run, batch 1. delegate is None where the interpreter has no such thing."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    interpreter: str
    version: str
    delegate: Optional[DelegateShare]
    invoke: Callable[[], Any]

    def set_inputs(self, arrays: Sequence[NDArray[Any]]) -> None:
        """Copy one array an input, each of its spec's shape and dtype."""

    def outputs_now(self) -> list[NDArray[Any]]:
        """Copies of what the last invoke() left, one an output."""


def open_model(path: Path, *, runtime: str = "auto", kernels: str = "default", threads: int = 1) -> Model:
    """Open a .tflite or .onnx file, ready to invoke.

    kernels: "default" is what the interpreter would do; "reference" is plain loops without a delegate (.tflite: the
    same int8 bytes on every machine) or without graph optimisation (.onnx).
    Raises ArtifactError (missing, damaged, open dimensions), MissingPackageError, DeviceError (it is refused).
    """
    if kernels not in KERNELS or threads < 1:
        raise RecipeError(f"kernels {kernels!r}, threads {threads}: need {' or '.join(KERNELS)}, and at least 1 thread")
    check_model_file(path)
    name, module = import_interpreter(path, runtime)
    return INTERPRETERS[name].open(name, path, module, kernels, threads)


def import_interpreter(path: Path, runtime: str = "auto") -> tuple[str, Any]:
    """Import the interpreter for this file; return its name in INTERPRETERS and the module.

    Raises MissingPackageError with the pip command when it is not installed or does not load.
    """
    name = choose_interpreter(path, runtime)
    row = INTERPRETERS[name]
    try:
        return name, importlib.import_module(row.module)
    except (ImportError, OSError) as error:  # OSError: LiteRT loads a library by hand
        way_out = f"{_PIP} --force-reinstall {row.install}"
        if "libstdc++" in str(error):
            way_out = "apt-get install libstdc++6, or add it to the image"
        raise MissingPackageError(f"{name} does not load ({one_line(error)}); try: {way_out}") from error


def check_model_file(path: Path) -> None:
    """Raise ArtifactError unless path is a file that begins as its suffix promises."""
    if path.suffix not in MODEL_SUFFIXES:
        raise ArtifactError(f"{path} is not a model this can run; expected a file named .tflite or .onnx")
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error.strerror}); check the path") from error
    if not head:
        raise ArtifactError(f"{path} is empty; copy or convert it again")
    if path.suffix == ".tflite" and head[4:8] != _TFLITE_MAGIC:
        raise _damaged(path, f"bytes 4 to 8 are {head[4:8]!r}, expected {_TFLITE_MAGIC!r}")


def is_runnable(path: Path) -> bool:
    """Whether an interpreter for this kind of file is installed here."""
    try:
        return bool(choose_interpreter(path))
    except MissingPackageError:
        return False


def choose_interpreter(path: Path, runtime: str = "auto") -> str:
    """The name of the interpreter for this file: the one asked for, else the first of its kind that is installed."""
    if runtime != "auto" and path.suffix != pick(INTERPRETERS, runtime, kind="runtime").suffix:
        raise ArtifactError(f"{path}: {runtime} runs {INTERPRETERS[runtime].suffix} files; leave --runtime out")
    known = [name for name, row in INTERPRETERS.items() if row.suffix == path.suffix]
    asked = known if runtime == "auto" else [runtime]
    for name in asked:
        if importlib.util.find_spec(INTERPRETERS[name].module.partition(".")[0]):
            return name
    armv7 = os.uname().machine.startswith("armv7")
    published = INTERPRETERS[asked[-1] if armv7 else asked[0]]
    way_out = f"which is not installed; run: {_PIP} {published.install}"
    if armv7 and published.module != "tflite_runtime.interpreter":
        way_out = "published for no armv7l; take the int8 .tflite file and tflite-runtime"
    raise MissingPackageError(f"{path} needs {' or '.join(asked)}, {way_out}")


def one_line(error: BaseException) -> str:
    """What an exception says, on one line of at most 160 characters: interpreters repeat themselves."""
    text = " ".join(str(error).split())
    return text if len(text) <= 160 else text[:157] + "..."


def _why(error: Exception, module: Any) -> str:
    """What the interpreter says; where it speaks of a new operation or of memory, the way out too."""
    text, unknown = one_line(error), _UNKNOWN.search(str(error))
    if unknown:
        what = f"{unknown[1]} version {unknown[2]}" if unknown[1] else f"operation number {unknown[3]}"
        return f'{_version(module)} has no {what}; set target = "zynq7000" in the recipe, or take a newer interpreter'
    if "failed with error '12'" in text:  # ENOMEM, of mmap
        return OUT_OF_MEMORY
    return f"{text}; too little memory, or try --kernels reference" if "xnnpack" in text.lower() else text


def _version(module: Any) -> str:
    return str(importlib.import_module(module.__name__.partition(".")[0]).__version__)


class TfliteModel:
    """A .tflite file in LiteRT or tflite-runtime; the two share their interface."""

    def __init__(self, name: str, path: Path, module: Any, kernels: str, threads: int) -> None:
        resolver = module.OpResolverType.AUTO if kernels == "default" else module.OpResolverType.BUILTIN_REF
        try:
            tflite = module.Interpreter(str(path), num_threads=threads, experimental_op_resolver_type=resolver)
        except ValueError as error:
            if "Flatbuffer" in str(error):
                raise _damaged(path, one_line(error)) from error
            raise DeviceError(f"{path}: {name} refuses it: {_why(error, module)}") from error
        except SystemError as error:  # built against numpy 1, it imports with numpy 2 and then returns nonsense
            raise MissingPackageError(
                f"{name} {_version(module)} does not work with numpy {np.__version__}; run: {_PIP} 'numpy<2'"
            ) from error
        for detail in tflite.get_input_details():
            _check_open(path, str(detail["name"]), detail["shape_signature"])
        try:
            tflite.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise DeviceError(f"{path}: {name} cannot allocate it: {_why(error, module)}") from error
        self._tflite = tflite
        self._input_ids = [int(detail["index"]) for detail in tflite.get_input_details()]
        self._output_ids = [int(detail["index"]) for detail in tflite.get_output_details()]
        self.inputs = tuple(_tflite_spec(detail) for detail in tflite.get_input_details())
        self.outputs = tuple(_tflite_spec(detail) for detail in tflite.get_output_details())
        self.interpreter = name
        self.version = _version(module)
        self.delegate: Optional[DelegateShare] = delegate_share(tflite._get_ops_details())
        self.invoke: Callable[[], Any] = tflite.invoke  # no call of ours between the clock and the interpreter

    def set_inputs(self, arrays: Sequence[NDArray[Any]]) -> None:
        """Copy one array an input."""
        for index, array in zip(self._input_ids, arrays):
            self._tflite.set_tensor(index, array)

    def outputs_now(self) -> list[NDArray[Any]]:
        """Copies of the outputs."""
        return [np.asarray(self._tflite.get_tensor(index)) for index in self._output_ids]


class OnnxModel:
    """An .onnx file in ONNX Runtime on the CPU; an open batch dimension is 1."""

    def __init__(self, name: str, path: Path, module: Any, kernels: str, threads: int) -> None:
        state = module.capi.onnxruntime_pybind11_state
        options = module.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # fatal: what goes wrong comes as an exception too
        if kernels == "reference":
            options.graph_optimization_level = module.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            session = module.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except (state.InvalidProtobuf, state.InvalidGraph, state.InvalidArgument) as error:
            raise _damaged(path, one_line(error)) from error
        except (state.Fail, state.NotImplemented, state.RuntimeException) as error:
            raise DeviceError(f"{path}: {name} refuses it: {one_line(error)}") from error
        for tensor in session.get_inputs():
            _check_open(path, tensor.name, [size if isinstance(size, int) else -1 for size in tensor.shape])
        self.inputs = tuple(_onnx_spec(tensor, open_batch=1) for tensor in session.get_inputs())
        self.outputs = tuple(_onnx_spec(tensor, open_batch=-1) for tensor in session.get_outputs())
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
        """Copies of the outputs."""
        return [np.array(result) for result in self._results]

    def _run(self) -> None:
        self._results = self._session.run(self._names, self._feeds)


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


def _tflite_spec(detail: Mapping[str, Any]) -> TensorSpec:
    scale, zero_point = detail["quantization"]
    shape = tuple(int(size) for size in detail["shape"])
    return TensorSpec(str(detail["name"]), shape, np.dtype(detail["dtype"]).name, float(scale), int(zero_point))


def _onnx_spec(tensor: Any, *, open_batch: int) -> TensorSpec:
    shape = [size if isinstance(size, int) else -1 for size in tensor.shape]
    if shape and shape[0] == -1:
        shape[0] = open_batch
    kind = tensor.type[len("tensor(") : -1]
    return TensorSpec(tensor.name, tuple(shape), {"float": "float32", "double": "float64"}.get(kind, kind))


def _check_open(path: Path, name: str, shape: Sequence[int]) -> None:
    if any(size < 0 for size in shape[1:]):
        raise ArtifactError(
            f"{path}: input {name!r} has open dimensions {list(map(int, shape))}; export it with fixed ones"
        )


def _damaged(path: Path, reason: str) -> ArtifactError:
    return ArtifactError(f"{path} is damaged or not a {path.suffix} file ({reason}); copy or convert it again")


@dataclasses.dataclass(frozen=True)
class Interpreter:
    """A row of INTERPRETERS: the module to import, what pip calls it, the files it runs, and what opens one."""

    module: str
    install: str
    suffix: str
    open: Callable[[str, Path, Any, str, int], Model]


# The order is that of preference; .tflite on armv7l has only the second (no other wheel is published for it).
INTERPRETERS = {
    "litert": Interpreter("ai_edge_litert.interpreter", "ai-edge-litert", ".tflite", TfliteModel),
    "tflite-runtime": Interpreter("tflite_runtime.interpreter", "tflite-runtime 'numpy<2'", ".tflite", TfliteModel),
    "onnxruntime": Interpreter("onnxruntime", "onnxruntime", ".onnx", OnnxModel),
}
