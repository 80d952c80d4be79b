"""Export an int8 .tflite as an int8 ONNX model, and compare the two op by op on identical inputs."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
import onnx
import onnxruntime
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from ghost_edge.core.errors import ArtifactError, ConversionError, DataError
from ghost_edge.core.files import write_bytes
from ghost_edge.core.manifest import metadata_text, parse_metadata
from ghost_edge.device.bench import random_input
from ghost_edge.device.runtimes.model import one_line
from ghost_edge.device.runtimes.onnx import PRECISE, refusals
from ghost_edge.host.onnx import add_metadata
from ghost_edge.host.onnx.builder import as_inner, inner_names, tensor_names
from ghost_edge.host.onnx.int8 import OnnxInt8, write_qdq
from ghost_edge.host.tflite.activations import open_interpreter
from ghost_edge.host.tflite.graph import Model, read_model

# what rounding explains: the exporter leaves no more than 1 % of the values to the second rounding of TFLite's products
# (products.py), if they are spread evenly; with random inputs, which are not, some more differ
LIMIT_LSB, LEAST_EQUAL = 1, 0.985
_MADE = ":made"
_RANDOM = 8  # inputs
Values = dict[str, NDArray[Any]]


@dataclasses.dataclass(frozen=True)
class OpDistance:
    """Difference between an operation of the int8 ONNX model and the .tflite's on identical inputs.

    index, operation, name: as in the .tflite; name: of the output. INPUT (index -1) and OUTPUT (index: the number of
    operations) are conversions at the ends of the ONNX graph. max_lsb: largest difference in LSB of the output. equal:
    share of equal values over all images.
    """

    index: int
    operation: str
    name: str
    max_lsb: int
    equal: float
    values: int


def find_apart(
    distances: Sequence[OpDistance], *, limit_lsb: int = LIMIT_LSB, least_equal: float = LEAST_EQUAL
) -> Optional[OpDistance]:
    """Return the first operation that differs more than rounding and the chance of few values explain, or None."""
    return next((d for d in distances if d.max_lsb > limit_lsb or not d.equal >= _least(least_equal, d.values)), None)


def _least(share: float, values: int) -> float:
    """Return three standard deviations below a share, so that one value of a handful is no finding."""
    return share - 3 * math.sqrt(share * (1 - share) / values)


def compare_ops(graph: Model, onnx_content: bytes, inputs: Iterable[NDArray[Any]]) -> list[OpDistance]:
    """Run each operation of both files on identical inputs, which TFLite's reference kernels compute, and compare.

    onnx_content: from write_qdq(), or a file with its tensor names. inputs: in the .tflite's shape and dtype, one array
    for each image. Returns the operations in the order of the graph, without those that the ONNX graph computes inside
    another (a PAD before a convolution). Raises ArtifactError where the files do not fit, DataError without inputs.
    """
    interpreter = open_interpreter(graph, "reference")
    session = _open_cut(onnx_content, graph)
    made = [output.name.removesuffix(_MADE) for output in session.get_outputs()]
    sizes = _lsb_sizes(graph)
    lsb: dict[str, list[NDArray[np.float64]]] = {name: [] for name in made}
    for values in inputs:
        interpreter.set_tensor(graph.inputs[0], values)
        interpreter.invoke()
        expected = _expected(graph, interpreter)
        for name, found in zip(made, _run(session, expected), strict=True):
            apart = np.abs(found.astype(np.float64) - expected[name]) / sizes.get(name, 1.0)
            lsb[name].append(np.array([np.rint(apart).max(initial=0), np.sum(apart < 0.5), apart.size]))
    if not all(lsb.values()):
        raise DataError(f"{graph.name} cannot be compared without inputs; give one array at least")
    distances = []
    for index, operation, name in _rows(graph):
        if name in lsb:
            largest, equal, values = np.transpose(lsb[name])
            share = float(equal.sum() / values.sum())
            distances.append(OpDistance(index, operation, name, int(largest.max()), share, int(values.sum())))
    return distances


def _run(session: Any, values: Values) -> list[NDArray[Any]]:
    try:
        found: list[NDArray[Any]] = session.run(None, {each.name: values[each.name] for each in session.get_inputs()})
    except refusals(onnxruntime) as error:  # shapes in a damaged file are others than it says
        raise ArtifactError(f"the ONNX file does not run operation by operation ({one_line(error)})") from error
    return found


def _rows(graph: Model) -> Iterator[tuple[int, str, str]]:
    """Yield index, operation and output name inside the ONNX graph, in the order of the graph."""
    ends, inner = tensor_names(graph), inner_names(graph)
    yield from ((-1, "INPUT", inner[index]) for index in graph.inputs)
    for number, op in enumerate(graph.operations):
        yield from ((number, op.name, inner[index]) for index in op.outputs)
    yield from ((len(graph.operations), "OUTPUT", ends[index]) for index in graph.outputs)


def _lsb_sizes(graph: Model) -> dict[str, float]:
    """Return the size of one LSB of each float output; in integers it is one."""
    ends, inner, sizes = tensor_names(graph), inner_names(graph), dict[str, float]()
    for op in graph.operations:
        if op.name == "DEQUANTIZE":
            sizes[ends[op.outputs[0]]] = sizes[inner[op.outputs[0]]] = graph.tensors[op.inputs[0]].spec.scale
    return sizes


def _expected(graph: Model, interpreter: Interpreter) -> Values:
    """Return every activation by its names in the ONNX graph."""
    ends, inner = tensor_names(graph), inner_names(graph)
    values: Values = {}
    for index in {*graph.inputs, *(index for op in graph.operations for index in op.outputs)}:
        stored = interpreter.get_tensor(index)
        values[ends[index]] = stored
        values[inner[index]] = np.ascontiguousarray(as_inner(stored))
    return values


def _open_cut(content: bytes, graph: Model) -> Any:
    """Open the ONNX graph cut at every tensor: each operation's inputs and outputs are the session's."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry(PRECISE, "1")  # the same bytes on every machine
    try:
        model = _cut(onnx.load_from_string(content), graph)
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except (onnx.shape_inference.InferenceError, *refusals(onnxruntime)) as error:
        raise ArtifactError(f"the ONNX file cannot be run operation by operation ({one_line(error)})") from error


def _cut(model: onnx.ModelProto, graph: Model) -> onnx.ModelProto:
    values = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    known = {each.name: each for each in (*values.input, *values.value_info, *values.output)}
    names = {*tensor_names(graph), *inner_names(graph)} & {*known}
    ends = tensor_names(graph)
    missing = [ends[index] for index in (*graph.inputs, *graph.outputs) if ends[index] not in names]
    if missing:
        raise ArtifactError(f"the ONNX file has no {missing[0]}, which the .tflite has; export it from this .tflite")
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    for node in cut.graph.node:
        node.output[:] = [f"{each}{_MADE}" if each in names else each for each in node.output]
    read = {each for node in cut.graph.node for each in node.input}
    made = {each for node in cut.graph.node for each in node.output}
    del cut.graph.input[:], cut.graph.output[:], cut.graph.value_info[:]
    cut.graph.input.extend(known[each] for each in known if each in names & read)
    cut.graph.output.extend(known[each] for each in known if each + _MADE in made)
    for output in cut.graph.output:
        output.name += _MADE
    return cut


@dataclasses.dataclass(frozen=True)
class OnnxModel:
    """An int8 ONNX model (QDQ) with the scales of its .tflite. operations: how far each op is from the .tflite's."""

    content: bytes = dataclasses.field(repr=False)
    operations: tuple[OpDistance, ...]

    def save(self, path: str | Path) -> Path:
        """Write the .onnx file, whole or not at all, and return its path."""
        write_bytes(self.content, Path(path))
        return Path(path)


def to_onnx(tflite: str | Path | Model, options: OnnxInt8 = OnnxInt8()) -> OnnxModel:  # noqa: B008  # frozen
    """Export an int8 or uint8 .tflite, whoever made it, as ONNX with the same scales.

    Each op of the .tflite and of the ONNX model runs on the same random inputs. Raises ArtifactError for a damaged file
    or one with several inputs, ConversionError where an op has no form in ONNX or differs by more than rounding
    explains.
    """
    model, rng = tflite if isinstance(tflite, Model) else read_model(tflite), np.random.default_rng(0)
    specs = [model.tensors[index].spec for index in model.inputs]
    if len(specs) != 1:
        raise ArtifactError(f"{model.name} has {len(specs)} inputs; a model with one can be compared with its ONNX")
    try:
        content = write_qdq(model, options)
    except ConversionError as error:
        raise ConversionError(f"{error}; export takes full-integer files of the operations it knows") from error
    operations = compare_ops(model, content, (random_input(specs[0], rng) for _ in range(_RANDOM)))
    check_operations(operations, "the int8 ONNX model", model.name, "report it with the file")
    metadata = parse_metadata(model.content, model.name)
    if metadata is not None:
        sha256 = hashlib.sha256(model.content).hexdigest()
        content = add_metadata(content, metadata_text(dataclasses.replace(metadata, twin_sha256=sha256)))
    return OnnxModel(content, tuple(operations))


def check_operations(operations: Sequence[OpDistance], onnx: str, tflite: str, what_to_do: str) -> None:
    """Raise ConversionError naming the first ONNX operation that is further away than rounding explains."""
    apart = find_apart(operations)
    if apart is not None:
        raise ConversionError(
            f"{onnx} differs from {tflite} at operation {apart.index}, {apart.operation} {apart.name}: on identical "
            f"inputs by {apart.max_lsb} LSB, {apart.equal:.1%} of the values equal; rounding explains {LIMIT_LSB} LSB "
            f"and {LEAST_EQUAL:.0%}: {what_to_do}"
        )
