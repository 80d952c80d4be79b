"""Our GhostNet is the authors' GhostNet."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from golden_weights import rule

from ghost_edge.core.errors import ArtifactError, RecipeError
from ghost_edge.host.networks import ghostnet
from ghost_edge.host.networks.ghostnet import GhostNet, GhostNetV2
from ghost_edge.host.networks.state_dict import assign_state, load_weights, network_state, save_weights

pytestmark = pytest.mark.slow
# trainable parameters counted in the authors' PyTorch code: ../shared/golden/ghostnet/README.md
PARAMETERS = {
    GhostNet(width=0.5): 2_587_292,
    GhostNet(): 5_182_508,
    GhostNet(width=1.3): 7_358_820,
    GhostNetV2(): 6_156_908,
}
TINY = GhostNet(input_size=16, classes=3, width=0.25, stages=((3, 16, 16, 0, 1), (3, 48, 24, 0.25, 2)), head_channels=8)


def distance(golden_folder: Path, options: GhostNet) -> float:
    """Largest difference between our logits and those of the authors' code, with weights made by the rule."""
    name = f"ghostnet_{round(options.width * 100):03d}"
    described = json.loads((golden_folder / f"{name}.json").read_text())
    model = ghostnet.build(options)
    state = {key: rule(key, shape) for key, shape in described["state_dict"].items() if "num_batches" not in key}
    assign_state(model, state, source=name)
    images = np.random.default_rng(0).normal(size=(2, 3, 224, 224)).astype(np.float32).transpose(0, 2, 3, 1)
    logits = np.concatenate([np.asarray(model(images[index : index + 1], training=False)) for index in range(2)])
    return float(np.abs(logits - np.load(golden_folder / f"{name}.npz")["logits"]).max())


@pytest.mark.parametrize("options", PARAMETERS)
def test_the_published_networks_have_the_published_parameters(options: GhostNet) -> None:
    weights = ghostnet.build(options).trainable_weights
    assert sum(int(np.prod(weight.shape)) for weight in weights) == PARAMETERS[options]


@pytest.mark.parametrize("ratio", [1, 2, 3])
def test_a_ghost_module_has_as_many_maps_as_asked_for(ratio: int) -> None:
    import keras

    from ghost_edge.host.networks.layers import Layers

    layers = Layers(ratio=ratio, kernel=1, cheap_kernel=3, padding="same")
    image = keras.Input((8, 8, 5), batch_size=1)
    assert layers.ghost_module(image, "ghost", 10, relu=True).shape == (1, 8, 8, 10)  # 3 does not divide 10


def test_weights_survive_a_round_trip(tmp_path: Path) -> None:
    model = ghostnet.build(TINY)
    save_weights(model, tmp_path / "w.safetensors")
    other = ghostnet.build(TINY)
    load_weights(other, tmp_path / "w.safetensors")
    for key, values in network_state(model).items():
        np.testing.assert_array_equal(values, network_state(other)[key], err_msg=key)


def test_weights_of_another_width_name_the_layer() -> None:
    state = network_state(ghostnet.build(TINY))
    wide = {**state, "conv_stem.weight": np.zeros((32, 3, 3, 3), np.float32)}
    with pytest.raises(ArtifactError, match=r"conv_stem\.weight \[32, 3, 3, 3\], not \[4, "):
        assign_state(ghostnet.build(TINY), wide, source="w")


def test_a_missing_weight_is_named() -> None:
    state = network_state(ghostnet.build(TINY))
    del state["classifier.bias"]
    with pytest.raises(ArtifactError, match=r"w lacks 1 weights \(classifier\.bias\)"):
        assign_state(ghostnet.build(TINY), state, source="w")


def test_an_unknown_weight_is_named() -> None:
    state = {**network_state(ghostnet.build(TINY)), "blocks.7.0.conv.weight": np.zeros(1, np.float32)}
    with pytest.raises(ArtifactError, match=r"w has unknown 1 weights \(blocks\.7\.0\.conv\.weight\)"):
        assign_state(ghostnet.build(TINY), state, source="w")


def test_weights_with_nan_name_the_layer() -> None:
    state = {key: values.copy() for key, values in network_state(ghostnet.build(TINY)).items()}
    state["classifier.bias"][1] = np.nan
    with pytest.raises(ArtifactError, match=r"w has NaN or infinity in 1 weights \(classifier\.bias\)"):
        assign_state(ghostnet.build(TINY), state, source="w")


def test_weights_in_another_order_of_axes_are_another_network() -> None:
    # a convolution's HWIO, as Keras has it, where the file promises PyTorch's OIHW
    state = network_state(ghostnet.build(TINY))
    turned = {**state, "conv_stem.weight": np.ascontiguousarray(state["conv_stem.weight"].transpose(2, 3, 1, 0))}
    with pytest.raises(ArtifactError, match=r"conv_stem\.weight \[3, 3, 3, 4\], not \[4, 3"):
        assign_state(ghostnet.build(TINY), turned, source="w")


@pytest.mark.data
def test_the_comparison_tells_a_wrong_batch_norm_epsilon(golden_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ghost_edge.host.networks import layers

    monkeypatch.setattr(layers, "BATCH_NORM_EPSILON", 1e-3)  # Keras' default instead of PyTorch's
    assert distance(golden_folder, GhostNet(width=0.5)) > 2e-4  # ten times the tolerance


@pytest.mark.data
def test_the_comparison_tells_tensorflows_padding(golden_folder: Path) -> None:
    assert distance(golden_folder, GhostNet(width=0.5, padding="same")) > 2e-4


@pytest.mark.parametrize("keep", [0, 7, 1000])
def test_a_truncated_weights_file_is_an_error(tmp_path: Path, keep: int) -> None:
    model = ghostnet.build(TINY)
    path = tmp_path / "w.safetensors"
    save_weights(model, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ArtifactError, match=r"is not a readable \.safetensors file"):
        load_weights(model, path)


def test_an_untrained_network_keeps_its_activations_in_scale() -> None:
    import keras

    keras.utils.set_random_seed(0)
    model = ghostnet.build(GhostNet(input_size=64))
    images = np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype(np.float32)
    # with He's initial weights they were 4e4, where float32 is too coarse for the proof of a conversion
    assert 0.01 < np.asarray(model(images, training=False)).std() < 100


@pytest.mark.parametrize("size", [(2, 2), (3, 3), (4, 7), (7, 4), (9, 5), (14, 14)])
def test_the_attention_pools_and_upsamples_as_pytorch_does(size: tuple[int, int]) -> None:
    from ghost_edge.host.networks.layers import _half, _times_upsampled

    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *size, 3)).astype(np.float32)
    small = size[0] // 2, size[1] // 2
    # avg_pool2d(x, 2, 2) leaves an odd last row out
    pooled = x[:, : 2 * small[0], : 2 * small[1]].reshape(2, small[0], 2, small[1], 2, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(np.asarray(_half(x)), pooled, rtol=0, atol=1e-6)  # float32 sums of four
    # interpolate(mode="nearest") takes source pixel floor(i * source / target)
    rows, columns = (np.arange(target) * source // target for target, source in zip(size, small, strict=True))
    expected = x * pooled[:, rows][:, :, columns]
    np.testing.assert_array_equal(np.asarray(_times_upsampled(x, pooled)), expected)


def test_images_too_small_for_the_attention_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"attends over 1 x 1 pixels, needs 2 x 2: raise input_size"):
        ghostnet.build(GhostNetV2(input_size=32))
