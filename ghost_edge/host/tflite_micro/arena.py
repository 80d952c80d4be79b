"""The arena of TFLite Micro for a model: its size, computed from the graph without running it, and a chart of it."""

from __future__ import annotations

import dataclasses
import faulthandler
import html
import importlib
import math
import os
from collections.abc import Iterable, Sequence
from typing import Optional

from ghost_edge.core.errors import ConversionError
from ghost_edge.device.runtimes.open import INTERPRETERS, is_installed
from ghost_edge.host.tflite.graph import Model, Operation, Tensor
from ghost_edge.host.tflite_micro.struct_sizes import OPS, STRUCTS, Layout

_ALIGNED = 16  # MicroArenaBufferAlignment
_SCRATCH = 12  # kMaxScratchBuffersPerOp: requests that are reserved ahead of each operation
_PLANNER_BYTES = 40  # of the planner for a buffer
_SIZES = {"int8": 1, "uint8": 1, "bool": 1, "int32": 4, "float32": 4, "int64": 8}  # dtypes whose kernels were measured
_MARGIN, _MARGIN_BYTES = 0.03, 768  # for later revisions, other compilers, and builds with compression
_OUTPUT_CHANNELS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "TRANSPOSE_CONV": 0}  # the axis of their weights
_LARGEST = 1 << 28
_WIDTH, _HEIGHT, _LEFT, _TOP = 1000, 420, 90, 40  # pixels of the chart
_TICKS = 4
_COLORS = ("#4c78a8", "#72b7b2", "#54a24b", "#eeca3b", "#f58518", "#b279a2")


@dataclasses.dataclass(frozen=True)
class Lifetime:
    """A buffer of the arena's head; operation i runs in step i + 1, inputs are live from step 0.

    tensor: its index, -1: scratch of an operation. size, offset: bytes. first, last: steps, -1: never used.
    """

    tensor: int
    name: str
    size: int
    offset: int
    first: int
    last: int


@dataclasses.dataclass(frozen=True)
class ArenaPlan:
    """Bytes of an arena: head (activations), tail (persistent buffers), and the minimum arena that initialises.

    minimum exceeds total where planning or preparing an operation takes more, for a moment, than running does.
    peak_step: index of the operation during which most bytes are live. For reference kernels: CMSIS-NN's need more.
    """

    head: int
    tail: int
    minimum: int
    lifetimes: tuple[Lifetime, ...]
    peak_step: int

    @property
    def total(self) -> int:
        """Bytes that arena_used_bytes() returns after initialising."""
        return self.head + self.tail

    @property
    def advised(self) -> int:
        """Bytes of the arena in the kit: the minimum arena and a margin of 3 % and 768 bytes, a multiple of 16."""
        return _up(math.ceil(self.minimum * (1 + _MARGIN)) + _MARGIN_BYTES)


def plan_arena(graph: Model, bits: int) -> ArenaPlan:
    """Return the arena of a model on a target of 32 or 64 bits.

    Source: MicroAllocator and GreedyMemoryPlanner of TFLite Micro 90b983c2 with reference kernels. Raises
    ConversionError for an operation, dtype or graph whose persistent buffers are not known.
    """
    assert bits in (32, 64)
    _refuse(graph)
    lifetimes = _place(_buffers(graph))
    head = max((each.offset + each.size for each in lifetimes), default=0)
    tail, setup = _tail(graph, len(lifetimes), wide=bits == 64)
    steps = range(1, len(graph.operations) + 1)
    peak = max(steps, key=lambda step: sum(each.size for each in _live(lifetimes, step)), default=1)
    return ArenaPlan(head, tail, _up(max(head + tail, setup)), lifetimes, peak_step=peak - 1)


def bisect_arena(graph: Model) -> Optional[int]:
    """Find the minimum arena, a multiple of 16 bytes, of the package `tflite-micro`; None where it is not installed.

    It is above plan_arena's: the package counts its allocations and holds fields for compressed weights. Raises
    ConversionError where no arena up to 256 MiB initialises, so for an operation that TFLite Micro refuses.
    """
    if not is_installed("tflite-micro"):
        return None
    too_small, enough = 0, 1024
    while not _initialises(graph.content, enough):
        too_small, enough = enough, 2 * enough
        if enough > _LARGEST:
            raise ConversionError(f"{graph.name}: {_LARGEST} bytes are too few, or TFLite Micro lacks an operation")
    while enough - too_small > _ALIGNED:
        middle = _up((too_small + enough) // 2)
        too_small, enough = (too_small, middle) if _initialises(graph.content, middle) else (middle, enough)
    return enough


def shrink_advice(plan: ArenaPlan, graph: Model) -> str:
    """Say in one line which operation sets the peak, which buffers are live there, and how to lower it."""
    operation = graph.operations[plan.peak_step]
    live = sorted(_live(plan.lifetimes, plan.peak_step + 1), key=lambda each: -each.size)
    sizes = ", ".join(f"{each.name.partition(';')[0]} {each.size:,}" for each in live)  # ; joins fused names
    text = (
        f"operation {plan.peak_step}, {operation.name}, sets the peak of {sum(each.size for each in live):,} bytes: "
        f"{sizes}; take a smaller input, a narrower stage there or an earlier stride"
    )
    return text if plan.head >= plan.tail else f"{text}; the arena tail is {plan.tail:,} bytes: take fewer operations"


def _refuse(graph: Model) -> None:
    if graph.subgraphs > 1 or any(each.variable for each in graph.tensors):
        raise ConversionError(
            f"{graph.name} has subgraphs or variables, whose arena is not known; export it without state"
        )
    for number, operation in enumerate(graph.operations):
        dtypes = {graph.tensors[index].dtype for index in operation.inputs + operation.outputs if index >= 0}
        if operation.name not in OPS:
            reason = "whose part of the arena tail is not known"
        elif dtypes - set(_SIZES):
            reason = (
                f"is of {min(dtypes - set(_SIZES))}, whose part of the arena tail is known for {', '.join(_SIZES)} only"
            )
        else:
            continue
        raise ConversionError(f"{graph.name}: operation {number}, {operation.name}, {reason}; find the arena by trying")


def _buffers(graph: Model) -> list[Lifetime]:
    """Return the planner's buffers, in its order: tensors by index, then scratch; still at offset 0."""
    last = len(graph.operations)
    used = dict.fromkeys(graph.inputs + graph.outputs, (0, 0))
    scratch = []
    for step, operation in enumerate(graph.operations, 1):
        used.update(dict.fromkeys(operation.outputs, (step, step)))
        used.update({index: (used[index][0], step) for index in operation.inputs if index in used})
        for size in _scratch(graph, operation):
            scratch.append(Lifetime(-1, f"scratch of {operation.name}", _up(size), 0, step, step))
    used.update({index: (used[index][0], last) for index in graph.outputs})
    tensors = [
        Lifetime(each.index, each.name, _up(_size(each)), 0, *used.get(each.index, (-1, -1)))
        for each in graph.tensors
        if not each.constant and _size(each)
    ]
    return tensors + scratch


def _place(buffers: Sequence[Lifetime]) -> tuple[Lifetime, ...]:
    """Place buffers as GreedyMemoryPlanner: large before small, late before early, in the first gap among overlaps."""
    placed: list[tuple[int, Lifetime]] = []  # by offset; of equal ones the earlier placed first
    for number, buffer in sorted(enumerate(buffers), key=lambda each: (-each[1].size, -each[0])):
        offset = 0
        for _, other in placed:
            if other.first > buffer.last or buffer.first > other.last:
                continue
            if other.offset - offset >= buffer.size:
                break
            offset = max(offset, other.offset + other.size)
        placed.append((number, dataclasses.replace(buffer, offset=offset)))
        placed.sort(key=lambda each: each[1].offset)
    return tuple(each for _, each in sorted(placed, key=lambda each: each[0]))


def _tail(graph: Model, buffer_count: int, *, wide: bool) -> tuple[int, int]:
    """Return the bytes of the tail, and the minimum arena for preparing each operation and planning the head."""
    tail = _stack(0, _before_preparing(graph, wide))
    requests = setup = 0
    for operation in graph.operations:
        twice = OPS[operation.name].twice
        tail = _stack(tail, [(size, _ALIGNED) for size in _arrays(graph, operation)])
        again = [*(operation.inputs[each] for each in twice), *(operation.outputs if twice else ())]
        fetched = [each for each in (*operation.inputs, *operation.outputs, *again) if each >= 0]
        reserved = [_layout("ScratchBufferRequest", wide, _SCRATCH + requests)]
        setup = max(setup, tail + _stack(0, reserved + _described(graph, fetched, wide)))
        requests += len(_scratch(graph, operation))
    if requests:
        tail = _stack(tail, [_layout("ScratchBufferHandle", wide, requests)])
    pointer = 8 if wide else 4
    reserved = [_layout("ScratchBufferRequest", wide, _SCRATCH + requests), (pointer, pointer)]
    planning = _stack(0, [*reserved, _layout("AllocationInfo", wide, len(graph.tensors) + requests)])
    setup = max(setup, _up(tail) + _up(planning) + _PLANNER_BYTES * buffer_count)
    for ends in (graph.inputs, graph.outputs):
        tail = _stack(tail, [(pointer * len(ends), _ALIGNED), *_described(graph, ends, wide)])
    return tail, setup


def _before_preparing(graph: Model, wide: bool) -> list[Layout]:
    """Return the allocations before the first kernel prepares: allocators, structs of tensors and operations."""
    kinds = [OPS[each.name] for each in graph.operations]
    fixed = ["SingleArenaBufferAllocator", "GreedyMemoryPlanner", "MicroAllocator", "MicroBuiltinDataAllocator"]
    return [
        *(_layout(name, wide) for name in (*fixed, "SubgraphAllocations")),
        _layout("TfLiteEvalTensor", wide, len(graph.tensors)),
        _layout("NodeAndRegistration", wide, len(kinds)),
        *(_layout(kind.params, wide) for kind in kinds if kind.params),
        *((_layout(kind.op_data, wide)[0], _ALIGNED) for kind in kinds if kind.op_data),
    ]


def _described(graph: Model, indices: Sequence[int], wide: bool) -> list[Layout]:
    """Return a TfLiteTensor for each, and for a quantized one its zero points behind an array's length."""
    layouts = []
    for index in indices:
        layouts.append(_layout("TfLiteTensor", wide))
        if count := _scale_count(graph.tensors[index]):
            layouts += [_layout("TfLiteAffineQuantization", wide), (4 + 4 * count, 4)]
    return layouts


def _layout(name: str, wide: bool, count: int = 1) -> Layout:
    size, alignment = STRUCTS[name][wide]
    return size * count, alignment


def _arrays(graph: Model, operation: Operation) -> list[int]:
    """Return the bytes of an operation's arrays beside its struct: multipliers and shifts, or its output's shape."""
    if operation.name in ("GATHER", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH"):
        return [4 + 4 * len(graph.tensors[operation.outputs[0]].shape)]
    if operation.name in _OUTPUT_CHANNELS:
        channels = graph.tensors[operation.inputs[1]].shape[_OUTPUT_CHANNELS[operation.name]]
        return 2 * [4 * channels]
    count = _scale_count(graph.tensors[operation.inputs[1]]) if operation.name == "FULLY_CONNECTED" else 0
    return 2 * [4 * count] if count > 1 else []


def _scratch(graph: Model, operation: Operation) -> list[int]:
    """Return the bytes of an operation's scratch buffers, in the order of its requests."""
    if operation.name not in ("MEAN", "SUM", "REDUCE_MAX", "TRANSPOSE_CONV"):
        return []
    source, result = graph.tensors[operation.inputs[0]], graph.tensors[operation.outputs[0]]
    sums = 4 * math.prod(result.shape)
    if operation.name == "TRANSPOSE_CONV":
        return [sums]
    axes = [4 * len(source.shape), 4 * math.prod(graph.tensors[operation.inputs[1]].shape)]
    return axes if operation.name == "REDUCE_MAX" or source.dtype == "float32" else [sums, *axes]


def _live(lifetimes: Sequence[Lifetime], step: int) -> list[Lifetime]:
    return [each for each in lifetimes if each.first <= step <= each.last]


def _size(tensor: Tensor) -> int:
    return math.prod(tensor.shape) * _SIZES[tensor.dtype]


def _scale_count(tensor: Tensor) -> int:
    """Return how many zero points TFLite Micro copies: none where the file gives no scale."""
    return len(tensor.scale) if len(tensor.zero_point) else 0


def _stack(size: int, layouts: Iterable[Layout]) -> int:
    """Return the bytes in use after these allocations, of (size, alignment) each."""
    for each, alignment in layouts:
        size = _up(size + each, alignment)
    return size


def _up(size: int, alignment: int = _ALIGNED) -> int:
    return -(-size // alignment) * alignment


def _initialises(content: bytes, arena_size: int) -> bool:
    """Try an arena in a child: TFLite Micro prints from C++, and reads a null pointer in an arena of a few bytes."""
    runtime = importlib.import_module(INTERPRETERS["tflite-micro"].module)
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    try:
        faulthandler.disable()  # it keeps a stderr of its own
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        runtime.Interpreter.from_bytes(content, arena_size=arena_size)
        os._exit(0)
    finally:
        os._exit(1)


def draw_arena(plan: ArenaPlan, graph: Model) -> str:
    """Draw an SVG: operations to the right, bytes of the head upwards, a box for each buffer, the peak marked."""
    steps = len(graph.operations) + 1
    across, up = _WIDTH / steps, _HEIGHT / max(plan.head, 1)
    peak = graph.operations[plan.peak_step].name
    made = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{_LEFT + _WIDTH + 20}" '
        f'height="{_TOP + _HEIGHT + 50}">',
        f"<title>Arena head: {plan.head:,} bytes, tail: {plan.tail:,} bytes</title>",
        '<style>text{font:12px sans-serif}</style><rect width="100%" height="100%" fill="white"/>',
        f'<text x="{_LEFT}" y="20">arena head {plan.head:,} bytes, tail {plan.tail:,} bytes; '
        f"the peak is operation {plan.peak_step}, {html.escape(peak)}</text>",
        f'<rect x="{_LEFT + across * (plan.peak_step + 1):.1f}" y="{_TOP}" width="{across:.1f}" height="{_HEIGHT}" '
        'fill="#fbd3d3"/>',
    ]
    for number, each in enumerate(plan.lifetimes):
        if each.first < 0:
            continue
        x, y = _LEFT + across * each.first, _TOP + _HEIGHT - up * (each.offset + each.size)
        text = html.escape(f"{each.name}: {each.size:,} bytes at {each.offset:,}, steps {each.first} to {each.last}")
        made.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{across * (each.last - each.first + 1):.1f}" '
            f'height="{max(up * each.size, 0.5):.1f}" fill="{_COLORS[number % len(_COLORS)]}" fill-opacity="0.8" '
            f'stroke="white" stroke-width="0.5"><title>{text}</title></rect>'
        )
    for tick in range(_TICKS + 1):
        y = _TOP + _HEIGHT * (1 - tick / _TICKS)
        made.append(f'<text x="{_LEFT - 6}" y="{y + 4:.0f}" text-anchor="end">{plan.head * tick // _TICKS:,}</text>')
    made.append(f'<text x="{_LEFT}" y="{_TOP + _HEIGHT + 20}">operation 0</text>')
    made.append(f'<text x="{_LEFT + _WIDTH}" y="{_TOP + _HEIGHT + 20}" text-anchor="end">operation {steps - 2}</text>')
    return "\n".join([*made, "</svg>\n"])
