"""The command `ghost-edge inspect`, as its user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., "subprocess.CompletedProcess[str]"]
INT8 = "mlperf_tiny_kws_dscnn_int8.tflite"
REFUSED = "tflm_person_detect_int8.tflite"
FILES = (
    *("coral_mobilenet_v1_0.25_128_quant", "mcunet_detection_int8", "mlperf_tiny_ic_resnet8_cifar10_float"),
    *("mlperf_tiny_kws_dscnn_int8", "tflm_person_detect_int8", "tfls_coco_ssd_mobilenet_v1_quant"),
)
WITHOUT_TENSORFLOW = """
import sys
for name in ("tensorflow", "keras", "onnx", "matplotlib"):
    sys.modules[name] = None
from ghost_edge.cli.main import main
main(sys.argv[1:])
"""
# neither weights nor images are there: a cost does not need them
RECIPE = """
name = "tiny"
[network]
kind = "ghostnet"
input_size = 16
classes = 4
ratio = 3
head_channels = 8
stages = [[3, 16, 16, 0, 1]]
weights = "gone.safetensors"
[preprocess]
size = 16
[calibration]
kind = "arrays"
path = "gone.npz"
"""


@pytest.fixture
def models(data_folder: Path) -> Path:
    return data_folder / "models"


def without_tensorflow(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_TENSORFLOW, "inspect", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def only_line(run: subprocess.CompletedProcess[str], exit_code: int) -> str:
    assert (run.returncode, run.stdout) == (exit_code, ""), run
    assert run.stderr.count("\n") == 1, run.stderr
    return run.stderr


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_maker_is_inspected_without_tensorflow(models: Path, name: str) -> None:
    run = without_tensorflow(models / f"{name}.tflite")
    assert (run.returncode, run.stderr) == (0, "")
    assert f"file: {name}.tflite, " in run.stdout
    assert "\ntotal " in run.stdout
    assert "ghost modules: none" in run.stdout


def test_the_json_has_every_layer_and_the_totals(models: Path, tmp_path: Path) -> None:
    assert without_tensorflow(models / INT8, "--json", tmp_path / "i.json").returncode == 0
    document = json.loads((tmp_path / "i.json").read_text())
    assert document["format"] == 1
    assert document["sha256"] in (models / "SHA256SUMS").read_text()
    assert len(document["layers"]) == sum(document["operations"].values()) == 13
    for key, total in document["totals"].items():
        assert sum(layer[key] for layer in document["layers"]) == total
    assert document["delegate"] == {"ops": 13, "delegated_ops": 11, "partitions": 2}  # as `bench` counts them


def test_a_file_that_the_interpreter_refuses_is_shown_without_its_share(models: Path) -> None:
    run = without_tensorflow(models / REFUSED)
    assert run.returncode == 0
    assert "multiply-accumulates: 7,157,888\n" in run.stdout
    assert "delegate: share not known, litert refuses it: quantized_dimension" in run.stdout


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("gone.tflite", None, "cannot be read (No such file or directory)"),
        ("gone", None, "gone does not exist; give a .tflite file, or a recipe (.toml) to build"),
        ("m.tflite", b"", "is empty; copy or convert it again"),
        ("m.tflite", b"\x1c\x00\x00\x00TFL3" + b"\xff" * 200, "m.tflite is damaged ("),
        ("m.onnx", b"\x08\x09", "cannot be inspected; give a .tflite file, or a recipe (.toml) to build"),
        ("notes.txt", b"hello", "cannot be inspected; give a .tflite file, or a recipe (.toml) to build"),
    ],
)
def test_a_wrong_file_is_one_line_and_exit_4(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert said in only_line(without_tensorflow(tmp_path / name), 4)


def test_a_folder_is_one_line_and_exit_4(tmp_path: Path) -> None:
    assert "cannot be inspected" in only_line(without_tensorflow(tmp_path), 4)


def test_an_image_of_a_model_without_ghost_modules_is_refused(
    models: Path, tmp_path: Path, ghost_edge: Command
) -> None:
    line = only_line(ghost_edge("inspect", models / INT8, "--chart", tmp_path / "c.svg"), 4)
    assert "holds no ghost module, so there is nothing to draw; leave --chart out" in line
    assert list(tmp_path.iterdir()) == []


def test_an_image_in_an_unknown_format_is_refused_before_anything_is_built(tmp_path: Path, ghost_edge: Command) -> None:
    line = only_line(ghost_edge("inspect", tmp_path / "gone.toml", "--chart", tmp_path / "c.pdf"), 2)
    assert "must end in .svg or .png" in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["x.tflite", "--rounds", "0"], "0 is not in the range x>=1"),
        ([], "Missing argument 'ARTIFACT|RECIPE'"),
        (["gone.toml"], "recipe gone.toml cannot be read"),
    ],
)
def test_a_mistake_on_the_command_line_is_exit_2(ghost_edge: Command, arguments: list[str], said: str) -> None:
    assert said in only_line(ghost_edge("inspect", *arguments), 2)


def test_a_recipe_without_a_network_is_refused(tmp_path: Path, ghost_edge: Command) -> None:
    (tmp_path / "r.toml").write_text("[preprocess]\nsize = 16\n")
    assert "inspect needs the table [network]" in only_line(ghost_edge("inspect", tmp_path / "r.toml"), 2)


@pytest.mark.slow
def test_a_recipe_is_built_measured_and_drawn(tmp_path: Path, ghost_edge: Command) -> None:
    (tmp_path / "tiny.toml").write_text(RECIPE)
    files = ("--json", tmp_path / "i.json", "--chart", tmp_path / "c.svg")
    run = ghost_edge("inspect", tmp_path / "tiny.toml", "--measure", "--rounds", 2, *files)
    assert run.returncode == 0, run.stderr
    document = json.loads((tmp_path / "i.json").read_text())
    assert f"{document['totals']['parameters']:,} in the .tflite" in run.stdout
    assert f"{document['trainable']:,} trainable in Keras" in run.stdout
    assert [ghost["sizes"]["ratio"] for ghost in document["ghosts"]] == [3, 3]
    assert min(ghost["time"]["ratio"] for ghost in document["ghosts"]) > 0
    assert "measured time" in (tmp_path / "c.svg").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.svg", "i.json", "tiny.toml"]


@pytest.mark.slow
def test_an_image_without_measure_shows_theory_alone(converted: Path, tmp_path: Path, ghost_edge: Command) -> None:
    run = ghost_edge("inspect", converted / "ghostnet_mnist_int8.tflite", "--chart", tmp_path / "c.svg")
    assert (run.returncode, run.stderr) == (0, "")
    image = (tmp_path / "c.svg").read_text()
    assert "theory, equation 4" in image
    assert "measured" not in image
