"""GhostNet as the TensorFlow 2 tutorials write it: their blocks in the paper's table."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ghost_edge.core.errors import RecipeError
from ghost_edge.host.networks.ghostnet import TABLE_7, check_sizes, check_stages

if TYPE_CHECKING:
    import keras

HARD_SIGMOIDS = ("keras2", "keras3")


@dataclasses.dataclass(frozen=True)
class GhostNetTF2:
    """[network] with kind = "ghostnet_tf2".

    hard_sigmoid: "keras2" for weights trained with TensorFlow up to 2.15, whose hard sigmoid was another function.
    stages: rows of (kernel, expanded channels, output channels, squeeze ratio, stride); any ratio over 0 is a SEModule.
    """

    input_size: int = 224
    input_channels: int = 3
    classes: int = 1000
    width: float = 1.0
    ratio: int = 2
    stem_channels: int = 16
    stem_stride: int = 2
    head_channels: int = 1280
    dropout: float = 0.2
    hard_sigmoid: str = "keras3"
    stages: tuple[tuple[float, ...], ...] = TABLE_7

    def __post_init__(self) -> None:
        if self.hard_sigmoid not in HARD_SIGMOIDS:
            raise RecipeError(f"[network] hard_sigmoid {self.hard_sigmoid!r}; write one of {', '.join(HARD_SIGMOIDS)}")
        check_sizes(self, ("input_size", "input_channels", "classes", "ratio", "stem_stride"))
        check_stages(self.stages)


def build(options: GhostNetTF2) -> keras.Model:
    """Build the network: images float32 [1, size, size, channels], normalised, to logits float32 [1, classes]."""
    import keras  # here, so that reading a recipe does not cost seconds

    from ghost_edge.host.networks.blocks import GBNeck
    from ghost_edge.host.networks.layers import Layers, make_divisible

    def scaled(channels: float) -> int:
        return make_divisible(channels * options.width)

    net = Layers(ratio=options.ratio, kernel=1, cheap_kernel=3, padding="same")
    image = keras.Input((options.input_size, options.input_size, options.input_channels), batch_size=1, name="image")
    x = net.conv(image, "conv_stem", scaled(options.stem_channels), 3, options.stem_stride)
    x = net.norm(x, "bn1", relu=True)
    for number, (kernel, expanded, output, squeeze, stride) in enumerate(options.stages):
        x = GBNeck(
            int(kernel),
            int(stride),
            scaled(expanded),
            scaled(output),
            options.ratio,
            squeeze > 0,
            hard_sigmoid=options.hard_sigmoid,
            name=f"blocks.{number}",
        )(x)
    logits = net.head(
        x, f"blocks.{len(options.stages)}", scaled(options.stages[-1][1]), options.head_channels, options.classes,
        dropout=options.dropout,
    )  # fmt: skip
    return keras.Model(image, logits, name="ghostnet_tf2")
