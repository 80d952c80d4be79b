"""A mistake, seen from the shell: one exit code a kind, one line on stderr, nothing on stdout, nothing on disk."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ghost_edge.core.files import save_npz

Command = Callable[..., "subprocess.CompletedProcess[str]"]
RECIPE = """
name = "tiny"
[network]
kind = "ghostnet"
input_size = 16
classes = 4
stages = [[3, 16, 16, 0, 1]]
weights = "random"
[preprocess]
size = 16
[calibration]
kind = "arrays"
path = "a.npz"
[evaluation]
kind = "arrays"
path = "b.npz"
"""
# what was written for what: the mistake, its exit code, what the line says
MISTAKES = {
    "a mistyped key": ("stages =", "stagse =", 2, r"[network] has no key 'stagse'; did you mean 'stages'?"),
    "a missing file": ('"b.npz"', '"c.npz"', 3, "c.npz was not found in"),
    "another sum": ('"a.npz"', f'"a.npz"\nsha256 = "{"0" * 64}"', 3, "expected 000000000000..."),
    "weights with another sum": (
        'weights = "random"',
        f'weights = "w.safetensors"\nweights_sha256 = "{"0" * 64}"',
        4,
        "w.safetensors has SHA-256",
    ),
    "missing weights": ('weights = "random"', 'weights = "gone.safetensors"', 4, "[network] weights: gone.safetensors"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), np.uint8)
    for name in ("a", "b"):
        save_npz({"images": images, "labels": np.arange(8) % 4}, tmp_path / f"{name}.npz")
    (tmp_path / "w.safetensors").write_bytes(b"something else")
    return tmp_path


def only_line(run: subprocess.CompletedProcess[str], exit_code: int) -> str:
    """The one line that a failed command says."""
    assert (run.returncode, run.stdout) == (exit_code, ""), run
    assert run.stderr.count("\n") == 1, run.stderr
    assert run.stderr.startswith("ghost-edge: ")
    return run.stderr


@pytest.mark.parametrize(("old", "new", "exit_code", "said"), MISTAKES.values(), ids=MISTAKES.keys())
def test_convert_says_one_line_and_makes_nothing(
    folder: Path, ghost_edge: Command, old: str, new: str, exit_code: int, said: str
) -> None:
    assert RECIPE.count(old) == 1
    (folder / "recipe.toml").write_text(RECIPE.replace(old, new))
    run = ghost_edge("convert", folder / "recipe.toml", "--out", folder / "out")
    assert said in only_line(run, exit_code)
    made = [path.name for path in (folder / "out").iterdir()] if (folder / "out").exists() else []
    assert made in ([], ["tools.log"])


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\x1c\x00\x00\x00TFL3" + b"\xff" * 200], ids=["0", "4", "208"])
@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
def test_evaluate_says_one_line_about_a_damaged_model(
    folder: Path, ghost_edge: Command, content: bytes, suffix: str
) -> None:
    (folder / "recipe.toml").write_text(RECIPE)
    (folder / f"m{suffix}").write_bytes(content)
    run = ghost_edge("evaluate", folder / f"m{suffix}", "--recipe", folder / "recipe.toml")
    assert f"m{suffix}" in only_line(run, 4)


def test_evaluate_says_one_line_about_a_model_that_is_not_there(folder: Path, ghost_edge: Command) -> None:
    (folder / "recipe.toml").write_text(RECIPE)
    run = ghost_edge("evaluate", folder / "gone.tflite", "--recipe", folder / "recipe.toml")
    line = only_line(run, 4)
    assert "gone.tflite cannot be read (No such file or directory)" in line
    assert line.count("gone.tflite") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bench"], "Missing argument 'FILE-OR-FOLDER...'; `ghost-edge bench --help` shows what it takes"),
        (
            ["bench", "x.tflite", "--threds", "2"],
            "No such option '--threds'. (Did you mean one of: '--rounds', '--threads'?)",
        ),
        (["weights"], "ghost-edge: Missing command; `ghost-edge weights --help` shows what it takes"),
        (["evaluate", "x.tflite"], "needs --recipe FILE, or --images FILE on a board"),
        (["gate", ".", "--max-drop", "little"], "'little' is no fraction: write 0.01 for one per cent"),
        (["--wrong"], "`ghost-edge --help` shows what it takes"),
    ],
)
def test_a_mistyped_command_line_is_one_line_that_says_where_help_is(
    ghost_edge: Command, arguments: list[str], said: str
) -> None:
    assert said in only_line(ghost_edge(*arguments), 2)


def test_gate_says_one_line_about_a_folder_without_a_manifest(tmp_path: Path, ghost_edge: Command) -> None:
    assert "manifest.json does not exist" in only_line(ghost_edge("gate", tmp_path), 4)


@pytest.mark.slow
def test_a_file_that_does_not_fit_on_the_disk_leaves_nothing_and_the_next_run_finishes(
    tmp_path: Path, ghost_edge: Command
) -> None:
    def small_disk() -> None:
        # a real write that the system refuses, in Python and in Keras' HDF5 alike: the .keras file has 566 kB
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))

    command = [sys.executable, "-m", "ghost_edge", "convert", "--out", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=small_disk)
    assert "ghostnet_mnist.keras could not be written (File too large); free some space" in only_line(run, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["tools.log"]
    assert ghost_edge("convert", "--out", tmp_path).returncode == 0
