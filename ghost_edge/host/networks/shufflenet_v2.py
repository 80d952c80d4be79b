"""ShuffleNetV2 as its authors published it (Ma et al., ECCV 2018, arXiv 1807.11164, table 5)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from ghost_edge.core.errors import RecipeError
from ghost_edge.host.networks.options import Scalable

if TYPE_CHECKING:
    import keras

    from ghost_edge.host.networks.layers import Layers

# width: channels of stages 2, 3 and 4, and of the last convolution
TABLE_5 = {
    0.5: (48, 96, 192, 1024),
    1.0: (116, 232, 464, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (244, 488, 976, 2048),
}
REPEATS = (4, 8, 4)
STEM_CHANNELS = 24


@dataclasses.dataclass(frozen=True)
class ShuffleNetV2(Scalable):
    """[network] with kind = "shufflenet_v2"; width is one of the four that the paper has."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width not in TABLE_5:
            raise RecipeError(f"[network] width is {self.width}; the paper has {', '.join(map(str, TABLE_5))}")


def build(options: ShuffleNetV2) -> keras.Model:
    """Build the network: images float32 [1, size, size, channels], normalised, to logits float32 [1, classes].

    Layers are named by the keys of torchvision's state_dict; strided layers pad as TensorFlow's "same".
    """
    import keras  # here, so that reading a recipe does not cost seconds

    from ghost_edge.host.networks.layers import Layers, image_input

    net, image = Layers(), image_input(options)
    x = net.norm(net.conv(image, "conv1.0", STEM_CHANNELS, 3, 2), "conv1.1", relu=True)
    x = keras.layers.MaxPooling2D(3, 2, padding="same", name="maxpool")(x)
    *channels, last = TABLE_5[options.width]
    for stage, (filters, repeats) in enumerate(zip(channels, REPEATS, strict=True), start=2):
        for number in range(repeats):
            x = _unit(net, x, f"stage{stage}.{number}", filters, stride=1 if number else 2)
    x = net.norm(net.conv(x, "conv5.0", last, 1), "conv5.1", relu=True)
    x = keras.layers.GlobalAveragePooling2D(name="global_pool")(x)
    logits = keras.layers.Dense(options.classes, name="fc")(x)
    return keras.Model(image, logits, name="shufflenet_v2")


def _unit(net: Layers, x: Any, name: str, filters: int, *, stride: int) -> Any:
    """Add a unit of figure 3 (c), or (d) with stride 2: two branches of half the channels, then the shuffle."""
    import keras

    half = filters // 2
    left, right = (x, x) if stride > 1 else keras.ops.split(x, 2, axis=-1)
    if stride > 1:
        left = net.norm(net.depthwise(left, f"{name}.branch1.0", 3, stride), f"{name}.branch1.1")
        left = net.norm(net.conv(left, f"{name}.branch1.2", half, 1), f"{name}.branch1.3", relu=True)
    right = net.norm(net.conv(right, f"{name}.branch2.0", half, 1), f"{name}.branch2.1", relu=True)
    right = net.norm(net.depthwise(right, f"{name}.branch2.3", 3, stride), f"{name}.branch2.4")
    right = net.norm(net.conv(right, f"{name}.branch2.5", half, 1), f"{name}.branch2.6", relu=True)
    return _shuffle(keras.layers.Concatenate(name=f"{name}.concat")([left, right]))


def _shuffle(x: Any) -> Any:
    """Interleave the two halves of the channels of x, float32 [N, H, W, C] (figure 3).

    A transpose of rank 4 does it; XNNPACK takes rank 3 and 5 too, at equal speed. With one CONCATENATION along a new
    last axis instead, int8 ShuffleNetV2 took 1.9 times as long.
    """
    import keras

    _, height, width, channels = x.shape
    pairs = keras.ops.reshape(x, (-1, height * width, 2, channels // 2))
    return keras.ops.reshape(keras.ops.transpose(pairs, (0, 1, 3, 2)), (-1, height, width, channels))
