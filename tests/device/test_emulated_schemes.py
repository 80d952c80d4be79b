"""What the integer schemes make runs on both boards, and answers there with the same bytes as here."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from emulator import SHORT, Run, board_command
from scheme_recipe import write_recipe

from ghost_edge.device.evaluate import save_evaluation_set
from ghost_edge.host.board.bundle import sample_images
from ghost_edge.host.datasets.places import places_for
from ghost_edge.host.recipe.schema import load_recipe
from ghost_edge.host.recipe.shipped import default_recipe

pytestmark = [pytest.mark.board, pytest.mark.slow]
COUNT = 20


OPTIONS = {"int8_float_io": "", "uint8_io": "", "int16x8": "", "mixed": "int16 = [[5, 20], [30, 52]]"}


@pytest.fixture(scope="module", params=OPTIONS)
def model(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, converted: Path, ghost_edge: Run
) -> Path:
    """The embedded model by another scheme, with images.npz beside it."""
    folder = tmp_path_factory.mktemp(request.param)
    out = Path(shutil.copytree(converted, folder / "out"))
    run = ghost_edge(
        "convert", write_recipe(folder, request.param, options=OPTIONS[request.param], target=True), "--out", out
    )
    assert run.returncode == 0, run.stderr
    recipe = load_recipe(default_recipe())
    save_evaluation_set(sample_images(recipe, places_for(recipe.path.parent), COUNT, []), out / "images.npz")
    return out / f"ghostnet_mnist_{request.param}.tflite"


@pytest.mark.parametrize("arch", ["armhf", "arm64"])
def test_reference_kernels_answer_with_the_same_bytes_as_here(
    model: Path, arch: str, ghost_edge: Run, tmp_path: Path
) -> None:
    for name, command in (("here", ghost_edge), ("board", board_command(arch))):
        files = ("--images", model.parent / "images.npz", "--outputs", tmp_path / f"{name}.npz")
        run = command("evaluate", model, *files, "--kernels", "reference")
        assert run.returncode == 0, run.stderr
    assert (tmp_path / "board.npz").read_bytes() == (tmp_path / "here.npz").read_bytes()


@pytest.mark.parametrize("arch", ["armhf", "arm64"])
def test_default_kernels_run(model: Path, arch: str) -> None:
    run = board_command(arch)("bench", model, *SHORT)
    assert run.returncode == 0, run.stderr
