"""Ghost modules in a graph: the savings by the paper's theory, by counting, and by measurement, also as a chart."""

from __future__ import annotations

import dataclasses
import io
import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ghost_edge.core.errors import ArtifactError, RecipeError
from ghost_edge.core.files import write_bytes
from ghost_edge.core.latency import TimeRatio, time_ratio
from ghost_edge.core.progress import Progress, timed
from ghost_edge.device.bench import alternate
from ghost_edge.host.calibration import ESTIMATORS
from ghost_edge.host.calibration.observe import observe
from ghost_edge.host.quantization import QUANTIZERS
from ghost_edge.host.tflite.cost import count_macs, weights
from ghost_edge.host.tflite.graph import Model, Operation, read_model

if TYPE_CHECKING:
    import keras

# what may stand between a convolution and the depthwise one that reads it, or between either and the CONCATENATION
_PASSED = (
    *("RELU", "RELU6", "RELU_N1_TO_1", "LEAKY_RELU", "PRELU", "HARD_SWISH", "QUANTIZE", "DEQUANTIZE"),
    *("PAD", "PADV2", "SLICE", "STRIDED_SLICE", "MUL", "ADD"),  # the last two with a constant: batch normalisation
)
FORMATS = (".svg", ".png")
_COLOURS = ("#0072b2", "#e69f00", "#009e73")  # Okabe and Ito's, distinct for colour-blind people too
_FIXED = {"svg.hashsalt": "ghost-edge", "svg.fonttype": "none"}  # ids of the SVG are random without a salt


@dataclasses.dataclass(frozen=True)
class GhostSizes:
    """The numbers that decide the cost of a ghost module (arXiv 1911.11907, section 3.1).

    In the paper's letters: input h x w x c, filters n, ratio s, kernel k x k, cheap_kernel d x d; intrinsic is
    m = n / s, rounded up.
    """

    input: tuple[int, int, int]
    filters: int
    intrinsic: int
    ratio: int
    kernel: tuple[int, int]
    cheap_kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: str


@dataclasses.dataclass(frozen=True)
class Ghost:
    """A ghost module, found by its CONCATENATION; ratios: the plain convolution that it replaces over the module.

    theory, approximation: by theory() and approximation(). mac_ratio, parameter_ratio: counted in the graph, biases
    among the parameters.
    """

    operation: int
    name: str
    sizes: GhostSizes
    theory: float
    approximation: float
    mac_ratio: float
    parameter_ratio: float
    time: TimeRatio | None = None


def theory(sizes: GhostSizes) -> float:
    """Return speed-up r_s (equation 4) and compression r_c (equation 5), which are one number: h' and w' cancel out."""
    n, s, c = sizes.filters, sizes.ratio, sizes.input[2]
    k_k, d_d = math.prod(sizes.kernel), math.prod(sizes.cheap_kernel)
    return n * c * k_k / (n / s * c * k_k + (s - 1) * n / s * d_d)


def approximation(sizes: GhostSizes) -> float:
    """Return s c / (s + c - 1), the approximation of equations 4 and 5 for d = k."""
    return sizes.ratio * sizes.input[2] / (sizes.ratio + sizes.input[2] - 1)


def find_ghosts(graph: Model) -> tuple[Ghost, ...]:
    """Find every CONCATENATION of a convolution's output with depthwise convolutions of that output."""
    makers = {tensor: operation for operation in graph.operations for tensor in operation.outputs}
    modules = [(index, _parts(graph, makers, concat)) for index, concat in enumerate(graph.operations)]
    return tuple(_ghost(graph, index, *parts) for index, parts in modules if parts is not None)


Makers = Mapping[int, Operation]


def _parts(graph: Model, makers: Makers, concat: Operation) -> tuple[Operation, list[Operation]] | None:
    """Return the convolution and the depthwise ones that a CONCATENATION joins; None where it joins others."""
    if concat.name != "CONCATENATION":
        return None
    sources = [_convolution(graph, makers, tensor) for tensor in concat.inputs]
    plain = [source for source in sources if source and source.name == "CONV_2D"]
    cheap = [source for source in sources if source and source.name == "DEPTHWISE_CONV_2D"]
    if len(plain) != 1 or not cheap or len(sources) != 1 + len(cheap):
        return None
    primary = plain[0]
    fed_by_it = all(_convolution(graph, makers, operation.inputs[0]) is primary for operation in cheap)
    channels = [math.prod(graph.tensors[tensor].shape[-1:]) for tensor in concat.inputs]
    along_channels = sum(channels) == math.prod(graph.tensors[concat.outputs[0]].shape[-1:])
    images, filters = (graph.tensors[tensor].shape for tensor in primary.inputs[:2])
    of_the_paper = images[-1:] == filters[-1:] and primary.dilation == (1, 1)  # which has no groups and no holes
    return (primary, cheap) if fed_by_it and along_channels and of_the_paper else None


def _convolution(graph: Model, makers: Makers, tensor: int) -> Operation | None:
    """Return the convolution that makes a tensor, through activations, padding and slices; None where there is none."""
    while tensor in makers:
        operation = makers[tensor]
        if operation.name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            return operation
        inputs = [index for index in operation.inputs if index >= 0 and not graph.tensors[index].constant]
        if operation.name not in _PASSED or len(inputs) != 1:
            return None
        tensor = inputs[0]
    return None


def _ghost(graph: Model, index: int, primary: Operation, cheap: Sequence[Operation]) -> Ghost:
    output = graph.operations[index].outputs[0]
    _, height, width, filters = graph.tensors[_sliced(graph, output)].shape
    intrinsic, k_height, k_width, channels = graph.tensors[primary.inputs[1]].shape
    _, d_height, d_width, _ = graph.tensors[cheap[0].inputs[1]].shape
    _, in_height, in_width, _ = graph.tensors[primary.inputs[0]].shape
    sizes = GhostSizes(
        input=(in_height, in_width, channels),
        filters=filters,
        intrinsic=intrinsic,
        ratio=1 + sum(graph.tensors[operation.outputs[0]].shape[-1] for operation in cheap) // intrinsic,
        kernel=(k_height, k_width),
        cheap_kernel=(d_height, d_width),
        stride=primary.stride,
        padding=primary.padding,
    )
    macs = sum(count_macs(graph, operation) for operation in (primary, *cheap))
    parameters = sum(math.prod(each.shape) for operation in (primary, *cheap) for each in weights(graph, operation))
    plain = filters * channels * k_height * k_width
    return Ghost(
        operation=index,
        name=graph.tensors[output].name,
        sizes=sizes,
        theory=theory(sizes),
        approximation=approximation(sizes),
        mac_ratio=height * width * plain / macs,
        parameter_ratio=(plain + filters) / parameters,
    )


def _sliced(graph: Model, tensor: int) -> int:
    """Return the slice of a tensor's channels where nothing else reads the tensor, else the tensor."""
    readers = [operation for operation in graph.operations if tensor in operation.inputs]
    if len(readers) == 1 and readers[0].name in ("SLICE", "STRIDED_SLICE"):
        piece = readers[0].outputs[0]
        if graph.tensors[piece].shape[:-1] == graph.tensors[tensor].shape[:-1]:
            return piece
    return tensor


def measure_ghosts(ghosts: Sequence[Ghost], *, rounds: int, reporter: Progress) -> tuple[Ghost, ...]:
    """Return the modules with `time`: latency of the plain convolution over that of the module, int8, one thread.

    Modules of equal sizes are measured once. Raises what alternate() raises.
    """
    import keras  # here: TensorFlow takes seconds, and inspect of a file needs none

    measured: dict[GhostSizes, TimeRatio] = {}
    distinct = list(dict.fromkeys(ghost.sizes for ghost in ghosts))
    with timed(reporter, "measure") as say, tempfile.TemporaryDirectory() as folder:
        files = (Path(folder) / "plain.tflite", Path(folder) / "ghost.tflite")
        for number, sizes in enumerate(distinct, start=1):
            for file, build in zip(files, (plain_convolution, ghost_module), strict=True):
                convert_int8(build(sizes), file)
            measured[sizes] = time_ratio(*alternate(files, rounds=rounds), rounds=rounds)
            keras.backend.clear_session()
            say(number / len(distinct), f"{number} of {len(distinct)} kinds of module")
    return tuple(dataclasses.replace(ghost, time=measured[ghost.sizes]) for ghost in ghosts)


def plain_convolution(sizes: GhostSizes) -> keras.Model:
    """Build one convolution from the module's input to all its filters."""
    import keras

    image = keras.Input(sizes.input, batch_size=1, name="image")
    layer = keras.layers.Conv2D(sizes.filters, sizes.kernel, sizes.stride, padding=sizes.padding)
    return keras.Model(image, layer(image))


def ghost_module(sizes: GhostSizes) -> keras.Model:
    """Build the module: a convolution to the intrinsic maps, a depthwise one for the ghosts, both joined (eq. 3)."""
    import keras

    image = keras.Input(sizes.input, batch_size=1, name="image")
    layer = keras.layers.Conv2D(sizes.intrinsic, sizes.kernel, sizes.stride, padding=sizes.padding)
    cheap = keras.layers.DepthwiseConv2D(sizes.cheap_kernel, padding="same", depth_multiplier=sizes.ratio - 1)
    intrinsic = layer(image)
    both = keras.layers.Concatenate()([intrinsic, cheap(intrinsic)])
    return keras.Model(image, both if both.shape[-1] == sizes.filters else both[..., : sizes.filters])


def convert_int8(model: keras.Model, path: Path) -> None:
    """Convert a model of one input and output to int8, with ranges from noise: for speed, never for accuracy."""
    import tensorflow as tf

    write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert(), path)
    noise = np.random.default_rng(0).normal(size=(4, *model.input_shape)).astype(np.float32)
    graph = read_model(path)
    ranges = ESTIMATORS["minmax"](observe(graph, noise), graph)
    int8 = QUANTIZERS["int8"]
    write_bytes(int8.quantize(int8.options(), graph, ranges), path)


def draw_ghosts(path: Path, ghosts: Sequence[Ghost], *, title: str) -> None:
    """Draw what ghost modules save into an .svg or .png.

    The bars are theory, counted multiply-accumulates and, if measured, the latency with its quartiles.
    Raises RecipeError for another suffix, ArtifactError without a ghost module.
    """
    import matplotlib  # here: inspect of a file without a chart needs none
    from matplotlib.figure import Figure

    check_chart(path)
    if not ghosts:
        raise ArtifactError(f"{title} holds no ghost module, so there is nothing to draw; leave --chart out")
    times = [ghost.time for ghost in ghosts if ghost.time]
    bars = {
        "theory, equation 4": [ghost.theory for ghost in ghosts],
        "multiply-accumulates": [ghost.mac_ratio for ghost in ghosts],
        **({"measured time": [time.ratio for time in times]} if times else {}),
    }
    figure = Figure(figsize=(max(6.0, 1.5 + 0.5 * len(ghosts)), 4.8), layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / len(bars)
    places = np.arange(len(ghosts)) - (len(bars) - 1) / 2 * width
    for number, ((label, ratios), colour) in enumerate(zip(bars.items(), _COLOURS, strict=False)):
        axes.bar(places + number * width, ratios, width, label=label, color=colour)
    if times:
        axes.vlines(
            places + 2 * width, [time.low for time in times], [time.high for time in times], "black", linewidth=1
        )
    axes.axhline(1.0, color="grey", linewidth=0.8)
    labels = [f"{ghost.operation}: {ghost.sizes.input[2]} to {ghost.sizes.filters}" for ghost in ghosts]
    axes.set_xticks(range(len(ghosts)), labels, rotation=90, fontsize=8)
    axes.set_xlim(-0.6, len(ghosts) - 0.4)
    axes.set(title=title, ylabel="plain convolution / ghost module")
    figure.legend(loc="outside lower center", ncols=len(bars))
    content = io.BytesIO()
    with matplotlib.rc_context(_FIXED):
        metadata = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(content, format=path.suffix[1:], metadata=metadata, dpi=120)
    write_bytes(content.getvalue(), path)


def check_chart(path: Path) -> None:
    """Raise RecipeError where the suffix is not one of FORMATS."""
    if path.suffix not in FORMATS:
        raise RecipeError(f"chart {path} must end in {' or '.join(FORMATS)}")
