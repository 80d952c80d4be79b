"""The blocks of the widespread TensorFlow 2 GhostNet tutorials, as Keras layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras

from ghost_edge.core.errors import RecipeError
from ghost_edge.core.options import pick

# written alike, so that the additions melt into the convolution before and the sixth into the one after
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


@_serializable
class SEModule(keras.layers.Layer):
    """Squeeze and excite: float32 [N, H, W, filters] times a weight a channel, from two 1x1 convolutions without bias.

    hard_sigmoid: "keras3" is relu6(x + 3) / 6, "keras2" (TensorFlow up to 2.15) is clip(0.2 x + 0.5, 0, 1).
    """

    def __init__(self, filters: int, ratio: int, *, hard_sigmoid: str = "keras3", **layer: Any) -> None:
        super().__init__(**layer)
        self.filters, self.ratio, self.hard_sigmoid = filters, ratio, hard_sigmoid
        self._gate = pick(HARD_SIGMOIDS, hard_sigmoid, kind="hard_sigmoid")
        if not 1 <= ratio <= filters:
            raise RecipeError(f"SEModule reduces {filters} filters by the ratio {ratio}; it must be 1 to {filters}")
        self.pool = keras.layers.GlobalAveragePooling2D(keepdims=True, name="pool")
        self.conv1, self.conv2 = _conv(int(filters / ratio), 1, "conv1"), _conv(filters, 1, "conv2")

    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs [N, H, W, filters]."""
        if input_shape[-1] != self.filters:
            raise RecipeError(f"SEModule weighs {self.filters} channels and is given {input_shape[-1]}; pass filters")
        self.conv1.build((*input_shape[:1], 1, 1, self.filters))
        self.conv2.build((*input_shape[:1], 1, 1, self.conv1.filters))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The same."""
        return input_shape

    def call(self, inputs: Any) -> Any:
        """Weigh the channels."""
        squeezed = keras.ops.relu(self.conv1(self.pool(inputs)))
        return inputs * self._gate(self.conv2(squeezed))

    def get_config(self) -> dict[str, Any]:
        """What __init__ takes."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "ratio": self.ratio,
            "hard_sigmoid": self.hard_sigmoid,
        }


@_serializable
class GhostModule(keras.layers.Layer):
    """Convolution to ceil(out / ratio) channels, depthwise for the rest: float32 [N, H, W, C] to [N, H, W, out].

    No bias, no batch normalisation between (arXiv 1911.11907, equation 3, as the tutorials have it).
    """

    def __init__(self, out: int, ratio: int = 2, convkernel: int = 1, dwkernel: int = 3, **layer: Any) -> None:
        super().__init__(**layer)
        if out < 1 or ratio < 1:
            raise RecipeError(f"GhostModule has out {out} and ratio {ratio}; both must be 1 or more")
        self.out, self.ratio, self.convkernel, self.dwkernel = out, ratio, convkernel, dwkernel
        self.conv = _conv(math.ceil(out / ratio), convkernel, "conv")
        self.depthwise = _depthwise(dwkernel, 1, ratio - 1, "depthwise") if ratio > 1 else None

    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs [N, H, W, C]."""
        self.conv.build(input_shape)
        if self.depthwise is not None:
            self.depthwise.build((*input_shape[:-1], self.conv.filters))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """[N, H, W, out]."""
        return (*input_shape[:-1], self.out)

    def call(self, inputs: Any) -> Any:
        """Intrinsic maps, then as many ghosts of them as are missing."""
        intrinsic = self.conv(inputs)
        missing = self.out - self.conv.filters
        if self.depthwise is None or missing == 0:
            return intrinsic
        ghosts = self.depthwise(intrinsic)
        return keras.ops.concatenate([intrinsic, ghosts if ghosts.shape[-1] == missing else ghosts[..., :missing]], -1)

    def get_config(self) -> dict[str, Any]:
        """What __init__ takes."""
        sizes = {"out": self.out, "ratio": self.ratio, "convkernel": self.convkernel, "dwkernel": self.dwkernel}
        return {**super().get_config(), **sizes}


@_serializable
class GBNeck(keras.layers.Layer):
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
        **layer: Any,
    ) -> None:
        super().__init__(**layer)
        if ratio < 2:
            raise RecipeError(f"GBNeck has ratio {ratio}, and its shortcut needs ratio - 1 maps a channel; write 2")
        if ratio > 2 and strides > 1 and use_se:
            raise RecipeError(
                f"GBNeck with ratio {ratio}, strides {strides} and use_se: its depthwise convolution makes "
                f"{exp * (ratio - 1)} channels, its SE module weighs {exp}; use ratio 2, strides 1 or no SE"
            )
        self.dwkernel, self.strides, self.exp, self.out = dwkernel, strides, exp, out
        self.ratio, self.use_se, self.hard_sigmoid = ratio, use_se, hard_sigmoid
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

    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs [N, H, W, C]."""
        for path in (self.main, self.shortcut):
            shape = input_shape
            for layer in path:
                layer.build(shape)
                shape = layer.compute_output_shape(shape)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Main path plus shortcut."""
        ends = []
        for path in (self.main, self.shortcut):
            x = inputs
            for layer in path:
                norm = isinstance(layer, keras.layers.BatchNormalization)
                x = layer(x, training=training) if norm else layer(x)
            ends.append(x)
        return ends[0] + ends[1]

    def get_config(self) -> dict[str, Any]:
        """What __init__ takes."""
        names = ("dwkernel", "strides", "exp", "out", "ratio", "use_se", "hard_sigmoid")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
