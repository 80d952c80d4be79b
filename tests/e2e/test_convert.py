"""The main job, as a user runs it."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ghost_edge.core.files import sha256_file
from ghost_edge.core.manifest import read_manifest
from ghost_edge.device.runtimes.open import open_model
from ghost_edge.host.tflite.graph import read_model

pytestmark = pytest.mark.slow
Command = Callable[..., "subprocess.CompletedProcess[str]"]
MODELS = ("ghostnet_mnist_float.tflite", "ghostnet_mnist_int8.tflite", "ghostnet_mnist_float.onnx")


def state(folder: Path) -> dict[str, tuple[int, str]]:
    """Time stamp and SHA-256 of every file but the log of the tools."""
    files = [path for path in folder.iterdir() if path.name != "tools.log"]
    return {path.name: (path.stat().st_mtime_ns, sha256_file(path)) for path in files}


def copy_of(folder: Path, target: Path) -> Path:
    return Path(shutil.copytree(folder, target / "copy"))


def test_a_second_run_touches_nothing(converted: Path, ghost_edge: Command) -> None:
    before = state(converted)
    run = ghost_edge("convert", "--out", converted)
    assert run.returncode == 0
    assert run.stderr.count("up to date") == 16
    assert state(converted) == before


def test_the_run_ends_with_a_table_of_what_each_artifact_costs(converted: Path, ghost_edge: Command) -> None:
    lines = ghost_edge("convert", "--out", converted).stdout.splitlines()
    head = next(line for line in lines if line.startswith("artifact"))
    assert [title in head for title in ("bytes", "top-1", "drop (points)", "agreement", "median ms here")] == [True] * 5
    for model in MODELS:
        assert len([line for line in lines if line.startswith(model)]) == 1
    # bytes, top-1, top-5, drop ± margin, agreement, SQNR, median
    row = (
        r"ghostnet_mnist_int8\.tflite +\d+,\d+ +9\d\.\d\d% +\d+\.\d\d% +-?\d\.\d\d ± \d\.\d\d +\d+\.\d\d% +\d+\.\d +\d"
    )
    assert any(re.match(row, line) for line in lines)
    assert f"files: {converted}/ (report.html, manifest.json, report.md)" in lines


def test_two_runs_into_two_folders_give_the_same_bytes(converted: Path, tmp_path: Path, ghost_edge: Command) -> None:
    assert ghost_edge("convert", "--out", tmp_path).returncode == 0
    names = (*MODELS, "ranges.npz", "predictions.npz")
    assert {name: sha256_file(tmp_path / name) for name in names} == {
        name: sha256_file(converted / name) for name in names
    }


def test_a_damaged_file_is_made_again(converted: Path, tmp_path: Path, ghost_edge: Command) -> None:
    folder = copy_of(converted, tmp_path)
    damaged = folder / "ghostnet_mnist_int8.tflite"
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    run = ghost_edge("convert", "--out", folder)
    assert run.returncode == 0
    assert "calibrate  up to date" in run.stderr
    assert "quantize   up to date" not in run.stderr
    assert sha256_file(damaged) == sha256_file(converted / damaged.name)


def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path, ghost_edge: Command) -> None:
    command = [sys.executable, "-m", "ghost_edge", "convert", "--out", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while not (tmp_path / "chain.json").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate()
    assert process.returncode == 130, stderr
    assert stderr.splitlines()[-1].startswith("ghost-edge: stopped")
    assert list(tmp_path.glob("*.part")) == []
    run = ghost_edge("convert", "--out", tmp_path)
    assert run.returncode == 0
    assert "build      up to date" in run.stderr


def test_nothing_in_the_int8_file_is_float(converted: Path) -> None:
    dtypes = {tensor.dtype for tensor in read_model(converted / MODELS[1]).tensors}
    assert dtypes == {"int8", "int32"}


def test_the_int8_file_is_one_delegate_partition(converted: Path) -> None:
    delegate = open_model(converted / MODELS[1]).delegate
    assert delegate is not None
    assert (delegate.partitions, delegate.delegated_ops) == (1, delegate.ops)


def test_the_batch_leaves_no_operations_behind(converted: Path) -> None:
    operations = {operation.name for operation in read_model(converted / MODELS[1]).operations}
    assert operations & {"SHAPE", "STRIDED_SLICE", "PACK", "QUANTIZE", "DEQUANTIZE"} == set()


def test_the_int8_file_fits_a_microcontroller(converted: Path) -> None:
    assert (converted / MODELS[1]).stat().st_size <= 150_000


def test_the_shipped_model_reads_digits(converted: Path) -> None:
    accuracy = {model.role: model.accuracy for model in read_manifest(converted).models}
    quantized = accuracy["quantized"]
    assert quantized is not None
    assert quantized.main >= 0.98


def test_the_manifest_says_how_to_feed_the_model(converted: Path) -> None:
    model = next(model for model in read_manifest(converted).models if model.role == "quantized")
    assert (model.input.shape, model.input.dtype) == ((1, 28, 28, 1), "int8")
    # black (0) and white (255) pixels, normalised by the recipe, are the ends of the int8 range
    low, high = ((np.array([0, 255]) / 255 - 0.1307) / 0.3081 / model.input.scale + model.input.zero_point).round()
    assert (low, high) == (-128, 127)


def test_one_changed_limit_runs_the_gate_and_the_report_alone(
    converted: Path, tmp_path: Path, repository: Path, ghost_edge: Command
) -> None:
    folder = copy_of(converted, tmp_path)
    recipe = tmp_path / "strict.toml"
    text = (repository / "models" / "ghostnet_mnist.toml").read_text()
    for path in ("../calibration", "weights/"):
        text = text.replace(
            f'"{path}', f'"{(repository / "models" / path).resolve()}' + ("/" if path[-1] == "/" else "")
        )
    recipe.write_text(text.replace("min_agreement = 0.985", "min_agreement = 1.0"))
    run = ghost_edge("convert", recipe, "--out", folder)
    assert run.returncode == 7
    assert "answers agree; the limit is 100.00%" in run.stderr.splitlines()[-1]
    assert "evaluate   up to date" in run.stderr
    assert json.loads((folder / "gate.json").read_text())["passed"] is False
