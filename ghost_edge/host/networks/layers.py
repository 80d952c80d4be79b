"""Layers of the GhostNet family, named by the keys of the authors' PyTorch state_dict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras

from ghost_edge.core.errors import RecipeError
from ghost_edge.core.preprocess import height_and_width
from ghost_edge.host.networks.options import GhostStages, Light

BATCH_NORM_EPSILON = 1e-5  # PyTorch's default, with which the published checkpoints were trained


def make_divisible(value: float, divisor: int = 4) -> int:
    """Round channels to a multiple of divisor, never down by more than a tenth (the authors' rule, from MobileNet)."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def scale_row(row: Sequence[float], width: float) -> tuple[int, int, int, float, int]:
    """Apply the width multiplier to a row of stages: kernel, expanded, output, squeeze ratio, stride."""
    kernel, expanded, output, squeeze, stride = row
    return int(kernel), make_divisible(expanded * width), make_divisible(output * width), squeeze, int(stride)


def image_input(options: Light) -> Any:
    """Return the input of a network: float32 [1, height, width, channels]."""
    return keras.Input((*height_and_width(options.input_size), options.input_channels), batch_size=1, name="image")


class Layers:
    """Layers that share a network's options; every method adds layers of the given name and returns their output."""

    def __init__(self, *, ratio: int = 2, kernel: int = 1, cheap_kernel: int = 3, padding: str = "same") -> None:
        self._ratio, self._kernel, self._cheap_kernel, self._padding = ratio, kernel, cheap_kernel, padding

    def conv(self, x: Any, name: str, filters: int, kernel: int, stride: int = 1, *, bias: bool = False) -> Any:
        """Add a convolution, without activation."""
        x, padding = self._pad(x, name, kernel, stride)
        layer = keras.layers.Conv2D(
            filters, kernel, stride, padding=padding, use_bias=bias, kernel_initializer="lecun_normal", name=name
        )
        return layer(x)

    def depthwise(self, x: Any, name: str, kernel: Any, stride: int = 1, *, multiplier: int = 1) -> Any:
        """Add a depthwise convolution without bias; kernel: size or (height, width); multiplier: outputs a channel."""
        x, padding = self._pad(x, name, kernel, stride)
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        layer = keras.layers.DepthwiseConv2D(
            (height, width),
            stride,
            padding=padding,
            depth_multiplier=multiplier,
            use_bias=False,
            # LeCun's rule on the true fan-in of height * width; Keras would count all channels. He's would let an
            # untrained network's activations grow to 1e4, where float32 itself is too coarse for `verify`
            depthwise_initializer=keras.initializers.RandomNormal(stddev=(height * width) ** -0.5),
            name=name,
        )
        return layer(x)

    def norm(self, x: Any, name: str, *, relu: bool = False) -> Any:
        """Add batch normalisation with PyTorch's epsilon, and with relu=True a ReLU."""
        x = keras.layers.BatchNormalization(momentum=0.9, epsilon=BATCH_NORM_EPSILON, name=name)(x)
        return keras.layers.ReLU(name=f"{name}.relu")(x) if relu else x

    def ghost_module(self, x: Any, name: str, filters: int, *, relu: bool) -> Any:
        """Add a ghost module: a convolution makes intrinsic maps, a depthwise one their ghosts (section 3.1, eq. 3)."""
        ratio, cheap = self._ratio, f"{name}.cheap_operation"
        intrinsic = math.ceil(filters / ratio)
        primary = self.conv(x, f"{name}.primary_conv.0", intrinsic, self._kernel)
        primary = self.norm(primary, f"{name}.primary_conv.1", relu=relu)
        if ratio == 1:
            return primary
        ghosts = self.depthwise(primary, f"{cheap}.0", self._cheap_kernel, multiplier=ratio - 1)
        ghosts = self.norm(ghosts, f"{cheap}.1", relu=relu)
        both = keras.layers.Concatenate(name=f"{name}.concat")([primary, ghosts])
        return both if both.shape[-1] == filters else both[..., :filters]

    def attend(self, x: Any, y: Any, name: str) -> Any:
        """Add DFC attention (arXiv 2211.12905, section 3.2): y times a gate of half its size, made of x."""
        height, width, filters = y.shape[1:]
        if min(height, width) < 2:
            raise RecipeError(f"[network] {name} attends over {height} x {width} pixels, needs 2 x 2: raise input_size")
        gate = self.norm(self.conv(_half(x), f"{name}.0", filters, self._kernel), f"{name}.1")
        gate = self.norm(self.depthwise(gate, f"{name}.2", (1, 5)), f"{name}.3")
        gate = self.norm(self.depthwise(gate, f"{name}.4", (5, 1)), f"{name}.5")
        return _times_upsampled(y, keras.layers.Activation("sigmoid", name=f"{name}.gate")(gate))

    def stem(self, options: GhostStages) -> tuple[Any, Any]:
        """Return the network's input and the input of the first bottleneck (table 7, first row)."""
        image = image_input(options)
        x = self.conv(image, "conv_stem", make_divisible(options.stem_channels * options.width), 3, options.stem_stride)
        return image, self.norm(x, "bn1", relu=True)

    def head(self, x: Any, name: str, options: GhostStages) -> Any:
        """Add the layers from the last bottleneck to the logits, float32 [N, classes] (table 7, last rows)."""
        _, expanded, *_ = scale_row(options.stages[-1], options.width)
        x = self.norm(self.conv(x, f"{name}.conv", expanded, 1), f"{name}.bn1", relu=True)
        x = keras.layers.GlobalAveragePooling2D(keepdims=True, name="global_pool")(x)
        x = self.conv(x, "conv_head", options.head_channels, 1, bias=True)
        x = keras.layers.Dropout(options.dropout, name="dropout")(keras.layers.ReLU(name="act2")(x))
        # no Dense: FULLY_CONNECTED of tflite-runtime 2.14 rounds otherwise than LiteRT's, a convolution does not
        return keras.layers.Flatten(name="flatten")(keras.layers.Conv2D(options.classes, 1, name="classifier")(x))

    def squeeze_excite(self, x: Any, name: str, squeeze: float) -> Any:
        """Add channel attention with a hard sigmoid, relu6(x + 3) / 6 (section 4.1)."""
        channels = x.shape[-1]
        gate = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}.pool")(x)
        gate = self.conv(gate, f"{name}.conv_reduce", make_divisible(channels * squeeze), 1, bias=True)
        gate = keras.layers.ReLU(name=f"{name}.act1")(gate)
        gate = self.conv(gate, f"{name}.conv_expand", channels, 1, bias=True)
        gate = keras.layers.Activation("hard_sigmoid", name=f"{name}.gate")(gate)
        return keras.layers.Multiply(name=f"{name}.scale")([x, gate])

    def add(self, x: Any, y: Any, name: str) -> Any:
        """Add two branches."""
        return keras.layers.Add(name=name)([x, y])

    def _pad(self, x: Any, name: str, kernel: Any, stride: int) -> tuple[Any, str]:
        if stride == 1 or kernel == 1 or self._padding == "same":
            return x, "same"
        return keras.layers.ZeroPadding2D((kernel - 1) // 2, name=f"{name}.pad")(x), "valid"


def _half(x: Any) -> Any:
    """Average 2 x 2 pixels without an odd last row or column; as MEAN, for XNNPACK takes no int8 AVERAGE_POOL_2D."""
    height, width, channels = x.shape[1] // 2, x.shape[2] // 2, x.shape[3]
    even = x if x.shape[1:3] == (2 * height, 2 * width) else x[:, : 2 * height, : 2 * width]
    return keras.ops.mean(keras.ops.reshape(even, (-1, height, 2, width, 2, channels)), axis=(2, 4))


def _times_upsampled(y: Any, gate: Any) -> Any:
    """Multiply y [N, H, W, C] by gate [N, H // 2, W // 2, C], whose values serve the nearest pixels as in PyTorch.

    A product over [N, H/2, 2, W * C], the gate's rows written twice in width only: no RESIZE_NEAREST_NEIGHBOR, which
    XNNPACK does not take, cuts the int8 network in parts, and no broadcast over more than 4 dimensions, which stops
    tflite-runtime 2.14. Of an odd side the first value counts for three pixels.
    """
    odd = [y.shape[axis] % 2 for axis in (1, 2)]
    if odd[0]:
        gate = keras.ops.concatenate([gate[:, :1], gate], axis=1)
    if odd[1]:
        gate = keras.ops.concatenate([gate[:, :, :1], gate], axis=2)
    if any(odd):
        y = keras.ops.pad(y, ((0, 0), (odd[0], 0), (odd[1], 0), (0, 0)))
    _, height, width, channels = y.shape
    pairs = keras.ops.reshape(gate, (-1, height // 2 * (width // 2), 1, channels))
    rows = keras.ops.reshape(keras.ops.concatenate([pairs, pairs], axis=2), (-1, height // 2, 1, width * channels))
    product = keras.ops.reshape(y, (-1, height // 2, 2, width * channels)) * rows
    product = keras.ops.reshape(product, (-1, height, width, channels))
    return product[:, odd[0] :, odd[1] :] if any(odd) else product
