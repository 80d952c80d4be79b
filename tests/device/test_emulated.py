"""The real command line on an emulated Cortex-A9 and Cortex-A53, with Debian 12's Python and numpy."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Optional

import numpy as np
import pytest
from emulator import SHORT, Run, board_command, board_python

from ghost_edge.device.evaluate import load_evaluation_set, save_evaluation_set
from ghost_edge.host.board.bundle import sample_images
from ghost_edge.host.datasets.places import places_for
from ghost_edge.host.recipe.schema import load_recipe

pytestmark = pytest.mark.board

CPUS = {"armhf": "Cortex-A9", "arm64": "Cortex-A53"}
INTERPRETERS = {"armhf": "tflite-runtime 2.14.0", "arm64": "litert 2.3.0"}
CAUSE = "killed by SIGILL: this interpreter's float kernels need VFPv4; use the int8 model"
COUNT = 100


@pytest.fixture(params=CPUS)
def arch(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def board(arch: str) -> Run:
    return board_command(arch)


@pytest.fixture
def cortex_a9() -> Run:
    return board_command("armhf")


@pytest.fixture
def int8(converted: Path) -> Path:
    return converted / "ghostnet_mnist_int8.tflite"


@pytest.fixture
def float32(converted: Path) -> Path:
    return converted / "ghostnet_mnist_float.tflite"


@pytest.fixture(scope="module", params=["mnist", pytest.param("cifar10", marks=pytest.mark.data)])
def model(request: pytest.FixtureRequest) -> Path:
    """An int8 model that is shipped."""
    folder: Path = request.getfixturevalue("converted" if request.param == "mnist" else "converted_cifar10")
    return folder / f"ghostnet_{request.param}_int8.tflite"


def write_sample(model: Path, repository: Path, data: Optional[Path], path: Path) -> Path:
    """Write evaluation images of the recipe that made the model, with its outputs here."""
    recipe = repository / "models" / f"{model.stem.removesuffix('_int8')}.toml"
    save_evaluation_set(sample_images(load_recipe(recipe), places_for(recipe.parent, data), COUNT, [model]), path)
    return path


@pytest.fixture
def images(int8: Path, repository: Path, tmp_path: Path) -> Path:
    return write_sample(int8, repository, None, tmp_path / "images.npz")


@pytest.fixture
def images_of_model(model: Path, request: pytest.FixtureRequest, repository: Path, tmp_path: Path) -> Path:
    data = request.getfixturevalue("data_folder") if "cifar10" in model.name else None
    return write_sample(model, repository, data, tmp_path / "images_of_model.npz")


def test_the_board_has_debians_numpy(arch: str) -> None:
    run = board_python(arch)("-c", "import numpy; print(numpy.__version__)")
    assert run.stdout.startswith("1.24."), run.stderr


def test_bench_times_an_int8_model(arch: str, board: Run, model: Path, tmp_path: Path) -> None:
    run = board("bench", model, *SHORT, "--threads", "1,2", "--rounds", "2", "--json", tmp_path / "bench.json")
    assert run.returncode == 0, run.stderr
    assert CPUS[arch] in run.stdout.splitlines()[0]
    assert f"interpreter: {INTERPRETERS[arch]}" in run.stdout
    document = json.loads((tmp_path / "bench.json").read_text())
    assert document["board"]["cpu"] == CPUS[arch]
    assert [(row["threads"], row["failure"]) for row in document["results"]] == [(1, None), (2, None)]
    assert all(row["stats"]["median_ms"] > 0 for row in document["results"])


def test_reference_kernels_answer_with_the_same_bytes_as_here(
    board: Run, model: Path, images_of_model: Path, ghost_edge: Run, tmp_path: Path
) -> None:
    for name, command in (("here", ghost_edge), ("board", board)):
        files = ("--json", tmp_path / f"{name}.json", "--outputs", tmp_path / f"{name}.npz")
        run = command("evaluate", model, "--images", images_of_model, "--kernels", "reference", *files)
        assert run.returncode == 0, run.stderr
    assert (tmp_path / "board.npz").read_bytes() == (tmp_path / "here.npz").read_bytes()
    assert (tmp_path / "board.json").read_bytes() == (tmp_path / "here.json").read_bytes()
    (row,) = json.loads((tmp_path / "board.json").read_text())["results"]
    assert (row["images"], row["equal_outputs"]) == (COUNT, 1.0)


def test_images_in_another_order_are_not_the_same_bytes(board: Run, int8: Path, images: Path, tmp_path: Path) -> None:
    held = load_evaluation_set(images)
    save_evaluation_set(dataclasses.replace(held, images=np.roll(held.images, 1, axis=0)), images)
    run = board("evaluate", int8, "--images", images, "--kernels", "reference", "--json", tmp_path / "e.json")
    assert run.returncode == 7
    assert f"{int8.name} gives other outputs than on the workstation" in run.stderr
    (row,) = json.loads((tmp_path / "e.json").read_text())["results"]
    assert row["equal_outputs"] < 0.1


def test_a_float_model_on_a_cortex_a9_fails_with_its_cause_and_the_int8_model_still_has_its_row(
    cortex_a9: Run, float32: Path, int8: Path, tmp_path: Path
) -> None:
    run = cortex_a9("bench", float32, int8, *SHORT, "--json", tmp_path / "bench.json")
    assert run.returncode == 8
    assert f"1 of 2 models failed: {float32.name}: {CAUSE}" in run.stderr
    dead, alive = json.loads((tmp_path / "bench.json").read_text())["results"]
    assert dead["failure"].startswith(CAUSE)
    assert dead["stats"] is None
    assert alive["failure"] is None
    assert alive["stats"]["median_ms"] > 0


def test_evaluating_a_float_model_on_a_cortex_a9_ends_with_the_cause(
    cortex_a9: Run, float32: Path, images: Path
) -> None:
    run = cortex_a9("evaluate", float32, "--images", images)
    assert run.returncode == 8
    assert run.stderr.startswith(f"ghost-edge: {float32}: {CAUSE}")
    assert len(run.stderr.splitlines()) == 1


def test_a_float_model_runs_on_a_cortex_a53(float32: Path) -> None:
    run = board_command("arm64")("bench", float32, *SHORT)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("command", ["bench", "evaluate"])
def test_what_is_no_model_is_refused(board: Run, command: str, int8: Path, images: Path) -> None:
    other = images.with_name("other.tflite")
    other.write_bytes(b"PK" + int8.read_bytes())
    options = ("--images", images, "--manifest", int8.parent) if command == "evaluate" else SHORT
    run = board(command, other, *options)
    assert run.returncode == 4
    assert "other.tflite" in run.stderr
    assert "is damaged or not a .tflite file" in run.stderr


# tflite-runtime 2.14 reads a file without verifying it, and dies
@pytest.mark.parametrize(("arch", "exit_code"), [("armhf", 8), ("arm64", 4)])
def test_half_a_file_is_a_failure_that_says_damaged(arch: str, exit_code: int, int8: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.tflite"
    content = int8.read_bytes()
    half.write_bytes(content[: len(content) // 2])
    run = board_command(arch)("bench", half, *SHORT)
    assert run.returncode == exit_code
    assert "damaged" in run.stderr
