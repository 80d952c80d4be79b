"""The gate against a baseline, on the shipped model: yes to it, NO to each harm, with the metric's name."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from ghost_edge.core.dataset import Dataset
from ghost_edge.core.files import describe
from ghost_edge.core.manifest import Predictions, load_predictions, read_manifest, save_predictions, write_manifest
from ghost_edge.core.preprocess import Preprocess, prepare
from ghost_edge.device.evaluate import predict_all
from ghost_edge.host.accuracy.evaluate import accuracy_by_role
from ghost_edge.host.calibration import ESTIMATORS
from ghost_edge.host.calibration.observe import observe
from ghost_edge.host.datasets import open_dataset
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.quantization import QUANTIZERS
from ghost_edge.host.recipe.schema import load_recipe
from ghost_edge.host.tflite.graph import read_model

pytestmark = pytest.mark.slow
Command = Callable[..., "subprocess.CompletedProcess[str]"]
Harm = Callable[[Path, Dataset], None]
NAMES = {"float": "ghostnet_mnist_float.tflite", "quantized": "ghostnet_mnist_int8.tflite"}


@pytest.fixture(scope="module")
def dataset(repository: Path) -> Dataset:
    recipe = repository / "models" / "ghostnet_mnist.toml"
    evaluation = load_recipe(recipe).evaluation
    assert evaluation is not None
    return open_dataset(evaluation, Places((recipe.parent,)))


@pytest.fixture(scope="module")
def baseline(converted: Path, ghost_edge: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("git") / "baseline.json"
    run = ghost_edge("gate", converted, "--update", path)
    assert run.returncode == 0, run.stderr
    return path


def promise(folder: Path, **answers: np.ndarray) -> None:
    """Write manifest.json anew, as an honest run that made these files would, with other answers where given."""
    manifest, path = read_manifest(folder), folder / "predictions.npz"
    seen = load_predictions(path)
    save_predictions(Predictions(seen.digests, seen.labels, {**seen.answers, **answers}), path)
    models = tuple(
        dataclasses.replace(model, artifact=describe(folder / model.artifact.file)) for model in manifest.models
    )
    write_manifest(dataclasses.replace(manifest, models=models, predictions=describe(path)), folder)


def evaluate_again(folder: Path, dataset: Dataset, preprocess: Preprocess) -> None:
    """Answers and noise of both .tflite files as they are now; times of a replaced file are measured by nobody."""
    images = list(dataset.images)
    logits = {role: predict_all(folder / name, images, preprocess)[0] for role, name in NAMES.items()}
    outputs = {role: [values] for role, values in logits.items()}
    accuracy, manifest = accuracy_by_role(outputs, dataset.labels), read_manifest(folder)
    models = tuple(
        dataclasses.replace(model, accuracy=accuracy.get(model.role, model.accuracy)) for model in manifest.models
    )
    (folder / "latency.json").unlink()
    write_manifest(dataclasses.replace(manifest, models=models), folder)
    promise(folder, **{role: values.argmax(axis=1).astype(np.int32) for role, values in logits.items()})


def shuffle_one_layer(folder: Path, dataset: Dataset) -> None:
    model = schema.ModelT.InitFromPackedBuf((folder / NAMES["quantized"]).read_bytes())
    tensors = [tensor for tensor in model.subgraphs[0].tensors if tensor.type == schema.TensorType.INT8]
    buffers = [model.buffers[tensor.buffer] for tensor in tensors if model.buffers[tensor.buffer].data is not None]
    largest = max(buffers, key=lambda buffer: len(buffer.data))
    largest.data = np.random.default_rng(0).permutation(np.array(largest.data, np.uint8))
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    (folder / NAMES["quantized"]).write_bytes(bytes(builder.Output()))
    evaluate_again(folder, dataset, read_manifest(folder).preprocess)


def calibrate_on_noise(folder: Path, dataset: Dataset) -> None:
    graph, preprocess = read_model(folder / NAMES["float"]), read_manifest(folder).preprocess
    rng = np.random.default_rng(0)
    noise = (prepare(rng.integers(0, 256, (28, 28, 1), np.uint8), preprocess) for _ in range(50))
    ranges, int8 = ESTIMATORS["minmax"](observe(graph, noise), graph), QUANTIZERS["int8"]
    (folder / NAMES["quantized"]).write_bytes(int8.quantize(int8.options(), graph, ranges))
    evaluate_again(folder, dataset, preprocess)


def wrong_mean(folder: Path, dataset: Dataset) -> None:
    """For both models alike: float and int8 still agree."""
    evaluate_again(folder, dataset, dataclasses.replace(read_manifest(folder).preprocess, mean=(0.6,)))


def slow_samples(folder: Path, dataset: Dataset) -> None:
    path = folder / "latency.json"
    document = json.loads(path.read_text())
    for row in document["results"]:
        row["stats"]["samples_ns"] = [round(sample * 1.3) for sample in row["stats"]["samples_ns"]]
    path.write_text(json.dumps(document))


def swap_labels(folder: Path, dataset: Dataset) -> None:
    path = folder / "predictions.npz"
    seen = load_predictions(path)
    labels = np.where(seen.labels == 3, 8, np.where(seen.labels == 8, 3, seen.labels))
    save_predictions(Predictions(seen.digests, labels, seen.answers), path)
    promise(folder)


def within_the_noise(folder: Path, dataset: Dataset) -> None:
    """Three answers lost, three won, and 3 % slower."""
    seen = load_predictions(folder / "predictions.npz")
    answers = seen.answers["quantized"].copy()
    right, wrong = np.flatnonzero(answers == seen.labels), np.flatnonzero(answers != seen.labels)
    answers[right[:3]] = (answers[right[:3]] + 1) % 10
    answers[wrong[:3]] = seen.labels[wrong[:3]]
    promise(folder, quantized=answers)
    path = folder / "latency.json"
    document = json.loads(path.read_text())
    for row in document["results"]:
        row["stats"]["samples_ns"] = [round(sample * 1.03) for sample in row["stats"]["samples_ns"]]
    path.write_text(json.dumps(document))


@pytest.fixture
def folder(converted: Path, tmp_path: Path) -> Path:
    shutil.copytree(converted, tmp_path / "run")
    return tmp_path / "run"


def test_the_shipped_model_and_its_baseline_pass(converted: Path, baseline: Path, ghost_edge: Command) -> None:
    run = ghost_edge("gate", converted, "--baseline", baseline)
    assert run.returncode == 0, run.stderr
    assert re.search(r"quantized / baseline +top-1 +9\d\.\d\d% +9\d\.\d\d% +\+0\.00 points, p = 1 +.*PASS", run.stdout)
    assert run.stdout.splitlines()[-1] == "gate: PASS"


def test_the_shipped_model_is_as_good_as_the_baseline_in_git(
    converted: Path, repository: Path, ghost_edge: Command
) -> None:
    # without times, which belong to one machine: made from a folder without latency.json
    run = ghost_edge("gate", converted, "--baseline", repository / "models" / "ghostnet_mnist.baseline.json")
    assert run.returncode == 0, run.stderr
    assert "latency" not in run.stdout


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (shuffle_one_layer, r"quantized / baseline: top-1 fell from 9\d\.\d\d% to \d\d?\.\d\d%"),
        (calibrate_on_noise, r"quantized / baseline: SQNR fell from 33\.\d to -?\d+\.\d dB"),
        (wrong_mean, r"float / baseline: top-1 fell from 98\.\d\d% to \d\d\.\d\d%"),
        (slow_samples, r"quantized / baseline: latency is 1\.30x \(1\.2\d to 1\.3\d\) of the baseline's"),
        (swap_labels, r"float / baseline: top-1 fell from 98\.\d\d% to 7\d\.\d\d%"),
    ],
    ids=["shuffled weights", "calibrated on noise", "wrong mean", "30 % slower", "swapped labels"],
)
def test_each_harm_is_refused_by_the_name_of_its_metric(
    folder: Path, dataset: Dataset, baseline: Path, ghost_edge: Command, harm: Harm, reason: str
) -> None:
    harm(folder, dataset)
    run = ghost_edge("gate", folder, "--baseline", baseline)
    assert run.returncode == 7, run.stdout
    assert re.search(reason, run.stderr), run.stderr


def test_a_change_within_the_noise_passes(folder: Path, dataset: Dataset, baseline: Path, ghost_edge: Command) -> None:
    within_the_noise(folder, dataset)
    run = ghost_edge("gate", folder, "--baseline", baseline)
    assert run.returncode == 0, run.stderr


def test_too_few_images_say_how_many_would_do(folder: Path, ghost_edge: Command) -> None:
    path = folder / "predictions.npz"
    seen = load_predictions(path)
    answers = {role: values[:100] for role, values in seen.answers.items()}
    save_predictions(Predictions(seen.digests[:100], seen.labels[:100], answers), path)
    promise(folder)
    run = ghost_edge("gate", folder, "--baseline", folder)
    assert run.returncode == 7
    assert re.search(r"baseline: 100 images are too few: .* about 1400 would do, or --allow-few", run.stderr)


def test_a_refused_run_is_not_written_as_the_baseline(folder: Path, tmp_path: Path, ghost_edge: Command) -> None:
    run = ghost_edge("gate", folder, "--min-agreement", 1, "--update", tmp_path / "baseline.json")
    assert (run.returncode, (tmp_path / "baseline.json").exists()) == (7, False)


def test_junit_and_markdown_say_what_the_command_says(
    folder: Path, dataset: Dataset, baseline: Path, tmp_path: Path, ghost_edge: Command
) -> None:
    slow_samples(folder, dataset)
    junit, markdown = tmp_path / "gate.xml", tmp_path / "gate.md"
    ghost_edge("gate", folder, "--baseline", baseline, "--junit", junit, "--markdown", markdown)
    suite = ElementTree.parse(junit).getroot()[0]
    failed = {(case.get("classname"), case.get("name")) for case in suite if case.find("failure") is not None}
    assert failed == {(f"{role} / baseline", "latency") for role in ("float", "quantized", "float_onnx", "int8_onnx")}
    assert suite.get("failures") == "4"
    assert markdown.read_text().startswith("## ghost-edge gate: ghostnet_mnist FAIL\n\n- **float / baseline**: lat")


def test_on_github_each_no_is_an_annotation(
    folder: Path, dataset: Dataset, baseline: Path, ghost_edge: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_samples(folder, dataset)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    lines = ghost_edge("gate", folder, "--baseline", baseline).stdout.splitlines()
    title = "::error title=ghost-edge gate%2C quantized / baseline::latency is 1.30x"
    assert len([line for line in lines if line.startswith(title)]) == 1


def test_a_summary_goes_behind_what_the_step_wrote_before(
    converted: Path, tmp_path: Path, ghost_edge: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("# earlier\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    assert ghost_edge("gate", converted, "--markdown", summary).returncode == 0
    assert summary.read_text().startswith("# earlier\n## ghost-edge gate: ghostnet_mnist PASS")


def test_one_file_for_two_outputs_is_refused(converted: Path, tmp_path: Path, ghost_edge: Command) -> None:
    run = ghost_edge("gate", converted, "--junit", tmp_path / "a", "--markdown", tmp_path / "a")
    assert (run.returncode, (tmp_path / "a").exists()) == (2, False)
    assert "--junit, --markdown and --update need a file each, not all of them a" in run.stderr


def test_a_percent_sign_is_answered_with_the_fraction(converted: Path, ghost_edge: Command) -> None:
    run = ghost_edge("gate", converted, "--max-drop", "1%")
    assert run.returncode == 2
    assert "'1%' is no fraction: write 0.01 for one per cent" in run.stderr


def test_convert_refuses_what_the_gate_refuses(repository: Path, tmp_path: Path, ghost_edge: Command) -> None:
    text = (repository / "models" / "ghostnet_mnist.toml").read_text()
    recipe = tmp_path / "ghostnet_mnist.toml"
    recipe.write_text(text + "max_size_bytes = 1000\n")
    run = ghost_edge("convert", recipe, "--data", repository / "models", "--out", tmp_path / "out")
    assert run.returncode == 7
    assert re.search(r"quantized / float: it has \d+,\d+ bytes; the limit is 1,000", run.stderr)
    assert ghost_edge("gate", tmp_path / "out").returncode == 7
