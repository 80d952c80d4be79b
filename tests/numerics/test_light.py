"""The networks that GhostNet is compared with are the published ones, and each becomes a whole int8 file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from ghost_edge.core.errors import RecipeError
from ghost_edge.core.options import from_table
from ghost_edge.device.runtimes.model import DelegateShare
from ghost_edge.device.runtimes.open import open_model
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.explore.networks import convert_untrained
from ghost_edge.host.networks import NETWORKS, shufflenet_v2
from ghost_edge.host.networks import keras_applications as light
from ghost_edge.host.networks.options import Light, Scalable
from ghost_edge.host.networks.shufflenet_v2 import ShuffleNetV2
from ghost_edge.host.quantization import QUANTIZERS
from ghost_edge.host.tflite.graph import read_model
from ghost_edge.host.tflite.verify import check_dtypes

MOBILE_NETS = ("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large")
KINDS = (*MOBILE_NETS, "efficientnet_b0", "shufflenet_v2")
# all parameters: keras.io/api/applications in the edition that does not round them; EfficientNet without the mean,
# variance and count (7) of its Normalization
PARAMETERS = {"mobilenet_v1": 4_253_864, "mobilenet_v2": 3_538_984, "efficientnet_b0": 5_330_571 - 7}
# trainable parameters: torchvision/models/shufflenetv2.py, num_params of the weights
SHUFFLE_PARAMETERS = {0.5: 1_366_792, 1.0: 2_278_604, 1.5: 3_503_624, 2.0: 7_393_996}
# the same file, _ops: thousand million multiply-accumulates
SHUFFLE_GIGA_MACS = {0.5: 0.04, 1.0: 0.145, 1.5: 0.296, 2.0: 0.583}
# github.com/megvii-model/ShuffleNet-Series, ShuffleNetV2/README.md, million FLOPs; what they count is not said there
AUTHORS_MEGA_FLOPS = {0.5: 41, 1.0: 146, 1.5: 299, 2.0: 591}


def make(kind: str, **options: Any) -> keras.Model:
    keras.utils.set_random_seed(0)
    row = NETWORKS[kind]
    return row.build(from_table(row.options, options, "[network]"), Places(()))


def count_macs(model: keras.Model) -> int:
    """Multiply-accumulates without biases: each kernel value works once a pixel of its layer's output."""
    kernels = [(layer.output.shape[1:-1], layer.kernel.shape) for layer in model.layers if hasattr(layer, "kernel")]
    return sum(math.prod(pixels) * math.prod(kernel) for pixels, kernel in kernels)


def spread(model: keras.Model) -> float:
    """Standard deviation of the logits of noise."""
    noise = np.random.default_rng(0).normal(size=model.input_shape).astype(np.float32)
    return float(np.asarray(model(noise, training=False)).std())


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(PARAMETERS))
def test_a_network_of_keras_has_the_published_parameters(kind: str) -> None:
    assert make(kind).count_params() == PARAMETERS[kind]


@pytest.mark.slow
@pytest.mark.parametrize("width", sorted(SHUFFLE_PARAMETERS))
def test_shufflenet_has_the_published_parameters_and_macs(width: float) -> None:
    model = make("shufflenet_v2", width=width)
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    assert (trainable, round(count_macs(model) / 1e9, 3)) == (SHUFFLE_PARAMETERS[width], SHUFFLE_GIGA_MACS[width])
    assert count_macs(model) / 1e6 == pytest.approx(AUTHORS_MEGA_FLOPS[width], rel=0.025)  # torchvision is as far off


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_light_network_takes_one_normalised_image_and_answers_logits_in_scale(kind: str) -> None:
    model = make(kind, input_size=64, input_channels=1, classes=7)
    assert (model.input_shape, model.output_shape) == ((1, 64, 64, 1), (1, 7))
    assert not [
        layer for layer in model.layers if isinstance(layer, (keras.layers.Rescaling, keras.layers.Normalization))
    ]
    assert 1e-3 < spread(model) < 1e3  # float32 and int8 ranges lose nothing there; after a softmax it would be 1e-4


@pytest.mark.slow
def test_with_keras_own_kernels_the_logits_vanish(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(light, "_draw_kernel", lambda layer: None)
    assert spread(make("mobilenet_v1", input_size=64)) < 1e-15


@pytest.mark.slow
def test_the_same_seed_draws_the_same_kernels() -> None:
    first, second = (make("mobilenet_v3_small", input_size=32, width=0.5).get_weights() for _ in range(2))
    assert all(np.array_equal(*pair) for pair in zip(first, second, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mobilenet_v3_small", "efficientnet_b0", "shufflenet_v2"])
def test_a_light_network_can_be_trained_in_batches(kind: str) -> None:
    one = make(kind, input_size=32, classes=3)  # as host/training/train.py opens the batch
    many = keras.models.clone_model(one, input_tensors=keras.Input((32, 32, 3)))
    assert many(np.zeros((2, 32, 32, 3), np.float32), training=True).shape == (2, 3)


def test_hard_swish_is_that_of_keras() -> None:
    x = np.linspace(-6, 6, 101, dtype=np.float32)
    np.testing.assert_allclose(light._hard_swish(x), keras.activations.hard_swish(x), atol=1e-6)  # float32 rounding


@pytest.mark.parametrize("channels", [4, 58])
def test_the_shuffle_interleaves_the_halves(channels: int) -> None:
    x = np.arange(2 * 3 * 5 * channels, dtype=np.float32).reshape(2, 3, 5, channels)
    halves = np.split(x, 2, axis=-1)
    np.testing.assert_array_equal(shufflenet_v2._shuffle(x), np.stack(halves, axis=-1).reshape(x.shape))


def whole_int8(kind: str, folder: Path) -> DelegateShare:
    """Convert at 32 pixels, check that all is int8, and return the delegate's share."""
    made = convert_untrained({"kind": kind, "input_size": 32, "classes": 10}, folder)
    check_dtypes(read_model(made.int8_tflite), QUANTIZERS["int8"].dtypes, kind)
    share = open_model(made.int8_tflite).delegate
    assert share is not None
    return share


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_int8_file_is_one_partition_of_the_delegate(kind: str, tmp_path: Path) -> None:
    share = whole_int8(kind, tmp_path)
    assert (share.partitions, share.delegated_ops) == (1, share.ops)


@pytest.mark.slow
def test_the_hard_swish_of_keras_would_cut_the_int8_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(light, "_hard_swish", keras.activations.hard_swish)
    assert whole_int8("mobilenet_v3_small", tmp_path).partitions > 1


@pytest.mark.parametrize(
    ("options", "table", "said"),
    [
        (Light, {"input_size": 31}, r"\[network\] input_size is 31; it must be .* each 32 or more"),
        (Light, {"classes": 0}, r"\[network\] classes is 0; it must be 1 or more"),
        (Light, {"width": 0.5}, r"\[network\] has no key 'width'"),
        (Scalable, {"width": 0.0}, r"\[network\] width is 0\.0; it must be over 0"),
        (ShuffleNetV2, {"width": 0.7}, r"\[network\] width is 0\.7; the paper has 0\.5, 1\.0, 1\.5, 2\.0"),
    ],
)
def test_options_that_cannot_be_are_named(options: type[Light], table: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        from_table(options, table, "[network]")
