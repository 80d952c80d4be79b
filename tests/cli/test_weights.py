"""ghost-edge weights: what it says and what it leaves behind."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., "subprocess.CompletedProcess[str]"]
pytestmark = pytest.mark.slow
TINY = ("stages=[[3, 16, 16, 0, 1], [3, 48, 24, 0.25, 2]]", "input_size=16", "head_channels=8")


@pytest.fixture
def checkpoint(repository: Path) -> Path:
    return repository / "tests" / "data" / "checkpoints" / "trained.pth.tar"


def test_an_import_says_what_the_recipe_needs(checkpoint: Path, tmp_path: Path, ghost_edge: Command) -> None:
    settings = [word for setting in TINY for word in ("--set", setting)]
    out = tmp_path / "w.safetensors"
    run = ghost_edge("weights", "import", checkpoint, "--network", "ghostnet", "--width", 0.25, *settings, "-o", out)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith('[network]  # for the recipe\nkind = "ghostnet"\nwidth = 0.25\nclasses = 3\n')
    assert f'weights = "{out}"\nweights_sha256 = "' in run.stdout


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (["{checkpoint}", "--network", "ghostnet"], 4, "looks like width"),
        (["gone.pth", "--network", "ghostnet"], 4, "gone.pth is not a readable PyTorch checkpoint (No such file"),
        (["{checkpoint}", "--network", "gostnet"], 2, "did you mean 'ghostnet'?"),
        (["{checkpoint}", "--network", "ghostnet", "--set", "width"], 2, "is not KEY=VALUE"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    checkpoint: Path, tmp_path: Path, ghost_edge: Command, arguments: list[str], exit_code: int, said: str
) -> None:
    filled = [argument.format(checkpoint=checkpoint) for argument in arguments]
    run = ghost_edge("weights", "import", *filled, "-o", tmp_path / "w.safetensors")
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (exit_code, "", 1), run.stderr
    assert said in run.stderr.replace("[Errno 2] ", "")
    assert list(tmp_path.iterdir()) == []


def test_a_recipes_weights_can_be_exported(repository: Path, tmp_path: Path, ghost_edge: Command) -> None:
    out = tmp_path / "w.safetensors"
    run = ghost_edge("weights", "export", repository / "models" / "ghostnet_mnist.toml", "-o", out)
    assert run.returncode == 0, run.stderr
    assert out.read_bytes() == (repository / "models" / "weights" / "ghostnet_mnist.safetensors").read_bytes()
