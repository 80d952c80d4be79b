"""Read a .tflite file: one Model of tensors and operations that every room of the workstation works on."""

from __future__ import annotations

import dataclasses
import math
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from ghost_edge.core.errors import ArtifactError
from ghost_edge.core.files import write_bytes
from ghost_edge.core.tensor import TensorSpec

_PADDINGS = {schema.Padding.SAME: "same", schema.Padding.VALID: "valid"}
_DTYPES = {value: name.lower() for name, value in vars(schema.TensorType).items() if not name.startswith("_")}
_OPS = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
_ACTIVATIONS = {value: name for name, value in vars(schema.ActivationFunctionType).items() if not name.startswith("_")}
_MAGIC = b"TFL3"  # file identifier of tensorflow/lite/schema/schema.fbs
WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@dataclasses.dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of the main graph: real = scale * (stored - zero_point) (Jacob et al., CVPR 2018, equation 1).

    scale: float32 [1], or [C] along `axis` (per channel); empty where the tensor is not quantized. zero_point: int64,
    as long as scale. constant: the values lie in the file; then `values` holds them, dtype [shape], read-only (bytes
    for a dtype that numpy lacks). buffer: number of the file's buffer; offset: of its first byte in the file.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    constant: bool
    scale: NDArray[np.float32] = dataclasses.field(default_factory=lambda: np.zeros(0, np.float32))
    zero_point: NDArray[np.int64] = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))
    axis: int = 0
    values: Optional[NDArray[Any]] = None
    buffer: int = 0
    offset: int = 0
    variable: bool = False

    @property
    def is_float_activation(self) -> bool:
        """True for a computed float32 tensor: calibration observes its range."""
        return self.dtype == "float32" and not self.constant

    @property
    def spec(self) -> TensorSpec:
        """The tensor with one scale and zero point, 0 and 0 where it has none or one for each channel."""
        pair = (float(self.scale[0]), int(self.zero_point[0])) if len(self.scale) == 1 else (0.0, 0)
        return TensorSpec(self.name, self.shape, self.dtype, *pair)


@dataclasses.dataclass(frozen=True, eq=False)
class Operation:
    """An operation by its builtin name; inputs and outputs are tensor indices (-1: not given).

    stride, dilation: of height and width, (1, 1) where the operation has none. version: of its kernel's signature.
    activation: the fused one, such as "RELU6". options: the operation's own table in the file (schema.Conv2DOptionsT).
    """

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: str = "same"
    version: int = 1
    activation: str = "NONE"
    options: Any = None

    @property
    def output(self) -> int:
        """The first output, which is the only one but for SPLIT, UNPACK and their like."""
        return self.outputs[0]

    @property
    def given(self) -> tuple[int, ...]:
        """The inputs without those that are left out."""
        return tuple(index for index in self.inputs if index >= 0)


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """The main graph of a .tflite file, operations in the order in which they run.

    name: of the file, for messages. content: its bytes. subgraphs: how many graphs it holds.
    """

    tensors: tuple[Tensor, ...] = dataclasses.field(repr=False)
    operations: tuple[Operation, ...] = dataclasses.field(repr=False)
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    name: str = ""
    content: bytes = dataclasses.field(default=b"", repr=False)
    subgraphs: int = 1

    @property
    def has_float_kernels(self) -> bool:
        """True where an operation computes in float; QUANTIZE and DEQUANTIZE at the ends of an int8 file do not."""
        computing = [each for each in self.operations if each.name not in ("QUANTIZE", "DEQUANTIZE")]
        used = {index for each in computing for index in each.inputs + each.outputs if index >= 0}
        return any(self.tensors[index].dtype.startswith("float") for index in used)

    @property
    def input_pixels(self) -> int:
        """Positions of the first input, height x width of an image."""
        shape = self.tensors[self.inputs[0]].shape
        return math.prod(shape[1:]) // (min(shape[1], shape[3]) if len(shape) == 4 else 1)

    def save(self, path: Union[str, Path]) -> Path:
        """Write the .tflite file, whole or not at all, and return its path."""
        write_bytes(self.content, Path(path))
        return Path(path)

    @property
    def output_scale(self) -> float:
        """Scale of the integer answer, also where a DEQUANTIZE makes it float32 at the end; 0: there is none."""
        answer = self.outputs[0]
        last = next(op for op in self.operations if answer in op.outputs)
        scales = (self.tensors[index].scale for index in (answer, last.inputs[0]))
        return next((float(scale[0]) for scale in scales if len(scale) == 1), 0.0)

    def values(self, index: int) -> NDArray[Any]:
        """Return the values of a constant, dtype [shape]; ArtifactError where the tensor is computed."""
        tensor = self.tensors[index]
        if tensor.values is None:
            raise ArtifactError(f"{self.name}: {tensor.name} is computed, expected a constant; convert the model again")
        return tensor.values


def by_row(op: Operation, values: NDArray[Any]) -> NDArray[Any]:
    """Shape one value for each output channel, [C], so that it multiplies the weights of a layer channel by channel."""
    ranks = {"CONV_2D": 4, "FULLY_CONNECTED": 2}  # outputs come first; last in a DEPTHWISE_CONV_2D
    return values.reshape(-1, *[1] * (ranks[op.name] - 1)) if op.name in ranks else values


def read_model(path: Union[str, Path]) -> Model:
    """Read a .tflite file; raises ArtifactError where it cannot be read, is damaged or is no such file."""
    if not isinstance(path, (str, Path)):
        raise ArtifactError(f"{path!r} is no file; give the path of a .tflite")
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error.strerror}); check the path") from error
    return parse_model(content, str(path))


def parse_model(content: bytes, name: str = "the model") -> Model:
    """Make a Model from the bytes of a .tflite file; name: for messages. Raises ArtifactError where it is damaged."""
    if content[4:8] != _MAGIC:
        raise ArtifactError(f"{name} is not a .tflite file (no TFL3 mark); it is empty, damaged or of another format")
    try:
        return _model(unpack(content), content, name)
    except (struct.error, ValueError, TypeError, LookupError) as error:  # what reading cut or changed files raised
        reason = " ".join(str(error).split())
        raise ArtifactError(f"{name} is damaged ({reason}); copy or convert it again") from error


def _model(model: schema.ModelT, content: bytes, name: str) -> Model:
    main = model.subgraphs[0]
    buffers = [np.zeros(0, np.uint8) if each.data is None else each.data for each in model.buffers]
    tensors = tuple(_tensor(*each, buffers, content) for each in enumerate(main.tensors))
    operations = tuple(_operation(model.operatorCodes[op.opcodeIndex], op) for op in main.operators)
    made = Model(
        tensors, operations, _numbers(main.inputs), _numbers(main.outputs), name, content, len(model.subgraphs)
    )
    used = [made.inputs, made.outputs, *(op.inputs + op.outputs for op in operations)]
    if max(max(indices, default=-1) for indices in used) >= len(tensors):
        raise ValueError("an operation names a tensor that is not there")
    return made


def _tensor(index: int, tensor: schema.TensorT, buffers: Sequence[NDArray[np.uint8]], content: bytes) -> Tensor:
    stored, name = tensor.quantization, (tensor.name or b"").decode()
    scale = () if stored is None or stored.scale is None else stored.scale
    zero_point = () if stored is None or stored.zeroPoint is None else stored.zeroPoint
    shape, dtype, raw = _numbers(tensor.shape), _DTYPES[tensor.type], buffers[tensor.buffer]
    return Tensor(
        index=index,
        name=name,
        shape=shape,
        dtype=dtype,
        constant=raw.size > 0,
        scale=np.array(scale, np.float32),
        zero_point=np.array(zero_point, np.int64),
        axis=stored.quantizedDimension if stored is not None else 0,
        values=_typed(raw, shape, dtype, name) if raw.size else None,
        buffer=tensor.buffer,
        offset=raw.ctypes.data - np.frombuffer(content, np.uint8).ctypes.data if raw.size else 0,
        variable=bool(tensor.isVariable),
    )


def _typed(raw: NDArray[np.uint8], shape: tuple[int, ...], dtype: str, name: str) -> NDArray[Any]:
    try:
        kind = np.dtype(dtype)
    except TypeError:  # int4, bfloat16, string, …
        return raw
    if raw.size != math.prod(shape) * kind.itemsize:
        raise ValueError(f"{name} has {raw.size} bytes, its shape {list(shape)} needs {math.prod(shape)} {dtype}")
    return raw.view(kind).reshape(shape)


def _operation(code: schema.OperatorCodeT, operator: schema.OperatorT) -> Operation:
    options = operator.builtinOptions
    return Operation(
        name=_OPS[max(code.builtinCode, code.deprecatedBuiltinCode)],
        inputs=_numbers(operator.inputs),
        outputs=_numbers(operator.outputs),
        stride=(getattr(options, "strideH", 1), getattr(options, "strideW", 1)),
        dilation=(getattr(options, "dilationHFactor", 1), getattr(options, "dilationWFactor", 1)),
        padding=_PADDINGS[getattr(options, "padding", schema.Padding.SAME)],
        version=int(code.version),
        activation=_ACTIVATIONS[getattr(options, "fusedActivationFunction", 0)],
        options=options,
    )


def _numbers(values: Iterable[int] | None) -> tuple[int, ...]:
    return () if values is None else tuple(map(int, values))


def unpack(content: bytes) -> Any:
    """Return the file as a schema.ModelT with all constants, also those that litert-quantizer puts behind it."""
    model = schema.ModelT.InitFromPackedBuf(content)
    for buffer in model.buffers:
        if buffer.offset > 1:
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    return model
