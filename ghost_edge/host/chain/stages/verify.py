"""Read everything back: is it what was asked for, and does it compute what Keras computes?"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.files import read_npz, write_json
from ghost_edge.device.runtimes.open import open_model
from ghost_edge.host.chain.work import Work
from ghost_edge.host.quantization import QUANTIZERS
from ghost_edge.host.tflite.graph import Model, read_model
from ghost_edge.host.tflite.verify import Verified, check_close, check_dtypes, check_static
from ghost_edge.host.tflite.zynq7000 import check_integer, check_old_interpreter


def run(work: Work) -> tuple[Path, ...]:
    """Write verify.json; raises ConversionError naming the tensor, operation or file that is not as it should."""
    names, scheme = work.names, work.recipe.quantization
    float_graph, quantized_graph = (read_model(work.path(name)) for name in (names.float_tflite, names.quantized))
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
    found = Verified(
        largest_difference=parity,
        operations=_count(quantized_graph),
        delegate_partitions=delegate.partitions if delegate else None,
        delegated_operations=delegate.delegated_ops if delegate else None,
    )
    write_json(dataclasses.asdict(found), work.path(names.verified))
    return (work.path(names.verified),)


def _run(path: Path, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    model = open_model(path)
    answers = []
    for values in inputs:
        model.set_inputs([values])
        model.invoke()
        answers.append(model.outputs_now()[0])
    return np.stack(answers)


def _count(graph: Model) -> dict[str, int]:
    names = [operation.name for operation in graph.operations]
    return {name: names.count(name) for name in sorted(set(names))}
