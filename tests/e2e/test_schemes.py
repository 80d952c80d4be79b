"""`ghost-edge convert` by every scheme of quantization: the whole chain works on the file that comes out."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scheme_recipe import write_recipe

from ghost_edge.core.manifest import Model, answers_of, load_predictions, read_manifest
from ghost_edge.device.evaluate import raw_outputs
from ghost_edge.device.runtimes.open import open_model
from ghost_edge.host.quantization import QUANTIZERS

pytestmark = pytest.mark.slow
Command = Callable[..., "subprocess.CompletedProcess[str]"]
Again = Callable[[str], tuple[Path, "subprocess.CompletedProcess[str]"]]
FLOAT_KERNELS = ("dynamic", "float16")
KINDS = pytest.mark.parametrize("kind", QUANTIZERS)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, converted: Path, ghost_edge: Command) -> Callable[[str], Path]:
    """The folder of a scheme, made at the first call; the network's own stages are up to date."""
    made: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        if kind not in made:
            target = tmp_path_factory.mktemp(kind)
            recipe = write_recipe(target, kind)
            made[kind] = Path(shutil.copytree(converted, target / "out"))
            run = ghost_edge("convert", recipe, "--out", made[kind])
            assert run.returncode == 0, run.stderr
        return made[kind]

    return folder


def quantized(folder: Path) -> Model:
    (model,) = (model for model in read_manifest(folder).models if model.role == "quantized")
    return model


@KINDS
def test_the_gate_of_the_shipped_model_passes_with_every_scheme(folders: Callable[[str], Path], kind: str) -> None:
    model = quantized(folders(kind))
    assert model.artifact.file == f"ghostnet_mnist_{kind}.tflite"
    assert {model.input.dtype, model.output.dtype} <= QUANTIZERS[kind].dtypes.ends
    assert model.accuracy is not None
    assert model.accuracy.agreement >= 0.995  # 99.8 % and more when it was written
    assert model.median_ms is not None


@pytest.fixture(scope="module")
def for_zynq(tmp_path_factory: pytest.TempPathFactory, ghost_edge: Command, folders: Callable[[str], Path]) -> Again:
    """Folder and run of the same again with target = "zynq7000", the quantized file having been lost."""
    made: dict[str, tuple[Path, subprocess.CompletedProcess[str]]] = {}

    def again(kind: str) -> tuple[Path, subprocess.CompletedProcess[str]]:
        if kind not in made:
            target = tmp_path_factory.mktemp(f"{kind}_zynq")
            recipe = write_recipe(target, kind, target=True)
            folder = Path(shutil.copytree(folders(kind), target / "out"))
            (folder / quantized(folder).artifact.file).unlink()
            made[kind] = folder, ghost_edge("convert", recipe, "--out", folder)
        return made[kind]

    return again


@KINDS
def test_a_scheme_makes_the_same_bytes_again(folders: Callable[[str], Path], for_zynq: Again, kind: str) -> None:
    folder, run = for_zynq(kind)
    assert "calibrate  up to date" in run.stderr
    name = quantized(folders(kind)).artifact.file
    assert (folder / name).read_bytes() == (folders(kind) / name).read_bytes()


@KINDS
def test_a_zynq_7000_is_refused_what_computes_in_float(for_zynq: Again, kind: str) -> None:
    _, run = for_zynq(kind)
    if kind not in FLOAT_KERNELS:
        assert run.returncode == 0, run.stderr
        return
    assert run.returncode == 6
    told = f"ghost-edge: ghostnet_mnist_{kind}.tflite computes in float: this interpreter's float kernels need VFPv4"
    assert run.stderr.splitlines()[-1].startswith(told)


@pytest.mark.parametrize("kind", ["int8_float_io", "uint8_io"])
def test_other_ends_answer_as_the_int8_file_does(folders: Callable[[str], Path], kind: str) -> None:
    ours, theirs = (
        answers_of(load_predictions(folders(each) / "predictions.npz"), "quantized") for each in (kind, "int8")
    )
    assert (ours == theirs).mean() >= 0.999  # all 1,600 when it was written


def test_the_camera_s_bytes_go_in_as_they_are(folders: Callable[[str], Path], repository: Path) -> None:
    folder = folders("uint8_io")
    images = np.load(repository / "calibration" / "mnist" / "mnist.npz")["images"][:50]
    path = folder / quantized(folder).artifact.file
    model = open_model(path)
    assert model.inputs[0].holds_bytes
    answers = []
    for image in images:
        model.set_inputs([image.reshape(model.inputs[0].shape)])
        model.invoke()
        answers.append(model.outputs_now()[0])
    (by_evaluation, *_), _ = raw_outputs(path, list(images), read_manifest(folder).preprocess)
    assert_array_equal(np.concatenate(answers), by_evaluation)


def test_int16_activations_are_symmetric_and_their_biases_corrected(folders: Callable[[str], Path]) -> None:
    folder = folders("int16x8")
    model = quantized(folder)
    assert (model.input.zero_point, model.output.zero_point) == (0, 0)
    accuracy = {kind: quantized(folders(kind)).accuracy for kind in ("int8", "int16x8")}
    assert accuracy["int16x8"].sqnr_db > accuracy["int8"].sqnr_db + 3  # 4 dB when it was written


@pytest.mark.parametrize("kind", ["uint8_io", "int16x8", "float16"])
def test_inspect_takes_the_file(folders: Callable[[str], Path], ghost_edge: Command, kind: str) -> None:
    run = ghost_edge("inspect", folders(kind) / f"ghostnet_mnist_{kind}.tflite")
    assert run.returncode == 0, run.stderr
