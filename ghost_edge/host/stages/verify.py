"""Read everything back: is it what was asked for, and does it compute what Keras computes?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.errors import ConversionError
from ghost_edge.core.files import write_json
from ghost_edge.core.npz import read_npz
from ghost_edge.device.runtime import open_model
from ghost_edge.host.graph import Graph, read_graph
from ghost_edge.host.op_versions import check_integer, check_old_interpreter
from ghost_edge.host.quantizers import QUANTIZERS, Dtypes
from ghost_edge.host.stages import Work

# float32 sums in another order: 2e-6 of the logits' spread for the shipped models, 4e-6 for GhostNet 1.0x with the
# golden weights or untrained.
_FLOAT_TOLERANCE = 1e-4
_OPEN_BATCH_OPS = ("SHAPE", "PACK")  # what an open batch leaves behind; cuts the delegate in two


def run(work: Work) -> tuple[Path, ...]:
    """Write verify.json; raises ConversionError naming the tensor, operation or file that is not as it should."""
    names, scheme = work.names, work.recipe.quantization
    float_graph, quantized_graph = (read_graph(work.path(name)) for name in (names.float_tflite, names.quantized))
    check_dtypes(quantized_graph, QUANTIZERS[scheme.kind].dtypes, names.quantized)
    for graph, name in ((float_graph, names.float_tflite), (quantized_graph, names.quantized)):
        check_static(graph, name)
        if work.recipe.target == "zynq7000":
            check_old_interpreter(graph, name)
    if work.recipe.target == "zynq7000":
        check_integer(quantized_graph, names.quantized)
    work.tell(0.2, "dtypes and shapes")
    probe = read_npz(work.path(names.probe), ("inputs", "logits"))
    parity = {}
    reference = probe["logits"]
    for role, path in work.models.items():
        if role in ("quantized", "int8_onnx"):
            continue  # rounding is no mistake: see the stage parity
        logits = _run(path, probe["inputs"])
        parity[f"{'keras' if role == 'float' else 'float'} to {role}"] = check_close(logits, reference, path.name)
        reference = logits if role == "float" else reference
        work.tell(0.6, path.name)
    delegate = open_model(work.path(names.quantized)).delegate
    report: dict[str, Any] = {
        "largest_difference": parity,
        "operations": _count(quantized_graph),
        "delegate_partitions": delegate.partitions if delegate else None,
        "delegated_operations": delegate.delegated_ops if delegate else None,
    }
    write_json(report, work.path(names.verified))
    return (work.path(names.verified),)


def check_dtypes(graph: Graph, dtypes: Dtypes, name: str) -> None:
    """Raise ConversionError naming the first tensors whose dtype the scheme does not know: silently float, for one."""
    ends = {*graph.inputs, *graph.outputs}
    wrong = [
        f"{tensor.name} ({tensor.dtype})"
        for tensor in graph.tensors
        if tensor.dtype not in (dtypes.ends if tensor.index in ends else dtypes.inside)
    ]
    inside, outside = (" or ".join(sorted(known)) for known in (dtypes.inside, dtypes.ends))
    if wrong:
        known = inside if dtypes.ends <= dtypes.inside else f"{inside} ({outside} as input or output)"
        raise ConversionError(
            f"{name} holds {len(wrong)} tensors that are not {known}: {', '.join(wrong[:3])}; "
            "an operation there has no quantized form"
        )
    if dtypes.needed not in {tensor.dtype for tensor in graph.tensors}:
        raise ConversionError(f"{name} holds no {dtypes.needed} tensor: nothing in it could be quantized")


def check_static(graph: Graph, name: str) -> None:
    """Raise ConversionError where the batch is not 1 or an operation is there only because it is open."""
    for index in graph.inputs + graph.outputs:
        tensor = graph.tensors[index]
        if tensor.shape[:1] != (1,) or min(tensor.shape) < 1:
            raise ConversionError(f"{name}: {tensor.name} has shape {list(tensor.shape)}; the batch must be fixed to 1")
    stray = [operation.name for operation in graph.operations if operation.name in _OPEN_BATCH_OPS]
    if stray:
        raise ConversionError(f"{name} holds {', '.join(stray)}; build the network with batch_size=1")


def check_close(logits: NDArray[np.float32], reference: NDArray[np.float32], name: str) -> float:
    """Largest difference in units of the reference's standard deviation; ConversionError over the tolerance."""
    if logits.shape != reference.shape:
        raise ConversionError(f"{name} answers {list(logits.shape[1:])}, expected {list(reference.shape[1:])}")
    difference = float(np.abs(logits - reference).max() / (reference.std() or 1.0))
    if not difference <= _FLOAT_TOLERANCE:  # also when it is NaN
        raise ConversionError(
            f"{name} differs from what it was made of by {difference:.2g} of the logits' spread; "
            f"the limit is {_FLOAT_TOLERANCE:.0e}: the conversion changed the network"
        )
    return difference


def _run(path: Path, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    model = open_model(path)
    answers = []
    for values in inputs:
        model.set_inputs([values])
        model.invoke()
        answers.append(model.outputs_now()[0])
    return np.stack(answers)


def _count(graph: Graph) -> dict[str, int]:
    names = [operation.name for operation in graph.operations]
    return {name: names.count(name) for name in sorted(set(names))}
