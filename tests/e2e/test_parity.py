"""One model in every runtime of this machine, and twins that are none."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from ghost_edge.core.errors import ArtifactError, ConversionError
from ghost_edge.core.files import read_npz, sha256_file
from ghost_edge.core.manifest import METADATA_NAME, read_manifest, read_metadata
from ghost_edge.core.preprocess import Preprocess
from ghost_edge.device.evaluate import RunOptions, raw_outputs
from ghost_edge.device.runtimes import onnx as onnx_model
from ghost_edge.device.runtimes.open import open_model
from ghost_edge.host.accuracy.parity import check_parity, load_images, measure_parity

pytestmark = pytest.mark.slow
Command = Callable[..., "subprocess.CompletedProcess[str]"]
Harm = Callable[[onnx.GraphProto], str]


@pytest.fixture
def twins(converted: Path) -> dict[str, Path]:
    return {
        "quantized": converted / "ghostnet_mnist_int8.tflite",
        "int8_onnx": converted / "ghostnet_mnist_int8.onnx",
    }


def test_every_runtime_is_in_the_matrix(converted: Path, ghost_edge: Command, tmp_path: Path) -> None:
    run = ghost_edge("parity", converted, "--json", tmp_path / "p.json")
    assert run.returncode == 0, run.stderr
    found = json.loads((tmp_path / "p.json").read_text())
    runs = ["Keras", "float .tflite", "float .onnx", "int8 reference", "int8 optimised", "int8 XNNPACK"]
    assert found["runs"] == [*runs, "int8 .onnx", "int8 .onnx unasked", "int8 .onnx plain", "TFLite Micro"]
    assert len(found["pairs"]) == 10 * 9 / 2
    assert "op by op on identical inputs: " in run.stdout.splitlines()[-1]


def test_tflite_micro_answers_as_the_reference_kernels(converted: Path) -> None:
    found = json.loads((converted / "parity.json").read_text())
    (pair,) = [each for each in found["pairs"] if {each["first"], each["second"]} == {"int8 reference", "TFLite Micro"}]
    assert pair["max_lsb"] == 0
    assert pair["differ"] == 0


def test_the_float_formats_answer_alike(converted: Path) -> None:
    found = json.loads((converted / "parity.json").read_text())
    floats = {"Keras", "float .tflite", "float .onnx"}
    assert [each["max_lsb"] for each in found["pairs"] if {each["first"], each["second"]} < floats] == [0, 0, 0]


def _change(graph: onnx.GraphProto, layer: str, place: int, change: Callable[[NDArray], NDArray]) -> str:
    """Change a layer's weights (place 0), their scales (1) or their zero points (2), and return its name."""
    weights = max((each for each in graph.initializer if layer in each.name), key=lambda each: len(each.raw_data)).name
    (reader,) = [node for node in graph.node if node.input[0] == weights]
    (stored,) = [each for each in graph.initializer if each.name == reader.input[place]]
    changed = np.ascontiguousarray(change(numpy_helper.to_array(stored)))
    stored.CopyFrom(numpy_helper.from_array(changed, stored.name))
    return layer


def _halve_a_scale(graph: onnx.GraphProto) -> str:
    return _change(graph, "blocks.2.0.ghost1.primary_conv", 1, lambda scale: scale / 2)


def _shift_a_zero_point(graph: onnx.GraphProto) -> str:
    return _change(graph, "blocks.3.0.se.conv_reduce", 2, lambda zero_point: zero_point + np.ones_like(zero_point))


def _swap_channels(graph: onnx.GraphProto) -> str:
    return _change(graph, "blocks.1.0.ghost2.primary_conv", 0, lambda weights: weights[:, ::-1])


@pytest.mark.parametrize("harm", [_halve_a_scale, _shift_a_zero_point, _swap_channels])
def test_a_wrong_twin_is_named_by_its_layer(
    converted: Path, twins: dict[str, Path], harm: Harm, tmp_path: Path
) -> None:
    model = onnx.load(twins["int8_onnx"])
    layer = harm(model.graph)
    wrong = {**twins, "int8_onnx": tmp_path / "wrong.onnx"}
    wrong["int8_onnx"].write_bytes(model.SerializeToString())
    arrays = read_npz(converted / "parity.npz")
    parity = measure_parity(wrong, list(arrays["images"][:3]), read_manifest(converted).preprocess, None)
    with pytest.raises(ConversionError, match=rf"wrong\.onnx differs from .* at operation \d+, \w+ \S*{layer}"):
        check_parity(parity, wrong)


def test_a_twin_of_another_file_is_refused(converted: Path, twins: dict[str, Path], tmp_path: Path) -> None:
    other = {**twins, "quantized": tmp_path / "ghostnet_mnist_int8.tflite"}
    other["quantized"].write_bytes(twins["quantized"].read_bytes() + b"\0")
    arrays = read_npz(converted / "parity.npz")
    parity = measure_parity(other, list(arrays["images"][:3]), read_manifest(converted).preprocess, None)
    with pytest.raises(ConversionError, match=r"was made of another ghostnet_mnist_int8\.tflite"):
        check_parity(parity, other)


@pytest.mark.parametrize(
    ("role", "kernels", "vnni", "asked"),
    [
        ("int8_onnx", "default", False, True),
        ("int8_onnx", "default", True, False),
        ("int8_onnx", "optimised", False, False),
        ("float_onnx", "default", False, False),
    ],
)
def test_sums_are_exact_where_a_twin_would_saturate(
    converted: Path, role: str, kernels: str, vnni: bool, asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_model, "has_vnni", lambda: vnni)
    files = {"int8_onnx": "ghostnet_mnist_int8.onnx", "float_onnx": "ghostnet_mnist_float.onnx"}
    given: list[tuple[str, str]] = []
    monkeypatch.setattr(
        onnxruntime.SessionOptions, "add_session_config_entry", lambda self, key, value: given.append((key, value))
    )
    open_model(converted / files[role], kernels=kernels)
    assert ((onnx_model.PRECISE, "1") in given) == asked


def test_each_twin_names_the_other_by_sha256(twins: dict[str, Path]) -> None:
    found = {role: read_metadata(path) for role, path in twins.items()}
    assert found["int8_onnx"] is not None
    assert found["int8_onnx"].twin_sha256 == sha256_file(twins["quantized"])
    model = onnx.load(twins["int8_onnx"])
    kept = [each for each in model.metadata_props if each.key != METADATA_NAME]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    assert found["quantized"] is not None
    without = hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()
    assert found["quantized"].twin_sha256 == without


def test_a_file_that_travels_alone_says_how_to_feed_it(
    converted: Path, twins: dict[str, Path], ghost_edge: Command, tmp_path: Path
) -> None:
    for path in twins.values():
        shutil.copy(path, tmp_path)
    manifest = read_manifest(converted)
    images = read_npz(converted / "parity.npz")["images"]
    np.savez(tmp_path / "images.npz", images=images, labels=np.zeros(len(images), np.int64))
    for path in twins.values():
        answers = tmp_path / f"{path.suffix[1:]}.npz"
        run = ghost_edge("evaluate", tmp_path / path.name, "--images", tmp_path / "images.npz", "--outputs", answers)
        assert run.returncode == 0, run.stderr
        (expected, *_), _ = raw_outputs(path, list(images), manifest.preprocess, RunOptions())
        assert np.array_equal(read_npz(answers)[path.stem], expected)
    run = ghost_edge("bench", tmp_path / "ghostnet_mnist_int8.tflite", "--seconds", "0", "--runs", "1")
    assert "input of all: GRAY 28 x 28, (pixel / 255 - [0.1307]) / [0.3081]; 10 classes: 0, 1, 2, ..." in run.stdout


def test_a_recipe_that_feeds_it_otherwise_is_doubted(
    repository: Path, twins: dict[str, Path], ghost_edge: Command, tmp_path: Path
) -> None:
    text = (repository / "models" / "ghostnet_mnist.toml").read_text().replace("mean = [0.1307]", "mean = [0.5]")
    (tmp_path / "other.toml").write_text(text.replace('"../', f'"{repository}/'))
    run = ghost_edge("evaluate", twins["quantized"], "--recipe", tmp_path / "other.toml")
    assert run.returncode == 0, run.stderr
    assert "says that it was made for mean [0.1307], not [0.5]" in run.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("export", "M.tflite", "-o", "M.tflite"), 2, "M.tflite is not named .onnx; export takes an int8 .tflite"),
        (("export", "M.onnx"), 2, "M.onnx is not named .tflite; export takes an int8 .tflite and writes an .onnx"),
        (("export", "F.tflite"), 6, "is float32, expected int8 or uint8 with a scale"),
        (("parity", "M.tflite"), 4, "M.tflite is a file; give the folder that ghost-edge convert wrote"),
        (("evaluate", "nope.tflite", "--images", "parity.npz"), 4, "nope.tflite cannot be read"),
        (("bench", "M.tflite", "--runtime", "tflite-micro", "--threads", "2"), 2, "leave --kernels and --threads out"),
    ],
)
def test_a_mistake_gets_one_line_and_changes_nothing(
    arguments: tuple[str, ...], code: int, sentence: str, converted: Path, ghost_edge: Command, tmp_path: Path
) -> None:
    names = {"M.tflite": "ghostnet_mnist_int8.tflite", "M.onnx": "ghostnet_mnist_int8.onnx"}
    for name, source in {**names, "F.tflite": "ghostnet_mnist_float.tflite", "parity.npz": "parity.npz"}.items():
        shutil.copy(converted / source, tmp_path / name)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    run = ghost_edge(*(tmp_path / each if "." in each else each for each in arguments))
    assert run.returncode == code, run.stderr
    assert sentence in run.stderr.replace(f"{tmp_path}/", "")
    assert run.stderr.count("\n") == 1 or arguments[0] == "bench"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_images_of_another_model_are_refused(converted: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"parity\.npz holds the images of another model than \S+; convert again"):
        load_images(converted / "parity.npz", converted / "ghostnet_mnist_int8.tflite")


def test_integers_without_a_scale_are_not_fed(twins: dict[str, Path], tmp_path: Path) -> None:
    model = onnx.load(twins["int8_onnx"])
    del model.metadata_props[:]
    bare = tmp_path / "bare.onnx"
    bare.write_bytes(model.SerializeToString())
    with pytest.raises(ArtifactError, match=r"bare\.onnx takes int8 and does not say its scale and zero point"):
        raw_outputs(bare, [np.zeros((28, 28, 1), np.uint8)], Preprocess(size=28, channels="GRAY"), RunOptions())


@pytest.mark.parametrize("text", ["", "[1]", '{"image": 1}', '{"image": [1, 2, 3]}'])
def test_a_scale_that_is_none_is_damage(text: str, twins: dict[str, Path], tmp_path: Path) -> None:
    model = onnx.load(twins["int8_onnx"])
    next(each for each in model.metadata_props if each.key == onnx_model.SCALES).value = text
    path = tmp_path / "damaged.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ArtifactError, match="ghost_edge_scales in its metadata"):
        open_model(path)


@pytest.fixture(scope="module")
def transposed(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe of a network with an operation that has no twin."""
    import keras

    folder = tmp_path_factory.mktemp("transposed")
    inputs = keras.Input((28, 28, 1))
    values = keras.layers.Conv2DTranspose(4, 3, 2)(inputs)
    outputs = keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(values))
    keras.Model(inputs, outputs).save(folder / "net.keras")
    text = (repository / "models" / "ghostnet_mnist.toml").read_text().replace('"../', f'"{repository}/')
    network = '[network]\nkind = "keras"\npath = "net.keras"\ninput_size = 28\ninput_channels = 1\n\n'
    kept = text.partition("[network]")[0] + network + "[preprocess]" + text.partition("[preprocess]")[2]
    (folder / "net.toml").write_text(kept.replace('name = "ghostnet_mnist"', 'name = "net"'))
    return folder / "net.toml"


def test_a_twin_that_nobody_asked_for_and_that_cannot_be_is_left_out(
    transposed: Path, ghost_edge: Command, tmp_path: Path
) -> None:
    (tmp_path / "net_int8.onnx").write_bytes(b"of an earlier network")
    run = ghost_edge("convert", transposed, "--out", tmp_path)
    assert run.returncode in (0, 7), run.stderr  # it is not trained
    assert "left out: net_int8.onnx: net_int8.tflite: TRANSPOSE_CONV, which makes " in run.stdout
    assert {"net_int8.tflite", "net_float.onnx", "manifest.json"} < {path.name for path in tmp_path.iterdir()}
    assert not (tmp_path / "net_int8.onnx").exists()
    assert {model.role for model in read_manifest(tmp_path).models} == {"float", "quantized", "float_onnx"}


def test_a_twin_that_was_asked_for_and_cannot_be_is_an_error(
    transposed: Path, ghost_edge: Command, tmp_path: Path
) -> None:
    asked = transposed.with_name("asked.toml")
    asked.write_text(transposed.read_text() + '\n[[export]]\nkind = "onnx_int8"\n')
    run = ghost_edge("convert", asked, "--out", tmp_path)
    assert run.returncode == 6
    assert 'change the network, or take [[export]] kind = "onnx_int8" out' in run.stderr
