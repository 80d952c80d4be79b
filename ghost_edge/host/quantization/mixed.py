"""Mixed precision: int8, with spans of operations in float32 or with int16 activations."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Sequence

from ai_edge_litert import schema_py_generated as schema
from litert_quantizer import recipe

from ghost_edge.core.errors import RecipeError
from ghost_edge.host.calibration.observe import Ranges
from ghost_edge.host.quantization.schemes import Int8, apply, free_scales
from ghost_edge.host.tflite.edit import add_tensor, make_operation, pack
from ghost_edge.host.tflite.graph import Model, Operation, unpack

Span = tuple[int, int]
PRECISIONS = ("float32", "int16")
_WIDENING = schema.TensorType.INT8, schema.TensorType.INT16


@dataclasses.dataclass(frozen=True)
class Mixed(Int8):
    """[quantization] with kind = "mixed": Int8, and spans of operations in float32 or with int16 activations.

    A span is its first and last operation, counted from 0 in the float .tflite; `ghost-edge quantize
    --target-agreement` finds the spans.
    """

    float32: tuple[tuple[int, ...], ...] = ()
    int16: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        for name in PRECISIONS:
            for span in getattr(self, name):
                if len(span) != 2 or not 0 <= span[0] <= span[1]:
                    raise RecipeError(
                        f"[quantization] {name} holds {list(span)}; a span is its first and last operation: [12, 20]"
                    )
        spans = sorted((*self.float32, *self.int16))
        for before, after in itertools.pairwise(spans):
            if after[0] <= before[1]:
                raise RecipeError(
                    f"[quantization] {list(before)} and {list(after)} overlap; an operation has one precision"
                )


def quantize(options: Mixed, source: Model, ranges: Ranges) -> bytes:
    """Quantize as Int8 does, with DEQUANTIZE and QUANTIZE where a span begins and ends.

    Raises RecipeError for a span that is not in the file, and what apply() raises.
    """
    rules = recipe.static_wi8_ai8()
    for operation in _inside(source, options.float32):
        rules.append({**_scope(source, operation), "algorithm_key": "no_quantize", "op_config": {}})
    for operation in _inside(source, options.int16):
        rules.append({**recipe.static_wi8_ai16()[0], **_scope(source, operation)})
    wide = {source.tensors[index].name for operation in _inside(source, options.int16) for index in operation.outputs}
    made = apply(rules, source, ranges.unclipped(wide))
    return _widen_through_float(free_scales(made)) if wide else made


def _widen_through_float(content: bytes) -> bytes:
    """Return the file with DEQUANTIZE and QUANTIZE in place of each QUANTIZE from int8 to int16.

    tflite-runtime 2.14 refuses that one.
    """
    model, operators = unpack(content), []
    main = model.subgraphs[0]
    for operator in main.operators:
        given, made = main.tensors[operator.inputs[0]], main.tensors[operator.outputs[0]]
        kind = model.operatorCodes[operator.opcodeIndex].builtinCode
        if kind == schema.BuiltinOperator.QUANTIZE and (given.type, made.type) == _WIDENING:
            between = add_tensor(model, f"{made.name.decode()}:float", given.shape, "float32")
            operators.append(make_operation(model, "DEQUANTIZE", operator.inputs, between))
            operator.inputs = [between]
        operators.append(operator)
    main.operators = operators
    return pack(model)


def _inside(graph: Model, spans: Sequence[Sequence[int]]) -> list[Operation]:
    for _, last in spans:
        if last >= len(graph.operations):
            raise RecipeError(
                f"[quantization] names operation {last}; the float file has {len(graph.operations)}, counted from 0: "
                "search again with ghost-edge quantize"
            )
    return [operation for first, last in spans for operation in graph.operations[first : last + 1]]


def _scope(graph: Model, operation: Operation) -> dict[str, str]:
    """Return the rule scope that litert-quantizer matches an operation with: the names of its outputs."""
    names = "".join(f"{re.escape(graph.tensors[index].name)};" for index in operation.outputs)
    return {"regex": f"^{names}$", "operation": "*"}
