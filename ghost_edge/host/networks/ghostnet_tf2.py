"""GhostNet as the TensorFlow 2 tutorials write it: their blocks in the paper's table."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ghost_edge.core.errors import RecipeError
from ghost_edge.host.networks.options import GhostStages

if TYPE_CHECKING:
    import keras

HARD_SIGMOIDS = ("keras2", "keras3")


@dataclasses.dataclass(frozen=True)
class GhostNetTF2(GhostStages):
    """[network] with kind = "ghostnet_tf2"; of the squeeze ratios in stages, any over 0 is a SEModule.

    hard_sigmoid: "keras2" for weights trained with TensorFlow up to 2.15, whose hard sigmoid was another function.
    """

    hard_sigmoid: str = "keras3"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hard_sigmoid not in HARD_SIGMOIDS:
            raise RecipeError(f"[network] hard_sigmoid {self.hard_sigmoid!r}; write one of {', '.join(HARD_SIGMOIDS)}")


def build(options: GhostNetTF2) -> keras.Model:
    """Build the network: images float32 [1, size, size, channels], normalised, to logits float32 [1, classes]."""
    import keras  # here, so that reading a recipe does not cost seconds

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
