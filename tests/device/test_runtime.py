"""Opening real files with the interpreters that are installed."""

from __future__ import annotations

import os
import resource
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ghost_edge.core.errors import ArtifactError, DeviceError, MissingPackageError, RecipeError
from ghost_edge.device.isolate import run_isolated
from ghost_edge.device.runtimes.model import DelegateShare
from ghost_edge.device.runtimes.onnx import OnnxModel
from ghost_edge.device.runtimes.open import (
    INTERPRETERS,
    Interpreter,
    choose_interpreter,
    import_interpreter,
    open_model,
)
from ghost_edge.device.runtimes.tflite import TfliteModel, delegate_share

pytest.importorskip("ai_edge_litert", reason="needs pip install ai-edge-litert")
OpResolverType = pytest.importorskip("ai_edge_litert.interpreter").OpResolverType
one_op = pytest.importorskip("one_op").one_op  # it imports ai_edge_litert
INT8 = "mlperf_tiny_ic_resnet8_cifar10_int8.tflite"
FLOAT = "mlperf_tiny_ic_resnet8_cifar10_float.tflite"
OPEN_BATCH = "st_mobilenet_v2_0.35_128_float.onnx"


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
    with pytest.raises(MissingPackageError, match=r"run: python3 -m pip install onnxruntime$"):
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


@pytest.mark.parametrize(
    ("machine", "command"),
    [("armv7l", "tflite-runtime 'numpy<2'"), ("aarch64", "ai-edge-litert"), ("x86_64", "ai-edge-litert")],
)
def test_a_board_without_an_interpreter_is_told_the_one_that_is_published_for_it(
    models: Path, monkeypatch: pytest.MonkeyPatch, machine: str, command: str
) -> None:
    monkeypatch.setattr(os, "uname", lambda: types.SimpleNamespace(machine=machine))
    for module in ("ai_edge_litert", "tflite_runtime"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingPackageError, match=f"run: python3 -m pip install {command}$"):
        choose_interpreter(models / INT8)


@pytest.mark.parametrize(("file", "runtime"), [(INT8, "litert"), (OPEN_BATCH, "auto")])
def test_an_interpreter_that_is_not_published_for_the_board_has_no_pip_command(
    models: Path, monkeypatch: pytest.MonkeyPatch, file: str, runtime: str
) -> None:
    monkeypatch.setattr(os, "uname", lambda: types.SimpleNamespace(machine="armv7l"))
    for module in ("ai_edge_litert", "onnxruntime"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        MissingPackageError, match=r"published for no armv7l; take the int8 \.tflite file and tflite-run"
    ):
        choose_interpreter(models / file, runtime)


def test_an_interpreter_that_was_built_for_numpy_1_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # what tflite-runtime 2.14.0 does with numpy 2.2.6: it imports, and then this
    def create(*arguments: Any, **options: Any) -> None:
        raise SystemError("<built-in method CreateWrapperFromFile> returned a result with an exception set")

    module = types.SimpleNamespace(
        __name__="old", __version__="2.14.0", Interpreter=create, OpResolverType=OpResolverType
    )
    monkeypatch.setitem(sys.modules, "old", module)  # type: ignore[arg-type]
    told = rf"tflite-runtime 2\.14\.0 does not work with numpy {np.__version__}; run: python3 -m pip install 'numpy<2'$"
    with pytest.raises(MissingPackageError, match=told):
        TfliteModel("tflite-runtime", tmp_path / "m.tflite", module, "default", 1)


def test_an_operation_that_is_too_new_is_named_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(one_op("CONV_2D", [(1, 4, 4, 8)] * 3, (1, 4, 4, 8), version=99))
    told = r'refuses it: [\d.]+ has no CONV_2D version 99; set target = "zynq7000" in the recipe, or take a newer'
    with pytest.raises(DeviceError, match=told):
        open_model(path)


def test_an_operation_that_the_interpreter_has_no_name_for_is_named_by_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # what tflite-runtime 2.14.0 says of STABLEHLO_CASE
    def create(*arguments: Any, **options: Any) -> None:
        raise ValueError("Op builtin_code out of range: 209. Are you using old TFLite binary with newer model?")

    module = types.SimpleNamespace(
        __name__="old", __version__="2.14.0", Interpreter=create, OpResolverType=OpResolverType
    )
    monkeypatch.setitem(sys.modules, "old", module)  # type: ignore[arg-type]
    with pytest.raises(DeviceError, match=r"2\.14\.0 has no operation number 209; set target"):
        TfliteModel("tflite-runtime", tmp_path / "m.tflite", module, "default", 1)


def limited(path: Path, spare_bytes: int) -> str:
    """Open and run a file with so many bytes more than this process has."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + spare_bytes,) * 2)
    open_model(path).invoke()
    return "ran"


def test_a_file_that_does_not_fit_the_memory_is_no_damaged_file(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes((models / INT8).read_bytes())
    with path.open("r+b") as file:
        file.truncate(2**30)  # a hole: it takes no room on the disk
    outcome = run_isolated(limited, path, 2**28, timeout_s=60)
    assert outcome.failure == f"{path}: litert refuses it: out of memory; try a smaller model or a swap file"


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
