"""The blocks of the widespread TensorFlow 2 GhostNet tutorials, as Keras layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras

from ghost_edge.core.errors import RecipeError
from ghost_edge.core.options import pick

# in one form, so that the addition is folded into the convolution before and the sixth into the one after
HARD_SIGMOIDS: dict[str, Callable[[Any], Any]] = {
    "keras2": lambda x: keras.ops.relu6(1.2 * x + 3.0) / 6.0,  # clip(0.2 x + 0.5, 0, 1)
    "keras3": lambda x: keras.ops.relu6(x + 3.0) / 6.0,
}
_serializable = keras.saving.register_keras_serializable(package="ghost_edge")


def _conv(filters: int, kernel: int, name: str) -> keras.layers.Layer:
    return keras.layers.Conv2D(filters, kernel, padding="same", use_bias=False, name=name)


def _depthwise(kernel: int, strides: int, multiplier: int, name: str) -> keras.layers.Layer:
    return keras.layers.DepthwiseConv2D(
        kernel, strides, padding="same", depth_multiplier=multiplier, use_bias=False, name=name
    )


class _Block(keras.layers.Layer):
    """A layer made of others; Keras saves the arguments of __init__ by itself if the last one is called kwargs."""

    def build(self, input_shape: Any) -> None:
        """Make the weights of the inner layers, under this layer's name, by calling them once without values."""
        keras.Operation.compute_output_spec(self, keras.KerasTensor(input_shape))


@_serializable
class SEModule(_Block):
    """Squeeze and excite: float32 [N, H, W, filters] times a weight for each channel, by two 1x1 convolutions.

    No bias. hard_sigmoid: "keras3" is relu6(x + 3) / 6, "keras2" (TensorFlow up to 2.15) is clip(0.2 x + 0.5, 0, 1).
    """

    def __init__(self, filters: int, ratio: int, *, hard_sigmoid: str = "keras3", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters, self.ratio, self.hard_sigmoid = filters, ratio, hard_sigmoid
        self._gate = pick(HARD_SIGMOIDS, hard_sigmoid, kind="hard_sigmoid")
        if not 1 <= ratio <= filters:
            raise RecipeError(f"SEModule reduces {filters} filters by the ratio {ratio}; it must be 1 to {filters}")
        self.pool = keras.layers.GlobalAveragePooling2D(keepdims=True, name="pool")
        self.conv1, self.conv2 = _conv(int(filters / ratio), 1, "conv1"), _conv(filters, 1, "conv2")

    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs [N, H, W, filters]; RecipeError for other inputs."""
        if input_shape[-1] != self.filters:
            raise RecipeError(f"SEModule weighs {self.filters} channels and is given {input_shape[-1]}; pass filters")
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        """Multiply each channel by its weight."""
        squeezed = keras.ops.relu(self.conv1(self.pool(inputs)))
        return inputs * self._gate(self.conv2(squeezed))


@_serializable
class GhostModule(_Block):
    """Convolution to ceil(out / ratio) channels, depthwise for the rest: float32 [N, H, W, C] to [N, H, W, out].

    No bias and no batch normalisation in between: arXiv 1911.11907, equation 3, as the tutorials write it.
    """

    def __init__(self, out: int, ratio: int = 2, convkernel: int = 1, dwkernel: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if out < 1 or ratio < 1:
            raise RecipeError(f"GhostModule has out {out} and ratio {ratio}; both must be 1 or more")
        self.out, self.ratio = out, ratio
        self.conv = _conv(math.ceil(out / ratio), convkernel, "conv")
        self.depthwise = _depthwise(dwkernel, 1, ratio - 1, "depthwise") if ratio > 1 else None

    def call(self, inputs: Any) -> Any:
        """Return the intrinsic maps followed by as many ghosts as are missing."""
        intrinsic = self.conv(inputs)
        if self.depthwise is None:
            return intrinsic
        ghosts, missing = self.depthwise(intrinsic), self.out - self.conv.filters
        if missing == 0:
            return intrinsic
        return keras.ops.concatenate([intrinsic, ghosts if ghosts.shape[-1] == missing else ghosts[..., :missing]], -1)


@_serializable
class GBNeck(_Block):
    """Ghost bottleneck, float32 [N, H, W, C] to [N, ceil(H / strides), ceil(W / strides), out]; its shortcut convolves.

    Raises RecipeError where the tutorials' arithmetic does not meet: both depthwise convolutions have the depth
    multiplier ratio - 1, and the squeeze-and-excite module reduces by ratio.
    """

    def __init__(
        self,
        dwkernel: int,
        strides: int,
        exp: int,
        out: int,
        ratio: int = 2,
        use_se: bool = False,
        *,
        hard_sigmoid: str = "keras3",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if ratio < 2:
            raise RecipeError(f"GBNeck has ratio {ratio}, and its shortcut needs ratio - 1 maps a channel; write 2")
        if ratio > 2 and strides > 1 and use_se:
            raise RecipeError(
                f"GBNeck with ratio {ratio}, strides {strides} and use_se: its depthwise convolution makes "
                f"{exp * (ratio - 1)} channels, its SE module weighs {exp}; use ratio 2, strides 1 or no SE"
            )
        norm = keras.layers.BatchNormalization
        self.main = [GhostModule(exp, ratio, name="ghost1"), norm(name="norm1"), keras.layers.ReLU(name="relu1")]
        if strides > 1:
            depthwise = _depthwise(dwkernel, strides, ratio - 1, "depthwise")
            self.main += [depthwise, norm(name="norm2"), keras.layers.ReLU(name="relu2")]
        if use_se:
            self.main += [SEModule(exp, ratio, hard_sigmoid=hard_sigmoid, name="se")]
        self.main += [GhostModule(out, ratio, name="ghost2"), norm(name="norm3")]
        shortcut = _depthwise(dwkernel, strides, ratio - 1, "shortcut_depthwise")
        self.shortcut = [shortcut, norm(name="norm4"), _conv(out, 1, "shortcut_conv"), norm(name="norm5")]

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Add the main path and the shortcut; Keras passes `training` on to the inner layers."""
        main = shortcut = inputs
        for layer in self.main:
            main = layer(main)
        for layer in self.shortcut:
            shortcut = layer(shortcut)
        return main + shortcut
