"""The gate and the evaluation on real predictions: yes to the model as it is, NO to every way of harming it."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from ghost_edge.core.files import sha256_file
from ghost_edge.core.gate.checks import check_accuracy
from ghost_edge.core.gate.limits import Limits
from ghost_edge.core.manifest import Predictions, accuracy_table, load_predictions, read_manifest
from ghost_edge.core.preprocess import Preprocess
from ghost_edge.core.tasks.classification import compare
from ghost_edge.core.tensor import sqnr_db
from ghost_edge.device.evaluate import RunOptions, predict_all, raw_outputs_isolated
from ghost_edge.host.datasets import open_dataset
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.recipe.schema import load_recipe, parse_recipe

pytestmark = pytest.mark.slow
Command = Callable[..., "subprocess.CompletedProcess[str]"]
Harm = Callable[[schema.ModelT], None]
ROLES = ("quantized", "int8_onnx")  # that are judged


@pytest.fixture(scope="module")
def recipe_path(repository: Path) -> Path:
    return repository / "models" / "ghostnet_mnist.toml"


@pytest.fixture(scope="module")
def images(recipe_path: Path) -> list[np.ndarray]:
    evaluation = load_recipe(recipe_path).evaluation
    assert evaluation is not None
    return list(open_dataset(evaluation, Places((recipe_path.parent,))).images)


@pytest.fixture(scope="module")
def seen(converted: Path) -> Predictions:
    return load_predictions(converted / "predictions.npz")


@pytest.fixture(scope="module")
def int8(converted: Path) -> Path:
    return converted / "ghostnet_mnist_int8.tflite"


@pytest.fixture(scope="module")
def preprocess(converted: Path) -> Preprocess:
    return read_manifest(converted).preprocess


def passes(seen: Predictions, answers: np.ndarray, converted: Path) -> bool:
    """What the gate says to these answers by the recipe's own limits; few images are no excuse here."""
    drop = compare(seen.answers["float"], answers, seen.labels)
    return not any(check.reason for check in check_accuracy(drop, read_manifest(converted).limits, allow_few=True))


def harmed(int8: Path, target: Path, harm: Harm) -> Path:
    """A copy of the model with something changed inside."""
    model = schema.ModelT.InitFromPackedBuf(int8.read_bytes())
    harm(model)
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    target.write_bytes(bytes(builder.Output()))
    return target


def shuffle_weights(model: schema.ModelT) -> None:
    """The filters of one convolution in another order."""
    main = model.subgraphs[0]
    filters = [tensor for tensor in main.tensors if tensor.type == schema.TensorType.INT8 and len(tensor.shape) == 4]
    constants = [tensor for tensor in filters if model.buffers[tensor.buffer].data is not None]
    largest = max(constants, key=lambda tensor: len(model.buffers[tensor.buffer].data))
    values = np.array(model.buffers[largest.buffer].data, np.uint8)
    model.buffers[largest.buffer].data = np.random.default_rng(0).permutation(values)


def halve_scales(model: schema.ModelT) -> None:
    """Every activation saturates at half of its range."""
    main = model.subgraphs[0]
    for tensor in main.tensors:
        is_constant = model.buffers[tensor.buffer].data is not None and len(model.buffers[tensor.buffer].data) > 0
        if tensor.type == schema.TensorType.INT8 and not is_constant:
            tensor.quantization.scale = [value / 2 for value in tensor.quantization.scale]


def same(model: schema.ModelT) -> None:
    """No harm: taken apart and put together again."""


def test_the_answers_on_file_are_those_of_the_model(
    int8: Path, images: list[np.ndarray], seen: Predictions, preprocess: Preprocess
) -> None:
    np.testing.assert_array_equal(predict_all(int8, images, preprocess)[0].argmax(axis=1), seen.answers["quantized"])


def test_the_gate_says_yes_to_a_model_that_was_only_copied(
    int8: Path, images: list[np.ndarray], seen: Predictions, preprocess: Preprocess, converted: Path, tmp_path: Path
) -> None:
    answers = predict_all(harmed(int8, tmp_path / "m.tflite", same), images, preprocess)[0].argmax(axis=1)
    assert passes(seen, answers, converted)


@pytest.mark.parametrize("harm", [shuffle_weights, halve_scales], ids=["shuffled weights", "halved scales"])
def test_the_gate_says_no_to_a_harmed_model(
    int8: Path,
    images: list[np.ndarray],
    seen: Predictions,
    preprocess: Preprocess,
    converted: Path,
    tmp_path: Path,
    harm: Harm,
) -> None:
    answers = predict_all(harmed(int8, tmp_path / "m.tflite", harm), images, preprocess)[0].argmax(axis=1)
    assert not passes(seen, answers, converted)


@pytest.mark.parametrize(
    "wrong", [{"mean": (0.9,)}, {"std": (3.0,)}, {"divide_by": 1.0}], ids=["mean", "std", "divide_by"]
)
def test_the_gate_says_no_to_wrong_preprocessing(
    int8: Path,
    images: list[np.ndarray],
    seen: Predictions,
    preprocess: Preprocess,
    converted: Path,
    wrong: dict[str, object],
) -> None:
    options = dataclasses.replace(preprocess, **wrong)  # type: ignore[arg-type]
    assert not passes(seen, predict_all(int8, images, options)[0].argmax(axis=1), converted)


def test_the_gate_says_no_to_images_in_another_order(seen: Predictions, converted: Path) -> None:
    assert not passes(seen, np.roll(seen.answers["quantized"], 1), converted)


def test_the_gate_says_no_to_swapped_classes(seen: Predictions, converted: Path) -> None:
    answers = seen.answers["quantized"]
    swapped = np.where(answers == 3, 8, np.where(answers == 8, 3, answers))
    assert not passes(seen, swapped, converted)


def test_a_halved_output_scale_is_seen_by_the_sqnr_where_no_answer_changes(
    int8: Path, converted: Path, images: list[np.ndarray], preprocess: Preprocess
) -> None:
    reference, quantized = (
        predict_all(path, images[:200], preprocess)[0] for path in (converted / "ghostnet_mnist_float.tflite", int8)
    )
    assert sqnr_db(reference, quantized) > 15
    assert sqnr_db(reference, quantized / 2) == pytest.approx(6.0, abs=0.5)  # 20 log10 2, and the noise there was


@pytest.mark.data
def test_the_gate_says_no_to_swapped_channels(data_folder: Path) -> None:
    models = data_folder / "models"
    recipe = {"kind": "packed", "path": "cifar10.npz", "split": "test"}
    table = {"name": "resnet8", "preprocess": {"size": 32, "divide_by": 1.0}, "evaluation": recipe}
    loaded = parse_recipe(table, Path("resnet8.toml"))
    assert loaded.evaluation is not None
    dataset = open_dataset(loaded.evaluation, Places((data_folder,)))
    images, labels = list(dataset.images[:500]), dataset.labels[:500]
    float_file, int8_file = (models / f"mlperf_tiny_ic_resnet8_cifar10_{kind}.tflite" for kind in ("float", "int8"))
    reference = predict_all(float_file, images, loaded.preprocess)[0].argmax(axis=1)
    passed = []
    for channels in ("RGB", "BGR"):
        options = dataclasses.replace(loaded.preprocess, channels=channels)
        drop = compare(reference, predict_all(int8_file, images, options)[0].argmax(axis=1), labels)
        checks = check_accuracy(drop, Limits(max_drop=0.02, min_agreement=0.9), allow_few=True)
        passed.append(not any(check.reason for check in checks))
    assert passed == [True, False]


def test_reference_kernels_give_the_same_bytes_in_two_processes(
    int8: Path, images: list[np.ndarray], preprocess: Preprocess
) -> None:
    first, second = (
        raw_outputs_isolated(int8, images[:50], preprocess, RunOptions(kernels="reference"))[0][0] for _ in range(2)
    )
    assert first.tobytes() == second.tobytes()


def test_the_gate_command_passes_the_shipped_model_and_says_its_drop(converted: Path, ghost_edge: Command) -> None:
    run = ghost_edge("gate", converted)
    assert run.returncode == 0, run.stderr
    assert re.search(r"quantized / float +top-1 .* drop -?\d\.\d\d ± \d\.\d\d .* PASS", run.stdout)
    assert run.stdout.splitlines()[-1] == "gate: PASS"


def test_the_gate_command_says_no_with_exit_7_on_one_line(converted: Path, ghost_edge: Command) -> None:
    run = ghost_edge("gate", converted, "--min-agreement", "1.0")
    assert run.returncode == 7
    reasons = [rf"{role} / float: only 9\d\.\d\d% of the answers agree; the limit is 100\.00%" for role in ROLES]
    assert re.fullmatch(f"ghost-edge: {'; '.join(reasons)}\n", run.stderr)


def test_the_gate_command_compares_with_a_baseline(converted: Path, ghost_edge: Command) -> None:
    run = ghost_edge("gate", converted, "--baseline", converted / "manifest.json")
    assert run.returncode == 0, run.stderr
    assert re.search(r"quantized / baseline +top-1 .* \+0\.00 points, p = 1 ", run.stdout)


def test_the_evaluate_command_gives_the_manifests_numbers(
    converted: Path, int8: Path, recipe_path: Path, tmp_path: Path, ghost_edge: Command
) -> None:
    reference = converted / "ghostnet_mnist_float.tflite"
    run = ghost_edge("evaluate", reference, int8, "--recipe", recipe_path, "--json", tmp_path / "e.json")
    assert run.returncode == 0, run.stderr
    rows = json.loads((tmp_path / "e.json").read_text())["results"]
    by_role = {model.role: model.accuracy for model in read_manifest(converted).models}
    quantized = by_role["quantized"]
    assert quantized is not None
    numbers = {key: value for key, value in accuracy_table(quantized).items() if key != "sqnr_db"}
    assert {key: rows[1][key] for key in ("top1", "top5", "drop", "margin", "agreement")} == numbers
    assert (rows[0]["drop"], rows[1]["sha256"]) == (None, sha256_file(int8))
