"""Layers of the GhostNet family, named by the keys of the authors' PyTorch state_dict."""

from __future__ import annotations

import math
from typing import Any

import keras

BATCH_NORM_EPSILON = 1e-5  # PyTorch's default, with which the published checkpoints were trained


def make_divisible(value: float, divisor: int = 4) -> int:
    """Round channels to a multiple of divisor, never down by more than a tenth (the authors' rule, from MobileNet)."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


class Layers:
    """Layers that share a network's options; each call names what it adds."""

    def __init__(self, *, ratio: int, kernel: int, cheap_kernel: int, padding: str) -> None:
        self._ratio, self._kernel, self._cheap_kernel, self._padding = ratio, kernel, cheap_kernel, padding

    def conv(self, x: Any, name: str, filters: int, kernel: int, stride: int = 1, *, bias: bool = False) -> Any:
        """A convolution, without activation."""
        x, padding = self._pad(x, name, kernel, stride)
        layer = keras.layers.Conv2D(
            filters, kernel, stride, padding=padding, use_bias=bias, kernel_initializer="lecun_normal", name=name
        )
        return layer(x)

    def depthwise(self, x: Any, name: str, kernel: int, stride: int = 1, *, multiplier: int = 1) -> Any:
        """A depthwise convolution without bias; `multiplier` outputs a channel."""
        x, padding = self._pad(x, name, kernel, stride)
        layer = keras.layers.DepthwiseConv2D(
            kernel,
            stride,
            padding=padding,
            depth_multiplier=multiplier,
            use_bias=False,
            # LeCun's rule on the true fan-in of kernel * kernel; Keras would count all channels. He's would let an
            # untrained network's activations grow to 1e4, where float32 itself is too coarse for `verify`
            depthwise_initializer=keras.initializers.RandomNormal(stddev=1 / kernel),
            name=name,
        )
        return layer(x)

    def norm(self, x: Any, name: str, *, relu: bool = False) -> Any:
        """Batch normalisation with PyTorch's epsilon, then ReLU where asked for."""
        x = keras.layers.BatchNormalization(momentum=0.9, epsilon=BATCH_NORM_EPSILON, name=name)(x)
        return keras.layers.ReLU(name=f"{name}.relu")(x) if relu else x

    def ghost_module(self, x: Any, name: str, filters: int, *, relu: bool) -> Any:
        """Intrinsic maps by a convolution, ghosts of them by a depthwise one (section 3.1, equation 3)."""
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

    def squeeze_excite(self, x: Any, name: str, squeeze: float) -> Any:
        """Channel attention with a hard sigmoid, relu6(x + 3) / 6 (section 4.1)."""
        channels = x.shape[-1]
        gate = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}.pool")(x)
        gate = self.conv(gate, f"{name}.conv_reduce", make_divisible(channels * squeeze), 1, bias=True)
        gate = keras.layers.ReLU(name=f"{name}.act1")(gate)
        gate = self.conv(gate, f"{name}.conv_expand", channels, 1, bias=True)
        gate = keras.layers.Activation("hard_sigmoid", name=f"{name}.gate")(gate)
        return keras.layers.Multiply(name=f"{name}.scale")([x, gate])

    def add(self, x: Any, y: Any, name: str) -> Any:
        """The sum of two branches."""
        return keras.layers.Add(name=name)([x, y])

    def _pad(self, x: Any, name: str, kernel: int, stride: int) -> tuple[Any, str]:
        if stride == 1 or kernel == 1 or self._padding == "same":
            return x, "same"
        return keras.layers.ZeroPadding2D((kernel - 1) // 2, name=f"{name}.pad")(x), "valid"
