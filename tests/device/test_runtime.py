"""Opening real files with the interpreters that are installed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ghost_edge.core.errors import ArtifactError, DeviceError, MissingPackageError, RecipeError
from ghost_edge.device.runtime import (
    INTERPRETERS,
    DelegateShare,
    Interpreter,
    OnnxModel,
    choose_interpreter,
    delegate_share,
    import_interpreter,
    open_model,
)

pytest.importorskip("ai_edge_litert", reason="needs pip install ai-edge-litert")
INT8 = "mlperf_tiny_ic_resnet8_cifar10_int8.tflite"
FLOAT = "mlperf_tiny_ic_resnet8_cifar10_float.tflite"
OPEN_BATCH = "st_mobilenet_v2_0.35_128_float.onnx"


@pytest.fixture
def models(data_folder: Path) -> Path:
    return data_folder / "models"


def test_an_int8_file_says_its_tensors(models: Path) -> None:
    model = open_model(models / INT8)
    (spec,), (output,) = model.inputs, model.outputs
    assert (spec.shape, spec.dtype, spec.scale, spec.zero_point) == ((1, 32, 32, 3), "int8", 1.0, -128)
    assert (output.shape, output.dtype, output.scale, output.zero_point) == ((1, 10), "int8", 1 / 256, -128)
    assert model.interpreter == "litert"


def test_a_model_gives_what_it_was_asked_for(models: Path) -> None:
    model = open_model(models / INT8, kernels="reference")
    outputs = []
    for value in (0, 100, 0):
        model.set_inputs([np.full((1, 32, 32, 3), value, np.int8)])
        model.invoke()
        outputs.append(model.outputs_now()[0])
    assert np.array_equal(outputs[0], outputs[2])
    assert not np.array_equal(outputs[0], outputs[1])


@pytest.mark.parametrize(
    ("file", "share"),
    [
        (FLOAT, DelegateShare(16, 16, 1)),
        (INT8, DelegateShare(16, 14, 2)),  # LiteRT 2.3: the int8 average pool and softmax stay outside
        ("tfls_coco_ssd_mobilenet_v1_quant.tflite", DelegateShare(64, 61, 2)),
    ],
)
def test_the_delegate_s_share_is_counted(models: Path, file: str, share: DelegateShare) -> None:
    assert open_model(models / file).delegate == share


@pytest.mark.parametrize("file", [FLOAT, INT8, "mcunet_detection_int8.tflite"])
def test_the_share_is_the_ops_whose_inner_tensors_the_interpreter_never_made(models: Path, file: str) -> None:
    """What runs inside the delegate has no tensors in TFLite's arena: an independent count of the same thing."""
    model: Any = open_model(models / file)
    model.invoke()
    ops = model._tflite._get_ops_details()
    handed_over = {int(tensor) for op in ops if op["op_name"] == "DELEGATE" for tensor in op["outputs"]}
    outputs = [[int(tensor) for tensor in op["outputs"]] for op in ops if op["op_name"] != "DELEGATE"]
    inside = sum(all(is_absent(model, tensor) for tensor in made) for made in outputs)
    at_the_edge = sum(bool(handed_over.intersection(made)) for made in outputs)
    assert model.delegate.delegated_ops == inside + at_the_edge


def is_absent(model: Any, tensor: int) -> bool:
    try:
        model._tflite.get_tensor(tensor)
    except ValueError:
        return True
    return False


def test_reference_kernels_have_no_delegate(models: Path) -> None:
    assert open_model(models / INT8, kernels="reference").delegate == DelegateShare(16, 0, 0)


def test_ops_that_only_feed_a_partition_s_inputs_are_not_in_it() -> None:
    ops = [
        {"op_name": "SHAPE", "inputs": [0], "outputs": [1]},
        {"op_name": "CONV_2D", "inputs": [0, 1], "outputs": [2]},
        {"op_name": "SOFTMAX", "inputs": [2], "outputs": [3]},
        {"op_name": "DELEGATE", "inputs": [0, 1], "outputs": [2]},
    ]
    assert delegate_share(ops) == DelegateShare(3, 1, 1)


def test_an_open_batch_is_one_in_onnx(models: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs pip install onnxruntime")
    model = open_model(models / OPEN_BATCH)
    assert model.inputs[0].shape == (1, 3, 128, 128)
    model.set_inputs([np.zeros((1, 3, 128, 128), np.float32)])
    model.invoke()
    assert model.outputs_now()[0].shape == (1, 5)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"gone\.tflite cannot be read \(No such file"):
        open_model(tmp_path / "gone.tflite")


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"model\.keras is not a model this can run"):
        open_model(tmp_path / "model.keras")


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
def test_an_empty_file_is_said_to_be_empty(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    path.touch()
    with pytest.raises(ArtifactError, match="is empty; copy or convert it again"):
        open_model(path)


@pytest.mark.parametrize("keep", [0.02, 0.5, 0.99])
@pytest.mark.parametrize("file", [INT8, OPEN_BATCH])
def test_a_truncated_file_is_damaged(models: Path, tmp_path: Path, file: str, keep: float) -> None:
    pytest.importorskip("onnxruntime", reason="needs pip install onnxruntime")
    content = (models / file).read_bytes()
    path = tmp_path / file
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(ArtifactError, match=r"is damaged or not a \.\w+ file \([^\n]+\); copy or convert it again$"):
        open_model(path)


@pytest.mark.parametrize("position", [0, 5, 20, 40])
def test_a_flipped_bit_in_the_structure_is_damage(models: Path, tmp_path: Path, position: int) -> None:
    content = bytearray((models / INT8).read_bytes())
    content[position] ^= 0x40
    path = tmp_path / INT8
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"is damaged or not a \.tflite file"):
        open_model(path)


def test_a_model_that_the_interpreter_refuses_is_a_device_error_on_one_line(models: Path) -> None:
    with pytest.raises(DeviceError, match=r"^[^\n]*: litert refuses it: quantized_dimension must be in[^\n]*$"):
        open_model(models / "tflm_person_detect_int8.tflite")


def test_an_interpreter_that_is_not_installed_comes_with_its_pip_command(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingPackageError, match=r"python -m pip install onnxruntime$"):
        open_model(models / OPEN_BATCH)


def test_without_litert_the_old_runtime_is_next(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "tflite_runtime", None)
    with pytest.raises(MissingPackageError, match="needs litert or tflite-runtime, which is not installed"):
        choose_interpreter(models / INT8)


def test_an_interpreter_that_does_not_load_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "half_installed.py").write_text("raise ImportError('numpy 2 is too new')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(INTERPRETERS, "half", Interpreter("half_installed", "half 'numpy<2'", ".onnx", OnnxModel))
    with pytest.raises(MissingPackageError, match=r"half does not load \(numpy 2 is too new\); try: .* half 'numpy<2'"):
        import_interpreter(tmp_path / "model.onnx", "half")


def test_a_runtime_for_other_files_is_refused(models: Path) -> None:
    with pytest.raises(ArtifactError, match=r"onnxruntime runs \.onnx files"):
        open_model(models / INT8, runtime="onnxruntime")


def test_a_mistyped_runtime_names_the_nearest(models: Path) -> None:
    with pytest.raises(RecipeError, match="did you mean 'litert'"):
        open_model(models / INT8, runtime="liteert")


def test_unknown_kernels_and_no_threads_are_refused(models: Path) -> None:
    with pytest.raises(RecipeError, match="kernels 'fast', threads 1"):
        open_model(models / INT8, kernels="fast")
    with pytest.raises(RecipeError, match="threads 0"):
        open_model(models / INT8, threads=0)
