"""GhostNet as its authors published it (Han et al., CVPR 2020, arXiv 1911.11907, table 7)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ghost_edge.core.errors import RecipeError

if TYPE_CHECKING:
    import keras

    from ghost_edge.host.networks.layers import Layers

# kernel, expanded channels, output channels, squeeze-and-excite ratio (0: none), stride; arXiv 1911.11907, table 7.
TABLE_7: tuple[tuple[float, ...], ...] = (
    (3, 16, 16, 0, 1),
    (3, 48, 24, 0, 2),
    (3, 72, 24, 0, 1),
    (5, 72, 40, 0.25, 2),
    (5, 120, 40, 0.25, 1),
    (3, 240, 80, 0, 2),
    (3, 200, 80, 0, 1),
    (3, 184, 80, 0, 1),
    (3, 184, 80, 0, 1),
    (3, 480, 112, 0.25, 1),
    (3, 672, 112, 0.25, 1),
    (5, 672, 160, 0.25, 2),
    (5, 960, 160, 0, 1),
    (5, 960, 160, 0.25, 1),
    (5, 960, 160, 0, 1),
    (5, 960, 160, 0.25, 1),
)
PADDINGS = ("explicit", "same")


@dataclasses.dataclass(frozen=True)
class GhostNet:
    """[network] with kind = "ghostnet": everything that changes the graph.

    stages: rows of (kernel, expanded channels, output channels, squeeze ratio, stride) before the width multiplier.
    padding: "explicit" pads both sides alike, as PyTorch does (needed for published checkpoints, one PAD op for each
        strided convolution); "same" is TensorFlow's, without PAD ops.
    """

    input_size: int = 224
    input_channels: int = 3
    classes: int = 1000
    width: float = 1.0
    ratio: int = 2
    kernel: int = 1
    cheap_kernel: int = 3
    stem_channels: int = 16
    stem_stride: int = 2
    head_channels: int = 1280
    dropout: float = 0.2
    padding: str = "explicit"
    stages: tuple[tuple[float, ...], ...] = TABLE_7

    def __post_init__(self) -> None:
        if self.padding not in PADDINGS:
            raise RecipeError(f"[network] padding {self.padding!r} is not known; write one of {', '.join(PADDINGS)}")
        check_sizes(self, ("input_size", "input_channels", "classes", "ratio", "kernel", "cheap_kernel", "stem_stride"))
        check_stages(self.stages)


def check_sizes(options: Any, names: Sequence[str]) -> None:
    """Raise RecipeError where a size is under 1, or width or dropout are no such numbers."""
    for field in (*names, "stem_channels", "head_channels"):
        if getattr(options, field) < 1:
            raise RecipeError(f"[network] {field} is {getattr(options, field)}; it must be 1 or more")
    if options.width <= 0:
        raise RecipeError(f"[network] width is {options.width}; it must be over 0 (the paper has 0.5, 1.0 and 1.3)")
    if not 0 <= options.dropout < 1:
        raise RecipeError(f"[network] dropout is {options.dropout}; it is a fraction from 0 to under 1")


def check_stages(stages: Sequence[Sequence[float]]) -> None:
    """Raise RecipeError for a stage table that is empty or has a row that cannot be."""
    if not stages:
        raise RecipeError("[network] stages is empty; leave it out for table 7 of the paper")
    for row in stages:
        if len(row) != 5:
            raise RecipeError(
                f"[network] stages row {list(row)} has {len(row)} numbers; "
                "it must be [kernel, expanded, output, squeeze ratio, stride]"
            )
        kernel, expanded, output, squeeze, stride = row
        if min(kernel, expanded, output, stride) < 1 or squeeze < 0 or any(int(n) != n for n in (kernel, stride)):
            raise RecipeError(
                f"[network] stages row {list(row)}: kernel and stride are whole numbers, "
                "all but the squeeze ratio 1 or more"
            )


def build(options: GhostNet, *, attention_from: int | None = None) -> keras.Model:
    """Build the network: images float32 [1, size, size, channels], normalised, to logits float32 [1, classes].

    Layers are named by the keys of the authors' PyTorch state_dict, so that weights travel by name
    (Efficient-AI-Backbones, ghostnet_pytorch/ghostnet.py). attention_from: number of the first bottleneck whose
    first ghost module is attended (GhostNetV2).
    """
    import keras  # here, so that reading a recipe does not cost seconds

    from ghost_edge.host.networks.layers import Layers, make_divisible

    net = Layers(ratio=options.ratio, kernel=options.kernel, cheap_kernel=options.cheap_kernel, padding=options.padding)
    size, channels = options.input_size, options.input_channels
    image = keras.Input((size, size, channels), batch_size=1, name="image")
    x = net.conv(image, "conv_stem", make_divisible(options.stem_channels * options.width), 3, options.stem_stride)
    x = net.norm(x, "bn1", relu=True)
    stage_names = _stage_names(options.stages)
    for number, (name, row) in enumerate(zip(stage_names, options.stages, strict=True)):
        kernel, expanded, output, squeeze, stride = row
        x = _bottleneck(
            net,
            x,
            f"blocks.{name}",
            kernel=int(kernel),
            expanded=make_divisible(expanded * options.width),
            output=make_divisible(output * options.width),
            squeeze=squeeze,
            stride=int(stride),
            attention=attention_from is not None and number >= attention_from,
        )
    last = f"blocks.{int(stage_names[-1].split('.')[0]) + 1}.0"
    expanded = make_divisible(options.stages[-1][1] * options.width)
    logits = net.head(x, last, expanded, options.head_channels, options.classes, dropout=options.dropout)
    return keras.Model(image, logits, name="ghostnet")


def _stage_names(stages: Sequence[Sequence[float]]) -> list[str]:
    """Names "<stage>.<block>": the authors put a strided block in a stage of its own, and a run of others in one."""
    names: list[str] = []
    stage, block, was_strided = -1, 0, True
    for *_, stride in stages:
        if stride > 1 or was_strided:
            stage, block = stage + 1, 0
        else:
            block += 1
        names.append(f"{stage}.{block}")
        was_strided = stride > 1
    return names


def _bottleneck(
    net: Layers,
    x: Any,
    name: str,
    *,
    kernel: int,
    expanded: int,
    output: int,
    squeeze: float,
    stride: int,
    attention: bool,
) -> Any:
    """Ghost bottleneck (figure 3): expand by a ghost module, (stride, squeeze-and-excite), project by another, add."""
    y = net.ghost_module(x, f"{name}.ghost1", expanded, relu=True)
    y = net.attend(x, y, f"{name}.ghost1.short_conv") if attention else y
    if stride > 1:
        y = net.norm(net.depthwise(y, f"{name}.conv_dw", kernel, stride), f"{name}.bn_dw")
    if squeeze > 0:
        y = net.squeeze_excite(y, f"{name}.se", squeeze)
    y = net.ghost_module(y, f"{name}.ghost2", output, relu=False)
    if stride > 1 or x.shape[-1] != output:
        x = net.norm(net.depthwise(x, f"{name}.shortcut.0", kernel, stride), f"{name}.shortcut.1")
        x = net.norm(net.conv(x, f"{name}.shortcut.2", output, 1), f"{name}.shortcut.3")
    return net.add(y, x, f"{name}.add")
