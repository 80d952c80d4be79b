"""GhostNet (Han et al., CVPR 2020, arXiv 1911.11907), GhostNetV2 (Tang et al., NeurIPS 2022, arXiv 2211.12905).

And the first as the TensorFlow 2 tutorials write it: their blocks in the paper's table.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ghost_edge.core.errors import RecipeError
from ghost_edge.core.options import check_lowest
from ghost_edge.host.networks.options import GhostStages

if TYPE_CHECKING:
    import keras

    from ghost_edge.host.networks.layers import Layers

PADDINGS = ("explicit", "same")
HARD_SIGMOIDS = ("keras2", "keras3")  # functions of blocks.py, which needs Keras


@dataclasses.dataclass(frozen=True)
class GhostNet(GhostStages):
    """[network] with kind = "ghostnet".

    padding: "explicit" pads both sides alike, as PyTorch does (needed for published checkpoints, one PAD op for each
        strided convolution); "same" is TensorFlow's, without PAD ops.
    """

    kernel: int = 1
    cheap_kernel: int = 3
    padding: str = "explicit"
    attends_from: ClassVar[float] = float("inf")  # number of the first bottleneck with DFC attention

    def __post_init__(self) -> None:
        super().__post_init__()
        check_lowest(self, "[network]", {"kernel": 1, "cheap_kernel": 1})
        if self.padding not in PADDINGS:
            raise RecipeError(f"[network] padding {self.padding!r} is not known; write one of {', '.join(PADDINGS)}")


@dataclasses.dataclass(frozen=True)
class GhostNetV2(GhostNet):
    """[network] with kind = "ghostnet_v2": the options of ghostnet; all but the first two bottlenecks attend."""

    attends_from: ClassVar[float] = 2


@dataclasses.dataclass(frozen=True)
class GhostNetTF2(GhostStages):
    """[network] with kind = "ghostnet_tf2"; a squeeze ratio over 0 in stages asks for an SEModule.

    hard_sigmoid: "keras2" for weights trained with TensorFlow up to 2.15, whose hard sigmoid was another function.
    """

    hard_sigmoid: str = "keras3"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hard_sigmoid not in HARD_SIGMOIDS:
            raise RecipeError(f"[network] hard_sigmoid {self.hard_sigmoid!r}; write one of {', '.join(HARD_SIGMOIDS)}")


def build(options: GhostNet) -> keras.Model:
    """Build the network: images float32 [1, size, size, channels], normalised, to logits float32 [1, classes].

    Layers are named by the keys of the authors' PyTorch state_dict, so that weights travel by name
    (Efficient-AI-Backbones, ghostnet_pytorch/ghostnet.py and ghostnetv2_pytorch/model/ghostnetv2_torch.py).
    Raises RecipeError where an image is too small for the attention's pooling.
    """
    import keras  # here, so that reading a recipe does not cost seconds

    from ghost_edge.host.networks.layers import Layers

    net = Layers(ratio=options.ratio, kernel=options.kernel, cheap_kernel=options.cheap_kernel, padding=options.padding)
    image, x = net.stem(options)
    names = _stage_names(options.stages)
    for number, (name, row) in enumerate(zip(names, options.stages, strict=True)):
        attention = number >= options.attends_from
        x = _bottleneck(net, x, f"blocks.{name}", row, width=options.width, attention=attention)
    last = f"blocks.{int(names[-1].split('.')[0]) + 1}.0"
    return keras.Model(image, net.head(x, last, options), name="ghostnet")


def _stage_names(stages: Sequence[Sequence[float]]) -> list[str]:
    """Name blocks "<stage>.<block>": the authors give a strided block a stage of its own, and a run of others one."""
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


def _bottleneck(net: Layers, x: Any, name: str, row: Sequence[float], *, width: float, attention: bool) -> Any:
    """Add a ghost bottleneck (figure 3): a ghost module to expand, stride and squeeze-and-excite, one to project."""
    from ghost_edge.host.networks.layers import scale_row

    kernel, expanded, output, squeeze, stride = scale_row(row, width)
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


def build_tf2(options: GhostNetTF2) -> keras.Model:
    """Build the tutorials' network: float32 [1, size, size, channels], normalised, to logits float32 [1, classes]."""
    import keras

    from ghost_edge.host.networks.blocks import GBNeck
    from ghost_edge.host.networks.layers import Layers, scale_row

    net = Layers()
    image, x = net.stem(options)
    for number, row in enumerate(options.stages):
        kernel, expanded, output, squeeze, stride = scale_row(row, options.width)
        neck = GBNeck(
            *(kernel, stride, expanded, output, options.ratio, squeeze > 0),
            hard_sigmoid=options.hard_sigmoid,
            name=f"blocks.{number}",
        )
        x = neck(x)
    return keras.Model(image, net.head(x, f"blocks.{len(options.stages)}", options), name="ghostnet_tf2")
