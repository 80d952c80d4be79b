"""The light networks of keras.applications that GhostNet is compared with."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ghost_edge.host.networks.options import Light, Scalable

if TYPE_CHECKING:
    import keras


def build(function: str, options: Light) -> keras.Model:
    """Build by a function of keras.applications: float32 [1, size, size, channels], normalised, to logits [1, classes].

    Keras' own preprocessing before the first convolution is left out, for [preprocess] does it.
    """
    import keras  # here, so that reading a recipe does not cost seconds

    from ghost_edge.host.networks.layers import image_input

    image = image_input(options)
    extra = {"alpha": options.width} if isinstance(options, Scalable) else {}
    if function.startswith("MobileNetV3"):
        extra["include_preprocessing"] = False
    make = getattr(keras.applications, function)
    model = make(weights=None, input_tensor=image, classes=options.classes, classifier_activation=None, **extra)
    # EfficientNet's Rescaling and Normalization have no switch, so they are cut off
    start = model.get_layer("stem_conv_pad").input if function.startswith("EfficientNet") else image
    model = keras.Model(start, model.output, name=function)
    keras.saving.register_keras_serializable("ghost_edge")(_hard_swish)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Activation) and layer.activation is keras.activations.hard_swish:
            layer.activation = _hard_swish
        elif isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
            _draw_kernel(layer)
    return model


def _hard_swish(x: Any) -> Any:
    """Compute x * relu6(x + 3) / 6 (arXiv 1905.02244, section 5.2) in operations that XNNPACK takes in int8.

    The converter turns a division by 6 into HARD_SWISH, which XNNPACK takes in float32 alone: on x86, MobileNetV3 took
    2.9 (large) and 3.8 (small) times as long in int8, and 6 and 8 % less in float32.
    """
    import keras

    return x * keras.ops.relu6(x + 3.0) / 3.0 * 0.5


def _draw_kernel(layer: keras.layers.Layer) -> None:
    """Draw a kernel anew by He's rule (arXiv 1502.01852), so that activations of an untrained network keep their scale.

    Keras counts all channels as inputs of a depthwise kernel: MobileNetV1's logits would deviate by 2e-19.
    """
    import keras

    height, width, channels, _ = layer.kernel.shape
    fan_in = height * width * (channels if isinstance(layer, keras.layers.Conv2D) else 1)
    layer.kernel.assign(keras.initializers.RandomNormal(stddev=math.sqrt(2 / fan_in))(layer.kernel.shape))
