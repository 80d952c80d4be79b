"""The authors' networks, from a checkpoint file through the whole chain: the numbers that their own code gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from golden_weights import rule
from numpy.typing import NDArray
from one_stage import run_stage
from pytorch_file import checkpoint
from safetensors.numpy import save_file

from ghost_edge.core.progress import Reporter
from ghost_edge.device.runtimes.open import open_model
from ghost_edge.host.chain.stages import STAGES, run_chain
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.recipe.schema import load_recipe

pytestmark = [pytest.mark.slow, pytest.mark.data]
NETWORKS = {
    "ghostnet_050": ("ghostnet", 0.5),
    "ghostnet_100": ("ghostnet", 1.0),
    "ghostnet_130": ("ghostnet", 1.3),
    "ghostnetv2_100": ("ghostnet_v2", 1.0),
}
Command = Callable[..., Any]


@pytest.fixture(scope="module", params=NETWORKS)
def name(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module")
def made(name: str, golden_folder: Path, tmp_path_factory: pytest.TempPathFactory, ghost_edge: Command) -> Path:
    """The folder of a conversion whose weights came in as .safetensors and as .pth, by the command."""
    folder = tmp_path_factory.mktemp(name)
    kind, width = NETWORKS[name]
    described = json.loads((golden_folder / f"{name}.json").read_text())
    state = {key: rule(key, shape) for key, shape in described["state_dict"].items()}
    save_file(state, folder / "w.safetensors")
    floats = {f"module.{key}": values for key, values in state.items() if values.dtype == np.float32}
    (folder / "w.pth").write_bytes(checkpoint(floats))
    for suffix in ("safetensors", "pth"):
        out = folder / f"from_{suffix}.safetensors"
        run = ghost_edge("weights", "import", folder / f"w.{suffix}", "--network", kind, "--width", width, "-o", out)
        assert run.returncode == 0, run.stderr
    (folder / "golden.toml").write_text(
        f"""
        [network]
        kind = "{kind}"
        width = {width}
        weights = "from_pth.safetensors"
        [preprocess]
        size = 224
        [[export]]
        kind = "onnx_float"
        """
    )
    recipe, places = load_recipe(folder / "golden.toml"), Places((folder,))
    run_chain(recipe, places, folder, Reporter(), stages=STAGES[:2])  # build and float
    run_stage("export", recipe, places, folder)  # without a quantized file
    return folder


@pytest.fixture(scope="module")
def images() -> NDArray[np.float32]:
    values = np.random.default_rng(0).normal(size=(2, 3, 224, 224)).astype(np.float32)
    return np.ascontiguousarray(values.transpose(0, 2, 3, 1))


def test_both_kinds_of_checkpoint_give_the_same_weights(made: Path) -> None:
    files = [made / f"from_{suffix}.safetensors" for suffix in ("safetensors", "pth")]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("suffix", ["_float.tflite", ".onnx"])
def test_a_float_artifact_gives_the_authors_logits(
    made: Path, name: str, golden_folder: Path, images: NDArray[np.float32], suffix: str
) -> None:
    model = open_model(next(made.glob(f"golden*{suffix}")))
    logits = []
    for image in images:
        model.set_inputs([image[np.newaxis]])
        model.invoke()
        logits.append(model.outputs_now()[0][0])
    expected = np.load(golden_folder / f"{name}.npz")["logits"]
    np.testing.assert_allclose(logits, expected, rtol=0, atol=2e-5)  # float32 sums in another order: about 1e-5


def test_keras_gives_the_authors_logits_and_feature_maps(
    made: Path, name: str, golden_folder: Path, images: NDArray[np.float32]
) -> None:
    golden = np.load(golden_folder / f"{name}.npz")
    model = keras.models.load_model(made / "golden.keras")
    layers = {tap: _last_layer(model, tap) for tap in {key.split(":")[1] for key in golden.files if ":" in key}}
    tapped = keras.Model(model.input, [model.output, *(layer.output for layer in layers.values())])
    runs = [[np.asarray(value) for value in tapped(image[np.newaxis], training=False)] for image in images]
    logits, *maps = (np.concatenate(values) for values in zip(*runs, strict=True))
    np.testing.assert_allclose(logits, golden["logits"], rtol=0, atol=2e-5)
    assert len(maps) == 7
    for tap, values in zip(layers, maps, strict=True):
        for statistic, ours in {
            "channel_mean": values.mean(axis=(1, 2)),
            "channel_std": values.std(axis=(1, 2)),
            "corner": values[:, :2, :2].transpose(0, 3, 1, 2),
        }.items():
            np.testing.assert_allclose(ours, golden[f"tap:{tap}:{statistic}"], rtol=0, atol=1e-4, err_msg=tap)


def _last_layer(model: keras.Model, tap: str) -> Any:
    """The layer whose output was recorded: of a stage its last block's, of conv_head that of the in-place ReLU."""
    name = {"conv_head": "act2"}.get(tap, tap)
    return next(layer for layer in reversed(model.layers) if layer.name == name or layer.name.startswith(f"{name}."))
